/**
 * From rows of text to rows of keys: decodes a batch, evaluates `where` and the computed fields, sends the rows that the
 * fast path cannot take through the exact lane, drops what is skipped or rejected, and leaves slots and keys packed in
 * kernel memory for the accumulator.
 */

import { columnsOfExpression } from '../config/bind.ts';
import type { FieldDefinition, FieldMapping, TableDefinition } from '../config/definition.ts';
import type { ColumnType, Expression } from '../config/expression.ts';
import {
  type CompiledExpression,
  compileExpression,
  type ResultVector,
} from '../config/expression-compiler.ts';
import { type TimestampExtreme, timestampExtremeOf } from '../config/expression-extreme.ts';
import { foldConstants } from '../config/expression-fold.ts';
import { type MaskTest, maskTestOf } from '../config/expression-mask-test.ts';
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { StringDictionary } from '../kernels/string-dictionary.ts';
import { BATCH_ROWS_MAX } from '../limits.ts';
import type { BatchColumn } from './accumulator.ts';
import type { LocalStrings } from './chunk-messages.ts';
import { ColumnDecoder, type DecodedColumn, type RowRange } from './column-decoder.ts';
import { type ExactRow, ExactRows, type ExactValue } from './exact-rows.ts';

/** What became of the rows of a batch. */
export interface DecodedBatch {
  /** Rows now packed at `slots` and `columns`. */
  readonly rowCount: number;
  readonly skippedRows: number;
  readonly rejectedRows: number;
}

/** A rejected row by the address of its record; the scan knows where in the file that is. */
export type RejectRow = (start: Pointer, end: Pointer, row: Extract<ExactRow, { kind: 'rejected' }>) => void;

/** The keys of one field: taken from the decoded column as they are, or computed into a buffer. */
interface FieldKeys {
  readonly field: FieldDefinition;
  readonly mapping: FieldMapping;
  readonly keys: Pointer;
  readonly nulls: Pointer;
  someNull: boolean;
  /** Set for a plain column and for a test of bits. */
  readonly column: DecodedColumn | null;
  /** What the column is tested for, as long as it is narrow. */
  readonly bits: MaskTest | null;
  /** Set for the latest or earliest of timestamps. */
  readonly extreme: ExtremeOfColumns | null;
  /** Set for anything but a plain column. */
  readonly compiled: CompiledExpression | null;
  /** Where the codes of a string field come from. */
  readonly dictionary: StringDictionary | null;
}

interface ExtremeOfColumns {
  readonly name: TimestampExtreme['name'];
  readonly operands: readonly { readonly column: DecodedColumn; readonly fill: number | null }[];
}

const KEEP = 1;
const INT32_SIGN = 0x8000_0000;

export class RowDecoder {
  readonly slots: Pointer;
  readonly #kernels: Kernels;
  readonly #columnCount: number;
  readonly #decoder: ColumnDecoder;
  readonly #slotColumn: DecodedColumn;
  readonly #fields: readonly FieldKeys[];
  readonly #where: CompiledExpression | null;
  readonly #exactRows: ExactRows;
  /** Strings that expressions compare or produce share one dictionary, so that their codes are comparable. */
  readonly #expressionStrings: StringDictionary;
  readonly #keep = new Uint8Array(BATCH_ROWS_MAX);

  constructor(kernels: Kernels, table: TableDefinition, columns: readonly string[]) {
    this.#kernels = kernels;
    this.#columnCount = columns.length;
    this.#decoder = new ColumnDecoder(kernels, table.csv, columns);
    this.#expressionStrings = new StringDictionary(kernels);
    this.#slotColumn = this.#decoder.require(table.slot, 'uint32');
    this.slots = this.#slotColumn.values;
    this.#where = table.where === null ? null : this.#compile(table.where);
    this.#fields = table.fields.map((mapping) => this.#planField(mapping));
    this.#exactRows = new ExactRows(table, columns);
  }

  /** Per field of the table, in order; valid until the next batch. */
  get columns(): BatchColumn[] {
    return this.#fields.map(({ keys, nulls, someNull }) => ({ keys, nulls: someNull ? nulls : 0 }));
  }

