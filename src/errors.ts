/**
 * The one error class of the package. Expected outcomes (a rejected row, a missing value) are values; what ends an
 * operation is a BitloomError with a stable code, the place it happened and a hint that names what fixes it. Error
 * classes do not survive a thread boundary, so `toData` and `errorFromData` carry every part across as plain data.
 */

/** Where in an input the error is. Lines and columns count from 1, byte offsets from 0. */
export interface ErrorPlace {
  file?: string;
  line?: number;
  column?: number;
  byteOffset?: number;
}

export interface BitloomErrorOptions {
  /** What the reader can do about it: an option, a key, a command. */
  hint?: string;
  at?: ErrorPlace;
  cause?: unknown;
  /** Further facts for programs, JSON only. */
  details?: Record<string, unknown>;
}

/** A BitloomError as structured-clonable data. */
export interface ErrorData {
  code: string;
  message: string;
  hint?: string;
  at?: ErrorPlace;
  details?: Record<string, unknown>;
  stack?: string;
  cause?: ErrorData;
}

export class BitloomError extends Error {
  /** Stable, upper snake case, part of the public contract. */
  readonly code: string;
  readonly hint?: string;
  readonly at?: ErrorPlace;
  readonly details?: Record<string, unknown>;

  constructor(code: string, message: string, options: BitloomErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BitloomError';
    this.code = code;
    if (options.hint !== undefined) this.hint = options.hint;
    if (options.at !== undefined) this.at = options.at;
    if (options.details !== undefined) this.details = options.details;
  }
}

/** `file:line:column` as far as it is known, or an empty string. */
export function formatPlace(at: ErrorPlace | undefined): string {
  if (at === undefined) return '';
  const parts = [at.file, at.line, at.column].filter((part) => part !== undefined);
  return parts.join(':');
}

/** The error as a person reads it: place, message, hint, then the causes. */
export function formatError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const place = error instanceof BitloomError ? formatPlace(error.at) : '';
  const lines = [place === '' ? error.message : `${place}: ${error.message}`];
  if (error instanceof BitloomError && error.hint !== undefined) lines.push(`  hint: ${error.hint}`);
  if (error.cause !== undefined) lines.push(`  cause: ${formatError(error.cause)}`);
  return lines.join('\n');
}

export function errorToData(error: unknown): ErrorData {
  if (!(error instanceof Error)) return { code: 'INTERNAL', message: String(error) };
  const data: ErrorData = {
    code: error instanceof BitloomError ? error.code : systemCode(error),
    message: error.message,
  };
  if (error instanceof BitloomError) {
    if (error.hint !== undefined) data.hint = error.hint;
    if (error.at !== undefined) data.at = error.at;
    if (error.details !== undefined) data.details = error.details;
  }
  if (error.stack !== undefined) data.stack = error.stack;
  if (error.cause !== undefined) data.cause = errorToData(error.cause);
  return data;
}

export function errorFromData(data: ErrorData): BitloomError {
  const options: BitloomErrorOptions = {};
  if (data.hint !== undefined) options.hint = data.hint;
  if (data.at !== undefined) options.at = data.at;
  if (data.details !== undefined) options.details = data.details;
  if (data.cause !== undefined) options.cause = errorFromData(data.cause);
  const error = new BitloomError(data.code, data.message, options);
  if (data.stack !== undefined) error.stack = data.stack;
  return error;
}

/** The `code` of a Node.js system error (`ENOENT`, `EACCES`), else `INTERNAL`. */
function systemCode(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code;
  return typeof code === 'string' ? code : 'INTERNAL';
}
