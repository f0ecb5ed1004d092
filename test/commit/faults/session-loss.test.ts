/**
 * Sessions end at any moment, also in the moment between an answer and the next statement: statements fail with an error
 * that says so, and later ones are answered again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type PostgresCluster, startPostgres } from '../../../bench/postgres-cluster.ts';
import { CommitError } from '../../../src/commit/commit-error.ts';
import { openPgDatabase } from '../../../src/commit/storage/pg-database.ts';

const ROUNDS = 150;
const NAME = 'bitloom session loss';

let postgres: PostgresCluster;

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(() => postgres?.stop());

test('a session that ends between two statements is replaced', async () => {
  const url = new URL(postgres.url);
  url.searchParams.set('application_name', NAME);
  const database = openPgDatabase({ url: url.href, schema: 'public' });
  const admin = new pg.Client({ connectionString: postgres.url });
  await admin.connect();
  onTestFinished(async () => {
    await database.close();
    await admin.end();
  });
  let isDone = false;
  let answers = 0;
  const codes = new Set<string>();
  const reader = async () => {
    while (!isDone) {
      try {
        await database.query('read', 'SELECT 1 AS one', []);
        answers++;
      } catch (error) {
        if (!(error instanceof CommitError)) throw error;
        codes.add(error.code);
      }
    }
  };
  const readers = Array.from({ length: 8 }, reader);
  let terminated = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const { rowCount } = await admin.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1',
      [NAME],
    );
    terminated += rowCount ?? 0;
    await sleep(5);
  }
  isDone = true;
  await Promise.all(readers);
  expect(terminated).toBeGreaterThan(ROUNDS);
  expect(Array.from(codes)).toEqual(['DATABASE_UNREACHABLE']);
  expect(answers).toBeGreaterThan(ROUNDS);
  expect(await database.query('read', 'SELECT 1 AS one', [])).toEqual([{ one: 1 }]);
});
