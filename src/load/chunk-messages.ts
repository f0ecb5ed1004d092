/**
 * What crosses the boundary between the coordinator and a chunk worker. Everything is structured-clone data; bulk data
 * is typed arrays over shared memory, so a result costs the same to send whatever its size.
 */
import type { TableDefinition } from '../config/definition.ts';
import type { Reject } from '../csv/reject.ts';
import type { ErrorData } from '../errors.ts';
import type { SegmentBytes } from '../index/segment.ts';
import type { ChunkMessage } from './accumulator-message.ts';
import type { DictionaryCompaction } from './compact-dictionary.ts';
import type { FilterCompaction } from './compact-filter.ts';
import type { SortCompaction } from './compact-sort.ts';
import type { Merge, RunResolution } from './merge.ts';
import type { BlockRoom } from './message-blocks.ts';

/** State shared by every thread of one load, written with Atomics. */
export interface SharedState {
  /** Not zero: stop at the next window, results are no longer wanted. */
  readonly stop: Int32Array;
  /** Running totals, see PROGRESS_*. */
  readonly progress: BigInt64Array;
}

export const PROGRESS_BYTES = 0;
export const PROGRESS_ROWS = 1;
export const PROGRESS_REJECTS = 2;
export const PROGRESS_COUNTERS = 3;

export interface ScanTask {
  readonly kind: 'scan';
  readonly table: TableDefinition;
  /** Names of the columns, from the definition or the header. */
  readonly columns: readonly string[];
  readonly file: string;
  readonly path: string;
  readonly gzip: boolean;
  /** Bytes of the file on disk when the load began. */
  readonly fileBytes: number;
  /** Byte range of the chunk: it owns the records that start in it. */
  readonly start: number;
  readonly end: number;
  /** False: `start` is only near a record boundary, the worker looks for the first one from there on. */
  readonly startExact: boolean;
  /** The first record is the header. */
  readonly skipHeader: boolean;
  readonly chunkLines: number;
  /** Rejects after which going on is pointless. */
  readonly rejectsMax: number;
  /** Memory for the messages; what is not needed comes back with the result. */
  readonly spareBlocks: readonly SharedArrayBuffer[];
  /** What the messages may keep in memory; null: everything. */
  readonly room: BlockRoom | null;
  readonly shared: SharedState;
}

/** Strings of one local dictionary in code order: string `c` is `bytes[offsets[c] .. offsets[c + 1]]`, UTF-8. */
export interface LocalStrings {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
}

/** At most `chunkLines` lines' worth of rows. A plain chunk gives one part, a gzip stream as many as it needs. */
export interface ChunkPart {
  readonly accumulator: ChunkMessage;
  /** Per mapped field of the table, in order: the strings its keys are codes of; null for other types. */
  readonly strings: readonly (LocalStrings | null)[];
}

export interface ScanResult {
  /** First byte of the first record and the byte after the last one. */
  readonly start: number;
  readonly end: number;
  readonly lines: number;
  readonly rows: number;
  readonly skippedRows: number;
  readonly rejectedRows: number;
  /** In file order; `line` counts from 1 at the start of the chunk. */
  readonly rejects: readonly Reject[];
  /** Why the scan ended before its range did. */
  readonly stopped: 'rejects' | 'cancelled' | null;
  readonly parts: readonly ChunkPart[];
  /** Blocks of the task that were not needed. */
  readonly spareBlocks: readonly SharedArrayBuffer[];
}

/** Every task of the pool. Inputs and results are in shared memory. */
export type PoolTask =
  | ScanTask
  | { readonly kind: 'resolve'; readonly messages: readonly ChunkMessage[] }
  | { readonly kind: 'merge'; readonly merges: readonly Merge[] }
  | { readonly kind: 'compactFilter'; readonly compaction: FilterCompaction }
  | { readonly kind: 'compactSort'; readonly compaction: SortCompaction }
  | { readonly kind: 'compactDictionary'; readonly compaction: DictionaryCompaction };

/** What the task of each kind gives. */
export interface PoolResults {
  readonly scan: ScanResult;
  readonly resolve: RunResolution;
  /** One for each. */
  readonly merge: readonly SegmentBytes[];
  readonly compactFilter: SegmentBytes;
  readonly compactSort: SegmentBytes;
  readonly compactDictionary: SegmentBytes;
}

/** Outcome of a task; a failure travels as data because error classes do not survive the boundary. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: ErrorData };
