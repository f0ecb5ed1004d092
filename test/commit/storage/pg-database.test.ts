/** What only a server can do: lose sessions, make statements wait, plan badly, fall behind with its disk. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { CommitStorage } from '../../../src/commit/commit-storage.ts';
import { encodeByteaArray } from '../../../src/commit/storage/bytea-array.ts';
import type { Database, SessionRole } from '../../../src/commit/storage/database.ts';
import { openPgDatabase } from '../../../src/commit/storage/pg-database.ts';
import { openSqlStorage } from '../../../src/commit/storage/sql-storage.ts';
import { batchOf, bytes, idOf, LEASE_MS, outcome, pairs, requestOf } from './batches.ts';
import { usePg } from './drivers.ts';

const ROLES: readonly SessionRole[] = ['read', 'enqueue', 'leader', 'lease'];
const BACKEND = 'SELECT pg_backend_pid() AS pid';

// What is asynchronous stays unflushed for as long as possible, scans by index look dear, and the defaults of sessions are
// those of somebody else's program.
const driver = usePg({
  wal_writer_delay: '10s',
  random_page_cost: '40',
  autovacuum: 'off',
  default_transaction_isolation: 'serializable',
  default_transaction_read_only: 'on',
  synchronous_commit: 'off',
  bytea_output: 'escape',
  statement_timeout: '50',
});

const opened: Database[] = [];
afterEach(async () => {
  for (const database of opened.splice(0)) await database.close();
});

function open(options: Partial<Parameters<typeof openPgDatabase>[0]> = {}): Database {
  const database = openPgDatabase({ url: driver().url, schema: driver().schema, ...options });
  opened.push(database);
  return database;
}

async function backendOf(database: Database, role: SessionRole): Promise<number> {
  return (await database.query(role, BACKEND, []))[0].pid as number;
}

describe('sessions', () => {
  test('one session for each role but reads, kept from statement to statement', async () => {
    const database = open({ readSessionsMax: 2 });
    const backends = new Set<number>();
    for (const role of ROLES.slice(1)) {
      const parallel = await Promise.all([1, 2, 3].map(() => backendOf(database, role)));
      expect(new Set(parallel).size).toBe(1);
      backends.add(parallel[0]);
    }
    const sleeping = [1, 2, 3, 4].map(async () => {
      const [row] = await database.query('read', 'SELECT pg_backend_pid() AS pid, pg_sleep(0.05)', []);
      backends.add(row.pid as number);
    });
    await Promise.all(sleeping);
    expect(backends.size).toBe(5);
  });

  test.each(ROLES)('a lost %s session is replaced on next use', async (role) => {
    const database = open({ readSessionsMax: 1 });
    const backend = await backendOf(database, role);
    await terminate(backend);
    await expect.poll(() => backendOf(database, role).catch(() => backend)).not.toBe(backend);
  });

  test('a statement whose session ends meanwhile may have taken effect', async () => {
    const database = open();
    const backend = await backendOf(database, 'leader');
    const lost = expect(database.query('leader', 'SELECT pg_sleep(60)', [])).rejects.toMatchObject({
      code: 'DATABASE_UNREACHABLE',
      retryable: true,
      details: { wasSent: true },
    });
    await untilActive(backend);
    await terminate(backend);
    await lost;
    expect(await backendOf(database, 'leader')).not.toBe(backend);
  });

  test('so may a statement whose connection breaks, or that nobody answers', async () => {
    const proxy = await startProxy(driver().url);
    const database = open({ url: proxy.url });
    const mayHaveTakenEffect = { code: 'DATABASE_UNREACHABLE', details: { wasSent: true } };
    await backendOf(database, 'leader');
    const backend = await backendOf(database, 'enqueue');
    const broken = expect(database.query('enqueue', 'SELECT pg_sleep(1)', [])).rejects.toMatchObject(
      mayHaveTakenEffect,
    );
    await untilActive(backend);
    proxy.freeze();
    await expect(database.query('leader', 'SELECT 1', [])).rejects.toMatchObject(mayHaveTakenEffect);
    await proxy.stop();
    await broken;
    await expect(database.query('leader', 'SELECT 1', [])).rejects.toMatchObject({
      details: { wasSent: false },
    });
  });

  test('a server that cannot be reached has not been asked', async () => {
    const database = open({ url: 'postgres://nobody@127.0.0.1:1/none' });
    const unreachable = { code: 'DATABASE_UNREACHABLE', details: { wasSent: false } };
    for (const role of ROLES)
      await expect(database.query(role, BACKEND, [])).rejects.toMatchObject(unreachable);
    await expect(database.listen('c', ignore, ignore)).rejects.toMatchObject(unreachable);
    await expect(openSqlStorage(database)).rejects.toMatchObject(unreachable);
  });

  test('reads wait for a session only so long, and other roles do not wait for them', async () => {
    const database = open({ readSessionsMax: 1, acquireTimeoutMs: 100 });
    const backend = await backendOf(database, 'read');
    const slow = database.query('read', 'SELECT pg_sleep(60)', []).catch((error: unknown) => error);
    await untilActive(backend);
    await expect(database.query('read', BACKEND, [])).rejects.toMatchObject({
      code: 'DATABASE_UNREACHABLE',
      details: { wasSent: false },
    });
    for (const role of ROLES.slice(1)) expect(await backendOf(database, role)).toBeGreaterThan(0);
    await terminate(backend);
    expect(await slow).toMatchObject({ code: 'DATABASE_UNREACHABLE' });
  });

  test('statements of the leader end on the server, below the lease', async () => {
    const database = open();
    const backend = await backendOf(database, 'leader');
    await expect(database.query('leader', 'SELECT pg_sleep(60)', [])).rejects.toMatchObject({
      code: 'STATEMENT_FAILED',
      details: { sqlstate: '57014' },
    });
    expect(await backendOf(database, 'leader')).toBe(backend);
    const settings = async (role: SessionRole) =>
      (
        await database.query(
          role,
          `SELECT current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,
             current_setting('idle_in_transaction_session_timeout') AS idle`,
          [],
        )
      )[0];
    expect(await settings('leader')).toEqual({ statement: '2s', lock: '1s', idle: '2s' });
    expect(await settings('lease')).toEqual({ statement: '2s', lock: '1s', idle: '2s' });
  });

  test('nobody waits for the lock of a frozen leader', async () => {
    const { storage, sql } = driver();
    const lease = (await storage.acquireLease('a', LEASE_MS))!;
    await sql(`UPDATE lease SET expires_at = '-infinity'`);
    const frozen = open();
    await frozen.migrate(async (session) => {
      await session.query('SELECT * FROM lease FOR UPDATE', []);
      expect(await storage.acquireLease('b', LEASE_MS)).toBeUndefined();
      const passing = { code: 'DATABASE_UNREACHABLE', details: { sqlstate: '55P03' } };
      await expect(storage.renewLease(lease.epoch, LEASE_MS)).rejects.toMatchObject(passing);
      await expect(storage.apply(batchOf(lease))).rejects.toMatchObject(passing);
    });
    expect(await storage.acquireLease('b', LEASE_MS)).toEqual({ epoch: lease.epoch + 1, durableVersion: 0 });
  });

  test('applying and withdrawing record outcomes in the order of ids, so that they cannot wait in a circle', async () => {
    const { storage, other, database } = driver();
    const lease = (await storage.acquireLease('a', LEASE_MS))!;
    const [three, two] = [idOf(3), idOf(2)];
    const outcomes = [outcome(3, 'committed', 1), outcome(2, 'committed', 1)];
    const recording: (() => Promise<unknown>)[] = [
      () => storage.apply(batchOf(lease, { outcomes })),
      () => other.withdraw([three, two].map((id) => ({ id, bornVersion: 0 }))),
    ];
    const insert = `INSERT INTO outcome (id, version, verdict) VALUES ($1, 0, 'withdrawn')`;
    for (const record of recording) {
      let recorded: Promise<unknown> | undefined;
      const blocking = open().migrate(async (session) => {
        await session.query(insert, [two]);
        recorded = record();
        const blocked = `SELECT 1 AS one FROM pg_stat_activity WHERE wait_event IN ('transactionid', 'spectoken')`;
        await expect
          .poll(async () => (await database.query('read', blocked, [])).length, { interval: 5 })
          .toBe(1);
        // It has not come to the third yet, so this does not wait.
        await session.query(insert, [three]);
        throw new Error('taken back');
      });
      await expect(blocking).rejects.toThrow('taken back');
      await recorded;
      const verdict = record === recording[0] ? 'committed' : 'withdrawn';
      expect(await storage.outcomes([two, three])).toMatchObject([{ verdict }, { verdict }]);
      await driver().sql('DELETE FROM outcome');
    }
  });

  test('closing twice is closing once, and what comes after is refused', async () => {
    const storage = await openSqlStorage(open());
    const end = await storage.listen({ kind: 'doorbell' }, ignore, ignore);
    await Promise.all([storage.close(), storage.close()]);
    await end();
    await expect(storage.now()).rejects.toMatchObject({ code: 'STORE_CLOSED' });
    await expect(storage.listen({ kind: 'doorbell' }, ignore, ignore)).rejects.toMatchObject({
      code: 'STORE_CLOSED',
    });
  });
});

describe('listening', () => {
  const channel = { kind: 'watermark' } as const;

  function record(): { heard: string[]; onPayload: (payload: string) => void; onGap: () => void } {
    const heard: string[] = [];
    return { heard, onPayload: (payload) => void heard.push(payload), onGap: () => void heard.push('gap') };
  }

  async function listener(): Promise<number> {
    const find = () =>
      driver().sql(
        `SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %' OR query LIKE '%pg_notify($1, $2)'`,
      );
    await expect.poll(async () => (await find()).length).toBe(1);
    return (await find())[0].pid as number;
  }

  test('a lost connection is replaced, then the gap is reported, then notifications arrive again', async () => {
    const { storage, other } = driver();
    const first = record();
    const second = record();
    const ends = [
      await storage.listen(channel, first.onPayload, first.onGap),
      await storage.listen({ kind: 'doorbell' }, second.onPayload, second.onGap),
    ];
    for (const round of ['1', '2']) {
      await terminate(await listener());
      await expect.poll(() => first.heard.at(-1)).toBe('gap');
      await expect.poll(() => second.heard.at(-1)).toBe('gap');
      // Whatever is sent after the gap was reported arrives.
      await other.notify([
        { channel, payload: round },
        { channel: { kind: 'doorbell' }, payload: round },
      ]);
      await expect.poll(() => first.heard.at(-1)).toBe(round);
      await expect.poll(() => second.heard.at(-1)).toBe(round);
    }
    expect(first.heard).toEqual(['gap', '1', 'gap', '2']);
    for (const end of ends) await end();
  });

  test('a connection that is silent although it is open is replaced', async () => {
    const { storage } = driver();
    const proxy = await startProxy(driver().url);
    const through = await openSqlStorage(open({ url: proxy.url, heartbeatMs: 100 }));
    const { heard, onPayload, onGap } = record();
    const end = await through.listen(channel, onPayload, onGap);
    proxy.freeze();
    await expect.poll(() => heard).toEqual(['gap']);
    await storage.notify([{ channel, payload: '7' }]);
    await expect.poll(() => heard).toEqual(['gap', '7']);
    await end();
    await through.close();
    await proxy.stop();
  });

  test('heartbeats go on for ever without a gap', async () => {
    const { storage, other } = driver();
    const { heard, onPayload, onGap } = record();
    const end = await storage.listen(channel, onPayload, onGap);
    // Several periods.
    await sleep(1_000);
    await other.notify([{ channel, payload: '7' }]);
    await expect.poll(() => heard).toEqual(['7']);
    await end();
  });
});

describe('the disk', () => {
  /**
   * Whether everything that was written has reached the disk, each time after `act`. The server writes a little by itself
   * now and then, and flushes now and then, so one of several times counts.
   */
  async function flushed(act: (round: number) => Promise<unknown>): Promise<readonly boolean[]> {
    const results: boolean[] = [];
    for (let round = 0; round < 5; round++) {
      await act(round);
      const [row] = await driver().sql(
        'SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn() AS flushed',
      );
      results.push(row.flushed as boolean);
    }
    return results;
  }

  test('an answer that is a promise has waited for the disk', async () => {
    const { storage } = driver();
    let lease = (await storage.acquireLease('a', LEASE_MS))!;
    const acquire = async () => (lease = (await storage.acquireLease('a', LEASE_MS))!);
    expect(await flushed(acquire)).toContain(true);
    const apply = (round: number) => {
      const outcomes = [outcome(round, 'committed', round + 1)];
      const batch = { upserts: pairs({ a: '1' }), outcomes };
      return storage.apply(batchOf({ ...lease, durableVersion: round }, batch));
    };
    expect(await flushed(apply)).toContain(true);
    const withdraw = (round: number) => storage.withdraw([{ id: idOf(100 + round), bornVersion: 0 }]);
    expect(await flushed(withdraw)).toContain(true);
  });

  test('enqueuing and notifying have not', async () => {
    const { storage } = driver();
    const enqueue = (round: number) => storage.enqueue([requestOf(round)], true);
    expect(await flushed(enqueue)).toContain(false);
  });
});

