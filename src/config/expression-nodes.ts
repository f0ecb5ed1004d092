/**
 * The nodes of a compiled expression: what each kind of operation does to one block of rows. See `expression-vector.ts`
 * for the contract between a node and its parent.
 */
import type { ColumnType } from './expression.ts';
import {
  type ComparisonConstantKernel,
  type ComparisonKernel,
  maskTestFloat64,
  maskTestInt32,
  maskTestUint32,
} from './expression-comparison-kernels.ts';
import { andBytes, andWithNulls, invertBytes, orBytes, orWithNulls } from './expression-flag-kernels.ts';
import {
  fillFloat64,
  fillUint32,
  flagOutOfRange,
  type IntegerConstantKernel,
  type IntegerKernel,
  widenInt32,
  widenUint32,
} from './expression-kernels.ts';
import {
  BLOCK_ROWS,
  type ColumnSource,
  type ColumnVector,
  ComputingNode,
  noFlags,
  type Values,
  VectorNode,
} from './expression-vector.ts';

export class ColumnNode extends VectorNode {
  readonly name: string;
  readonly columnType: ColumnType;
  #column: ColumnVector = { values: noFlags, nulls: null };

  constructor(name: string, columnType: ColumnType) {
    super(noFlags);
    this.name = name;
    this.columnType = columnType;
  }

  /** The vector bound for this batch. */
  get column(): ColumnVector {
    return this.#column;
  }

  bind(columns: ColumnSource): void {
    this.#column = columns(this.name, this.columnType);
    this.values = this.#column.values;
    this.nulls = this.#column.nulls;
  }

  run(start: number): void {
    this.offset = start;
    this.nullsOffset = start;
  }
}

/** An integer column as doubles: itself, or widened block by block. With a `fill`, that stands in for its nulls. */
export class IntegerColumnNode extends VectorNode<Float64Array> {
  readonly #column: ColumnNode;
  readonly #fill: number | null;
  #buffer: Float64Array | null = null;

  constructor(column: ColumnNode, fill: number | null) {
    super(new Float64Array(0));
    this.#column = column;
    this.#fill = fill;
  }

  bind(columns: ColumnSource): void {
    this.#column.bind(columns);
    this.nulls = this.#fill === null ? this.#column.nulls : null;
  }

  run(start: number, count: number): void {
    this.nullsOffset = start;
    const { values, nulls } = this.#column;
    if (this.#fill !== null && nulls !== null) {
      this.#runFilled(values, nulls, this.#fill, start, count);
    } else if (values instanceof Float64Array) {
      this.values = values;
      this.offset = start;
    } else {
      widen(values, start, this.#ownBlock(), count);
    }
  }

  #runFilled(values: Values, nulls: Uint8Array, fill: number, start: number, count: number): void {
    const block = this.#ownBlock();
    if (values instanceof Uint32Array) {
      fillUint32(values, start, nulls, fill, block, count);
    } else if (values instanceof Float64Array) {
      fillFloat64(values, start, nulls, start, fill, block, count);
    } else {
      widen(values, start, block, count);
      fillFloat64(block, 0, nulls, start, fill, block, count);
    }
  }

  #ownBlock(): Float64Array {
    this.#buffer ??= new Float64Array(BLOCK_ROWS);
    this.values = this.#buffer;
    this.offset = 0;
    return this.#buffer;
  }
}

function widen(values: Values, start: number, block: Float64Array, count: number): void {
  if (values instanceof Uint32Array) widenUint32(values, start, block, count);
  else if (values instanceof Int32Array) widenInt32(values, start, block, count);
  else block.set(values.subarray(start, start + count));
}

/** A literal, spread over a block once. */
export class LiteralNode<V extends Values> extends VectorNode<V> {
  /** `isNull`: the null literal, whatever the block holds. */
  constructor(block: V, isNull: boolean) {
    super(block);
    if (isNull) this.nulls = new Uint8Array(BLOCK_ROWS).fill(1);
  }

  bind(): void {}
  run(): void {}
}

export class IntegerNode extends ComputingNode<Float64Array> {
  readonly #left: VectorNode<Float64Array>;
  readonly #right: VectorNode<Float64Array>;
  readonly #kernel: IntegerKernel;

  constructor(kernel: IntegerKernel, left: VectorNode<Float64Array>, right: VectorNode<Float64Array>) {
    super(new Float64Array(BLOCK_ROWS));
    this.#kernel = kernel;
    this.#left = left;
    this.#right = right;
  }

  bind(columns: ColumnSource): void {
    this.#left.bind(columns);
    this.#right.bind(columns);
  }

  run(start: number, count: number): void {
    const left = this.#left;
    const right = this.#right;
    left.run(start, count);
    right.run(start, count);
    this.place(start);
    const { values, offset } = this;
    const failed = this.#kernel(left.values, left.offset, right.values, right.offset, values, offset, count);
    this.mergeNulls(left, right, count);
    this.mergeErrors(left, right, count);
    if (failed !== 0) addRangeErrors(this, this.ownErrors, count);
  }
}

