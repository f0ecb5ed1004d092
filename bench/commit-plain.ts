/**
 * The plain way to the same end: a table, SERIALIZABLE transactions, and a loop that tries again after a serialization
 * failure: after the delays of the commit store, which let few clients contend and so give the most commits per second, or
 * at once. Whatever fits one statement is one statement, sent without BEGIN.
 */
import pg from 'pg';
import { COMMIT_TIMINGS, retryDelayMs } from '../src/commit/commit-timings.ts';
import { blindValue, keyOf, type WorkloadName } from './commit-workloads.ts';

/**
 * Serialization failure, and what the same conflicts can end in: a deadlock, or more of them than the server has memory
 * to keep in mind.
 */
const RETRIED = new Set(['40001', '40P01', '53200']);

const CREATE =
  'CREATE TABLE IF NOT EXISTS plain (key bytea PRIMARY KEY, value bytea, count int8 NOT NULL DEFAULT 0)';
const BLIND =
  'INSERT INTO plain (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value';
const ADD = 'UPDATE plain SET count = count + 1 WHERE key = $1';
const READ = 'SELECT count FROM plain WHERE key = $1';
const WRITE =
  'INSERT INTO plain (key, count) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET count = excluded.count';
const TOTAL = 'SELECT sum(count)::int8 AS total FROM plain';

export class PlainClients {
  readonly #pool: pg.Pool;
  readonly #isPatient: boolean;

  private constructor(pool: pg.Pool, isPatient: boolean) {
    this.#pool = pool;
    this.#isPatient = isPatient;
  }

  /** `isPatient`: waits before it tries again. */
  static async open(url: string, schema: string, clients: number, isPatient: boolean): Promise<PlainClients> {
    const pool = new pg.Pool({
      connectionString: url,
      max: clients,
      options: `-c search_path=${schema} -c default_transaction_isolation=serializable`,
    });
    await pool.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
    await pool.query(CREATE);
    await pool.query("INSERT INTO plain (key) VALUES ('counter') ON CONFLICT DO NOTHING");
    return new PlainClients(pool, isPatient);
  }

  /** One transaction, as often as it takes. Returns the attempts. */
  async transact(workload: WorkloadName): Promise<number> {
    const key = keyOf(workload);
    const client = await this.#pool.connect();
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          await act(client, workload, key);
          return attempt;
        } catch (error) {
          if (!RETRIED.has((error as pg.DatabaseError).code ?? '')) throw error;
          if (workload.startsWith('modify')) await client.query('ROLLBACK');
          if (this.#isPatient) await delay(retryDelayMs(COMMIT_TIMINGS, attempt, Math.random));
        }
      }
    } finally {
      client.release();
    }
  }

  async total(): Promise<number> {
    const { rows } = await this.#pool.query<{ total: string }>(TOTAL);
    return Number(rows[0].total);
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}

async function act(client: pg.PoolClient, workload: WorkloadName, key: Buffer): Promise<void> {
  if (workload === 'blind') await client.query(BLIND, [key, blindValue()]);
  else if (workload === 'add') await client.query(ADD, [key]);
  else {
    await client.query('BEGIN');
    const { rows } = await client.query<{ count: string }>(READ, [key]);
    await client.query(WRITE, [key, BigInt(rows[0]?.count ?? 0) + 1n]);
    await client.query('COMMIT');
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