describe('plans', () => {
  test('no statement walks over a table, with stale statistics and dear random reads', async () => {
    const { storage, sql } = driver();
    const lease = (await storage.acquireLease('a', LEASE_MS))!;
    await sql(`INSERT INTO kv SELECT int8send(i), 'value', 1 FROM generate_series(1, 20000) AS i`);
    await sql(`INSERT INTO kv_old SELECT int8send(i), 0, 1, 'old' FROM generate_series(1, 20000) AS i`);
    await sql(`INSERT INTO outcome SELECT int8send(i), 1, 'conflict' FROM generate_series(1, 20000) AS i`);
    await sql(
      `INSERT INTO queue (id, node, enqueued_at, payload) SELECT int8send(i), 'node', now(), 'x' FROM generate_series(20001, 30000) AS i`,
    );
    const before = await scans();
    await sql('UPDATE lease SET durable_version = 1');
    await everyStatement(storage, { epoch: lease.epoch, durableVersion: 1 });
    const after = await scans();
    for (const { table, seq, index } of after) {
      const was = before.find((row) => row.table === table)!;
      expect({ table, seq: (seq as number) - (was.seq as number) }).toEqual({ table, seq: 0 });
      // The counters do count.
      expect(index).toBeGreaterThan(was.index as number);
    }
  });

  const scans = async () => {
    // Sessions report what they did when they end a transaction, but not more than once a second.
    await sleep(1_100);
    await touchEverySession();
    return await driver().sql(
      `SELECT relname AS table, seq_scan AS seq, idx_scan AS index FROM pg_stat_user_tables
       WHERE schemaname = $1 AND relname IN ('kv', 'kv_old', 'outcome', 'queue') ORDER BY relname`,
      [driver().schema],
    );
  };

  async function touchEverySession(): Promise<void> {
    const { database } = driver();
    const reads = Array.from({ length: 8 }, () => database.query('read', 'SELECT pg_sleep(0.01)', []));
    await Promise.all([...reads, ...ROLES.map((role) => database.query(role, 'SELECT 1', []))]);
    for (const role of ROLES) await database.query(role, 'SELECT 1', []);
  }

  async function everyStatement(storage: CommitStorage, lease: { epoch: number; durableVersion: number }) {
    const keys = Array.from({ length: 300 }, (_, i) => int8(i * 50));
    const range = { begin: int8(100), end: int8(200) };
    const page = { limit: 50, bytesMax: 10_000, reverse: false };
    await storage.claim({ countMax: 100, bytesMax: 1e6 });
    await storage.readBase(keys);
    const result = await storage.apply(
      batchOf(lease, {
        clearedRanges: Array.from({ length: 50 }, (_, i) => ({
          begin: int8(9000 + i * 9),
          end: int8(9004 + i * 9),
        })),
        deletes: keys.slice(0, 100),
        upserts: keys.slice(100).map((key) => ({ key, value: bytes('new') })),
        outcomes: Array.from({ length: 200 }, (_, i) => outcome(i, 'committed', 2)),
      }),
    );
    expect(result).toBe('applied');
    for (const asOf of [undefined, 1]) {
      await storage.get(keys, asOf);
      for (const reverse of [false, true]) await storage.getRange(range, { ...page, reverse }, asOf);
    }
    await storage.enqueue([requestOf(1000), requestOf(1001)], false);
    await storage.outcomes(keys);
    await storage.withdraw([{ id: idOf(1001), bornVersion: 0 }]);
    await storage.prune(lease.epoch, { readableVersion: 1, outcomeVersion: 1 });
    await storage.tail(0, 10);
  }
});

