/** The retry loop: what it tries again, what it does not, and when it stops. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CommitError } from '../../src/commit/commit-error.ts';
import { COMMIT_TIMINGS } from '../../src/commit/commit-timings.ts';
import type { Transaction } from '../../src/commit/transaction.ts';
import { versionstampOf } from '../../src/commit/versionstamp.ts';
import { bytes, Stage } from './simulation/stage.ts';

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.close());

/** Reads a key that somebody else writes before the commit, `conflicts` times. */
function contended(conflicts: number) {
  let attempts = 0;
  return async (transaction: Transaction) => {
    await transaction.get(bytes('k'));
    transaction.set(bytes('own'), bytes('1'));
    if (attempts++ < conflicts) {
      await stage.nodes[0].store.transact((other) => other.set(bytes('k'), bytes(`${attempts}`)));
    }
  };
}

test('a conflict is tried again from the start until it is committed', async () => {
  const { store } = await stage.addNode();
  const result = await stage.until(store.transact(contended(3)));
  expect(result).toEqual({ version: 4, versionstamp: versionstampOf(4), attempts: 4 });
  expect(store.stats()).toMatchObject({ retries: 3, requests: { conflict: 3 } });
});

test('pauses grow from the least to the most', async () => {
  const startsMs: number[] = [];
  const { store } = await stage.addNode();
  const failing = store.transact(
    () => {
      startsMs.push(stage.world.nowMs);
      throw new CommitError('DATABASE_UNREACHABLE', 'lost');
    },
    { retryLimit: 9 },
  );
  await expect(stage.until(failing)).rejects.toMatchObject({ code: 'RETRY_LIMIT_REACHED' });
  const pausesMs = startsMs.slice(1).map((atMs, i) => Math.round(atMs - startsMs[i]));
  // Three quarters of each, for the random number of this stage is a half.
  expect(pausesMs).toEqual([8, 15, 30, 60, 120, 240, 480, 750, 750]);
});

test('after the last retry the error carries the last cause', async () => {
  const { store } = await stage.addNode();
  await expect(stage.until(store.transact(contended(9), { retryLimit: 2 }))).rejects.toMatchObject({
    code: 'RETRY_LIMIT_REACHED',
    retryable: false,
    cause: { code: 'NOT_COMMITTED' },
  });
  expect(store.stats().requests.conflict).toBe(3);
});

test('one deadline covers the attempts and the pauses, and carries the last cause', async () => {
  const { store } = await stage.addNode();
  const elapsedMs = await stage.timed(
    expect(store.transact(contended(1000), { timeoutMs: 3000 })).rejects.toMatchObject({
      code: 'TRANSACTION_TIMED_OUT',
      cause: { code: 'NOT_COMMITTED' },
    }),
  );
  // A pause that would outlast the deadline is not begun.
  expect(elapsedMs).toBeLessThan(2800);
  expect(elapsedMs).toBeGreaterThan(1500);
});

test('the deadline covers a function that does not end, and what it does later is refused', async () => {
  const { store, process } = await stage.addNode();
  let late: unknown;
  const act = async (transaction: Transaction) => {
    await stage.world.sleep(2000, process);
    try {
      transaction.set(bytes('a'), bytes('1'));
    } catch (error) {
      late = error;
    }
  };
  const elapsedMs = await stage.timed(
    expect(store.transact(act, { timeoutMs: 1000 })).rejects.toMatchObject({ code: 'TRANSACTION_TIMED_OUT' }),
  );
  expect(elapsedMs).toBe(1000);
  await stage.pass(2000);
  expect(late).toMatchObject({ code: 'TRANSACTION_ENDED' });
});

test('what the function throws comes out, and nothing is committed', async () => {
  const { store } = await stage.addNode();
  const reason = new Error('of the caller');
  let attempts = 0;
  const failing = store.transact((transaction) => {
    attempts++;
    transaction.set(bytes('a'), bytes('1'));
    throw reason;
  });
  await expect(stage.until(failing)).rejects.toBe(reason);
  await stage.pass(100);
  expect([attempts, stage.database.durableVersion]).toEqual([1, 0]);
});

test('reads alone cost no commit, and give the version they saw', async () => {
  const { store, statements } = await stage.addNode();
  await stage.until(store.transact((transaction) => transaction.set(bytes('a'), bytes('1'))));
  statements.length = 0;
  const result = await stage.until(store.transact((transaction) => transaction.get(bytes('a'))));
  expect(result).toEqual({ version: 1, versionstamp: undefined, attempts: 1 });
  expect(statements.filter((name) => name !== 'claim')).toEqual(['get']);
  expect(await stage.until(store.transact(() => {}))).toMatchObject({ version: 1, versionstamp: undefined });
});

test('a read of a version whose values are pruned is tried again', async () => {
  const { store, process } = await stage.addNode();
  let attempts = 0;
  const result = await stage.until(
    store.transact(
      async (transaction) => {
        await transaction.get(bytes('a'));
        if (attempts++ > 0) return;
        await store.transact((other) => other.set(bytes('a'), bytes('1')));
        await stage.world.sleep(COMMIT_TIMINGS.historyWindowMs + 2000, process);
        await transaction.get(bytes('b'));
      },
      { timeoutMs: 60_000 },
    ),
  );
  expect(result).toMatchObject({ version: 1, attempts: 2 });
});

test.each([{ timeoutMs: 0 }, { timeoutMs: Number.NaN }, { timeoutMs: 150_001 }, { retryLimit: -1 }])(
  'options that make no sense are refused: %o',
  async (options) => {
    const { store } = await stage.addNode();
    await expect(store.transact(() => {}, options)).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  },
);

test('many transactions share a signal without a warning', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => void warnings.push(warning);
  process.on('warning', onWarning);
  const { store } = await stage.addNode();
  const { signal } = new AbortController();
  const writes = Array.from({ length: 30 }, (_, i) =>
    store.transact((transaction) => transaction.set(bytes(`k${i}`), bytes('1')), { signal }),
  );
  await stage.until(Promise.all(writes));
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});
