/**
 * From the chunks of a dump to the segments of a version. Each function is work for a pool worker: its
 * options are structured-clonable, its inputs and its result are in shared memory. The result depends on the
 * rows alone, not on how they were cut into chunks.
 */
import type { SegmentBytes } from '../index/segment.ts';
import type { SpillSpace } from '../index/spill-file.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { ChunkMessage } from './accumulator-message.ts';
import { mergeAlive } from './merge-alive.ts';
import { mergeFilterField } from './merge-filter.ts';
import { mergeSortField } from './merge-sort.ts';

/**
 * Per run, all chunks of a table in file order: the slots it loses to later runs, in portable roaring bytes,
 * or null.
 */
export type RunLosses = readonly (Uint8Array | null)[];

export interface RunResolution {
  readonly losses: RunLosses;
  /** Rows that a later row of the same slot replaced. */
  readonly duplicateRows: number;
}

/** What one table contributes to a field. */
export interface FieldSource {
  /** All chunks of the table, in file order. */
  readonly messages: readonly ChunkMessage[];
  readonly losses: RunLosses;
  /** Per chunk, for a string field: code of the chunk → code of the index. */
  readonly translations: readonly Uint32Array[] | null;
}

export interface FieldMerge {
  readonly field: string;
  readonly many: boolean;
  /**
   * In the order of the tables in the definition; a later table wins over an earlier one where it has a
   * value.
   */
  readonly sources: readonly FieldSource[];
  /** The segment of the field in the previous version, for mode 'merge'; null for 'replace'. */
  readonly previous: SegmentBytes | null;
  /** Where the segment may stand, see `Segment.allocate`. */
  readonly memory: SharedArrayBuffer | null;
  /** Where to put what is not kept in memory; null: the messages are in memory, and so may be all the rest. */
  readonly space: SpillSpace | null;
}

export interface AliveMerge {
  /** Chunks of all tables that make slots alive. */
  readonly messages: readonly ChunkMessage[];
  readonly previous: SegmentBytes | null;
  /** As of a field. */
  readonly space: SpillSpace | null;
}

/** What becomes one segment. */
export type Merge =
  | { readonly kind: 'filter' | 'sort'; readonly merge: FieldMerge }
  | { readonly kind: 'alive'; readonly merge: AliveMerge };

export function runMerge(kernels: Kernels, { kind, merge }: Merge): SegmentBytes {
  switch (kind) {
    case 'filter':
      return mergeFilterField(kernels, merge);
    case 'sort':
      return mergeSortField(kernels, merge);
    case 'alive':
      return mergeAlive(kernels, merge);
  }
}

export { resolveRuns } from './merge-runs.ts';
export { mergeAlive, mergeFilterField, mergeSortField };
