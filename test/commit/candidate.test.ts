/** Who leads, for how long, and who comes after. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { COMMIT_TIMINGS } from '../../src/commit/commit-timings.ts';
import { bytes, Stage, type StageNode } from './simulation/stage.ts';

const { electionRetryMs, leaseMs, renewMs } = COMMIT_TIMINGS;

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.close());

function write({ store }: StageNode): Promise<unknown> {
  return store.transact((transaction) => transaction.set(bytes('a'), bytes('1')));
}

async function leaderAfter(durationMs: number): Promise<number> {
  await stage.pass(durationMs);
  return stage.nodes.findIndex(({ store }) => store.stats().role === 'leader');
}

test('the first node leads and stays leader while it is idle', async () => {
  const node = await stage.addNode();
  await stage.addNode();
  for (let i = 0; i < 20; i++) expect(await leaderAfter(leaseMs / 2)).toBe(0);
  expect(stage.database.epoch).toBe(1);
  // About what a renewal each interval leaves.
  expect(node.store.stats().leaseMarginMsMin).toBeGreaterThan(leaseMs - 2 * renewMs);
});

test('a leader that closes hands over within some round trips', async () => {
  const first = await stage.addNode();
  const second = await stage.addNode();
  await stage.until(first.store.close({ handoff: true }));
  expect(await leaderAfter(10)).toBe(1);
  expect(await stage.timed(write(second))).toBeLessThan(20);
});

test('without a handoff the next one finds the lease free at its next try', async () => {
  const first = await stage.addNode();
  await stage.addNode();
  await stage.until(first.store.close({ handoff: false }));
  expect(await leaderAfter(1.2 * electionRetryMs)).toBe(1);
});

test('after a crash another one leads within a lease and a retry', async () => {
  const first = await stage.addNode();
  const second = await stage.addNode();
  first.process.isCrashed = true;
  expect(await leaderAfter(leaseMs - renewMs - electionRetryMs)).not.toBe(1);
  expect(await stage.timed(write(second))).toBeLessThan(renewMs + 2 * 1.2 * electionRetryMs);
});

test('a node that starts while nobody leads does so at once', async () => {
  const first = await stage.addNode();
  await stage.until(first.store.close());
  await stage.addNode();
  expect(await leaderAfter(10)).toBe(1);
});

test('a batch that takes longer than the lease does not keep it from being renewed', async () => {
  const first = await stage.addNode((storage) => ({
    apply: async (batch) => {
      await stage.world.sleep(2 * leaseMs, stage.nodes[0]?.process ?? null);
      return await storage.apply(batch);
    },
  }));
  await stage.addNode();
  const writing = first.store.transact((transaction) => transaction.set(bytes('a'), bytes('1')));
  for (let i = 0; i < 8; i++) expect(await leaderAfter(leaseMs / 4)).toBe(0);
  expect(await stage.until(writing)).toMatchObject({ version: 1, attempts: 1 });
  expect(stage.database.epoch).toBe(1);
});

test('renewals that fail for a while are made up for; when the lease has run out the term ends', async () => {
  let isFailing = true;
  const node = await stage.addNode((storage) => ({
    renewLease: (epoch, ms) =>
      isFailing ? Promise.reject(new Error('lost')) : storage.renewLease(epoch, ms),
  }));
  await stage.pass(leaseMs - renewMs);
  isFailing = false;
  await stage.pass(leaseMs);
  expect(node.store.stats()).toMatchObject({ epoch: 1, terms: 1 });
  isFailing = true;
  await stage.pass(leaseMs + 2 * renewMs);
  expect(node.store.stats()).toMatchObject({ failedTerms: 1 });
});

test('a frozen leader wakes up to the end of its term, changes nothing and follows', async () => {
  const first = await stage.addNode();
  const second = await stage.addNode();
  first.process.frozenUntilMs = stage.world.nowMs + 2 * leaseMs;
  expect(await leaderAfter(leaseMs + 2 * electionRetryMs)).toBe(0); // it does not know yet
  expect(second.store.stats()).toMatchObject({ role: 'leader', epoch: 2 });
  await stage.until(write(second));
  await stage.pass(leaseMs);
  expect(first.store.stats()).toMatchObject({ role: 'follower', epoch: null });
  await stage.until(write(first));
  expect(stage.database.epoch).toBe(2);
});

test('a leader that finds another epoch follows it', async () => {
  const node = await stage.addNode();
  const { database } = stage;
  database.expiresAtMs = 0;
  expect(database.acquireLease('somebody', leaseMs)?.epoch).toBe(2);
  await stage.pass(1.1 * renewMs);
  expect(node.store.stats()).toMatchObject({ role: 'follower', failedTerms: 0 });
  expect(database.leader).toBe('somebody');
});

test('a takeover while transactions contend rejects nobody who read what is durable', async () => {
  const first = await stage.addNode();
  const second = await stage.addNode();
  const third = await stage.addNode();
  // Losers of the last batch got no versions that a floor could be confused by.
  const increment = ({ store }: StageNode) =>
    store.transact(async (transaction) => {
      const value = await transaction.get(bytes('n'));
      transaction.set(bytes('n'), bytes(`${value?.length ?? 0}`));
    });
  await stage.until(Promise.all(Array.from({ length: 6 }, () => increment(second))));
  first.process.isCrashed = true;
  const results = await stage.until(
    Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        third.store.transact(async (transaction) => {
          await transaction.get(bytes(`own${i}`));
          transaction.set(bytes(`own${i}`), bytes('1'));
        }),
      ),
    ),
  );
  expect(results.map(({ attempts }) => attempts)).toEqual(results.map(() => 1));
});

test('a lease that arrives while the node closes is given back', async () => {
  const first = await stage.addNode();
  const second = await stage.addNode((storage) => ({
    acquireLease: async (leader, ms) => {
      const lease = await storage.acquireLease(leader, ms);
      if (lease !== undefined) void second.store.close();
      return lease;
    },
  }));
  await stage.until(first.store.close());
  await stage.pass(2 * electionRetryMs);
  expect(second.store.stats()).toMatchObject({ role: 'closed', batches: 0 });
  expect([stage.database.epoch, stage.database.expiresAtMs]).toEqual([2, 0]);
});

test('close ends everything, twice is once, and what waits ends for certain', async () => {
  const { store, process } = await stage.addNode();
  const other = await stage.addNode();
  const closedEarly = other.store.transact(() => stage.world.sleep(500, other.process));
  closedEarly.catch(() => {});
  stage.database.isDown = true;
  const waiting = store.transact((transaction) => transaction.set(bytes('a'), bytes('1')));
  waiting.catch(() => {});
  await stage.pass(20);
  stage.database.isDown = false;
  const closing = store.close();
  expect(store.close()).toBe(closing);
  await expect(store.transact(() => {})).rejects.toMatchObject({ code: 'STORE_CLOSED' });
  await stage.until(closing);
  await expect(waiting).rejects.toMatchObject({ code: 'STORE_CLOSED' });
  await stage.until(other.store.close());
  await expect(closedEarly).rejects.toMatchObject({ code: 'STORE_CLOSED' });
  await stage.pass(1000);
  expect(stage.database.durableVersion).toBe(0);
  expect([stage.world.timerCount(process), stage.network.listenerCount(process)]).toEqual([0, 0]);
  expect(store.stats().role).toBe('closed');
});