  /** Stops deciding rows once more than `rejectsMax` are rejected: the batch is of no use then. */
  decode(rows: RowRange, rejectsMax: number, reject: RejectRow): DecodedBatch {
    let someFlagged = this.#decoder.decode(rows);
    someFlagged = this.#flagNullSlots(rows.count) || someFlagged;
    this.#keep.fill(KEEP, 0, rows.count);
    if (this.#where !== null) someFlagged = this.#applyWhere(this.#where, rows.count) || someFlagged;
    for (const field of this.#fields) someFlagged = this.#computeKeys(field, rows.count) || someFlagged;
    const rejectedRows = someFlagged ? this.#runExactLane(rows, rejectsMax, reject) : 0;
    const keptRows = someFlagged || this.#where !== null ? this.#pack(rows.count) : rows.count;
    return { rowCount: keptRows, skippedRows: rows.count - keptRows - rejectedRows, rejectedRows };
  }

  /** The strings that the keys of each field are codes of, copied out of kernel memory. */
  strings(): (LocalStrings | null)[] {
    return this.#fields.map(({ dictionary }) => (dictionary === null ? null : copyStrings(dictionary)));
  }

  #planField(mapping: FieldMapping): FieldKeys {
    const { field, expression } = mapping;
    const plain = expression.kind === 'column';
    const dictionary =
      field.type !== 'string' ? null : plain ? new StringDictionary(this.#kernels) : this.#expressionStrings;
    const bits = maskTestOf(foldConstants(expression));
    const column = this.#columnOf(mapping, bits, dictionary);
    const extreme = this.#extremeOf(mapping);
    // A uint32, a timestamp and a string code are keys already; the others are computed beside the column.
    const direct = plain && column !== null && field.type !== 'int32' && field.type !== 'boolean';
    return {
      field,
      mapping,
      keys: direct ? column.values : this.#kernels.memory.allocate(BATCH_ROWS_MAX * 4),
      nulls: column?.nulls ?? this.#kernels.memory.allocate(BATCH_ROWS_MAX),
      someNull: false,
      column,
      bits,
      extreme,
      compiled: plain || extreme !== null ? null : this.#compile(expression),
      dictionary,
    };
  }

  #columnOf(
    { field, expression }: FieldMapping,
    bits: MaskTest | null,
    dictionary: StringDictionary | null,
  ): DecodedColumn | null {
    // Decoding as the field's own type checks its range on the way.
    if (expression.kind === 'column') return this.#decoder.require(expression.name, field.type, dictionary);
    return bits === null ? null : this.#requireExpressionColumn(bits.column.name, bits.column.columnType);
  }

  #extremeOf({ field, expression }: FieldMapping): ExtremeOfColumns | null {
    const extreme = field.type === 'timestamp' ? timestampExtremeOf(expression) : null;
    if (extreme === null) return null;
    const operands = extreme.operands.map(({ column, fill }) => ({
      column: this.#requireExpressionColumn(column.name, column.columnType),
      fill,
    }));
    return { name: extreme.name, operands };
  }

