/** Each way in which a submitted request ends, and what is sent for it. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bytesToHex } from '../../src/commit/byte-order.ts';
import { systemClock } from '../../src/commit/clock.ts';
import { CommitError } from '../../src/commit/commit-error.ts';
import { WAITING_BYTES_MAX } from '../../src/commit/commit-limits.ts';
import { CommitMeter } from '../../src/commit/commit-meter.ts';
import type { CommitStorage, QueuedRequest } from '../../src/commit/commit-storage.ts';
import { COMMIT_TIMINGS } from '../../src/commit/commit-timings.ts';
import { DatabaseTime } from '../../src/commit/database-time.ts';
import { Follower } from '../../src/commit/follower.ts';
import { NodeHub } from '../../src/commit/node-hub.ts';
import { bytes, Stage } from './simulation/stage.ts';

const { backstopMs, doorbellPollMs, leaseMs, withdrawGraceMs } = COMMIT_TIMINGS;

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.close());

function setOf(key: string) {
  return (transaction: { set(key: Uint8Array, value: Uint8Array): void }) =>
    transaction.set(bytes(key), bytes('1'));
}

test('a commit is one enqueue for the follower and a claim, an apply and a notify for the leader', async () => {
  const leader = await stage.addNode();
  const follower = await stage.addNode();
  await stage.pass(10);
  leader.statements.length = 0;
  follower.statements.length = 0;
  await stage.until(follower.store.transact(setOf('a')));
  await stage.pass(5);
  expect(follower.statements).toEqual(['enqueue']);
  expect(leader.statements.filter((name) => name !== 'claim')).toEqual(['apply', 'notify']);
});

test('commits made together share an enqueue and a batch', async () => {
  await stage.addNode();
  const follower = await stage.addNode();
  follower.statements.length = 0;
  const results = await stage.until(
    Promise.all(Array.from({ length: 100 }, (_, i) => follower.store.transact(setOf(`k${i}`)))),
  );
  expect(new Set(results.map(({ version }) => version)).size).toBe(100);
  expect(follower.statements.filter((name) => name === 'enqueue')).toHaveLength(1);
  expect(stage.nodes[0].store.stats().batches).toBe(1);
});

test('the doorbell rings for a leader elsewhere only, and replies of a leader in the process are not sent', async () => {
  const rings: boolean[] = [];
  const spy = (storage: CommitStorage) => ({
    enqueue: (requests: readonly QueuedRequest[], ring: boolean) => {
      rings.push(ring);
      return storage.enqueue(requests, ring);
    },
  });
  const sent: string[] = [];
  const leader = await stage.addNode((storage) => ({
    ...spy(storage),
    notify: (notifications) => {
      sent.push(...notifications.map(({ channel }) => channel.kind));
      return storage.notify(notifications);
    },
  }));
  await stage.until(leader.store.transact(setOf('a')));
  await stage.pass(5);
  expect([rings, sent]).toEqual([[false], ['watermark']]);
  const follower = await stage.addNode(spy);
  await stage.until(follower.store.transact(setOf('b')));
  await stage.pass(5);
  expect(rings).toEqual([false, true]);
  expect(sent).toContain('reply');
});

test('the bell of a leader elsewhere brings an answer long before it would look by itself', async () => {
  await stage.addNode();
  const follower = await stage.addNode();
  for (let i = 0; i < 10; i++) {
    await stage.pass(7);
    expect(await stage.timed(follower.store.transact(setOf('a')))).toBeLessThan(doorbellPollMs / 4);
  }
});

test('a node that led rings for its successor', async () => {
  const rings: boolean[] = [];
  const first = await stage.addNode((storage) => ({
    enqueue: (requests, ring) => {
      rings.push(ring);
      return storage.enqueue(requests, ring);
    },
  }));
  const second = await stage.addNode();
  first.process.frozenUntilMs = stage.world.nowMs + 2 * leaseMs;
  await stage.pass(3 * leaseMs);
  expect(second.store.stats().role).toBe('leader');
  await stage.until(first.store.transact(setOf('a')));
  expect(rings).toEqual([true]);
});

test('a copy of a request that was decided is answered with what was decided', async () => {
  const sent: string[] = [];
  const leader = await stage.addNode((storage) => ({
    notify: (notifications) => {
      sent.push(...notifications.map(({ payload }) => payload));
      return storage.notify(notifications);
    },
  }));
  const storage = stage.network.storageOf(leader.process);
  const id = new Uint8Array(16).fill(9);
  await stage.until(storage.withdraw([{ id, bornVersion: 0 }]));
  await stage.until(storage.enqueue([{ id, node: 'elsewhere', payload: new Uint8Array([99]) }], true));
  await stage.pass(20);
  expect(sent).toEqual([`${bytesToHex(id)}:withdrawn:0`]);
  expect(stage.database.queue.size).toBe(0);
});

test('payloads that are no replies, or of others, are ignored and counted', async () => {
  await stage.addNode();
  const follower = await stage.addNode();
  const reply = { kind: 'reply', node: follower.store.stats().node } as const;
  const notify = (payload: string) =>
    stage.until(stage.network.storageOf(stage.nodes[0].process).notify([{ channel: reply, payload }]));
  const foreign = `${'f'.repeat(32)}:committed:1`;
  const own = bytesToHex(new Uint8Array([...new Uint8Array(8).fill(2), 0, 0, 0, 0, 0, 0, 0, 0]));
  const committing = follower.store.transact(setOf('a'));
  for (const payload of [
    '',
    'x',
    foreign,
    `${own}:committed`,
    `${own}:committed:1e3`,
    `${own}:done:1`,
    `${own}:conflict:x`,
  ]) {
    await notify(payload);
  }
  await notify(`${foreign}\nbroken\n${foreign}`);
  expect(await stage.until(committing)).toMatchObject({ version: 1, attempts: 1 });
  await stage.pass(5);
  expect(follower.store.stats().malformedReplies).toBe(7);
});

test('the backstop finds answers whose notification was lost, and counts them', async () => {
  await stage.addNode();
  const follower = await stage.addNode();
  stage.faults = { loseNotification: 1 };
  const elapsedMs = await stage.timed(follower.store.transact(setOf('a')));
  expect(elapsedMs).toBeGreaterThan(backstopMs);
  expect(elapsedMs).toBeLessThan(2 * backstopMs + 100);
  expect(follower.store.stats().recoveredReplies).toBe(1);
});

test('replies to others do not put the backstop off', async () => {
  let isLosing = true;
  await stage.addNode((storage) => ({
    notify: (notifications) => {
      const isLost = isLosing;
      isLosing = false;
      return isLost ? Promise.resolve() : storage.notify(notifications);
    },
  }));
  const follower = await stage.addNode();
  let isAnswered = false;
  void follower.store.transact(setOf('lost')).then(() => (isAnswered = true));
  const startedAtMs = stage.world.nowMs;
  while (!isAnswered && stage.world.nowMs < startedAtMs + 5000) {
    await stage.until(follower.store.transact(setOf('other')));
    await stage.pass(10);
  }
  expect(stage.world.nowMs - startedAtMs).toBeLessThan(2 * backstopMs + 100);
});

test('after a statement failed, what may have been lost is sent again and committed once', async () => {
  await stage.addNode();
  let failures = 2;
  const follower = await stage.addNode((storage) => ({
    enqueue: async (requests, ring) => {
      // Some of these reach the database, and only their answer is lost.
      if (failures % 2 === 1) await storage.enqueue(requests, ring);
      if (failures-- > 0) throw new Error('connection lost');
      return await storage.enqueue(requests, ring);
    },
  }));
  const one = bytes('\x01\0\0\0');
  await stage.until(follower.store.transact((transaction) => transaction.atomic('ADD', bytes('n'), one)));
  await stage.pass(1000);
  expect(stage.database.get([bytes('n')], undefined).values).toEqual([one]);
});

test('the reason of a rejection is asked for at once', async () => {
  await stage.addNode((storage) => ({
    apply: (batch) => {
      const details = { sqlstate: '22021' };
      if (batch.upserts.length > 0) throw new CommitError('STATEMENT_FAILED', 'bad byte', { details });
      return storage.apply(batch);
    },
  }));
  const follower = await stage.addNode();
  const elapsedMs = await stage.timed(
    expect(follower.store.transact(setOf('a'))).rejects.toMatchObject({
      code: 'COMMIT_REJECTED',
      message: 'bad byte',
    }),
  );
  expect(elapsedMs).toBeLessThan(backstopMs / 4);
  expect(follower.store.stats().recoveredReplies).toBe(0);
});

test('a gap makes the node ask at once and send again what the queue has lost', async () => {
  const leader = await stage.addNode();
  const follower = await stage.addNode();
  // The queue is lost before anybody has looked into it.
  stage.network.partition(leader.process, 300);
  const committing = follower.store.transact(setOf('a'));
  await stage.pass(100);
  stage.network.stopDatabase(50, true, [follower.process]);
  await stage.pass(100);
  expect(stage.database.queue.size).toBe(1);
  expect(await stage.until(committing)).toMatchObject({ version: 1 });
});

test('at its deadline a request is withdrawn for good', async () => {
  const leader = await stage.addNode();
  const follower = await stage.addNode();
  stage.network.freeze(leader.process, 'for the test');
  leader.process.frozenUntilMs = stage.world.nowMs + 3000;
  const committing = follower.store.transact(setOf('a'), { timeoutMs: 1000 });
  await expect(stage.until(committing)).rejects.toMatchObject({ code: 'TRANSACTION_TIMED_OUT' });
  await stage.pass(10_000);
  expect(stage.database.durableVersion).toBe(0);
  expect(await stage.until(follower.store.transact(setOf('b')))).toMatchObject({ version: 1 });
});

test('a withdrawal that comes too late finds out that the request was committed', async () => {
  await stage.addNode();
  const follower = await stage.addNode((storage) => ({
    outcomes: () => Promise.reject(new Error('lost')),
    now: storage.now,
  }));
  stage.faults = { loseNotification: 1 };
  const elapsedMs = await stage.timed(
    follower.store.transact(setOf('a'), { timeoutMs: 1000 }).then((result) => expect(result.version).toBe(1)),
  );
  expect(elapsedMs).toBeGreaterThan(900);
  expect(stage.database.durableVersion).toBe(1);
});

test('when the database cannot be asked the result is unknown, after the grace, and is not tried again', async () => {
  await stage.addNode();
  const follower = await stage.addNode();
  let attempts = 0;
  const committing = follower.store.transact(
    (transaction) => {
      attempts++;
      setOf('a')(transaction);
    },
    { timeoutMs: 1000 },
  );
  await stage.pass(0.1);
  stage.network.partition(follower.process, 60_000);
  const startedAtMs = stage.world.nowMs;
  await expect(stage.until(committing)).rejects.toMatchObject({
    code: 'COMMIT_UNKNOWN_RESULT',
    maybeCommitted: true,
    retryable: false,
  });
  expect(stage.world.nowMs - startedAtMs).toBeGreaterThan(1000 + withdrawGraceMs - 10);
  expect(stage.world.nowMs - startedAtMs).toBeLessThan(1000 + withdrawGraceMs + 2 * backstopMs);
  expect(attempts).toBe(1);
  follower.process.cutOffUntilMs = 0;
});

test('a request that was never sent needs no database to end', async () => {
  const { database } = stage;
  const node = await stage.addNode();
  database.isDown = true;
  // Another one is on its way for as long as the statement takes to fail.
  stage.faults = { delayMs: 10_000 };
  const first = node.store.transact(setOf('a'), { timeoutMs: 200 });
  first.catch(() => {});
  await stage.pass(1);
  const second = node.store.transact(setOf('b'), { timeoutMs: 200 });
  const elapsedMs = await stage.timed(
    expect(second).rejects.toMatchObject({ code: 'TRANSACTION_TIMED_OUT' }),
  );
  expect(elapsedMs).toBeLessThan(200 + 2 * backstopMs);
  await stage.until(first.catch(() => {}));
});

test('a signal withdraws at once', async () => {
  const leader = await stage.addNode();
  const follower = await stage.addNode();
  leader.process.frozenUntilMs = stage.world.nowMs + 2000;
  const abort = new AbortController();
  const reason = new Error('not needed any more');
  const committing = follower.store.transact(setOf('a'), { signal: abort.signal });
  await stage.pass(50);
  abort.abort(reason);
  const elapsedMs = await stage.timed(expect(committing).rejects.toBe(reason));
  expect(elapsedMs).toBeLessThan(20);
  await stage.pass(leaseMs);
  expect(stage.database.durableVersion).toBe(0);
});

test('too much waiting is refused before anything is sent', async () => {
  const never = new Promise<never>(() => {});
  const hub = new NodeHub();
  const follower = new Follower({
    storage: { enqueue: () => never, now: () => never } as unknown as CommitStorage,
    clock: systemClock,
    timings: COMMIT_TIMINGS,
    random: () => 0.5,
    identity: new Uint8Array(8),
    node: 'n',
    hub,
    databaseTime: new DatabaseTime(systemClock),
    meter: new CommitMeter(),
  });
  const deadlineMs = systemClock.nowMs() + 60_000;
  const payload = new Uint8Array(WAITING_BYTES_MAX / 4);
  const aborted = await follower.submit(new Uint8Array(1), 7, deadlineMs, AbortSignal.abort());
  expect(aborted).toMatchObject({ verdict: 'withdrawn', version: 7 });
  const submitted = [1, 2, 3, 4].map(() => follower.submit(payload, 0, deadlineMs));
  await expect(follower.submit(new Uint8Array(1), 0, deadlineMs)).rejects.toMatchObject({
    code: 'THROTTLED',
    retryable: true,
  });
  expect(follower.waitingBytes).toBe(WAITING_BYTES_MAX);
  for (const [i, promise] of submitted.entries()) {
    const id = new Uint8Array(16);
    id[15] = i + 1; // the first one went to the aborted request
    hub.onOutcome({ id, verdict: 'withdrawn', version: 0 });
    expect(await promise).toMatchObject({ verdict: 'withdrawn' });
  }
  expect(follower.waitingBytes).toBe(0);
});
