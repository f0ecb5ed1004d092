import { describe, expect, test } from 'vitest';
import { bytesToLatin1 } from '../../src/commit/byte-order.ts';
import { CommitError } from '../../src/commit/commit-error.ts';
import { KEY_BYTES_MAX, VALUE_BYTES_MAX } from '../../src/commit/commit-limits.ts';
import { Transaction } from '../../src/commit/transaction.ts';
import { template } from './operation-fixtures.ts';
import { SnapshotReader } from './snapshot-reader.ts';

const bytes = (text: string) => Buffer.from(text);
const STATE = new Map(['a', 'b', 'c', 'd'].map((key) => [key, `value of ${key}`]));

function open(pagePairsMax?: number) {
  const reader = new SnapshotReader(STATE, 77, pagePairsMax);
  return { reader, transaction: new Transaction(reader) };
}

const rangeTexts = (ranges: readonly { begin: Uint8Array; end: Uint8Array }[]) =>
  ranges.map(({ begin, end }) => `${bytesToLatin1(begin)}-${bytesToLatin1(end)}`.replaceAll('\0', '.'));

describe('reading', () => {
  test('gets of one turn are one statement, and each key is asked for once', async () => {
    const { reader, transaction } = open();
    const values = await Promise.all(['b', 'a', 'b', 'x'].map((key) => transaction.get(bytes(key))));
    expect(values.map((value) => value && bytesToLatin1(value))).toEqual([
      'value of b',
      'value of a',
      'value of b',
      undefined,
    ]);
    expect(reader.calls).toEqual([['b', 'a', 'x']]);
    expect(values[0]).not.toBe(values[2]);
    await transaction.get(bytes('c'));
    expect(reader.calls).toHaveLength(2);
  });

  test('reads that start while the first is under way wait for its version, and gather meanwhile', async () => {
    const { reader } = open();
    let answer = () => {};
    const gate = new Promise<void>((resolve) => (answer = resolve));
    const transaction = new Transaction({
      get: (keys, asOf) => reader.get(keys, asOf),
      getRange: async (range, options, asOf) => {
        const result = await reader.getRange(range, options, asOf);
        await gate;
        return result;
      },
    });
    const first = transaction.getRange(bytes('a'), bytes('c')).next();
    const gets = [transaction.get(bytes('a'))];
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    gets.push(transaction.get(bytes('b')), transaction.get(bytes('c')));
    const version = transaction.readVersion();
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    expect(reader.calls).toEqual([['a', 'c']]);
    answer();
    expect(await version).toBe(77);
    await Promise.all([first, ...gets]);
    // The reader checks that all calls but the first are as of its version.
    expect(reader.calls).toEqual([
      ['a', 'c'],
      ['a', 'b', 'c'],
    ]);
  });

  test('when the first read fails, the next one decides the version', async () => {
    const inner = new SnapshotReader(STATE, 77);
    const asOfs: (number | undefined)[] = [];
    const transaction = new Transaction({
      get: async (keys, asOf) => {
        asOfs.push(asOf);
        if (asOfs.length === 1) throw new Error('lost');
        return inner.get(keys, asOf);
      },
      getRange: (range, options, asOf) => {
        asOfs.push(asOf);
        return inner.getRange(range, options, asOf);
      },
    });
    const lost = transaction.get(bytes('a'));
    await Promise.resolve();
    await Promise.resolve();
    const key = transaction.getKey('firstGreaterThan', bytes('a'));
    await expect(lost).rejects.toThrow('lost');
    expect(bytesToLatin1((await key)!)).toBe('b');
    await transaction.get(bytes('a'));
    expect(asOfs).toEqual([undefined, undefined, 77]);
  });

  test('a range is read page by page, as it is asked for', async () => {
    const { reader, transaction } = open(2);
    for await (const { key } of transaction.getRange(bytes('a'), bytes('z'))) {
      if (bytesToLatin1(key) === 'b') expect(reader.calls).toHaveLength(1);
      if (bytesToLatin1(key) === 'c') break;
    }
    expect(reader.calls).toEqual([
      ['a', 'z'],
      ['b\0', 'z'],
    ]);
    expect(rangeTexts((await transaction.seal()).request.readRanges)).toEqual(['a-c.']);
  });

  test('what was cleared at the start is not read', async () => {
    const { reader, transaction } = open();
    transaction.clearRange(bytes('a'), bytes('c'));
    transaction.set(bytes('b'), bytes('own'));
    const found: string[] = [];
    for await (const { key } of transaction.getRange(bytes('a'), bytes('c'))) found.push(bytesToLatin1(key));
    expect([found, reader.calls]).toEqual([['b'], []]);
    for await (const { key } of transaction.getRange(bytes('a'), bytes('d'))) found.push(bytesToLatin1(key));
    expect([found, reader.calls]).toEqual([['b', 'b', 'c'], [['c', 'd']]]);
  });

  test('a limit is read at once although some pairs are hidden by writes', async () => {
    const { reader, transaction } = open();
    transaction.clear(bytes('a'));
    transaction.clear(bytes('b'));
    const found: string[] = [];
    for await (const { key } of transaction.getRange(bytes('a'), bytes('z'), { limit: 2 })) {
      found.push(bytesToLatin1(key));
    }
    expect([found, reader.calls]).toEqual([['c', 'd'], [['a', 'z']]]);
  });

  test('deleting what a range read hands out, while it goes on', async () => {
    const { transaction } = open(2);
    const found: string[] = [];
    for await (const { key } of transaction.getRange(bytes('a'), bytes('z'))) {
      found.push(bytesToLatin1(key));
      transaction.clear(key);
    }
    expect(found).toEqual(['a', 'b', 'c', 'd']);
    expect(rangeTexts((await transaction.seal()).request.readRanges)).toEqual(['a-z']);
  });

  test('a pair is protected although its key is written after its page arrived', async () => {
    const { transaction } = open();
    for await (const { key } of transaction.getRange(bytes('a'), bytes('d'))) {
      if (bytesToLatin1(key) === 'a') transaction.set(bytes('c'), bytes('own'));
    }
    expect(rangeTexts((await transaction.seal()).request.readRanges)).toEqual(['a-d']);
  });

  test('a get shows the writes before it, not those after', async () => {
    const { transaction } = open();
    transaction.atomic('BYTE_MAX', bytes('a'), bytes('z'));
    const value = transaction.get(bytes('a'));
    transaction.set(bytes('a'), bytes('later'));
    expect(bytesToLatin1((await value)!)).toBe('z');
  });
});