  #compile(expression: Expression): CompiledExpression {
    for (const { name, columnType } of columnsOfExpression(expression)) {
      this.#requireExpressionColumn(name, columnType);
    }
    return compileExpression(expression, {
      codeOf: (text) => this.#expressionStrings.add(Buffer.from(text)),
    });
  }

  #requireExpressionColumn(name: string, type: ColumnType): DecodedColumn {
    return this.#decoder.require(name, type, type === 'string' ? this.#expressionStrings : null);
  }

  #evaluate(compiled: CompiledExpression, rowCount: number): ResultVector {
    return compiled.evaluate(
      (name, type) => this.#decoder.vector(this.#requireExpressionColumn(name, type), rowCount),
      rowCount,
    );
  }

  #flagNullSlots(rowCount: number): boolean {
    if (!this.#slotColumn.someNull) return false;
    const { u8 } = this.#kernels.memory;
    for (let row = 0; row < rowCount; row++)
      u8[this.#decoder.flags + row] |= u8[this.#slotColumn.nulls + row];
    return true;
  }

  #applyWhere(where: CompiledExpression, rowCount: number): boolean {
    const { values, nulls, errors } = this.#evaluate(where, rowCount);
    for (let row = 0; row < rowCount; row++) {
      this.#keep[row] = values[row] !== 0 && (nulls === null || nulls[row] === 0) ? KEEP : 0;
    }
    return errors !== null && this.#flagErrors(errors, rowCount);
  }

  #flagErrors(errors: Uint8Array, rowCount: number): boolean {
    const { u8 } = this.#kernels.memory;
    for (let row = 0; row < rowCount; row++) u8[this.#decoder.flags + row] |= errors[row];
    return true;
  }

  /** Fills the keys of a field. True when some row was flagged. */
  #computeKeys(field: FieldKeys, rowCount: number): boolean {
    const { memory } = this.#kernels;
    const { column, bits } = field;
    if (column !== null && (bits === null || hasWords(column))) {
      field.someNull = column.someNull;
      if (bits !== null) {
        this.#kernels.testBits(column.values, rowCount, bits.mask, bits.wanted, field.keys);
      } else if (field.field.type === 'int32') {
        biasInt32(memory.u32, column.values >>> 2, field.keys >>> 2, rowCount);
      } else if (field.field.type === 'boolean') {
        widenBooleans(memory.u8, column.values, memory.u32, field.keys >>> 2, rowCount);
      }
      return false;
    }
    if (field.extreme !== null) {
      this.#computeExtreme(field, field.extreme, rowCount);
      return false;
    }
    const result = this.#evaluate(field.compiled!, rowCount);
    field.someNull = result.nulls !== null;
    if (result.nulls !== null) memory.u8.set(result.nulls.subarray(0, rowCount), field.nulls);
    const flagged = result.errors !== null && this.#flagErrors(result.errors, rowCount);
    return this.#storeResult(field, result, rowCount) || flagged;
  }

  #computeExtreme(field: FieldKeys, { name, operands }: ExtremeOfColumns, rowCount: number): void {
    const { memory, maxWords, minWords } = this.#kernels;
    const [accumulate, neutral] = name === 'max' ? [maxWords, 0] : [minWords, 0xff];
    memory.u8.fill(neutral, field.keys, field.keys + rowCount * 4);
    field.someNull = false;
    for (const { column, fill } of operands) {
      if (column.someNull && fill === null) {
        if (!field.someNull) memory.u8.fill(0, field.nulls, field.nulls + rowCount);
        field.someNull = true;
        addNulls(memory.u8, column.nulls, field.nulls, rowCount);
      }
      const nulls = column.someNull && fill !== null ? column.nulls : 0;
      accumulate(column.values, nulls, fill ?? 0, rowCount, field.keys);
    }
  }

  #storeResult(field: FieldKeys, { values, nulls }: ResultVector, rowCount: number): boolean {
    const { u32, u8 } = this.#kernels.memory;
    const keys = u32.subarray(field.keys >>> 2, (field.keys >>> 2) + rowCount);
    const { type } = field.field;
    if (type === 'boolean' || type === 'string') {
      keys.set(values.subarray(0, rowCount));
      return false;
    }
    const flags = u8.subarray(this.#decoder.flags, this.#decoder.flags + rowCount);
    const store = type === 'int32' ? storeInt32 : storeUint32;
    return store(values, nulls, keys, flags);
  }

  /** Decides every flagged row. Returns how many were rejected. */
  #runExactLane(rows: RowRange, rejectsMax: number, reject: RejectRow): number {
    const columnCount = this.#columnCount;
    let rejectedRows = 0;
    for (let row = 0; row < rows.count && rejectedRows <= rejectsMax; row++) {
      const { u8, u32 } = this.#kernels.memory;
      if (u8[this.#decoder.flags + row] === 0) continue;
      const entry = (rows.base >>> 2) + row * rows.stride;
      const start = u32[entry] + 1;
      const end = u32[entry + columnCount];
      const exact = this.#exactRows.read(u8.subarray(start, end));
      this.#keep[row] = exact.kind === 'row' ? KEEP : 0;
      if (exact.kind === 'row') this.#patch(row, exact.slot, exact.values);
      if (exact.kind !== 'rejected') continue;
      rejectedRows++;
      reject(start, end, exact);
    }
    return rejectedRows;
  }

  #patch(row: number, slot: number, values: readonly ExactValue[]): void {
    const { memory } = this.#kernels;
    memory.u32[(this.slots >>> 2) + row] = slot;
    for (const [index, field] of this.#fields.entries()) {
      const value = values[index];
      // Adding a string may grow the memory, so the views are taken after it.
      const key = typeof value === 'string' ? field.dictionary!.add(Buffer.from(value)) : value;
      if (key === null) this.#makeNullable(field);
      if (field.someNull) memory.u8[field.nulls + row] = Number(key === null);
      if (key !== null) memory.u32[(field.keys >>> 2) + row] = key;
    }
  }

  /** From here on the nulls of the field are looked at; until now none of them was set. */
  #makeNullable(field: FieldKeys): void {
    if (field.someNull) return;
    field.someNull = true;
    this.#kernels.memory.u8.fill(0, field.nulls, field.nulls + BATCH_ROWS_MAX);
  }

  /** Moves the kept rows together. Returns their number. */
  #pack(rowCount: number): number {
    const { u8, u32 } = this.#kernels.memory;
    const kept = packWords(u32, this.slots >>> 2, this.#keep, rowCount);
    const packed = new Set<Pointer>([this.slots]);
    for (const field of this.#fields) {
      if (!packed.has(field.keys)) packWords(u32, field.keys >>> 2, this.#keep, rowCount);
      if (field.someNull && !packed.has(field.nulls)) packBytes(u8, field.nulls, this.#keep, rowCount);
      packed.add(field.keys).add(field.nulls);
    }
    return kept;
  }
}

/** 32 bits per row. */
function hasWords({ type, isNarrow }: DecodedColumn): boolean {
  return type === 'timestamp' || isNarrow;
}

/** A result is null where any of its operands is. */
function addNulls(bytes: Uint8Array, from: Pointer, to: Pointer, rowCount: number): void {
  for (let row = 0; row < rowCount; row++) bytes[to + row] |= bytes[from + row];
}

function biasInt32(words: Uint32Array, from: number, to: number, rowCount: number): void {
  for (let row = 0; row < rowCount; row++) words[to + row] = words[from + row] ^ INT32_SIGN;
}

function widenBooleans(
  bytes: Uint8Array,
  from: Pointer,
  words: Uint32Array,
  to: number,
  rowCount: number,
): void {
  for (let row = 0; row < rowCount; row++) words[to + row] = bytes[from + row];
}

/** Stores numbers as keys and flags the rows whose number is out of range. True when there is one. */
function storeUint32(
  values: ResultVector['values'],
  nulls: Uint8Array | null,
  keys: Uint32Array,
  flags: Uint8Array,
): boolean {
  let outside = 0;
  for (let row = 0; row < keys.length; row++) {
    const word = values[row] >>> 0;
    keys[row] = word;
    if (word === values[row]) continue;
    if (nulls !== null && nulls[row] !== 0) continue;
    flags[row] = 1;
    outside++;
  }
  return outside > 0;
}

function storeInt32(
  values: ResultVector['values'],
  nulls: Uint8Array | null,
  keys: Uint32Array,
  flags: Uint8Array,
): boolean {
  let outside = 0;
  for (let row = 0; row < keys.length; row++) {
    const word = values[row] | 0;
    keys[row] = word ^ INT32_SIGN;
    if (word === values[row]) continue;
    if (nulls !== null && nulls[row] !== 0) continue;
    flags[row] = 1;
    outside++;
  }
  return outside > 0;
}

function packWords(words: Uint32Array, at: number, keep: Uint8Array, rowCount: number): number {
  let kept = 0;
  for (let row = 0; row < rowCount; row++) {
    words[at + kept] = words[at + row];
    kept += keep[row];
  }
  return kept;
}

function packBytes(bytes: Uint8Array, at: Pointer, keep: Uint8Array, rowCount: number): void {
  let kept = 0;
  for (let row = 0; row < rowCount; row++) {
    bytes[at + kept] = bytes[at + row];
    kept += keep[row];
  }
}

function copyStrings(dictionary: StringDictionary): LocalStrings {
  const { bytes, offsets } = dictionary.strings();
  return { bytes: shareBytes(bytes), offsets: new Uint32Array(shareBytes(offsets).buffer) };
}

function shareBytes(source: Uint8Array | Uint32Array): Uint8Array {
  const shared = new Uint8Array(new SharedArrayBuffer(source.byteLength));
  shared.set(new Uint8Array(source.buffer, source.byteOffset, source.byteLength));
  return shared;
}
