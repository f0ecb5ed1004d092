/**
 * The drivers that tests of the storage run on, each with a schema of its own that is emptied before every test. Opening
 * one takes up to seconds, so a test file shares it.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe } from 'vitest';
import { type PostgresCluster, startPostgres } from '../../../bench/postgres-cluster.ts';
import type { CommitStorage } from '../../../src/commit/commit-storage.ts';
import type { Database, Parameter, Row } from '../../../src/commit/storage/database.ts';
import { openPgDatabase } from '../../../src/commit/storage/pg-database.ts';
import { openPgliteDatabase } from '../../../src/commit/storage/pglite-database.ts';
import { openSqlStorage } from '../../../src/commit/storage/sql-storage.ts';

export interface Driver {
  readonly storage: CommitStorage;
  /** Another node's storage over the same tables; the same one where there is only one session. */
  readonly other: CommitStorage;
  readonly database: Database;
  readonly schema: string;
  /** Runs a statement of the test's own. */
  sql(text: string, parameters?: readonly Parameter[]): Promise<readonly Row[]>;
}

export interface PgDriver extends Driver {
  readonly url: string;
}

/** Runs the tests once on each driver. */
export function describeDrivers(tests: (driver: () => Driver) => void): void {
  describe('pg', () => tests(usePg()));
  describe('pglite', () => tests(usePglite()));
}

/** @param settings of the server, where it is one of the tests' own. */
export function usePg(settings: Readonly<Record<string, string>> = {}): () => PgDriver {
  const schema = `test_${randomBytes(6).toString('hex')}`;
  let cluster: PostgresCluster;
  let driver: PgDriver;
  beforeAll(async () => {
    cluster = await startPostgres(settings);
    const open = () => openPgDatabase({ url: cluster.url, schema, heartbeatMs: 200 });
    const database = open();
    const storage = await openSqlStorage(database);
    const other = await openSqlStorage(open());
    driver = { storage, other, database, schema, url: cluster.url, sql: sqlOf(database) };
  });
  beforeEach(() => empty(driver));
  afterAll(async () => {
    try {
      await driver?.sql(`DROP SCHEMA ${schema} CASCADE`);
      await driver?.storage.close();
      await driver?.other.close();
    } finally {
      await cluster?.stop();
    }
  });
  return () => driver;
}

function usePglite(): () => Driver {
  let driver: Driver;
  beforeAll(async () => {
    const database = await openPgliteDatabase({ schema: 'test' });
    const storage = await openSqlStorage(database);
    driver = { storage, other: storage, database, schema: 'test', sql: sqlOf(database) };
  });
  beforeEach(() => empty(driver));
  afterAll(() => driver?.storage.close());
  return () => driver;
}

function sqlOf(database: Database): Driver['sql'] {
  return (text, parameters = []) => database.query('read', text, parameters);
}

async function empty({ sql }: Driver): Promise<void> {
  // TRUNCATE would make and flush new files.
  for (const table of ['kv', 'kv_old', 'queue', 'outcome']) await sql(`DELETE FROM ${table}`);
  await sql(
    `UPDATE lease SET epoch = 0, leader = NULL, durable_version = 0, readable_version = 0, outcome_version = 0,
       protocol_version = 1, expires_at = '-infinity'`,
  );
}
