/**
 * Decodes the columns of a batch that the definition uses, each once per type it is needed as. Owns the buffers of one
 * chunk worker; a decoded column is valid until the next batch.
 */
import type { CsvDialect } from '../config/definition.ts';
import type { ColumnType } from '../config/expression.ts';
import type { ColumnVector } from '../config/expression-compiler.ts';
import { dialectBytes } from '../csv/dialect.ts';
import { type DecodeKernel, SOME_FLAGGED, SOME_NULL } from '../kernels/csv-kernels.ts';
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { StringDictionary } from '../kernels/string-dictionary.ts';
import { BATCH_ROWS_MAX } from '../limits.ts';

/** What a column is decoded to: the types of expressions, and the two that become keys directly. */
export type DecodeType = ColumnType | 'uint32' | 'int32';

/** Rows as the kernels take them, see csv-kernels.ts. */
export interface RowRange {
  readonly base: Pointer;
  readonly stride: number;
  readonly count: number;
}

export interface DecodedColumn {
  readonly name: string;
  readonly type: DecodeType;
  /** Position in the record. */
  readonly index: number;
  /** Only for strings: where their codes come from. */
  readonly dictionary: StringDictionary | null;
  /** u32, i32, f64 or u8 per row, by type. */
  readonly values: Pointer;
  /** Integers only: i32 per row instead of f64, as long as every value of the chunk fits. */
  isNarrow: boolean;
  /** u8 per row. */
  readonly nulls: Pointer;
  someNull: boolean;
}

const VALUE_BYTES: Record<DecodeType, number> = {
  boolean: 1,
  uint32: 4,
  int32: 4,
  timestamp: 4,
  string: 4,
  integer: 8,
};

export class ColumnDecoder {
  readonly #kernels: Kernels;
  readonly #columns: readonly string[];
  readonly #quote: number;
  readonly #escape: number;
  readonly #nullToken: Pointer;
  readonly #nullTokenBytes: number;
  readonly #decoded: DecodedColumn[] = [];
  /** u8 per row: not 0 where a row needs the exact lane. */
  readonly flags: Pointer;
  /** The same of an attempt that may be repeated. */
  readonly #attemptFlags: Pointer;

  constructor(kernels: Kernels, csv: CsvDialect, columns: readonly string[]) {
    this.#kernels = kernels;
    this.#columns = columns;
    const dialect = dialectBytes(csv);
    const token = dialect.nullToken;
    this.#quote = dialect.quote;
    this.#escape = dialect.escape;
    this.#nullToken = kernels.memory.allocate(token.length + 1);
    this.#nullTokenBytes = token.length;
    kernels.memory.u8.set(token, this.#nullToken);
    this.flags = kernels.memory.allocate(BATCH_ROWS_MAX);
    this.#attemptFlags = kernels.memory.allocate(BATCH_ROWS_MAX);
  }

  /** Asks for a column; the same column, type and dictionary is decoded once. */
  require(name: string, type: DecodeType, dictionary: StringDictionary | null = null): DecodedColumn {
    const known = this.#decoded.find(
      (column) => column.name === name && column.type === type && column.dictionary === dictionary,
    );
    if (known !== undefined) return known;
    const column: DecodedColumn = {
      name,
      type,
      index: this.#columns.indexOf(name),
      dictionary,
      values: this.#kernels.memory.allocate(BATCH_ROWS_MAX * VALUE_BYTES[type]),
      nulls: this.#kernels.memory.allocate(BATCH_ROWS_MAX),
      isNarrow: type === 'integer',
      someNull: false,
    };
    this.#decoded.push(column);
    return column;
  }

  /** Decodes every required column. True when some row is flagged. */
  decode(rows: RowRange): boolean {
    this.#kernels.memory.u8.fill(0, this.flags, this.flags + rows.count);
    let outcomes = 0;
    for (const column of this.#decoded) {
      const outcome = this.#decodeColumn(column, rows);
      column.someNull = (outcome & SOME_NULL) !== 0;
      outcomes |= outcome;
    }
    return (outcomes & SOME_FLAGGED) !== 0;
  }

  /** The column as the vector of an expression. A view: take it anew after anything that may grow the memory. */
  vector(column: DecodedColumn, rowCount: number): ColumnVector {
    const { buffer } = this.#kernels.memory.u8;
    const nulls = column.someNull ? new Uint8Array(buffer, column.nulls, rowCount) : null;
    switch (column.type) {
      case 'boolean':
        return { values: new Uint8Array(buffer, column.values, rowCount), nulls };
      case 'integer':
        return column.isNarrow
          ? { values: new Int32Array(buffer, column.values, rowCount), nulls }
          : { values: new Float64Array(buffer, column.values, rowCount), nulls };
      case 'int32':
        return { values: new Int32Array(buffer, column.values, rowCount), nulls };
      default:
        return { values: new Uint32Array(buffer, column.values, rowCount), nulls };
    }
  }

  #decodeColumn(column: DecodedColumn, rows: RowRange): number {
    const trimCarriageReturn = Number(column.index === this.#columns.length - 1);
    if (column.dictionary !== null) {
      return column.dictionary.encode({
        base: rows.base,
        stride: rows.stride,
        column: column.index,
        rows: rows.count,
        quote: this.#quote,
        escape: this.#escape,
        trimCarriageReturn,
        nullToken: this.#nullToken,
        nullTokenBytes: this.#nullTokenBytes,
        out: column.values,
        nulls: column.nulls,
        flags: this.flags,
      });
    }
    const decode = (kernel: DecodeKernel, flags: Pointer): number =>
      kernel(
        rows.base,
        rows.stride,
        column.index,
        rows.count,
        this.#quote,
        trimCarriageReturn,
        this.#nullToken,
        this.#nullTokenBytes,
        column.values,
        column.nulls,
        flags,
      );
    if (column.isNarrow) {
      const outcome = decode(this.#kernels.decodeInt32, this.#attemptFlags);
      if ((outcome & SOME_FLAGGED) === 0) return outcome;
      column.isNarrow = false;
    }
    return decode(this.#kernelOf(column.type), this.flags);
  }

  #kernelOf(type: DecodeType): DecodeKernel {
    switch (type) {
      case 'uint32':
        return this.#kernels.decodeUint32;
      case 'int32':
        return this.#kernels.decodeInt32;
      case 'boolean':
        return this.#kernels.decodeBoolean;
      case 'timestamp':
        return this.#kernels.decodeTimestamp;
      default:
        return this.#kernels.decodeInteger;
    }
  }
}