test('a versionstamped key makes unreadable what it may become: versions after the one that was read', async () => {
  const { transaction } = open();
  const stampedWith = (version: number) => Buffer.from(`p\0\0\0\0\0\0\0${String.fromCharCode(version)}\0\0`);
  await transaction.readVersion();
  transaction.atomic('SET_VERSIONSTAMPED_KEY', template(bytes('p'), bytes('')), bytes('v'));
  const unreadable = expect.objectContaining({ code: 'ACCESSED_UNREADABLE' });
  expect(await transaction.get(stampedWith(77))).toBeUndefined();
  await expect(transaction.get(stampedWith(78))).rejects.toThrow(unreadable);
  await expect(transaction.get(Buffer.from([0x70, ...Array(10).fill(0xff)]))).rejects.toThrow(unreadable);
  expect(await transaction.get(Buffer.from([0x70, ...Array(10).fill(0xff), 0]))).toBeUndefined();
  expect(await transaction.get(bytes('q'))).toBeUndefined();
});

test('bytes are copied on the way in and on the way out', async () => {
  const { transaction } = open();
  const [key, value, limit] = [bytes('k'), bytes('value'), bytes('m')];
  transaction.set(key, value);
  transaction.atomic('APPEND_IF_FITS', bytes('n'), value);
  transaction.clearRange(key.subarray(0, 0), Buffer.from(''));
  transaction.clear(limit);
  const reading = transaction.get(Object.assign(limit, { 0: 0x61 }));
  limit.fill(0);
  expect(bytesToLatin1((await reading)!)).toBe('value of a');
  key.fill(0);
  value.fill(0);
  const own = await transaction.get(bytes('k'));
  expect(bytesToLatin1(own!)).toBe('value');
  own!.fill(0);
  for await (const pair of transaction.getRange(bytes('k'), bytes('z'))) {
    expect(bytesToLatin1(pair.value)).toBe('value');
    pair.value.fill(0);
  }
  expect(bytesToLatin1((await transaction.get(bytes('n')))!)).toBe('value');
  const { operations } = (await transaction.seal()).request;
  expect(operations).toEqual([
    { type: 'set', key: new Uint8Array(bytes('k')), value: new Uint8Array(bytes('value')) },
    {
      type: 'atomic',
      atomic: 'APPEND_IF_FITS',
      key: new Uint8Array(bytes('n')),
      operand: new Uint8Array(bytes('value')),
    },
    { type: 'clearRange', begin: new Uint8Array(), end: new Uint8Array() },
    { type: 'clear', key: new Uint8Array(bytes('m')) },
  ]);
});