export class IntegerConstantNode extends ComputingNode<Float64Array> {
  readonly #left: VectorNode<Float64Array>;
  readonly #right: number;
  readonly #kernel: IntegerConstantKernel;

  constructor(kernel: IntegerConstantKernel, left: VectorNode<Float64Array>, right: number) {
    super(new Float64Array(BLOCK_ROWS));
    this.#kernel = kernel;
    this.#left = left;
    this.#right = right;
  }

  bind(columns: ColumnSource): void {
    this.#left.bind(columns);
  }

  run(start: number, count: number): void {
    const left = this.#left;
    left.run(start, count);
    this.place(start);
    const failed = this.#kernel(left.values, left.offset, this.#right, this.values, this.offset, count);
    this.takeNulls(left);
    this.takeErrors(left);
    if (failed !== 0) addRangeErrors(this, this.ownErrors, count);
  }
}

export class ComparisonNode<V extends Values> extends ComputingNode<Uint8Array> {
  readonly #left: VectorNode<V>;
  readonly #right: VectorNode<V>;
  readonly #kernel: ComparisonKernel<V>;

  constructor(kernel: ComparisonKernel<V>, left: VectorNode<V>, right: VectorNode<V>) {
    super(new Uint8Array(BLOCK_ROWS));
    this.#kernel = kernel;
    this.#left = left;
    this.#right = right;
  }

  bind(columns: ColumnSource): void {
    this.#left.bind(columns);
    this.#right.bind(columns);
  }

  run(start: number, count: number): void {
    const left = this.#left;
    const right = this.#right;
    left.run(start, count);
    right.run(start, count);
    this.place(start);
    this.#kernel(left.values, left.offset, right.values, right.offset, this.values, this.offset, count);
    this.mergeNulls(left, right, count);
    this.mergeErrors(left, right, count);
  }
}

export class ComparisonConstantNode<V extends Values> extends ComputingNode<Uint8Array> {
  readonly #left: VectorNode<V>;
  readonly #right: number;
  readonly #kernel: ComparisonConstantKernel<V>;

  constructor(kernel: ComparisonConstantKernel<V>, left: VectorNode<V>, right: number) {
    super(new Uint8Array(BLOCK_ROWS));
    this.#kernel = kernel;
    this.#left = left;
    this.#right = right;
  }

  bind(columns: ColumnSource): void {
    this.#left.bind(columns);
  }

  run(start: number, count: number): void {
    const left = this.#left;
    left.run(start, count);
    this.place(start);
    this.#kernel(left.values, left.offset, this.#right, this.values, this.offset, count);
    this.takeNulls(left);
    this.takeErrors(left);
  }
}

/** `(column & mask) == wanted`, reading the column as it is, without widening. */
export class MaskTestNode extends ComputingNode<Uint8Array> {
  readonly #column: ColumnNode;
  readonly #mask: number;
  readonly #wanted: number;

  /** `mask` and `wanted` are 32-bit patterns. */
  constructor(column: ColumnNode, mask: number, wanted: number) {
    super(new Uint8Array(BLOCK_ROWS));
    this.#column = column;
    this.#mask = mask | 0;
    this.#wanted = wanted | 0;
  }

  bind(columns: ColumnSource): void {
    this.#column.bind(columns);
    this.nulls = this.#column.nulls;
  }

