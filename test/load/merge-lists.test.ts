/** Lists of slots against plain arrays and sets. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { firstAbove, mergeAscending, sortUnique, withRoom } from '../../src/load/merge-lists.ts';

const slot = fc.oneof(fc.nat(30), fc.integer({ min: 0, max: 0xffffffff }));
const ascending = fc.array(slot).map((slots) => [...new Set(slots)].sort((a, b) => a - b));

test('two ascending lists become one without repetitions', () => {
  fc.assert(
    fc.property(ascending, ascending, (a, b) => {
      const target = new Uint32Array(a.length + b.length);
      const count = mergeAscending(Uint32Array.from(a), a.length, Uint32Array.from(b), b.length, target);
      expect([...target.subarray(0, count)]).toEqual([...new Set([...a, ...b])].sort((x, y) => x - y));
    }),
  );
});

test('the first slot above another is found, or the end', () => {
  fc.assert(
    fc.property(ascending, slot, fc.nat(5), (slots, above, start) => {
      const from = Math.min(start, slots.length);
      const index = slots.findIndex((other, at) => at >= from && other > above);
      expect(firstAbove(Uint32Array.from(slots), from, slots.length, above)).toBe(
        index < 0 ? slots.length : index,
      );
    }),
  );
});

test('the beginning of a list is sorted and its repetitions dropped, the rest left alone', () => {
  fc.assert(
    fc.property(fc.array(slot), fc.array(slot), (list, rest) => {
      const words = Uint32Array.from([...list, ...rest]);
      const count = sortUnique(words, list.length);
      expect([...words.subarray(0, count)]).toEqual([...new Set(list)].sort((a, b) => a - b));
      expect([...words.subarray(list.length)]).toEqual(rest);
    }),
  );
});

test('more room keeps what was there', () => {
  const words = withRoom(Uint32Array.from([1, 2, 3]), 100_000);
  expect(words.length).toBeGreaterThanOrEqual(100_000);
  expect([...words.subarray(0, 3)]).toEqual([1, 2, 3]);
});
