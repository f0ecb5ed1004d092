/** First reads of many transactions share statements; each gets its own values and the version of its statement. */
import { expect, test } from 'vitest';
import type { Clock } from '../../src/commit/clock.ts';
import { READ_GROUP_KEYS_MAX, READ_GROUPS_IN_FLIGHT_MAX } from '../../src/commit/commit-limits.ts';
import { GroupedReads } from '../../src/commit/grouped-reads.ts';
import type { TransactionReader } from '../../src/commit/transaction.ts';

const key = (name: string) => Buffer.from(name);
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A storage whose answers come when the test lets them: the value of a key is the key, the version the statement. */
class HeldStorage implements TransactionReader {
  readonly statements: { keys: string[]; asOf: number | undefined; answer: () => void; fail: () => void }[] =
    [];

  get(keys: readonly Uint8Array[], asOf: number | undefined): ReturnType<TransactionReader['get']> {
    return new Promise((resolve, reject) => {
      const version = this.statements.length + 1;
      this.statements.push({
        keys: keys.map((each) => Buffer.from(each).toString()),
        asOf,
        answer: () => resolve({ version: asOf ?? version, values: [...keys] }),
        fail: () => reject(new Error(`statement ${version} failed`)),
      });
    });
  }

  getRange(): never {
    throw new Error('not read by ranges here');
  }
}

/** Timers run when the test says that time has passed. */
class HeldClock implements Clock {
  readonly #timers = new Set<() => void>();

  nowMs(): number {
    return 0;
  }

  after(_delayMs: number, action: () => void): () => void {
    this.#timers.add(action);
    return () => void this.#timers.delete(action);
  }

  pass(): void {
    const due = [...this.#timers];
    this.#timers.clear();
    for (const action of due) action();
  }
}

function open() {
  const [storage, clock] = [new HeldStorage(), new HeldClock()];
  return { storage, clock, statements: storage.statements, reads: new GroupedReads(storage, clock) };
}

test('reads that wait share the next statement and its version', async () => {
  const { statements, reads } = open();
  const first = reads.get([key('f')], undefined);
  const later = [reads.get([key('a'), key('b')], undefined), reads.get([key('a')], undefined)];
  expect(statements.map(({ keys }) => keys)).toEqual([['f']]);

  statements[0].answer();
  expect(await first).toEqual({ version: 1, values: [key('f')] });
  await settled();
  expect(statements.map(({ keys }) => keys)).toEqual([['f'], ['a', 'b', 'a']]);
  statements[1].answer();
  expect(await later[0]).toEqual({ version: 2, values: [key('a'), key('b')] });
  expect(await later[1]).toEqual({ version: 2, values: [key('a')] });
});

test('reads do not wait for a slow answer, up to a bound of statements', async () => {
  const { statements, clock, reads } = open();
  const results = [reads.get([key('k1')], undefined)];
  for (let read = 2; read <= READ_GROUPS_IN_FLIGHT_MAX + 1; read++) {
    clock.pass();
    results.push(reads.get([key(`k${read}`)], undefined), reads.get([key(`w${read}`)], undefined));
    expect(statements).toHaveLength(Math.min(read, READ_GROUPS_IN_FLIGHT_MAX));
  }
  for (let at = 0; at < statements.length; at++) {
    statements[at].answer();
    await settled();
  }
  const answered = (await Promise.all(results)).map(({ values }) => String(values[0]));
  const later = Array.from({ length: READ_GROUPS_IN_FLIGHT_MAX }, (_, at) => [`k${at + 2}`, `w${at + 2}`]);
  expect(answered).toEqual(['k1', ...later.flat()]);
});

test('reads as of a version go by themselves', () => {
  const { statements, reads } = open();
  for (let read = 0; read < 10; read++) void reads.get([key('k')], read);
  expect(statements.map(({ asOf }) => asOf)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('a statement has a bound of keys, which one read alone may pass', async () => {
  const { statements, reads } = open();
  const many = Array.from({ length: READ_GROUP_KEYS_MAX + 1 }, () => key('m'));
  const results = [[key('k')], many, many.slice(2), [key('x')]].map((keys) => reads.get(keys, undefined));
  for (let at = 0; at < 3; at++) {
    statements[at].answer();
    await settled();
  }
  expect(statements.map(({ keys }) => keys.length)).toEqual([
    1,
    READ_GROUP_KEYS_MAX + 1,
    READ_GROUP_KEYS_MAX,
  ]);
  const counts = (await Promise.all(results)).map(({ values }) => values.length);
  expect(counts).toEqual([1, READ_GROUP_KEYS_MAX + 1, READ_GROUP_KEYS_MAX - 1, 1]);
});

test('a failed statement fails the reads in it and no others', async () => {
  const { statements, reads } = open();
  const first = reads.get([key('a')], undefined);
  const second = reads.get([key('b')], undefined);
  statements[0].fail();
  await expect(first).rejects.toThrow('statement 1 failed');
  await settled();
  statements[1].answer();
  expect((await second).values).toEqual([key('b')]);
});
