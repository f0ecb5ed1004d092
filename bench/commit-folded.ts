/**
 * The enqueue of UniversalDB's Postgres driver (rivet-dev/rivet #5342) in place of ours: every commit by itself, INSERT
 * and NOTIFY in one transaction that is flushed to disk. Postgres holds a lock of the whole database from the NOTIFY to
 * the end of the flush, so the enqueues of all nodes go one after the other. The rest of the protocol stays ours.
 */
import pg from 'pg';
import type { CommitStorage, QueuedRequest } from '../src/commit/commit-storage.ts';

const ENQUEUE = `
WITH logged AS (INSERT INTO folded_requests (id, payload) VALUES ($1, $3)),
queued AS (INSERT INTO queue (id, node, enqueued_at, payload) VALUES ($1, $2, clock_timestamp(), $3))
SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS time_ms, pg_notify('folded_doorbell', '')`;

/** Sessions that enqueue at a time, as many as the reference's pool has. */
const SESSIONS_MAX = 64;

/** `storage` with that enqueue. Closing it closes both. */
export async function withFoldedEnqueue(
  storage: CommitStorage,
  url: string,
  schema: string,
): Promise<CommitStorage> {
  const options = { connectionString: url, options: `-c search_path=${schema} -c synchronous_commit=on` };
  const pool = new pg.Pool({ ...options, max: SESSIONS_MAX });
  await pool.query(
    'CREATE TABLE IF NOT EXISTS folded_requests (id bytea PRIMARY KEY, payload bytea NOT NULL)',
  );
  let { databaseTimeMs } = await storage.now();

  async function enqueueOne({ id, node, payload }: QueuedRequest): Promise<void> {
    const { rows } = await pool.query<{ time_ms: number }>(ENQUEUE, [id, node, payload]);
    databaseTimeMs = Math.max(databaseTimeMs, rows[0].time_ms);
  }
  const replaced: Partial<CommitStorage> = {
    // Nothing waits for the group: each commit is on its way by itself.
    async enqueue(requests) {
      for (const request of requests) void enqueueOne(request);
      return { databaseTimeMs };
    },
    async listen(channel, onPayload, onGap) {
      const unlisten = await storage.listen(channel, onPayload, onGap);
      if (channel.kind !== 'doorbell') return unlisten;
      const client = new pg.Client(options);
      await client.connect();
      client.on('notification', ({ payload }) => onPayload(payload ?? ''));
      await client.query('LISTEN folded_doorbell');
      return async () => {
        await client.end();
        await unlisten();
      };
    },
    async close() {
      await pool.end();
      await storage.close();
    },
  };
  return new Proxy(storage, {
    get(target, property) {
      const method: unknown = Reflect.get(replaced, property) ?? Reflect.get(target, property);
      return typeof method === 'function' ? method.bind(target) : method;
    },
  });
}
