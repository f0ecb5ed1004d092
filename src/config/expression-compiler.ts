/**
 * Compiles an expression to loops over columns: a tree of nodes, each running one specialised loop per block of rows.
 * Constants are folded, operands that are constant get loops of their own, and the tests of bits that definitions are
 * full of become one loop: `(c >> n & m) == k`, and any `&&` of them over one column.
 *
 * The result equals that of the interpreter for every row, failures included.
 */
import type { BinaryOperator, Expression } from './expression.ts';
import * as comparisons from './expression-comparison-kernels.ts';
import { foldConstants, integerConstant } from './expression-fold.ts';
import * as kernels from './expression-kernels.ts';
import { maskTestOf } from './expression-mask-test.ts';
import * as nodes from './expression-nodes.ts';
import {
  BLOCK_ROWS,
  type ColumnSource,
  ComputingNode,
  type Values,
  type VectorNode,
} from './expression-vector.ts';

export type { ColumnSource, ColumnVector } from './expression-vector.ts';

/**
 * The values of a batch; rows that are null or failed hold any value. Owned by the compiled expression and overwritten by
 * its next evaluation, except that an expression which is just a column returns the column itself.
 */
export interface ResultVector {
  /** Integers: Float64Array (a bare column: as given); booleans: Uint8Array 0/1; strings: Uint32Array of codes. */
  readonly values: Values;
  /** 1 = null; null = no nulls. */
  readonly nulls: Uint8Array | null;
  /** 1 = the row failed with EXPRESSION_RANGE; null = none did. */
  readonly errors: Uint8Array | null;
}

export interface CompiledExpression {
  /** `columns` gives vectors of at least `rowCount` rows. */
  evaluate(columns: ColumnSource, rowCount: number): ResultVector;
}

/** Codes for the string literals: the dictionary that the string columns of the expression are encoded with. */
export interface StringCodes {
  codeOf(text: string): number;
}

export function compileExpression(expression: Expression, strings: StringCodes): CompiledExpression {
  if (expression.kind === 'column') {
    const { name, columnType } = expression;
    return {
      evaluate(columns) {
        const { values, nulls } = columns(name, columnType);
        return { values, nulls, errors: null };
      },
    };
  }
  return new BlockwiseExpression(compile(expression, strings), newValues(expression.type, 0));
}

class BlockwiseExpression implements CompiledExpression {
  readonly #root: VectorNode;
  #values: Values;
  #nulls = new Uint8Array(0);
  #errors = new Uint8Array(0);

  constructor(root: VectorNode, values: Values) {
    this.#root = root;
    this.#values = values;
  }

  evaluate(columns: ColumnSource, rowCount: number): ResultVector {
    const root = this.#root;
    this.#reserve(rowCount);
    let someNull = false;
    let someError = false;
    root.bind(columns);
    for (let start = 0; start < rowCount; start += BLOCK_ROWS) {
      const count = Math.min(BLOCK_ROWS, rowCount - start);
      root.run(start, count);
      if (root.values !== this.#values) {
        this.#values.set(root.values.subarray(root.offset, root.offset + count), start);
      }
      // Whether there are nulls is the same for every block of a batch; whether a row failed is not.
      if (root.nulls !== null) {
        someNull = true;
        this.#nulls.set(root.nulls.subarray(root.nullsOffset, root.nullsOffset + count), start);
      }
      if (root.errors !== null) {
        if (!someError) this.#errors.fill(0, 0, start);
        someError = true;
        this.#errors.set(root.errors.subarray(root.errorsOffset, root.errorsOffset + count), start);
      } else if (someError) {
        this.#errors.fill(0, start, start + count);
      }
    }
    return {
      values: this.#values,
      nulls: someNull ? this.#nulls : null,
      errors: someError ? this.#errors : null,
    };
  }

