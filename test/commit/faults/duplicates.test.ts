/**
 * A request is applied at most once, however often it is sent: within a statement, a batch, across batches and terms,
 * after its answer was lost, and not at all after it was withdrawn. Counters tell: each request adds one.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type PostgresCluster, startPostgres } from '../../../bench/postgres-cluster.ts';
import type { CommitStorage, QueuedRequest } from '../../../src/commit/commit-storage.ts';
import { CommitStore } from '../../../src/commit/commit-store.ts';
import { COMMIT_TIMINGS } from '../../../src/commit/commit-timings.ts';
import { openPgDatabase } from '../../../src/commit/storage/pg-database.ts';
import { openSqlStorage } from '../../../src/commit/storage/sql-storage.ts';
import { counterOperand } from './key-text.ts';
import { QueueInjector } from './queue-injector.ts';
import { rawRequest, singleKey } from './raw-request.ts';
import { decorate, lostAnswer } from './storage-decorators.ts';

/** A leader that ends is followed at once. */
const TIMINGS = { ...COMMIT_TIMINGS, electionRetryMs: 20, retryDelayMsMax: 50 };
const ENDED = new Set(['committed', 'withdrawn']);

let postgres: PostgresCluster;
const schemas: string[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(async () => {
  const admin = new pg.Client({ connectionString: postgres?.url });
  try {
    await admin.connect();
    for (const schema of schemas) await admin.query(`DROP SCHEMA ${schema} CASCADE`);
  } finally {
    await admin.end();
    await postgres?.stop();
  }
});

/** A schema of its own with the nodes that `change` makes of plain storages, and a storage beside them. */
async function open(...changes: ((storage: CommitStorage) => CommitStorage)[]) {
  const schema = `duplicates_${randomBytes(6).toString('hex')}`;
  schemas.push(schema);
  const openStorage = () => openSqlStorage(openPgDatabase({ url: postgres.url, schema }));
  const storage = await openStorage();
  const stores: CommitStore[] = [];
  onTestFinished(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await storage.close();
  });
  const addNode = async (change: (storage: CommitStorage) => CommitStorage) => {
    const store = await new CommitStore({ storage: change(await openStorage()), timings: TIMINGS }).start();
    stores.push(store);
    return store;
  };
  for (const change of changes) await addNode(change);
  return { storage, stores, addNode, injector: new QueueInjector(storage) };
}

const plain = (storage: CommitStorage) => storage;

function addOne(counter: string): Uint8Array {
  const key = Buffer.from(counter);
  return rawRequest({ writeRanges: [singleKey(key)], operations: [['ADD', key, counterOperand(1)]] });
}

async function counterOf(storage: CommitStorage, counter: string): Promise<number> {
  const { values } = await storage.get([Buffer.from(counter)], undefined);
  return values[0] === undefined ? 0 : Number(Buffer.from(values[0]).readBigUInt64LE());
}

test('a request that is sent again and again, before and after it was decided, is applied once', async () => {
  const { storage, injector } = await open(plain);
  const requests = Array.from({ length: 50 }, () => ({ id: injector.newId(), payload: addOne('again') }));
  await Promise.all(Array.from({ length: 5 }, () => injector.send([...requests, ...requests])));
  const ids = requests.map(({ id }) => id);
  const first = await injector.wait(ids);
  await injector.send(requests);
  await injector.run([addOne('fence')]);
  expect(await injector.wait(ids)).toEqual(first);
  expect(new Set(first.map(({ version }) => version)).size).toBe(50);
  expect(await counterOf(storage, 'again')).toBe(50);
});

test('a request that a claim gives twice, and again in the next batch, is applied once', async () => {
  let claims = 0;
  let repeated = 0;
  let before: readonly QueuedRequest[] = [];
  const { storage, stores, injector } = await open((inner) =>
    decorate(inner, {
      async claim(limits) {
        const claim = await inner.claim(limits);
        const requests = [...claim.requests];
        // Of those decided meanwhile, as a claim that was on its way for long would give them.
        if (claims++ % 3 === 0 && requests.length > 0) requests.unshift(...before);
        repeated += requests.length - claim.requests.length;
        before = claim.requests;
        return { ...claim, requests: [...requests, ...requests] };
      },
    }),
  );
  const outcomes = [];
  for (let round = 0; round < 40; round++) {
    outcomes.push(...(await injector.run(Array.from({ length: 5 }, () => addOne('twice')))));
  }
  expect(repeated).toBeGreaterThan(10);
  expect(outcomes.map(({ verdict }) => verdict)).toEqual(outcomes.map(() => 'committed'));
  expect(new Set(outcomes.map(({ version }) => version)).size).toBe(200);
  expect(await counterOf(storage, 'twice')).toBe(200);
  expect(stores[0].stats()).toMatchObject({ terms: 1, failedTerms: 0 });
});

