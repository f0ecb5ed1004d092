/**
 * Postgres over `pg`: for each role a pool of its own, so that roles never wait for each other, and a listener.
 *
 * `url` is a connection string as pg takes it, TLS included (`sslmode=…`). It must lead to the server itself or to a pooler
 * in session mode: settings of sessions and LISTEN do not survive a pooler that hands out connections by transaction.
 * A pool of one session is a session that replaces itself: it connects on first use, and a client that lost its
 * connection, or whose statement got no answer in time, is dropped.
 */
import pg from 'pg';
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
import { PgListener } from './pg-listener.ts';
import { sqlstateIn, statementError, unreachable } from './sql-error.ts';

export interface PgDatabaseOptions {
  readonly url: string;
  readonly schema: string;
  /** Sessions for reads. */
  readonly readSessionsMax?: number;
  /** A read waits no longer for a free session. */
  readonly acquireTimeoutMs?: number;
  /** The listening connection is tested this often. */
  readonly heartbeatMs?: number;
}

const READ_SESSIONS_MAX = 8;
const ACQUIRE_TIMEOUT_MS = 5_000;
const HEARTBEAT_MS = 5_000;

/** An idle read session is closed after this time; those of the other roles stay. */
const READ_IDLE_MS = 30_000;

/** A step of a migration, or waiting for another program to migrate, takes no longer. */
const MIGRATION_TIMEOUT_MS = 60_000;

/** The client gives a statement up this long after the server should have ended it. */
const ANSWER_GRACE_MS = 1_000;

/** A connection on which nothing is heard is probed after this time. */
const KEEPALIVE_DELAY_MS = 2_000;

interface RoleSettings {
  readonly statementTimeoutMs: number;
  readonly settings: Readonly<Record<string, string>>;
}

/** Leader and lease stay far below the lease time, so that a stuck statement cannot outlive the term it belongs to. */
const ROLES: Readonly<Record<SessionRole, RoleSettings>> = {
  // Withdrawing waits for a batch that is being applied, which ends within the bounds of `leader`.
  read: { statementTimeoutMs: 10_000, settings: { lock_timeout: '3000' } },
  // Losing queue rows to a crash is allowed, and a NOTIFY commits under a lock of the whole server: neither may wait for a
  // disk.
  enqueue: { statementTimeoutMs: 5_000, settings: { lock_timeout: '1000', synchronous_commit: 'off' } },
  leader: { statementTimeoutMs: 2_000, settings: { lock_timeout: '1000' } },
  lease: { statementTimeoutMs: 2_000, settings: { lock_timeout: '1000' } },
};

/** In every session: the server notices a vanished client within seconds and releases what it holds. */
const VANISHED_CLIENT_SETTINGS = {
  idle_in_transaction_session_timeout: '2000',
  tcp_keepalives_idle: '2',
  tcp_keepalives_interval: '1',
  tcp_keepalives_count: '3',
};

export function openPgDatabase(options: PgDatabaseOptions): Database {
  return new PgDatabase(options);
}

class PgDatabase implements Database {
  readonly schema: string;
  readonly #options: PgDatabaseOptions;
  readonly #pools: Readonly<Record<SessionRole, pg.Pool>>;
  readonly #listener: PgListener;
  #closed: Promise<void> | undefined;