  run(start: number, count: number): void {
    this.place(start);
    this.nullsOffset = start;
    const { values, offset } = this;
    const source = this.#column.values;
    if (source instanceof Float64Array) {
      maskTestFloat64(source, start, this.#mask, this.#wanted, values, offset, count);
    } else if (source instanceof Uint32Array) {
      maskTestUint32(source, start, this.#mask, this.#wanted, values, offset, count);
    } else {
      maskTestInt32(source as Int32Array, start, this.#mask, this.#wanted, values, offset, count);
    }
  }
}

export class NotNode extends ComputingNode<Uint8Array> {
  readonly #operand: VectorNode<Uint8Array>;

  constructor(operand: VectorNode<Uint8Array>) {
    super(new Uint8Array(BLOCK_ROWS));
    this.#operand = operand;
  }

  bind(columns: ColumnSource): void {
    this.#operand.bind(columns);
  }

  run(start: number, count: number): void {
    const operand = this.#operand;
    operand.run(start, count);
    this.place(start);
    invertBytes(operand.values, operand.offset, this.values, this.offset, count);
    this.takeNulls(operand);
    this.takeErrors(operand);
  }
}

/** `&&` (deciding value 0) and `||` (deciding value 1). */
export class LogicNode extends ComputingNode<Uint8Array> {
  readonly #left: VectorNode<Uint8Array>;
  readonly #right: VectorNode<Uint8Array>;
  readonly #deciding: 0 | 1;

  constructor(deciding: 0 | 1, left: VectorNode<Uint8Array>, right: VectorNode<Uint8Array>) {
    super(new Uint8Array(BLOCK_ROWS));
    this.#deciding = deciding;
    this.#left = left;
    this.#right = right;
  }

  bind(columns: ColumnSource): void {
    this.#left.bind(columns);
    this.#right.bind(columns);
  }

  run(start: number, count: number): void {
    const left = this.#left;
    const right = this.#right;
    left.run(start, count);
    right.run(start, count);
    this.place(start);
    this.mergeErrorsWhereOpen(left, right, this.#deciding, count);
    const { values, offset } = this;
    if (left.nulls === null && right.nulls === null) {
      const kernel = this.#deciding === 0 ? andBytes : orBytes;
      kernel(left.values, left.offset, right.values, right.offset, values, offset, count);
      this.nulls = null;
      return;
    }
    const kernel = this.#deciding === 0 ? andWithNulls : orWithNulls;
    kernel(
      left.values,
      left.offset,
      left.nulls ?? noFlags,
      left.nulls === null ? 0 : left.nullsOffset,
      right.values,
      right.offset,
      right.nulls ?? noFlags,
      right.nulls === null ? 0 : right.nullsOffset,
      values,
      offset,
      this.ownNulls,
      count,
    );
    this.nulls = this.ownNulls;
    this.nullsOffset = 0;
  }
}

type ChooseKernel<V> = (
  flags: Uint8Array,
  flagsOffset: number,
  left: V,
  leftOffset: number,
  right: V,
  rightOffset: number,
  target: V,
  targetOffset: number,
  count: number,
) => void;

/** `coalesce` of two; where no row of the left operand is null it costs nothing. */
export class CoalesceNode<V extends Values> extends ComputingNode<V> {
  readonly #left: VectorNode<V>;
  readonly #right: VectorNode<V>;
  readonly #kernel: ChooseKernel<V>;
  #target: V;

  constructor(kernel: ChooseKernel<V>, left: VectorNode<V>, right: VectorNode<V>, block: V) {
    super(block);
    this.#kernel = kernel;
    this.#left = left;
    this.#right = right;
    this.#target = block;
  }

  override writeTo(target: V): void {
    super.writeTo(target);
    this.#target = target;
  }

  bind(columns: ColumnSource): void {
    this.#left.bind(columns);
    this.#right.bind(columns);
  }

  run(start: number, count: number): void {
    const left = this.#left;
    const right = this.#right;
    left.run(start, count);
    this.takeErrors(left);
    if (left.nulls === null) {
      this.values = left.values;
      this.offset = left.offset;
      this.nulls = null;
      return;
    }
    right.run(start, count);
    this.place(start);
    this.values = this.#target;
    const { nulls, nullsOffset } = left;
    this.#kernel(
      nulls,
      nullsOffset,
      left.values,
      left.offset,
      right.values,
      right.offset,
      this.values,
      this.offset,
      count,
    );
    if (right.errors !== null) {
      // The left operand's null flags say where the right one counts.
      andBytes(nulls, nullsOffset, right.errors, right.errorsOffset, this.ownErrors, 0, count);
      if (left.errors !== null) {
        orBytes(left.errors, left.errorsOffset, this.ownErrors, 0, this.ownErrors, 0, count);
      }
      this.errors = this.ownErrors;
      this.errorsOffset = 0;
    }
    if (right.nulls === null) {
      this.nulls = null;
    } else {
      andBytes(nulls, nullsOffset, right.nulls, right.nullsOffset, this.ownNulls, 0, count);
      this.nulls = this.ownNulls;
      this.nullsOffset = 0;
    }
  }
}

/** The null flags of its operand are its values. */
export class IsNullNode extends VectorNode<Uint8Array> {
  readonly #operand: VectorNode;

  constructor(operand: VectorNode) {
    super(noFlags);
    this.#operand = operand;
  }

  bind(columns: ColumnSource): void {
    this.#operand.bind(columns);
  }

  run(start: number, count: number): void {
    const operand = this.#operand;
    operand.run(start, count);
    this.values = operand.nulls ?? noFlags;
    this.offset = operand.nulls === null ? 0 : operand.nullsOffset;
    this.errors = operand.errors;
    this.errorsOffset = operand.errorsOffset;
  }
}

/** The slow path of a block in which a kernel saw a value out of range, possibly one of a null row. */
function addRangeErrors(node: ComputingNode<Float64Array>, flags: Uint8Array, count: number): void {
  if (node.errors === null) flags.fill(0, 0, count);
  else orBytes(node.errors, node.errorsOffset, noFlags, 0, flags, 0, count);
  const nulls = node.nulls ?? noFlags;
  const nullsOffset = node.nulls === null ? 0 : node.nullsOffset;
  if (flagOutOfRange(node.values, node.offset, nulls, nullsOffset, flags, count) === 0) return;
  node.errors = flags;
  node.errorsOffset = 0;
}
