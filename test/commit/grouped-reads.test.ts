/** First reads of many transactions share statements; each gets its own values and the version of its statement. */
import { expect, test } from 'vitest';
import { READ_GROUP_KEYS_MAX, READ_GROUPS_IN_FLIGHT_MAX } from '../../src/commit/commit-limits.ts';
import { GroupedReads } from '../../src/commit/grouped-reads.ts';
import type { TransactionReader } from '../../src/commit/transaction.ts';

const key = (name: string) => Buffer.from(name);

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

test('reads that wait share the next statement and its version', async () => {
  const storage = new HeldStorage();
  const reads = new GroupedReads(storage);
  const first = Array.from({ length: READ_GROUPS_IN_FLIGHT_MAX }, (_, at) =>
    reads.get([key(`f${at}`)], undefined),
  );
  const later = [reads.get([key('a'), key('b')], undefined), reads.get([key('a')], undefined)];
  expect(storage.statements).toHaveLength(READ_GROUPS_IN_FLIGHT_MAX);

  storage.statements[0].answer();
  expect(await first[0]).toEqual({ version: 1, values: [key('f0')] });
  await Promise.resolve();
  expect(storage.statements).toHaveLength(READ_GROUPS_IN_FLIGHT_MAX + 1);
  const shared = storage.statements[READ_GROUPS_IN_FLIGHT_MAX];
  expect(shared.keys).toEqual(['a', 'b', 'a']);
  shared.answer();
  const version = READ_GROUPS_IN_FLIGHT_MAX + 1;
  expect(await later[0]).toEqual({ version, values: [key('a'), key('b')] });
  expect(await later[1]).toEqual({ version, values: [key('a')] });
});

test('a read never joins a statement that is already under way', () => {
  const storage = new HeldStorage();
  const reads = new GroupedReads(storage);
  for (let read = 0; read < READ_GROUPS_IN_FLIGHT_MAX + 1; read++) void reads.get([key('k')], undefined);
  for (const { keys } of storage.statements) expect(keys).toEqual(['k']);
});

test('reads as of a version go by themselves', () => {
  const storage = new HeldStorage();
  const reads = new GroupedReads(storage);
  for (let read = 0; read < 10; read++) void reads.get([key('k')], read);
  expect(storage.statements.map(({ asOf }) => asOf)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('a statement has a bound of keys, which one read alone may pass', async () => {
  const storage = new HeldStorage();
  const reads = new GroupedReads(storage);
  for (let read = 0; read < READ_GROUPS_IN_FLIGHT_MAX; read++) void reads.get([key('k')], undefined);
  const many = Array.from({ length: READ_GROUP_KEYS_MAX + 1 }, () => key('m'));
  const results = [
    reads.get(many, undefined),
    reads.get(many.slice(2), undefined),
    reads.get([key('x')], undefined),
  ];
  for (let at = 0; at < READ_GROUPS_IN_FLIGHT_MAX + 2; at++) {
    storage.statements[at].answer();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const sizes = storage.statements.map(({ keys }) => keys.length);
  expect(sizes.slice(READ_GROUPS_IN_FLIGHT_MAX)).toEqual([READ_GROUP_KEYS_MAX + 1, READ_GROUP_KEYS_MAX]);
  const counts = (await Promise.all(results)).map(({ values }) => values.length);
  expect(counts).toEqual([READ_GROUP_KEYS_MAX + 1, READ_GROUP_KEYS_MAX - 1, 1]);
});

test('a failed statement fails the reads in it and no others', async () => {
  const storage = new HeldStorage();
  const reads = new GroupedReads(storage);
  const first = reads.get([key('a')], undefined);
  const second = reads.get([key('b')], undefined);
  storage.statements[0].fail();
  await expect(first).rejects.toThrow('statement 1 failed');
  storage.statements[1].answer();
  expect((await second).values).toEqual([key('b')]);
});