  constructor(options: PgDatabaseOptions) {
    assertSchema(options.schema);
    this.schema = options.schema;
    this.#options = options;
    this.#pools = {
      read: this.#pool('read', options.readSessionsMax ?? READ_SESSIONS_MAX),
      enqueue: this.#pool('enqueue', 1),
      leader: this.#pool('leader', 1),
      lease: this.#pool('lease', 1),
    };
    this.#listener = new PgListener(() => this.#listeningClient(), options.heartbeatMs ?? HEARTBEAT_MS);
  }

  async query(role: SessionRole, text: string, parameters: readonly Parameter[]): Promise<readonly Row[]> {
    const client = await this.#connect(role);
    let isLost = true;
    try {
      const result = await client.query<Row>(text, parameters as unknown[]);
      isLost = false;
      return result.rows;
    } catch (error) {
      const failure = queryError(error);
      isLost = failure.isLost;
      throw failure.error;
    } finally {
      client.release(isLost);
    }
  }

  async migrate<T>(work: (session: MigrationSession) => Promise<T>): Promise<T> {
    const client = new pg.Client({
      ...this.#clientOptions('migrate'),
      connectionTimeoutMillis: ACQUIRE_TIMEOUT_MS,
    });
    // The statement that notices a lost connection fails with it.
    client.on('error', () => {});
    const query = async (text: string, parameters?: readonly Parameter[]) => {
      try {
        return (await client.query<Row>(text, parameters as unknown[] | undefined)).rows;
      } catch (error) {
        throw queryError(error).error;
      }
    };
    try {
      await client.connect().catch((error: unknown) => {
        throw unreachable(error, false);
      });
      await applySettings(client, {
        ...sessionSettings(this.schema),
        statement_timeout: String(MIGRATION_TIMEOUT_MS),
        lock_timeout: '0',
      });
      await query('BEGIN');
      const result = await work({ query, script: async (text) => void (await query(text)) });
      await query('COMMIT');
      return result;
    } finally {
      await client.end();
    }
  }

  listen(
    name: string,
    onPayload: (payload: string) => void,
    onGap: () => void,
  ): Promise<() => Promise<void>> {
    return this.#listener.listen(name, onPayload, onGap);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await Promise.all([this.#listener.close(), ...Object.values(this.#pools).map((pool) => pool.end())]);
  }

  async #connect(role: SessionRole): Promise<pg.PoolClient> {
    if (this.#closed !== undefined) throw storeClosed();
    try {
      return await this.#pools[role].connect();
    } catch (error) {
      throw unreachable(error, false);
    }
  }

  #pool(role: SessionRole, sessionsMax: number): pg.Pool {
    const { statementTimeoutMs, settings } = ROLES[role];
    const pool = new pg.Pool({
      ...this.#clientOptions(role),
      max: sessionsMax,
      connectionTimeoutMillis: this.#options.acquireTimeoutMs ?? ACQUIRE_TIMEOUT_MS,
      idleTimeoutMillis: role === 'read' ? READ_IDLE_MS : 0,
      query_timeout: statementTimeoutMs + ANSWER_GRACE_MS,
      onConnect: (client) =>
        applySettings(client, {
          ...sessionSettings(this.schema),
          ...VANISHED_CLIENT_SETTINGS,
          ...settings,
          statement_timeout: String(statementTimeoutMs),
        }),
    });
    // An idle session was lost; the pool has dropped it.
    pool.on('error', () => {});
    // One in use was lost between its answer and its release, when no statement is there to fail; the pool sees to that.
    pool.on('connect', (client) => client.on('error', () => {}));
    return pool;
  }

  async #listeningClient(): Promise<pg.Client> {
    const client = new pg.Client({
      ...this.#clientOptions('listen'),
      connectionTimeoutMillis: ACQUIRE_TIMEOUT_MS,
      query_timeout: this.#options.heartbeatMs ?? HEARTBEAT_MS,
    });
    client.on('error', () => {});
    try {
      await client.connect();
      await applySettings(client, { ...VANISHED_CLIENT_SETTINGS, synchronous_commit: 'off' });
      return client;
    } catch (error) {
      void client.end().catch(() => {});
      throw unreachable(error, false);
    }
  }

  /** `purpose` shows in pg_stat_activity. */
  #clientOptions(purpose: SessionRole | 'listen' | 'migrate'): pg.ClientConfig {
    return {
      connectionString: this.#options.url,
      application_name: `bitloom commit ${purpose}`,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEPALIVE_DELAY_MS,
      types: { getTypeParser },
    };
  }
}

/** In one statement; the values stay for the life of the session. */
async function applySettings(
  client: pg.ClientBase,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  await client.query(
    'SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS s (name, value)',
    [Object.keys(settings), Object.values(settings)],
  );
}

/** An answer from the server leaves the session as it was; anything else, or the end of the session, loses it. */
function queryError(error: unknown): { readonly error: Error; readonly isLost: boolean } {
  if (error instanceof CommitError) return { error, isLost: false };
  const sqlstate = sqlstateIn(error);
  if (sqlstate === undefined) return { error: unreachable(error, true), isLost: true };
  return { error: statementError(error, sqlstate), isLost: (error as pg.DatabaseError).severity !== 'ERROR' };
}

const BOOL_OID = 16;
const BYTEA_OID = 17;
const INT8_OID = 20;
const INT4_OID = 23;

/** Of results in text form; pg asks for no other. */
function getTypeParser(oid: number): (text: string) => unknown {
  if (oid === BYTEA_OID) return parseBytea;
  if (oid === INT8_OID || oid === INT4_OID) return parseInt8;
  if (oid === BOOL_OID) return (text) => text === 't';
  return (text) => text;
}

/** `\x` and hex digits. */
function parseBytea(text: string): Uint8Array {
  const buffer = Buffer.from(text.slice(2), 'hex');
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
