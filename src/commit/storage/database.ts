/**
 * What the SQL storage asks of a database driver: short autocommit statements by role, one transaction for migrations,
 * and lossy notifications.
 *
 * Every driver keeps: sessions see the tables of the schema by their plain names; a session never plans a sequential
 * scan where an index can serve; int8 comes back as a number and fails when it is not a safe integer; bytea comes back as
 * Uint8Array; a lost session is replaced on next use; nobody waits for a second session while holding one.
 */
import { CommitError } from '../commit-error.ts';

/**
 * What a statement is for. Roles never wait for each other's sessions.
 * - `read`: reads of data and outcomes, and withdrawals; several sessions.
 * - `enqueue`: the mailbox and notifications; one session, commits without waiting for the disk.
 * - `leader`: claim, base reads and apply; one session, bounded far below the lease.
 * - `lease`: acquire, renew, release, floors and pruning; one session.
 */
export type SessionRole = 'read' | 'enqueue' | 'leader' | 'lease';

/** Byte strings go as one bytea or, from encodeByteaArray, as a bytea[]. */
export type Parameter = string | number | boolean | null | Uint8Array | readonly (string | number | null)[];

/** Values by column name: number, string, boolean, Uint8Array or null. */
export type Row = Readonly<Record<string, unknown>>;

export interface MigrationSession {
  query(text: string, parameters: readonly Parameter[]): Promise<readonly Row[]>;
  /** Any number of statements, without parameters. */
  script(text: string): Promise<void>;
}

export interface Database {
  readonly schema: string;
  /**
   * Runs one statement in a transaction of its own.
   * @throws CommitError DATABASE_UNREACHABLE when the database could not be asked, with `details.wasSent` when the
   * statement was on its way, so that it may have taken effect; STATEMENT_FAILED, with `details.sqlstate`, when the
   * database refused it, so that it changed nothing.
   */
  query(role: SessionRole, text: string, parameters: readonly Parameter[]): Promise<readonly Row[]>;
  /** Runs `work` in one transaction of a session of its own. */
  migrate<T>(work: (session: MigrationSession) => Promise<T>): Promise<T>;
  /** `name` is a valid identifier; see CommitStorage.listen. */
  listen(name: string, onPayload: (payload: string) => void, onGap: () => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** Postgres truncates longer identifiers. */
const SCHEMA_PATTERN = /^[a-z_][a-z0-9_]{0,62}$/;

export function assertSchema(schema: string): void {
  if (SCHEMA_PATTERN.test(schema) && !schema.startsWith('pg_')) return;
  throw new CommitError('SCHEMA_INVALID', `'${schema}' cannot be the name of a schema`, {
    hint: 'schema: lower-case letters, digits and underscores, at most 63, not starting with a digit or pg_',
  });
}

export function storeClosed(): CommitError {
  return new CommitError('STORE_CLOSED', 'the commit store is closed');
}

/** Set in every session of every driver. The schema has been validated. */
export function sessionSettings(schema: string): Record<string, string> {
  return {
    search_path: `"${schema}"`,
    // Statements look up few rows by key. What the server thinks of its disks must not turn that into scans.
    enable_seqscan: 'off',
    // A plan that has no choice but a scan of a tiny table looks dear enough to compile.
    jit: 'off',
    // Messages about skipped `if exists` are of no use to anybody.
    client_min_messages: 'warning',
    // What an administrator chose for others must not change what a statement sees, waits for or looks like.
    default_transaction_isolation: 'read committed',
    default_transaction_read_only: 'off',
    synchronous_commit: 'on',
    bytea_output: 'hex',
  };
}

/** An int8 in text form. */
export function parseInt8(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new CommitError('STATEMENT_FAILED', `${text} in an int8 column does not fit a number`, {
    hint: 'versions, epochs and times of the commit protocol are below 2^53; something else wrote to its tables',
  });
}
