/**
 * The public interface of an open index and the options to open one. Both the engine in this process and the one behind
 * a thread implement it.
 */
import type { VersionDigest } from '../index/digest.ts';
import type { FieldStatistics } from '../index/statistics.ts';
import type { LoadOptions, LoadReport } from '../load/options.ts';
import type { Page, Query } from '../query/query.ts';
import type { Where } from '../query/where.ts';

export interface OpenOptions {
  /** Path of a definition file, or its content as an object. Optional when the directory holds a published version. */
  definition?: string | object;
  /** Where published versions are kept; created when missing. Without it the index lives in memory only. */
  directory?: string;
  /** Serve what the directory holds without locking it; loading is then an error. */
  readOnly?: boolean;
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
  memory: {
    /** Bytes of all segments of the version, in shared memory. */
    indexBytes: number;
    /** Resident set of the process. */
    processBytes: number;
  };
  /** Only with `{ digest: true }`: SHA-256 over the whole content, equal for equal content however it was loaded. */
  digest?: VersionDigest;
}

export interface BitloomIndex {
  /**
   * Loads one dump, table name → CSV file, and publishes it in one step. Queries see the previous version until then.
   * Errors publish nothing: SOURCE_*, TABLE_UNKNOWN, TOO_MANY_REJECTS, MEMORY_LIMIT, LOAD_CANCELLED, LOAD_RUNNING, …
   */
  load(files: Readonly<Record<string, string>>, options?: LoadOptions): Promise<LoadReport>;
  /** One page of the matching slots in order. Errors: QUERY_*, TAKE_TOO_LARGE, CURSOR_*. */
  query(query: Query): Promise<Page>;
  /** How many alive slots match; all of them without `where`. */
  count(where?: Where): Promise<number>;
  stats(options?: { digest?: boolean }): Promise<IndexStats>;
  /** Ends every thread and releases the directory. A running load is cancelled. Closing twice is fine. */
  close(): Promise<void>;
}
