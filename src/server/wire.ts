/** What requests and answers hold, for the server and for clients: JSON only. */
import type { ErrorPlace } from '../errors.ts';
import type { DumpEntry } from '../load/dump-registry.ts';
import type { LoadMode, LoadProgress } from '../load/options.ts';
import type { RefusedEntity } from '../ops/parse-batch.ts';
import type { SourcePosition } from '../ops/source-table.ts';

/** The body of every answer that is not a success. */
export interface ErrorBody {
  error: { code: string; message: string; hint?: string; at?: ErrorPlace; details?: Record<string, unknown> };
}

/** What the sender of a batch learns once it is durable and visible. */
export interface AppliedBatch {
  /** Entities applied. */
  accepted: number;
  refused: RefusedEntity[];
  /** For `after` of a later read; null for an index in memory. */
  position: number | null;
}

/** How far a source has come, as its batches say; the name is empty for batches without a source. */
export interface SourceProgress extends SourcePosition {
  /** Entities accepted since the server started. */
  readonly entities: number;
  /** When its last batch was applied, ISO 8601; null: none since the server started. */
  readonly appliedAt: string | null;
}

/** The body of PUT /v1/dumps/:name. */
export interface DumpRequestBody {
  /** Table → CSV file in a dump directory of the server. */
  files: Record<string, string>;
  /** Default `replace`. */
  mode?: LoadMode;
  /** Rejected rows tolerated; null: any number. Default 0. */
  maxRejects?: number | null;
}

/** A registered dump; `progress` while it is being loaded. */
export interface DumpState extends DumpEntry {
  readonly progress: LoadProgress | null;
}

export interface Readiness {
  readonly ready: boolean;
  /** `ok`, or in a word what is not. */
  readonly checks: {
    /** Opened, and everything in the op log applied again. */
    readonly index: 'ok' | 'opening' | 'failed' | 'closing';
    /** The engine thread answers. */
    readonly engine: 'ok' | 'late' | 'failed' | 'unknown';
    /** The op log takes appends; `none`: the index is in memory. */
    readonly log: 'ok' | 'failed' | 'none' | 'unknown';
  };
}
