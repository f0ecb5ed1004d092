/**
 * Postgres in process over PGlite: one session for all roles, in memory or in a directory that one process holds.
 *
 * The directory holds `lock` and the cluster in `data`. PGlite writes every commit to its files but does not make the
 * system flush them: a process may be killed at any moment, the loss of power can cost the latest commits or the
 * directory. Where that matters, use a server. Statements have no timeouts, for there is nobody to enforce them.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { BitloomError } from '../../errors.ts';
import { acquireLock, type DirectoryLock, removeLockLeftovers } from '../../index/directory/lock.ts';
import { CommitError } from '../commit-error.ts';
import {
  assertSchema,
  type Database,
  type MigrationSession,
  type Parameter,
  parseInt8,
  type Row,
  type SessionRole,
  sessionSettings,
  storeClosed,
} from './database.ts';
import { sqlstateIn, statementError, unreachable } from './sql-error.ts';

export interface PgliteDatabaseOptions {
  /** Made when it is missing; in memory when left out. */
  readonly directory?: string;
  readonly schema: string;
}

/** @throws BitloomError DIRECTORY_LOCKED when another process, or this one, has the directory open. */
export async function openPgliteDatabase({ directory, schema }: PgliteDatabaseOptions): Promise<Database> {
  assertSchema(schema);
  const lock = directory === undefined ? undefined : await lockDirectory(directory);
  try {
    const dataDir = directory === undefined ? undefined : path.join(directory, 'data');
    const pglite = await PGlite.create({ ...(dataDir === undefined ? {} : { dataDir }), ...CODECS });
    const settings = Object.entries(sessionSettings(schema));
    await pglite.query(
      'SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS s (name, value)',
      [settings.map(([name]) => name), settings.map(([, value]) => value)],
    );
    return new PgliteDatabase(schema, pglite, lock);
  } catch (error) {
    await lock?.release();
    throw error;
  }
}

class PgliteDatabase implements Database {
  readonly schema: string;
  readonly #pglite: PGlite;
  readonly #lock: DirectoryLock | undefined;
  #closed: Promise<void> | undefined;

  constructor(schema: string, pglite: PGlite, lock: DirectoryLock | undefined) {
    this.schema = schema;
    this.#pglite = pglite;
    this.#lock = lock;
  }

  async query(_role: SessionRole, text: string, parameters: readonly Parameter[]): Promise<readonly Row[]> {
    return await this.#answered(() => this.#pglite.query<Row>(text, parameters as unknown[])).then(
      ({ rows }) => rows,
    );
  }

  async migrate<T>(work: (session: MigrationSession) => Promise<T>): Promise<T> {
    return await this.#pglite.transaction((transaction) =>
      work({
        query: async (text, parameters) =>
          (await this.#answered(() => transaction.query<Row>(text, parameters as unknown[]))).rows,
        script: async (text) => {
          await this.#answered(() => transaction.exec(text));
        },
      }),
    );
  }

  /** The session cannot be lost, so there are no gaps. */
  async listen(name: string, onPayload: (payload: string) => void): Promise<() => Promise<void>> {
    // Subscriptions are told apart by their callback.
    const callback = (payload: string) => onPayload(payload);
    const end = await this.#answered(() => this.#pglite.listen(name, callback));
    return async () => {
      if (this.#closed === undefined) await this.#answered(() => end());
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    try {
      await this.#pglite.close();
    } finally {
      await this.#lock?.release();
    }
  }

  async #answered<T>(statement: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) throw storeClosed();
    try {
      return await statement();
    } catch (error) {
      if (error instanceof CommitError) throw error;
      const sqlstate = sqlstateIn(error);
      throw sqlstate === undefined ? unreachable(error, true) : statementError(error, sqlstate);
    }
  }
}

async function lockDirectory(directory: string): Promise<DirectoryLock> {
  await mkdir(directory, { recursive: true });
  try {
    const lock = await acquireLock(directory);
    await removeLockLeftovers(directory);
    return lock;
  } catch (error) {
    if (!(error instanceof BitloomError) || error.code !== 'DIRECTORY_LOCKED') throw error;
    throw new CommitError('DIRECTORY_LOCKED', error.message, {
      hint: 'embedded: one process at a time may open a directory; several processes share a server, see url',
      cause: error,
    });
  }
}

const BYTEA_OID = 17;
const INT8_OID = 20;
const BYTEA_ARRAY_OID = 1001;

/** What a serializer returns as bytes goes out in binary, which its type does not say. */
const asBinary = (value: Uint8Array) => value as unknown as string;

const CODECS = {
  serializers: { [BYTEA_OID]: asBinary, [BYTEA_ARRAY_OID]: asBinary },
  parsers: {
    [INT8_OID]: parseInt8,
    [BYTEA_OID]: (text: string) => new Uint8Array(Buffer.from(text.slice(2), 'hex')),
  },
};
