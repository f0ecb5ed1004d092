/**
 * What the error of a statement means to the protocol. Only two things matter: whether the statement may have taken
 * effect, and whether asking again can help.
 */
import { CommitError } from '../commit-error.ts';

/** Raised by commit_apply: a request of the batch has an outcome, or the batch is late. */
export const DECIDED_SQLSTATE = 'BL001';
export const LOCK_TIMEOUT_SQLSTATE = '55P03';

/** SQLSTATEs after which the session is gone: connection exceptions, and shutdown or termination by an operator. */
const SESSION_LOST_PATTERN = /^(08...|57P..)$/;

/** SQLSTATEs of a statement that took no effect for reasons that pass: serialization, resources, locks, I/O. */
const PASSING_PATTERN = /^(40...|53...|55P03|58...|25P0[34])$/;

/** The error of a statement that the database answered. */
export function statementError(error: unknown, sqlstate: string): CommitError {
  const message = error instanceof Error ? error.message : String(error);
  const details = { sqlstate };
  if (SESSION_LOST_PATTERN.test(sqlstate)) return unreachable(error, true, details);
  if (PASSING_PATTERN.test(sqlstate)) {
    return new CommitError(
      'DATABASE_UNREACHABLE',
      `the database cannot serve the statement now: ${message}`,
      {
        hint: 'it took no effect; look at the log of the server if it happens often',
        details,
        cause: error,
      },
    );
  }
  return new CommitError('STATEMENT_FAILED', `the database refused a statement: ${message}`, {
    hint: 'it took no effect',
    details,
    cause: error,
  });
}

/**
 * The error of a statement without an answer.
 * @param wasSent the statement was on its way, so that it may have taken effect.
 */
export function unreachable(
  error: unknown,
  wasSent: boolean,
  details: Record<string, unknown> = {},
): CommitError {
  const message = error instanceof Error ? error.message : String(error);
  return new CommitError(
    'DATABASE_UNREACHABLE',
    wasSent
      ? `the connection was lost before the answer, so the statement may have taken effect: ${message}`
      : `no connection to the database: ${message}`,
    {
      hint: 'url: check that the server runs and takes connections from here',
      details: { ...details, wasSent },
      cause: error,
    },
  );
}

/** The SQLSTATE that the server sent with an error of a driver. */
export function sqlstateIn(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  // System errors have codes as well, such as EPIPE; those have no severity.
  return typeof code === 'string' && 'severity' in (error as Error) ? code : undefined;
}

export function sqlstateOf(error: unknown): string | undefined {
  if (!(error instanceof CommitError)) return undefined;
  const sqlstate = error.details?.sqlstate;
  return typeof sqlstate === 'string' ? sqlstate : undefined;
}