describe('migrations', () => {
  test('many that open a new schema at once make it once', async () => {
    const schema = `${driver().schema}_new`;
    const storages = await Promise.all([1, 2, 3, 4].map(() => openSqlStorage(open({ schema }))));
    const leases = await Promise.all(storages.map((storage, i) => storage.acquireLease(`${i}`, LEASE_MS)));
    expect(leases.filter((lease) => lease !== undefined)).toEqual([{ epoch: 1, durableVersion: 0 }]);
    expect(await driver().sql(`SELECT number, file FROM ${schema}.migration`)).toEqual([
      { number: 1, file: '0001-commit-tables.sql' },
    ]);
    // Schemas do not hear each other.
    const heard: string[] = [];
    const end = await storages[0].listen(
      { kind: 'watermark' },
      (payload) => void heard.push(payload),
      ignore,
    );
    await driver().storage.notify([{ channel: { kind: 'watermark' }, payload: 'of another schema' }]);
    await storages[1].notify([{ channel: { kind: 'watermark' }, payload: 'of this one' }]);
    await expect.poll(() => heard).toEqual(['of this one']);
    await end();
    await driver().sql(`DROP SCHEMA ${schema} CASCADE`);
  });

  test('a schema that a newer program has migrated is left alone', async () => {
    const { sql } = driver();
    await sql(`INSERT INTO migration (number, file) VALUES (2, '0002-newer.sql')`);
    try {
      await expect(openSqlStorage(open())).rejects.toMatchObject({ code: 'SCHEMA_TOO_NEW' });
    } finally {
      await sql('DELETE FROM migration WHERE number = 2');
    }
  });

  test.each(['Upper', 'a b', 'x"; DROP', '', '1a', 'pg_x', 'x'.repeat(64)])('%j is no schema', (schema) => {
    expect(() => open({ schema })).toThrow(expect.objectContaining({ code: 'SCHEMA_INVALID' }));
  });
});