  #reserve(rowCount: number): void {
    if (this.#values.length >= rowCount) return;
    this.#values = new (this.#values.constructor as new (length: number) => Values)(rowCount);
    this.#nulls = new Uint8Array(rowCount);
    this.#errors = new Uint8Array(rowCount);
    if (this.#root instanceof ComputingNode) this.#root.writeTo(this.#values);
  }
}

function newValues(type: Expression['type'], length: number): Values {
  if (type === 'integer') return new Float64Array(length);
  return type === 'boolean' ? new Uint8Array(length) : new Uint32Array(length);
}

function compile(expression: Expression, strings: StringCodes): VectorNode {
  const folded = foldConstants(expression);
  const masked = maskTestOf(folded);
  if (masked !== null) return new nodes.MaskTestNode(columnNode(masked.column), masked.mask, masked.wanted);
  switch (folded.kind) {
    case 'column': {
      const column = columnNode(folded);
      return folded.type === 'integer' ? new nodes.IntegerColumnNode(column, null) : column;
    }
    case 'literal':
      return compileLiteral(folded, strings);
    case 'unary':
      return compileUnary(folded, strings);
    case 'binary':
      return compileBinary(folded, strings);
    case 'call':
      return compileCall(folded, strings);
  }
}

/** What `expression.type` says of the node's values, for the type checker: see `newValues`. */
function compileAs<V extends Values>(expression: Expression, strings: StringCodes): VectorNode<V> {
  return compile(expression, strings) as VectorNode<V>;
}

function columnNode(column: Expression & { kind: 'column' }): nodes.ColumnNode {
  return new nodes.ColumnNode(column.name, column.columnType);
}

function compileLiteral(literal: Expression & { kind: 'literal' }, strings: StringCodes): VectorNode {
  const { value, type } = literal;
  const block = newValues(type, BLOCK_ROWS);
  if (value !== null) block.fill(typeof value === 'string' ? strings.codeOf(value) : Number(value));
  return new nodes.LiteralNode(block, value === null);
}

function compileUnary(expression: Expression & { kind: 'unary' }, strings: StringCodes): VectorNode {
  if (expression.operator === '!') return new nodes.NotNode(compileAs(expression.operand, strings));
  // -x is 0 - x, and ~x is -1 - x.
  const from = new nodes.LiteralNode(
    new Float64Array(BLOCK_ROWS).fill(expression.operator === '-' ? 0 : -1),
    false,
  );
  return new nodes.IntegerNode(kernels.subtract, from, compileAs(expression.operand, strings));
}

function compileBinary(expression: Expression & { kind: 'binary' }, strings: StringCodes): VectorNode {
  const { operator } = expression;
  switch (operator) {
    case '&&':
    case '||':
      return new nodes.LogicNode(
        operator === '&&' ? 0 : 1,
        compileAs(expression.left, strings),
        compileAs(expression.right, strings),
      );
    case '==':
    case '!=':
      if (expression.left.type !== 'integer') return compileEquality(expression, strings);
      return compileComparison(operator, expression, strings);
    case '<':
    case '<=':
    case '>':
    case '>=':
      return compileComparison(operator, expression, strings);
    default:
      return compileArithmetic(operator, expression, strings);
  }
}

type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>=';

const constantComparisons = {
  '==': comparisons.equalConstant,
  '!=': comparisons.notEqualConstant,
  '<': comparisons.lessConstant,
  '<=': comparisons.lessOrEqualConstant,
  '>': comparisons.greaterConstant,
  '>=': comparisons.greaterOrEqualConstant,
} as const;

/** `a op b` as `b op' a`. */
const swapped: Readonly<Record<Comparison, Comparison>> = {
  '==': '==',
  '!=': '!=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

function compileComparison(
  operator: Comparison,
  expression: Expression & { kind: 'binary' },
  strings: StringCodes,
): VectorNode {
  const { left, right } = expression;
  const rightConstant = integerConstant(right);
  if (rightConstant !== null) {
    return new nodes.ComparisonConstantNode(
      constantComparisons[operator],
      compileAs<Float64Array>(left, strings),
      rightConstant,
    );
  }
  const leftConstant = integerConstant(left);
  if (leftConstant !== null) {
    return new nodes.ComparisonConstantNode(
      constantComparisons[swapped[operator]],
      compileAs<Float64Array>(right, strings),
      leftConstant,
    );
  }
  const first = compileAs<Float64Array>(left, strings);
  const second = compileAs<Float64Array>(right, strings);
  switch (operator) {
    case '==':
      return new nodes.ComparisonNode(comparisons.equal, first, second);
    case '!=':
      return new nodes.ComparisonNode(comparisons.notEqual, first, second);
    case '<':
      return new nodes.ComparisonNode(comparisons.less, first, second);
    case '<=':
      return new nodes.ComparisonNode(comparisons.lessOrEqual, first, second);
    case '>':
      return new nodes.ComparisonNode(comparisons.less, second, first);
    case '>=':
      return new nodes.ComparisonNode(comparisons.lessOrEqual, second, first);
  }
}

/** `==` and `!=` of strings and booleans. */
function compileEquality(expression: Expression & { kind: 'binary' }, strings: StringCodes): VectorNode {
  const { left, right } = expression;
  let node: VectorNode<Uint8Array>;
  if (left.type === 'boolean') {
    node = new nodes.ComparisonNode(
      comparisons.equalBoolean,
      compileAs<Uint8Array>(left, strings),
      compileAs<Uint8Array>(right, strings),
    );
  } else {
    const [operand, literal] = left.kind === 'literal' ? [right, left] : [left, right];
    const codes = compileAs<Uint32Array>(operand, strings);
    node =
      literal.kind === 'literal' && typeof literal.value === 'string'
        ? new nodes.ComparisonConstantNode(
            comparisons.equalCodeConstant,
            codes,
            strings.codeOf(literal.value),
          )
        : new nodes.ComparisonNode(comparisons.equalCode, codes, compileAs<Uint32Array>(literal, strings));
  }
  return expression.operator === '==' ? node : new nodes.NotNode(node);
}

const arithmetic: Readonly<Partial<Record<BinaryOperator, kernels.IntegerKernel>>> = {
  '+': kernels.add,
  '-': kernels.subtract,
  '*': kernels.multiply,
  '/': kernels.divide,
  '%': kernels.remainder,
  '&': kernels.bitAnd,
  '|': kernels.bitOr,
  '^': kernels.bitXor,
  '<<': kernels.shiftLeft,
  '>>': kernels.shiftRight,
};

function compileArithmetic(
  operator: BinaryOperator,
  expression: Expression & { kind: 'binary' },
  strings: StringCodes,
): VectorNode {
  const commutes = operator === '+' || operator === '*' || operator === '&';
  const leftConstant = commutes ? integerConstant(expression.left) : null;
  const [left, right] =
    leftConstant === null ? [expression.left, expression.right] : [expression.right, expression.left];
  const first = compileAs<Float64Array>(left, strings);
  const constant = integerConstant(right);
  const special = constant === null ? null : withConstant(operator, constant);
  if (special !== null) return new nodes.IntegerConstantNode(special.kernel, first, special.right);
  return new nodes.IntegerNode(arithmetic[operator]!, first, compileAs(right, strings));
}

/** The loop for a constant right operand, where there is a better one than spreading the constant over a block. */
function withConstant(
  operator: BinaryOperator,
  right: number,
): { kernel: kernels.IntegerConstantKernel; right: number } | null {
  switch (operator) {
    case '+':
      return { kernel: kernels.addConstant, right };
    case '-':
      return { kernel: kernels.addConstant, right: -right };
    case '*':
      return { kernel: kernels.multiplyConstant, right };
    case '&':
      return right >= 0 && right <= 0x7fffffff ? { kernel: kernels.bitAndMask, right } : null;
    case '<<':
      return right >= 0 ? { kernel: kernels.multiplyConstant, right: kernels.shiftFactor(right) } : null;
    case '>>':
      return right >= 0 ? { kernel: kernels.scaleDown, right: 1 / kernels.shiftFactor(right) } : null;
    default:
      return null;
  }
}

function compileCall(expression: Expression & { kind: 'call' }, strings: StringCodes): VectorNode {
  const operands = expression.arguments;
  switch (expression.name) {
    case 'isNull':
      return new nodes.IsNullNode(compile(operands[0], strings));
    case 'max':
      return chain(operands, strings, (left: VectorNode<Float64Array>, right) => {
        return new nodes.IntegerNode(kernels.maximum, left, right);
      });
    case 'min':
      return chain(operands, strings, (left: VectorNode<Float64Array>, right) => {
        return new nodes.IntegerNode(kernels.minimum, left, right);
      });
    case 'coalesce':
      return compileCoalesce(expression, strings);
  }
}

function compileCoalesce(expression: Expression & { kind: 'call' }, strings: StringCodes): VectorNode {
  const operands = expression.arguments;
  const rows = BLOCK_ROWS;
  switch (expression.type) {
    case 'integer': {
      const [first, second] = operands;
      const fill = operands.length === 2 && first.kind === 'column' ? integerConstant(second) : null;
      if (fill !== null && first.kind === 'column') {
        return new nodes.IntegerColumnNode(columnNode(first), fill);
      }
      return chain(operands, strings, (left: VectorNode<Float64Array>, right) => {
        return new nodes.CoalesceNode(kernels.chooseFloat64, left, right, new Float64Array(rows));
      });
    }
    case 'boolean':
      return chain(operands, strings, (left: VectorNode<Uint8Array>, right) => {
        return new nodes.CoalesceNode(kernels.chooseUint8, left, right, new Uint8Array(rows));
      });
    case 'string':
      return chain(operands, strings, (left: VectorNode<Uint32Array>, right) => {
        return new nodes.CoalesceNode(kernels.chooseUint32, left, right, new Uint32Array(rows));
      });
  }
}

/** `f(a, b, c)` as `f(f(a, b), c)`. */
function chain<V extends Values>(
  operands: readonly Expression[],
  strings: StringCodes,
  combine: (left: VectorNode<V>, right: VectorNode<V>) => VectorNode<V>,
): VectorNode {
  const [first, ...others] = operands.map((operand) => compileAs<V>(operand, strings));
  return others.reduce(combine, first);
}
