/**
 * Builds the part of an index that comes from one chunk. See accumulator-message.ts for what comes out.
 */
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { AccumulatorField, ChunkMessage } from './accumulator-message.ts';

/** The keys of one field in a batch, in kernel memory. */
export interface BatchColumn {
  /** u32 per row. */
  readonly keys: Pointer;
  /** u8 per row, 1 = no value; 0 when no row of the batch is null. */
  readonly nulls: Pointer;
}

export interface AccumulatorOptions {
  readonly fields: readonly AccumulatorField[];
  /** See ChunkMessage. */
  readonly singleValued: boolean;
}

export class ChunkAccumulator {
  readonly #options: AccumulatorOptions;

  /** Allocates all its kernel memory here, so construct it before taking a mark that is released between batches. */
  constructor(_kernels: Kernels, options: AccumulatorOptions) {
    this.#options = options;
  }

  /** Rows in line order. `columns` follows the order of the fields. The memory of the batch is free after the call. */
  addBatch(_rowCount: number, _slots: Pointer, _columns: readonly BatchColumn[]): void {}

  finish(): ChunkMessage {
    return {
      ...this.#options,
      rowCount: 0,
      runs: new Uint32Array(0),
      parts: new Uint32Array(0),
      blocks: [],
    };
  }
}