test('arrays of bytes arrive as they were sent', async () => {
  const everyByte = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (const elements of [[], [null], [bytes('')], [everyByte, null, bytes('a'), bytes(''), null]]) {
    const rows = await driver().sql(
      'SELECT value FROM unnest($1::bytea[]) WITH ORDINALITY AS e (value, position) ORDER BY position',
      [encodeByteaArray(elements)],
    );
    expect(rows.map(({ value }) => value)).toEqual(elements);
  }
});

async function terminate(backend: number): Promise<void> {
  expect(await driver().sql('SELECT pg_terminate_backend($1::int4, 5000) AS done', [backend])).toEqual([
    { done: true },
  ]);
}

/** Stands between the client and the server; what goes through a frozen connection never arrives. */
async function startProxy(url: string): Promise<{ url: string; freeze(): void; stop(): Promise<void> }> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ]) {
      sockets.add(from);
      from.pipe(to);
      from.on('error', ignore);
      from.on('close', () => to.destroy());
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = new URL(url);
  own.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: own.href,
    freeze() {
      for (const socket of sockets) socket.unpipe().pause();
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function untilActive(backend: number): Promise<void> {
  const find = () =>
    driver().sql(`SELECT 1 AS one FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'`, [
      backend,
    ]);
  await expect.poll(async () => (await find()).length).toBe(1);
}

function int8(value: number): Uint8Array {
  const buffer = Buffer.alloc(8);
  buffer.writeBigInt64BE(BigInt(value));
  return new Uint8Array(buffer);
}

function ignore(): void {}
