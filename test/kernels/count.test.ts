import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PAIR_BYTES } from '../../src/kernels/page-kernels.ts';
import { inMemory, kernels, placeWords, words } from './bits-memory.ts';
import { groupPairsTwin, sortPairsTwin } from './twins/sort.ts';

const { memory } = kernels;
const KEY_RANGE_MAX = 500;

/** Keys that lie together somewhere in 32 bits, each with a slot of its own. */
const pairs = fc
  .tuple(
    fc.integer({ min: 0, max: 0xffffffff - KEY_RANGE_MAX }),
    fc.constantFrom(1, 7, KEY_RANGE_MAX),
    fc.uniqueArray(fc.integer({ min: 0, max: 0xffffffff }), { minLength: 1, maxLength: 120 }),
  )
  .chain(([keyMin, keyRange, slots]) =>
    fc.tuple(...slots.map((slot) => fc.nat(keyRange).map((key) => ({ key: keyMin + key, slot })))),
  )
  .map((list) => sortPairsTwin(list, 'slot'));

test('pairs in the order of their slots are counted into a directory', () => {
  fc.assert(
    fc.property(pairs, (list) => {
      const { length } = list;
      const twin = groupPairsTwin(sortPairsTwin(list, 'key'));
      inMemory(() => {
        const at = placeWords([...list.flatMap(({ key, slot }) => [slot, key]), 0, 0]);
        const bounds = memory.allocate(8);
        kernels.pairKeyBounds(at, length, bounds);
        const [keyMin, keyMax] = words(bounds, 2);
        expect([keyMin, keyMax]).toEqual([twin.keys[0], twin.keys.at(-1)]);
        const counters = memory.allocate((keyMax - keyMin + 1) * 4);
        const slots = memory.allocate(length * PAIR_BYTES);
        const keyCount = kernels.countPairs(at, length, keyMin, keyMax - keyMin + 1, counters, slots);
        expect(words(at, keyCount)).toEqual(twin.keys);
        expect(words(at + length * 4, keyCount + 1)).toEqual(twin.starts);
        expect(words(slots, length)).toEqual(twin.slots);
      });
    }),
    { numRuns: 200 },
  );
});
