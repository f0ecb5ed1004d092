/**
 * Notifications are a way to be quick, nothing more: while the listening connections of all nodes are cut ten times a
 * second, and when nothing is ever notified, every commit is answered within the bound of the backstops, once.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { COMMIT_TIMINGS } from '../../../src/commit/commit-timings.ts';
import { FaultCluster } from './fault-cluster.ts';
import { type Attempt, checkHistory, type History } from './history-checker.ts';

const LOAD = { timings: COMMIT_TIMINGS, nodes: 3, clientsPerNode: 4, pauseMsMax: 20 };
const RUN_MS = 4_000;
const CUT_EVERY_MS = 100;

/**
 * The leader looks by itself; the waiter has waited for one period at the second tick at the latest. What the statements
 * of reads, batches and questions take on a busy machine comes on top, and stays below the time a transaction has.
 */
const ANSWER_MS_MAX = COMMIT_TIMINGS.doorbellPollMs + 2 * COMMIT_TIMINGS.backstopMs + 3_000;

let cluster: FaultCluster | undefined;

afterEach(async () => {
  await cluster?.end();
  cluster = undefined;
});

test('commits are answered while all listening connections are cut again and again', async () => {
  cluster = await FaultCluster.start(LOAD);
  let cuts = 0;
  for (const endMs = performance.now() + RUN_MS; performance.now() < endMs; ) {
    cuts += await cluster.terminateListeners();
    await sleep(CUT_EVERY_MS);
  }
  const stats = await cluster.stopClients();
  const history = await cluster.history();
  expect(cluster.crashed).toEqual([]);
  expect(cuts).toBeGreaterThan((RUN_MS / CUT_EVERY_MS) * 0.5);
  expectSound(history);
  expect(sum(stats.map(({ recoveredReplies }) => recoveredReplies))).toBeGreaterThan(0);
});

test('commits are answered when nothing is ever notified', async () => {
  cluster = await FaultCluster.start({ ...LOAD, isMute: true });
  await sleep(RUN_MS);
  const stats = await cluster.stopClients();
  const history = await cluster.history();
  expect(cluster.crashed).toEqual([]);
  expectSound(history);
  // Only the leader hears of its own commits; all others are found by the backstop, each once.
  const followers = stats.filter(({ terms }) => terms === 0);
  expect(followers.length).toBeGreaterThan(0);
  const ids = new Map(cluster.nodes.map(({ id, name }) => [id, name]));
  for (const { node, recoveredReplies } of followers) {
    const answered = history.attempts.filter(
      (attempt) => attempt.process === ids.get(node) && isWriter(attempt) && attempt.outcome !== 'unknown',
    );
    expect(answered.length).toBeGreaterThan(0);
    expect(recoveredReplies).toBe(answered.length);
  }
});

function expectSound(history: History): void {
  expect(checkHistory(history).slice(0, 20)).toEqual([]);
  const committed = history.attempts.filter(
    (attempt) => attempt.outcome === 'committed' && isWriter(attempt),
  );
  expect(committed.length).toBeGreaterThan(20);
  const open = history.attempts.filter(({ answeredAtNs }) => answeredAtNs === null);
  expect(open).toEqual([]);
  const slow = history.attempts.filter(
    ({ invokedAtNs, answeredAtNs }) => (answeredAtNs! - invokedAtNs) / 1e6 > ANSWER_MS_MAX,
  );
  expect(slow).toEqual([]);
}

function isWriter({ writes }: Attempt): boolean {
  return writes.length > 0;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((left, right) => left + right, 0);
}