describe('sealing', () => {
  test('gives what was collected', async () => {
    const { transaction } = open();
    await transaction.get(bytes('a'));
    await transaction.get(bytes('b'), { snapshot: true });
    transaction.set(bytes('c'), bytes('1'));
    await transaction.get(bytes('c'));
    transaction.addConflictRange(bytes('x'), bytes('y'), 'read');
    transaction.addConflictRange(bytes('v'), bytes('w'), 'write');
    const { readOnly, request, version } = await transaction.seal();
    expect([readOnly, version, request.readVersion]).toEqual([false, 77, 77]);
    expect(rangeTexts(request.readRanges)).toEqual(['a-a.', 'x-y']);
    expect(rangeTexts(request.writeRanges)).toEqual(['c-c.', 'v-w']);
  });

  test('tells what needs no commit', async () => {
    const readOnlyOf = async (act: (transaction: Transaction) => unknown) => {
      const { transaction } = open();
      await act(transaction);
      return (await transaction.seal()).readOnly;
    };
    expect(await readOnlyOf(() => {})).toBe(true);
    expect(await readOnlyOf((transaction) => transaction.get(bytes('a')))).toBe(true);
    expect(await readOnlyOf((transaction) => transaction.clear(bytes('a')))).toBe(false);
    expect(await readOnlyOf((tx) => tx.addConflictRange(bytes('a'), bytes('b'), 'write'))).toBe(false);
    expect(
      await readOnlyOf((tx) =>
        tx.atomic('SET_VERSIONSTAMPED_KEY', template(bytes('p'), bytes('')), bytes('v')),
      ),
    ).toBe(false);
  });

  test('a read conflict range without a read takes a version; blind writes and nothing do not', async () => {
    const guarded = open();
    guarded.transaction.addConflictRange(bytes('x'), bytes('y'), 'read');
    guarded.transaction.set(bytes('k'), bytes('v'));
    expect((await guarded.transaction.seal()).request.readVersion).toBe(77);
    const blind = open();
    blind.transaction.set(bytes('k'), bytes('v'));
    const sealed = await blind.transaction.seal();
    expect([sealed.version, sealed.request.readVersion]).toEqual([undefined, 0]);
    const idle = open();
    idle.transaction.addConflictRange(bytes('x'), bytes('y'), 'read');
    await idle.transaction.seal();
    expect([blind.reader.calls, idle.reader.calls]).toEqual([[], []]);
  });

  test.each(['seal', 'end'] as const)('after %s every call is refused', async (way) => {
    const { transaction } = open();
    const range = transaction.getRange(bytes('a'), bytes('z'));
    await range.next();
    const sealing = transaction[way]();
    const k = bytes('k');
    const ended = expect.objectContaining({ code: 'TRANSACTION_ENDED', retryable: false });
    for (const act of [
      () => transaction.set(k, k),
      () => transaction.clear(k),
      () => transaction.clearRange(k, k),
      () => transaction.atomic('ADD', k, k),
      () => transaction.addConflictRange(k, k, 'read'),
      () => transaction.getRange(k, k),
    ]) {
      expect(act).toThrow(ended);
    }
    for (const act of [
      () => transaction.get(k),
      () => transaction.getKey('lastLessThan', k),
      () => transaction.readVersion(),
      () => transaction.seal(),
      () => range.next(),
    ]) {
      await expect(act()).rejects.toThrow(ended);
    }
    await sealing;
  });
});

describe('limits at the call', () => {
  const k = bytes('k');
  const longKey = Buffer.alloc(KEY_BYTES_MAX + 1);
  const longValue = Buffer.alloc(VALUE_BYTES_MAX + 1);

  test.each<[string, string, (transaction: Transaction) => unknown]>([
    ['key of set', 'KEY_TOO_LARGE', (tx) => tx.set(longKey, k)],
    ['key of clear', 'KEY_TOO_LARGE', (tx) => tx.clear(longKey)],
    ['key of atomic', 'KEY_TOO_LARGE', (tx) => tx.atomic('ADD', longKey, k)],
    ['key of get', 'KEY_TOO_LARGE', (tx) => tx.get(longKey)],
    ['key of getKey', 'KEY_TOO_LARGE', (tx) => tx.getKey('lastLessThan', longKey)],
    ['value', 'VALUE_TOO_LARGE', (tx) => tx.set(k, longValue)],
    ['operand', 'VALUE_TOO_LARGE', (tx) => tx.atomic('ADD', k, longValue)],
    ['offset', 'VERSIONSTAMP_OFFSET_INVALID', (tx) => tx.atomic('SET_VERSIONSTAMPED_KEY', k, k)],
    ['inverted clear', 'INVERTED_RANGE', (tx) => tx.clearRange(k, bytes('a'))],
    ['inverted read', 'INVERTED_RANGE', (tx) => tx.getRange(k, bytes('a'))],
    ['inverted conflict', 'INVERTED_RANGE', (tx) => tx.addConflictRange(k, bytes('a'), 'read')],
    ['limit', 'OPTION_INVALID', (tx) => tx.getRange(k, k, { limit: -1 })],
    ['limit that is none', 'OPTION_INVALID', (tx) => tx.getRange(k, k, { limit: Number.NaN })],
  ])('%s', async (_, code, act) => {
    const { transaction } = open();
    const error = await (async () => act(transaction))().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(error).toBeInstanceOf(CommitError);
    expect(error).toMatchObject({ code, retryable: false });
    // The refused call left nothing behind.
    expect((await transaction.seal()).readOnly).toBe(true);
  });

  test('the size of all operations together', () => {
    const { transaction } = open();
    const value = Buffer.alloc(VALUE_BYTES_MAX);
    for (let count = 0; count < 99; count++) transaction.set(bytes(`key${count}`), value);
    expect(() => transaction.set(k, value)).toThrow(
      expect.objectContaining({ code: 'TRANSACTION_TOO_LARGE' }),
    );
  });
});
