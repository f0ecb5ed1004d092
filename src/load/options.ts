/**
 * What a caller may ask of a load and what it gets back: the public types of `load`, and the validation of its options.
 */
import { availableParallelism, totalmem } from 'node:os';
import type { Reject } from '../csv/reject.ts';
import { BitloomError } from '../errors.ts';
import { CHUNK_LINES_DEFAULT, LOAD_LABEL_CHARACTERS_MAX, THREADS_MAX } from '../limits.ts';

export type LoadMode = 'replace' | 'merge';

export interface LoadOptions {
  /** `replace` (default): the fields of the loaded tables get exactly the dump's contents. `merge`: added to what is there. */
  mode?: LoadMode;
  /** Called at every change of phase and about ten times a second in between. */
  onProgress?: (progress: LoadProgress) => void;
  /** Aborting ends the load with the error LOAD_CANCELLED; nothing is published. */
  signal?: AbortSignal;
  /** Rejected rows up to which the load still publishes. Default 0; `Infinity` tolerates any number. */
  maxRejects?: number;
  /** File that receives every rejected row as one JSON object a line. */
  rejectsFile?: string;
  /** Worker threads. Default: the cores available to the process. */
  threads?: number;
  /** Lines in one chunk at most. Default 10,000,000. */
  chunkLines?: number;
  /** Bytes the load may use beyond the version being served. Default: half of the machine's memory. */
  memoryLimitBytes?: number;
  /** Kept with the published version and told by `stats().lastLoad`, so that after a crash one knows whether it was. */
  label?: string;
}

export type LoadPhase = 'plan' | 'scan' | 'merge' | 'publish' | 'done';

export interface LoadProgress {
  phase: LoadPhase;
  /** The table last worked on; null outside of scan. */
  table: string | null;
  /** Bytes of the source files; compressed bytes for gzip. */
  bytesDone: number;
  bytesTotal: number;
  rows: number;
  rejects: number;
  elapsedMs: number;
  /** Estimated milliseconds to the end of the scan; null while unknown. */
  etaMs: number | null;
}

export interface TableReport {
  /** Rows loaded. */
  rows: number;
  /** Rows for which the table's `where` was not true. */
  skippedRows: number;
  rejectedRows: number;
  /** Rows whose slot a later line of the same table stated again; the later line won. */
  duplicateRows: number;
  /** Physical lines of the file, those inside quoted fields and the header included. */
  lines: number;
  bytes: number;
  chunks: number;
  /** Chunks whose guessed start lay inside a quoted field and which were scanned again from the true one. */
  mendedChunks: number;
  durationMs: number;
}

export interface LoadReport {
  /** Number of the published version. */
  version: number;
  durationMs: number;
  tables: Record<string, TableReport>;
  rows: number;
  rejectedRows: number;
  /** The first rejected rows, in file order within a table. All of them go to `rejectsFile`. */
  rejects: Reject[];
  alive: number;
  warnings: string[];
}

/** Options with every default filled in; functions and signals stay behind, so it crosses threads. */
export interface LoadSettings {
  mode: LoadMode;
  maxRejects: number;
  rejectsFile: string | null;
  threads: number;
  chunkLines: number;
  memoryLimitBytes: number;
  label: string | null;
}

const OPTION_NAMES: ReadonlySet<string> = new Set([
  'mode',
  'onProgress',
  'signal',
  'maxRejects',
  'rejectsFile',
  'threads',
  'chunkLines',
  'memoryLimitBytes',
  'label',
]);

/** Errors: OPTION_INVALID, naming the option, what it takes and what it got. */
export function resolveLoadOptions(options: LoadOptions): LoadSettings {
  for (const name of Object.keys(options)) {
    if (!OPTION_NAMES.has(name)) {
      throw invalidOption(`load has no option ${name}`, `the options are ${[...OPTION_NAMES].join(', ')}`);
    }
  }
  const mode = options.mode ?? 'replace';
  if (mode !== 'replace' && mode !== 'merge') {
    throw invalidOption(`mode is ${JSON.stringify(mode)}`, "mode is 'replace' or 'merge'");
  }
  const maxRejects = options.maxRejects ?? 0;
  if (maxRejects !== Number.POSITIVE_INFINITY)
    checkInteger('maxRejects', maxRejects, 0, Number.MAX_SAFE_INTEGER);
  return {
    mode,
    maxRejects,
    rejectsFile: options.rejectsFile ?? null,
    threads: resolveThreads(options.threads),
    chunkLines: checkInteger('chunkLines', options.chunkLines ?? CHUNK_LINES_DEFAULT, 1, CHUNK_LINES_DEFAULT),
    memoryLimitBytes: checkInteger(
      'memoryLimitBytes',
      options.memoryLimitBytes ?? Math.floor(totalmem() / 2),
      1,
      Number.MAX_SAFE_INTEGER,
    ),
    label: checkLabel(options.label ?? null),
  };
}

export function resolveThreads(threads: number | undefined): number {
  return checkInteger('threads', threads ?? Math.min(availableParallelism(), THREADS_MAX), 1, THREADS_MAX);
}

function checkInteger(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw invalidOption(`${name} is ${String(value)}`, `${name} takes a whole number from ${min} to ${max}`);
}

function checkLabel(label: unknown): string | null {
  if (label === null || (typeof label === 'string' && label.length <= LOAD_LABEL_CHARACTERS_MAX))
    return label;
  throw invalidOption(
    `label is ${JSON.stringify(label)?.slice(0, 100)}`,
    `label takes a text of at most ${LOAD_LABEL_CHARACTERS_MAX} characters`,
  );
}

function invalidOption(message: string, hint: string): BitloomError {
  return new BitloomError('OPTION_INVALID', message, { hint });
}
