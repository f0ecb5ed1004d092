/**
 * The public interface of an open index and the options to open one. Both the engine in this process and the one behind
 * a thread implement it.
 */
import type { VersionDigest } from '../index/digest.ts';
import type { FieldStatistics } from '../index/statistics.ts';
import type { LoadOptions, LoadReport } from '../load/options.ts';
import type { LogPosition } from '../log/log-position.ts';
import type { OpLogStats } from '../log/op-log.ts';
import type { Batch } from '../ops/op.ts';
import type { RefusedEntity } from '../ops/parse-batch.ts';
import type { SourcePosition } from '../ops/source-table.ts';
import type { Page, Query } from '../query/query.ts';
import type { Where } from '../query/where.ts';

export interface OpenOptions {
  /** Path of a definition file, or its content as an object. Optional when the directory holds a published version. */
  definition?: string | object;
  /** Where published versions are kept; created when missing. Without it the index lives in memory only. */
  directory?: string;
  /**
   * Serve the last stored version, with the ops that the op log has after it, as they are at opening. Neither locks nor
   * changes the directory; loading and applying are then errors.
   */
  readOnly?: boolean;
  /** Bytes of op log since the last checkpoint at which the next one is made. Default 64 MiB, more for a large index. */
  checkpointLogBytes?: number;
  /**
   * Drop ops that a later one of the same batch makes void before they go to the op log, where there are many; it changes
   * nothing else. Default true; false keeps every batch in the log as it was sent.
   */
  dedup?: boolean;
  /** Run the engine on the caller's thread instead of one of its own. */
  inProcess?: boolean;
  /** Receives what was mended or skipped while opening, such as a corrupt snapshot file. Default: process.emitWarning. */
  onWarning?: (message: string) => void;
}

/** One field of `stats`. */
export interface FieldStats extends FieldStatistics {
  /** Bytes of all its segments, dictionary included. */
  readonly bytes: number;
}

/** The last dump that was published; what it says became durable in the same step as the dump. */
export interface LastLoad {
  /** The `label` that was given to `load`. */
  readonly label: string | null;
  /** Number of the version that it made. */
  readonly version: number;
  readonly rows: number;
  readonly rejectedRows: number;
  readonly alive: number;
}

export interface IndexStats {
  /** What the next load is read by: the hash of the whole definition, and of each table. */
  definition: { name: string; hash: string; tables: Record<string, string> };
  /** Null when no dump was ever published. */
  lastLoad: LastLoad | null;
  /** Number of the version being served; 0 before the first load. */
  version: number;
  alive: number;
  fields: Record<string, FieldStats>;
  /** The op log; null in memory and when reading only. */
  log: OpLogStats | null;
  /** Up to here the op log is applied and visible; null in memory. */
  position: LogPosition | null;
  /** How far each source has come by the `meta` of its applied batches; with a directory it outlives the process. */
  sources: SourcePosition[];
  /** Versions made of applied ops since the index was opened. */
  checkpoints: number;
  memory: {
    /** Bytes of all segments of the version, in shared memory. */
    indexBytes: number;
    /** Resident set of the process. */
    processBytes: number;
  };
  /** Only with `{ digest: true }`: SHA-256 over the whole content, equal for equal content however it was loaded. */
  digest?: VersionDigest;
}

export interface ApplyOptions {
  /** One entity that is refused refuses the whole batch with BATCH_REFUSED. */
  strict?: boolean;
}

export interface ApplyReport {
  /** Where the batch is in the op log; null without one. A read that comes later sees everything up to here. */
  readonly position: LogPosition | null;
  /** Entities that were not applied, and why; the others were. */
  readonly refused: readonly RefusedEntity[];
}

export interface BitloomIndex {
  /**
   * Loads one dump, table name → CSV file, and publishes it in one step. Queries see the previous version until then.
   * Errors publish nothing: SOURCE_*, TABLE_UNKNOWN, TOO_MANY_REJECTS, MEMORY_LIMIT, SPILL_FAILED, LOAD_CANCELLED, LOAD_RUNNING, …
   */
  load(files: Readonly<Record<string, string>>, options?: LoadOptions): Promise<LoadReport>;
  /**
   * Applies a batch of ops, given as JSON values. Resolves when it is durable (with a directory) and visible; queries see
   * all of it or nothing. Batches take effect in the order of the calls, which may be made without waiting for the ones
   * before; those in flight together share a flush of the disk. While a load runs, ops go on and are applied again on top
   * of the dump. Errors apply nothing: BATCH_*, READ_ONLY, INDEX_BROKEN, and LOG_UNWRITABLE, LOG_OVERLOADED, LOAD_RUNNING
   * (the load changes the definition), after which the same batch can be sent again.
   */
  apply(batch: Batch, options?: ApplyOptions): Promise<ApplyReport>;
  /** One page of the matching slots in order. Errors: QUERY_*, TAKE_TOO_LARGE, CURSOR_*. */
  query(query: Query): Promise<Page>;
  /** How many alive slots match; all of them without `where`. */
  count(where?: Where): Promise<number>;
  stats(options?: { digest?: boolean }): Promise<IndexStats>;
  /**
   * Ends every thread and releases the directory. A running load is cancelled, batches in flight are finished, and what
   * was applied since the last checkpoint is stored. Closing twice is fine.
   */
  close(): Promise<void>;
}
