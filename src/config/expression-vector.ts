/**
 * What all nodes of a compiled expression share. Each computes one block of rows at a time into a small buffer of its own, so that
 * everything between the columns and the result stays in the first-level cache.
 *
 * After `bind` (once per batch) and `run` (once per block), `values`, `nulls` and `errors` with their offsets are the
 * block; a null array says that no row of the block is null (in error). They may alias a column or a child: valid until
 * the next `run`, never written to by a parent. Values of null or failed rows are arbitrary.
 */
import type { ColumnType } from './expression.ts';
import { orBytes, orFlagsWhereOpen } from './expression-flag-kernels.ts';

/** One decoded column of a batch. Integers: Float64Array, Int32Array or Uint32Array; booleans: Uint8Array 0/1; strings: codes. */
export interface ColumnVector {
  readonly values: Float64Array | Uint32Array | Int32Array | Uint8Array;
  /** 1 = null; null = no nulls in this batch. */
  readonly nulls: Uint8Array | null;
}

export type ColumnSource = (name: string, columnType: ColumnType) => ColumnVector;

/** Rows in a block: ten buffers of doubles fit the first-level cache with room for the columns. */
export const BLOCK_ROWS = 1024;

/** The flags of a block in which none is set. Never written to. */
export const noFlags = new Uint8Array(BLOCK_ROWS);

export type Values = ColumnVector['values'];

export abstract class VectorNode<V extends Values = Values> {
  values: V;
  offset = 0;
  nulls: Uint8Array | null = null;
  nullsOffset = 0;
  errors: Uint8Array | null = null;
  errorsOffset = 0;

  constructor(values: V) {
    this.values = values;
  }

  abstract bind(columns: ColumnSource): void;
  abstract run(start: number, count: number): void;
}

/** A node that writes its values. At the root it writes them straight into the batch's result. */
export abstract class ComputingNode<V extends Values = Values> extends VectorNode<V> {
  #direct = false;
  #ownNulls: Uint8Array | null = null;
  #ownErrors: Uint8Array | null = null;

  /** `target` has room for the whole batch. */
  writeTo(target: V): void {
    this.values = target;
    this.#direct = true;
  }

  protected place(start: number): void {
    this.offset = this.#direct ? start : 0;
  }

  protected get ownNulls(): Uint8Array {
    this.#ownNulls ??= new Uint8Array(BLOCK_ROWS);
    return this.#ownNulls;
  }

  protected get ownErrors(): Uint8Array {
    this.#ownErrors ??= new Uint8Array(BLOCK_ROWS);
    return this.#ownErrors;
  }

  protected takeNulls(child: VectorNode): void {
    this.nulls = child.nulls;
    this.nullsOffset = child.nullsOffset;
  }

  protected takeErrors(child: VectorNode): void {
    this.errors = child.errors;
    this.errorsOffset = child.errorsOffset;
  }

  /** Null where either operand is. */
  protected mergeNulls(left: VectorNode, right: VectorNode, count: number): void {
    if (right.nulls === null) this.takeNulls(left);
    else if (left.nulls === null) this.takeNulls(right);
    else {
      orBytes(left.nulls, left.nullsOffset, right.nulls, right.nullsOffset, this.ownNulls, 0, count);
      this.nulls = this.ownNulls;
      this.nullsOffset = 0;
    }
  }

  /** Failed where either operand is. */
  protected mergeErrors(left: VectorNode, right: VectorNode, count: number): void {
    if (right.errors === null) this.takeErrors(left);
    else if (left.errors === null) this.takeErrors(right);
    else {
      orBytes(left.errors, left.errorsOffset, right.errors, right.errorsOffset, this.ownErrors, 0, count);
      this.errors = this.ownErrors;
      this.errorsOffset = 0;
    }
  }

  /** Failed where the left operand is, and where the right one is and the left one leaves the result open. */
  protected mergeErrorsWhereOpen(
    left: VectorNode<Uint8Array>,
    right: VectorNode,
    deciding: number,
    count: number,
  ): void {
    if (right.errors === null) {
      this.takeErrors(left);
      return;
    }
    orFlagsWhereOpen(
      left.values,
      left.offset,
      left.nulls ?? noFlags,
      left.nulls === null ? 0 : left.nullsOffset,
      deciding,
      left.errors ?? noFlags,
      left.errors === null ? 0 : left.errorsOffset,
      right.errors,
      right.errorsOffset,
      this.ownErrors,
      count,
    );
    this.errors = this.ownErrors;
    this.errorsOffset = 0;
  }
}