test('statements and answers that are lost make no commit twice and leave none unknown', async () => {
  let lost = 0;
  const losing = (inner: CommitStorage) => {
    /** What was done is done; who asked is told that the connection is gone. */
    const sometimes = async <Result>(result: Promise<Result>): Promise<Result> => {
      const value = await result;
      if (Math.random() > 0.15) return value;
      lost++;
      throw lostAnswer();
    };
    return decorate(inner, {
      enqueue: (requests, ring) => {
        // Lost on the way there, or on the way back.
        if (Math.random() < 0.1) throw lostAnswer();
        return sometimes(inner.enqueue(requests, ring));
      },
      apply: (batch) => sometimes(inner.apply(batch)),
      withdraw: (requests) => sometimes(inner.withdraw(requests)),
      outcomes: (ids) => sometimes(inner.outcomes(ids)),
    });
  };
  const { storage, stores } = await open(losing, losing, losing);
  let committed = 0;
  const client = async (store: CommitStore) => {
    for (let at = 0; at < 30; at++) {
      // Some give up early, so that they withdraw what may be committed just then.
      const isHasty = at % 3 === 0;
      const options = { timeoutMs: isHasty ? 5 + Math.random() * 60 : 20_000 };
      try {
        await store.transact((tx) => tx.atomic('ADD', Buffer.from('lossy'), counterOperand(1)), options);
        committed++;
      } catch (error) {
        if (!isHasty) throw error;
        expect(error).toMatchObject({ code: 'TRANSACTION_TIMED_OUT' });
      }
    }
  };
  await Promise.all(stores.flatMap((store) => [client(store), client(store), client(store)]));
  expect(lost).toBeGreaterThan(8);
  expect(stores.reduce((terms, store) => terms + store.stats().terms, 0)).toBeGreaterThan(2);
  expect(await counterOf(storage, 'lossy')).toBe(committed);
});

test('a request that is sent to one leader after the other is applied once', async () => {
  const { storage, stores, addNode, injector } = await open(plain, plain);
  const ids: Uint8Array[] = [];
  const payload = addOne('terms');
  for (let term = 0; term < 6; term++) {
    for (let round = 0; round < 5; round++) {
      for (let at = 0; at < 4; at++) ids.push(injector.newId());
      await injector.send(ids.map((id) => ({ id, payload })));
      await sleep(Math.random() * 5);
    }
    const leader = stores.find((store) => store.stats().role === 'leader');
    await Promise.all([leader?.close(), addNode(plain)]);
  }
  await injector.wait(ids);
  await injector.send(ids.map((id) => ({ id, payload })));
  await injector.run([addOne('fence')]);
  expect(stores.filter((store) => store.stats().terms > 0).length).toBeGreaterThan(3);
  expect(await counterOf(storage, 'terms')).toBe(ids.length);
});

test('a request that was withdrawn is never applied, and one that was applied cannot be withdrawn', async () => {
  const { storage, injector } = await open(plain);
  const payload = addOne('withdrawn');

  const early = injector.newId();
  expect(await storage.withdraw([{ id: early, bornVersion: 0 }])).toMatchObject([{ verdict: 'withdrawn' }]);
  await injector.send([{ id: early, payload }]);
  await injector.run([addOne('fence')]);
  expect(await injector.wait([early])).toMatchObject([{ verdict: 'withdrawn' }]);
  expect(await counterOf(storage, 'withdrawn')).toBe(0);

  const ends: string[] = [];
  for (let round = 0; round < 150; round++) {
    const id = injector.newId();
    await injector.send([{ id, payload }]);
    await sleep(Math.random() * 4);
    const [outcome] = await storage.withdraw([{ id, bornVersion: 0 }]);
    // A late copy.
    await injector.send([{ id, payload }]);
    ends.push(outcome!.verdict);
    expect(await injector.wait([id])).toEqual([outcome]);
  }
  await injector.run([addOne('fence')]);
  expect(new Set(ends)).toEqual(ENDED);
  expect(await counterOf(storage, 'withdrawn')).toBe(ends.filter((end) => end === 'committed').length);
});
