/** What a batch does, and what of it can go wrong without anybody else noticing. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CommitError } from '../../src/commit/commit-error.ts';
import { CLAIM_COUNT_MAX } from '../../src/commit/commit-limits.ts';
import type { AppliedBatch, CommitStorage } from '../../src/commit/commit-storage.ts';
import { COMMIT_TIMINGS } from '../../src/commit/commit-timings.ts';
import { ConflictHistory } from '../../src/commit/conflict-history.ts';
import { resolveBatch } from '../../src/commit/resolve.ts';
import { bytes, Stage } from './simulation/stage.ts';

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.close());

interface Writes {
  set(key: Uint8Array, value: Uint8Array): void;
  atomic(atomic: 'ADD', key: Uint8Array, operand: Uint8Array): void;
}

function setOf(key: string) {
  return (transaction: Writes) => transaction.set(bytes(key), bytes('1'));
}

function refusal(sqlstate: string): CommitError {
  return new CommitError('STATEMENT_FAILED', `refused with ${sqlstate}`, { details: { sqlstate } });
}

test('a batch is three statements, whatever its size: claim, base, apply', async () => {
  const { store, statements } = await stage.addNode();
  for (const size of [1, 30, 300]) {
    statements.length = 0;
    await stage.until(
      Promise.all(
        Array.from({ length: size }, (_, i) =>
          store.transact((transaction) => {
            setOf(`k${i}`)(transaction);
            transaction.atomic('ADD', bytes(`n${size} ${i % 7}`), bytes('\x01'));
          }),
        ),
      ),
    );
    expect(statements.filter((name) => name === 'apply' || name === 'readBase')).toEqual([
      'readBase',
      'apply',
    ]);
  }
  expect(store.stats()).toMatchObject({ batches: 3, requests: { committed: 331 } });
  expect(store.stats().phases.apply.count).toBe(3);
});

test.each(['22021', '23514', '54000', '57014'])(
  'a request that the database refuses with %s is rejected alone, and the term goes on',
  async (sqlstate) => {
    let refusals = 0;
    const { store } = await stage.addNode((storage) => ({
      apply: async (batch) => {
        if (!batch.upserts.some(({ key }) => key[0] === 120)) return await storage.apply(batch);
        refusals++;
        throw refusal(sqlstate);
      },
    }));
    const results = await stage.until(
      Promise.allSettled(
        Array.from({ length: 40 }, (_, i) => store.transact(setOf(i === 23 ? 'x' : `k${i}`))),
      ),
    );
    const rejected = results.filter(({ status }) => status === 'rejected');
    expect(rejected).toMatchObject([
      { reason: { code: 'COMMIT_REJECTED', message: `refused with ${sqlstate}`, retryable: false } },
    ]);
    expect(results[23]).toBe(rejected[0]);
    expect(store.stats()).toMatchObject({ epoch: 1, requests: { committed: 39, rejected: 1 } });
    // A half each time; and a timeout is tried some times more before it is blamed on the request.
    expect(refusals).toBeLessThan(12);
    expect(refusals).toBeGreaterThan(sqlstate === '57014' ? 6 : 4);
  },
);

test('atomics see what was written before, whether or not it had to be read', async () => {
  const read: string[] = [];
  const { store } = await stage.addNode((storage) => ({
    readBase: (keys) => {
      read.push(...keys.map((key) => Buffer.from(key).toString()));
      return storage.readBase(keys);
    },
  }));
  const one = Uint8Array.of(1);
  const add = (key: string) => stage.until(store.transact((tx) => tx.atomic('ADD', bytes(key), one)));
  const currentOf = async (key: string) => {
    let value: Uint8Array | undefined;
    await stage.until(store.transact(async (tx) => (value = await tx.get(bytes(key)))));
    return value && [...value];
  };
  await add('k');
  await add('k');
  expect(read).toEqual(['k']);
  expect(await currentOf('k')).toEqual([2]);

  // Written by a batch in between, cleared by one, and cleared as part of a range.
  await stage.until(store.transact((tx) => tx.set(bytes('k'), Uint8Array.of(7))));
  await stage.until(store.transact((tx) => tx.set(bytes('other'), one)));
  await add('k');
  expect(await currentOf('k')).toEqual([8]);
  await stage.until(store.transact((tx) => tx.clear(bytes('k'))));
  await add('k');
  expect(await currentOf('k')).toEqual([1]);
  await stage.until(store.transact((tx) => tx.clearRange(bytes('a'), bytes('z'))));
  await add('k');
  expect(await currentOf('k')).toEqual([1]);
  expect(read).toEqual(['k', 'k', 'k']);
});

test('a request is not blamed for a lease that somebody holds up', async () => {
  let timeouts = 12;
  const isRejection = ({ upserts, outcomes }: AppliedBatch) => upserts.length === 0 && outcomes.length > 0;
  const { store } = await stage.addNode((storage) => ({
    apply: (batch) =>
      !isRejection(batch) && timeouts-- > 0 ? Promise.reject(refusal('55P03')) : storage.apply(batch),
  }));
  expect(await stage.until(store.transact(setOf('a')))).toMatchObject({ version: 1, attempts: 1 });
  expect(store.stats()).toMatchObject({ requests: { committed: 1, rejected: 0 } });
  expect(timeouts).toBeLessThan(0);
});

test('a request that took too long once is not blamed', async () => {
  let timeouts = 2;
  const { store } = await stage.addNode((storage) => ({
    apply: (batch) =>
      batch.upserts.length > 0 && timeouts-- > 0 ? Promise.reject(refusal('57014')) : storage.apply(batch),
  }));
  expect(await stage.until(store.transact(setOf('a')))).toMatchObject({ version: 1, attempts: 1 });
  expect(store.stats()).toMatchObject({ terms: 1 });
});

test('a request over which the leader itself stumbles is rejected alone', async () => {
  const tools = {
    resolve: (batch: Parameters<typeof resolveBatch>[0]) => {
      const result = resolveBatch(batch);
      if (result.resolved.some(({ decoded }) => decoded?.operations.length === 2)) throw new Error('a bug');
      return result;
    },
    createHistory: (floor: number) => new ConflictHistory(floor),
  };
  const { store } = await stage.addNode(undefined, { tools });
  const culprit = store.transact((transaction) => {
    setOf('a')(transaction);
    setOf('b')(transaction);
  });
  const others = Array.from({ length: 9 }, (_, i) => store.transact(setOf(`k${i}`)));
  await expect(stage.until(culprit)).rejects.toMatchObject({ code: 'COMMIT_REJECTED', message: 'a bug' });
  expect(await stage.until(Promise.all(others))).toHaveLength(9);
  expect(store.stats()).toMatchObject({ epoch: 1, terms: 1 });
});

test('a payload that is no request is rejected with what is wrong with it', async () => {
  const { process } = await stage.addNode();
  const id = new Uint8Array(16).fill(9);
  const storage = stage.network.storageOf(process);
  await stage.until(storage.enqueue([{ id, node: 'nobody', payload: new Uint8Array([99]) }], true));
  await stage.pass(100);
  const [outcome] = await stage.until(storage.outcomes([id]));
  expect(outcome).toMatchObject({ verdict: 'rejected', reason: expect.stringMatching(/^COMMIT_REJECTED: /) });
});

test.each([true, false])(
  'a batch whose answer is lost ends the term; it is committed once (took effect: %s)',
  async (tookEffect) => {
    let isLost = false;
    const losing = (storage: CommitStorage): Partial<CommitStorage> => ({
      apply: async (batch) => {
        if (isLost || batch.outcomes.length === 0) return await storage.apply(batch);
        isLost = true;
        if (tookEffect) await storage.apply(batch);
        throw new CommitError('DATABASE_UNREACHABLE', 'connection lost');
      },
    });
    const { store } = await stage.addNode(losing);
    const add = (transaction: Writes) => transaction.atomic('ADD', bytes('n'), bytes('\x01'));
    expect(await stage.until(store.transact(add))).toMatchObject({ version: 1, attempts: 1 });
    expect(stage.database.get([bytes('n')], undefined).values).toEqual([bytes('\x01')]);
    expect(store.stats()).toMatchObject({ terms: 2, failedTerms: 1, epoch: 2 });
  },
);

test('a term that keeps failing is not begun again at once, and the lease is free meanwhile', async () => {
  const { store, statements } = await stage.addNode(() => ({
    claim: () => Promise.reject(new CommitError('DATABASE_UNREACHABLE', 'connection lost')),
  }));
  statements.length = 0;
  await stage.pass(10_000);
  const terms = statements.filter((name) => name === 'acquireLease').length;
  expect(terms).toBeGreaterThan(5);
  expect(terms).toBeLessThan(40);
  expect(stage.database.expiresAtMs).toBe(0);
  expect(store.stats().role).toBe('follower');
});

test('a queue longer than a batch is emptied without waiting for a bell', async () => {
  const { store, process } = await stage.addNode();
  const requests = Array.from({ length: 5 * CLAIM_COUNT_MAX }, (_, i) => {
    const id = new Uint8Array(16);
    new DataView(id.buffer).setUint32(0, i);
    return { id, node: 'nobody', payload: new Uint8Array([99]) };
  });
  await stage.until(stage.network.storageOf(process).enqueue(requests, true));
  await stage.pass(COMMIT_TIMINGS.doorbellPollMs);
  expect(stage.database.queue.size).toBe(0);
  expect(store.stats()).toMatchObject({ batches: 5, requests: { rejected: 5 * CLAIM_COUNT_MAX } });
});

test('a failed batch leaves nothing in the history', async () => {
  let failures = 1;
  const { store } = await stage.addNode((storage) => ({
    // Once as if somebody had withdrawn a request of the batch.
    apply: (batch) => (failures-- > 0 ? Promise.resolve('decided' as const) : storage.apply(batch)),
  }));
  const startedAtMs = stage.world.nowMs;
  const result = await stage.until(
    store.transact(async (transaction) => {
      await transaction.get(bytes('a'));
      setOf('a')(transaction);
    }),
  );
  expect(result).toMatchObject({ version: 1, attempts: 1 });
  // It claims again at once.
  expect(stage.world.nowMs - startedAtMs).toBeLessThan(COMMIT_TIMINGS.doorbellPollMs / 2);
});

test('values and outcomes are pruned after their time, not before, and the history with the values', async () => {
  const { store } = await stage.addNode();
  const { database } = stage;
  await stage.until(store.transact(setOf('a')));
  await stage.pass(9000);
  await stage.until(store.transact(setOf('b')));
  expect([database.readableVersion, store.stats().historyFloor]).toEqual([0, 0]);
  await stage.pass(3000);
  expect([database.readableVersion, store.stats().historyFloor]).toEqual([1, 1]);
  await stage.pass(280_000);
  expect(database.outcomeVersion).toBe(0);
  expect(database.readableVersion).toBe(2);
  await stage.pass(30_000);
  expect(database.outcomeVersion).toBe(2);
});
