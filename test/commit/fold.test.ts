import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToLatin1, compareBytes } from '../../src/commit/byte-order.ts';
import { VALUE_BYTES_MAX } from '../../src/commit/commit-limits.ts';
import { baseKeys, type FoldedBatch, foldWinners, type Winner } from '../../src/commit/fold.ts';
import type { Operation } from '../../src/commit/operation.ts';
import { applyOne, type State } from './naive-state.ts';
import { keys, operations, template, values } from './operation-fixtures.ts';

/** Applies operations one after the other to a plain map. */
function applySerially(state: State, winners: readonly Winner[]): State {
  const result = new Map(state);
  for (const { version, operations } of winners) {
    for (const operation of operations) applyOne(result, operation, version);
  }
  return result;
}

/** What the database does with a folded batch. */
function applyFolded(state: State, folded: FoldedBatch): State {
  const result = new Map(state);
  for (const { begin, end } of folded.clearedRanges) {
    for (const key of state.keys()) {
      if (bytesToLatin1(begin) <= key && key < bytesToLatin1(end)) result.delete(key);
    }
  }
  for (const key of folded.deletes) result.delete(bytesToLatin1(key));
  for (const { key, value } of folded.upserts) result.set(bytesToLatin1(key), bytesToLatin1(value));
  return result;
}

function isSortedAndUnique(keys: readonly Uint8Array[]): boolean {
  return keys.every((key, at) => at === 0 || compareBytes(keys[at - 1], key) < 0);
}

/** Folds with nothing of the base but what was asked for. */
function fold(state: State, winners: readonly Winner[]): FoldedBatch {
  const asked = new Map(
    baseKeys(winners).map((key) => {
      const value = state.get(bytesToLatin1(key));
      return [bytesToLatin1(key), value === undefined ? undefined : Buffer.from(value, 'latin1')];
    }),
  );
  return foldWinners(winners, (key) => {
    expect(asked.has(bytesToLatin1(key))).toBe(true);
    return asked.get(bytesToLatin1(key));
  });
}

const sorted = (state: State) => [...state].map((pair) => JSON.stringify(pair)).sort();

const bases: fc.Arbitrary<State> = fc
  .array(fc.tuple(keys.map(bytesToLatin1), values.map(bytesToLatin1)), { maxLength: 30 })
  .map((pairs) => new Map(pairs));

const winnerLists: fc.Arbitrary<Winner[]> = fc
  .array(fc.array(operations, { maxLength: 8 }), { maxLength: 6 })
  .map((lists) => lists.map((operations, at) => ({ version: 1000 + at, operations })));

describe('against applying one operation after the other', () => {
  test('the result is the same, and its parts are sorted, unique and apart', () => {
    fc.assert(
      fc.property(bases, winnerLists, (base, winners) => {
        const before = JSON.stringify(winners);
        const folded = fold(base, winners);
        expect(sorted(applyFolded(base, folded))).toEqual(sorted(applySerially(base, winners)));
        const upserted = folded.upserts.map(({ key }) => key);
        expect(isSortedAndUnique(folded.deletes)).toBe(true);
        expect(isSortedAndUnique(upserted)).toBe(true);
        expect(isSortedAndUnique([...folded.deletes, ...upserted].sort(compareBytes))).toBe(true);
        // Apart from each other also means that no range ends where the next begins.
        expect(isSortedAndUnique(folded.clearedRanges.flatMap(({ begin, end }) => [begin, end]))).toBe(true);
        for (const key of folded.deletes) {
          expect(
            folded.clearedRanges.some(
              ({ begin, end }) => compareBytes(begin, key) <= 0 && compareBytes(key, end) < 0,
            ),
          ).toBe(false);
        }
        expect(JSON.stringify(winners)).toBe(before);
      }),
      { numRuns: 5000 },
    );
  });

  test('base keys are unique', () => {
    fc.assert(
      fc.property(winnerLists, (winners) => {
        const names = baseKeys(winners).map(bytesToLatin1);
        expect(new Set(names).size).toBe(names.length);
      }),
    );
  });
});

const key = Buffer.from('k');
const one = Buffer.from([1]);
const add: Operation = { type: 'atomic', atomic: 'ADD', key, operand: one };
const all: Operation = { type: 'clearRange', begin: Buffer.from('a'), end: Buffer.from('z') };
const fold1 = (...list: Operation[]) => fold(new Map([['k', '\x07']]), [{ version: 5, operations: list }]);

test('a set after the range was cleared survives', () => {
  const folded = fold1(all, { type: 'set', key, value: one });
  expect(folded.upserts).toEqual([{ key, value: one }]);
  expect(folded.clearedRanges).toHaveLength(1);
});

test('an atomic after a clear sees nothing, and its base is not asked for after a set', () => {
  expect(fold1(all, add).upserts).toEqual([{ key, value: one }]);
  expect(fold1({ type: 'clear', key }, add).upserts).toEqual([{ key, value: one }]);
  expect(baseKeys([{ version: 5, operations: [{ type: 'set', key, value: one }, add] }])).toEqual([]);
  expect(baseKeys([{ version: 5, operations: [add, { type: 'set', key, value: one }, add] }])).toEqual([key]);
});

test('what changes nothing writes nothing', () => {
  const keep: Operation = { type: 'atomic', atomic: 'COMPARE_AND_CLEAR', key, operand: one };
  expect(fold1(keep)).toEqual({ clearedRanges: [], deletes: [], upserts: [] });
  expect(fold1({ ...keep, key: Buffer.from('absent') })).toEqual({
    clearedRanges: [],
    deletes: [],
    upserts: [],
  });
});

test('ranges that touch or overlap are merged', () => {
  const range = (begin: string, end: string): Operation => ({
    type: 'clearRange',
    begin: Buffer.from(begin),
    end: Buffer.from(end),
  });
  const { clearedRanges } = fold1(
    range('c', 'd'),
    range('a', 'b'),
    range('b', 'c'),
    range('x', 'z'),
    range('y', 'z'),
  );
  expect(clearedRanges.map(({ begin, end }) => `${begin}-${end}`)).toEqual(['a-d', 'x-z']);
});

test('stamped operations of one transaction share its stamp, and their templates stay as they are', () => {
  const stampedKey = template(Buffer.from('p'), Buffer.from('s'));
  const before = Buffer.from(stampedKey);
  const { upserts } = fold1(
    { type: 'atomic', atomic: 'SET_VERSIONSTAMPED_KEY', key: stampedKey, operand: one },
    { type: 'atomic', atomic: 'SET_VERSIONSTAMPED_VALUE', key, operand: stampedKey },
  );
  const stamp = Buffer.from('p\0\0\0\0\0\0\0\x05\0\0s');
  expect(upserts.map(({ key, value }) => [Buffer.from(key), Buffer.from(value)])).toEqual([
    [key, stamp],
    [stamp, one],
  ]);
  expect(stampedKey).toEqual(before);
});

test('many appends to one key, with others between, equal appending one by one', () => {
  const list: Operation[] = [];
  for (let count = 0; count < 3100; count++) {
    const operand = Buffer.alloc(count % 70, count);
    list.push({ type: 'atomic', atomic: 'APPEND_IF_FITS', key, operand });
    if (count % 500 === 499) list.push(add, { type: 'set', key, value: operand });
  }
  const base: State = new Map([['k', 'x'.repeat(VALUE_BYTES_MAX - 9000)]]);
  const winners = [{ version: 5, operations: list }];
  expect(sorted(applyFolded(base, fold(base, winners)))).toEqual(sorted(applySerially(base, winners)));
});
