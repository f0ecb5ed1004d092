/**
 * The error of the commit layer. Its code says what happened; `retryable` whether a new attempt of the whole transaction
 * can succeed; `maybeCommitted` whether this one may have taken effect although it was not confirmed.
 */
import { BitloomError, type BitloomErrorOptions } from '../errors.ts';

/** Codes after which the transaction took no effect for reasons that pass. All others are permanent. */
const RETRYABLE_CODES: ReadonlySet<string> = new Set([
  'NOT_COMMITTED',
  'TRANSACTION_TOO_OLD',
  'THROTTLED',
  'DATABASE_UNREACHABLE',
]);

export class CommitError extends BitloomError {
  readonly retryable: boolean;
  readonly maybeCommitted: boolean;

  constructor(code: string, message: string, options: BitloomErrorOptions = {}) {
    super(code, message, options);
    this.name = 'CommitError';
    this.retryable = RETRYABLE_CODES.has(code);
    this.maybeCommitted = code === 'COMMIT_UNKNOWN_RESULT';
  }
}
