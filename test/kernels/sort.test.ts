import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Pointer } from '../../src/kernels/kernel-memory.ts';
import { HISTOGRAM_BYTES, PAIR_BYTES } from '../../src/kernels/page-kernels.ts';
import { inMemory, kernels, placeNulls, placeWords, words } from './bits-memory.ts';
import { countDescentsTwin, groupPairsTwin, lastRowsTwin, type Pair, sortPairsTwin } from './twins/sort.ts';

const { memory } = kernels;
const RUNS = { numRuns: 200 };

/** Numbers that differ in few bits, in all, or not at all. */
const numbers = fc.oneof(
  fc.constant(fc.constant(0x12345678)),
  fc.constant(fc.nat(3)),
  fc.constant(fc.nat(40_000)),
  fc.constant(fc.integer({ min: 0, max: 0xffffffff })),
  fc.constant(fc.integer({ min: 0, max: 15 }).map((n) => (n * 0x10000000) >>> 0)),
);
const pairs: fc.Arbitrary<Pair[]> = fc
  .tuple(numbers, numbers)
  .chain(([key, slot]) => fc.array(fc.record({ key, slot }), { maxLength: 120 }));

function placePairs(list: readonly Pair[]): Pointer {
  return placeWords(list.flatMap(({ key, slot }) => [slot, key]));
}

function readPairs(pointer: Pointer, count: number): Pair[] {
  const flat = words(pointer, count * 2);
  return Array.from({ length: count }, (_, i) => ({ key: flat[2 * i + 1], slot: flat[2 * i] }));
}

test('pairs sort by either half, stable', () => {
  fc.assert(
    fc.property(pairs, fc.constantFrom('key', 'slot'), (list, by) =>
      inMemory(() => {
        const scratch = memory.allocate(list.length * PAIR_BYTES);
        const histogram = memory.allocate(HISTOGRAM_BYTES);
        const shift = by === 'key' ? 32 : 0;
        const sorted = kernels.radixSortPairs(placePairs(list), scratch, list.length, histogram, shift);
        expect(readPairs(sorted, list.length)).toEqual(sortPairsTwin(list, by));
      }),
    ),
    RUNS,
  );
});

test('order of pairs is recognised', () => {
  fc.assert(
    fc.property(pairs, fc.boolean(), (list, isSorted) => {
      const given = isSorted ? sortPairsTwin(sortPairsTwin(list, 'slot'), 'key') : list;
      inMemory(() => {
        const at = placePairs(given);
        const descents = countDescentsTwin(given);
        const inBoth = given.every((pair, i) => {
          const before = given[i - 1];
          return i === 0 || before.key < pair.key || (before.key === pair.key && before.slot <= pair.slot);
        });
        expect(kernels.countDescents(at, given.length)).toBe(descents);
        expect(kernels.arePairsAscending(at, given.length)).toBe(Number(inBoth));
      });
    }),
    RUNS,
  );
});

test('sorted pairs group into a directory, over themselves, without repetitions', () => {
  fc.assert(
    fc.property(pairs, fc.boolean(), fc.constantFrom(0, 4), (list, isTwice, offset) => {
      const sorted = sortPairsTwin(sortPairsTwin(isTwice ? [...list, ...list] : list, 'slot'), 'key');
      const twin = groupPairsTwin(sorted);
      inMemory(() => {
        const at = placePairs(sorted);
        const keys = memory.allocate(sorted.length * 4);
        const starts = memory.allocate((sorted.length + 1) * 4);
        const slots = at + offset;
        expect(kernels.groupPairs(at, sorted.length, keys, starts, slots)).toBe(twin.keys.length);
        expect(words(keys, twin.keys.length)).toEqual(twin.keys);
        expect(words(starts, twin.keys.length + 1)).toEqual(twin.starts);
        expect(words(slots, twin.slots.length)).toEqual(twin.slots);
      });
    }),
    RUNS,
  );
});

test('rows pack into pairs, nulls left out', () => {
  fc.assert(
    fc.property(pairs, fc.infiniteStream(fc.boolean()), (list, coin) => {
      const keys = list.map(({ key }) => (coin.next().value ? key : null));
      inMemory(() => {
        const out = memory.allocate((list.length + 1) * PAIR_BYTES);
        const keysAt = placeWords(keys.map((key) => key ?? 0xdeadbeef));
        const slotsAt = placeWords(list.map(({ slot }) => slot));
        const end = kernels.packPairs(keysAt, slotsAt, placeNulls(keys), 0, list.length, out);
        const expected = list.filter((_, row) => keys[row] !== null);
        expect(readPairs(out, (end - out) / PAIR_BYTES)).toEqual(expected);
      });
    }),
    RUNS,
  );
});

test('the last row of every slot is found', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat(20), fc.integer({ min: 0, max: 0xffffffff })), { maxLength: 80 }),
      (slots) =>
        inMemory(() => {
          const { length } = slots;
          const packed = memory.allocate(length * PAIR_BYTES);
          const scratch = memory.allocate(length * PAIR_BYTES);
          kernels.packSlotRows(placeWords(slots), length, packed);
          const sorted = kernels.radixSortPairs(
            packed,
            scratch,
            length,
            memory.allocate(HISTOGRAM_BYTES),
            32,
          );
          const slotsOut = memory.allocate(length * 4);
          const rowsOut = memory.allocate(length * 4);
          const kept = kernels.lastRows(sorted, length, slotsOut, rowsOut);
          expect({ slots: words(slotsOut, kept), rows: words(rowsOut, kept) }).toEqual(lastRowsTwin(slots));
        }),
    ),
    RUNS,
  );
});
