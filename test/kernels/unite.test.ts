import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inMemory, kernels, placeWords, words } from './bits-memory.ts';
import { orderEntriesTwin, uniteEntriesTwin } from './twins/unite.ts';

const { memory } = kernels;
const KEY_RANGE = 9;

/** Entries whose keys lie close together somewhere in 32 bits, with lists of any length, out of order some of them. */
const entries = fc
  .tuple(
    fc.integer({ min: 0, max: 0xffffffff - KEY_RANGE }),
    fc.array(
      fc.tuple(fc.nat(KEY_RANGE - 1), fc.array(fc.integer({ min: 0, max: 0xffffffff }), { maxLength: 11 })),
      { minLength: 1, maxLength: 40 },
    ),
  )
  .map(([keyMin, list]) => ({
    keyMin,
    entries: list.map(([key, slots]) => ({ key: keyMin + key, slots: slots.toSorted((a, b) => a - b) })),
  }));

test('entries are ordered by key and their lists put one behind the other', () => {
  fc.assert(
    fc.property(entries, ({ keyMin, entries }) =>
      inMemory(() => {
        const twinOrder = orderEntriesTwin(entries);
        const twin = uniteEntriesTwin(entries, twinOrder);
        const count = entries.length;
        const ends = entries.map((_, i) => entries.slice(0, i + 1).flatMap(({ slots }) => slots).length);
        const keys = placeWords(entries.map(({ key }) => key));
        const startsAt = placeWords(entries.map(({ slots }, i) => ends[i] - slots.length));
        const endsAt = placeWords(ends);
        const slots = placeWords([...entries.flatMap(({ slots }) => slots), 0, 0, 0, 0]);
        const order = memory.allocate(count * 4);
        kernels.orderEntries(keys, count, keyMin, KEY_RANGE, memory.allocate(KEY_RANGE * 4), order);
        expect(words(order, count)).toEqual(twinOrder);

        const keysOut = memory.allocate(count * 4);
        const startsOut = memory.allocate((count + 1) * 4);
        const slotsOut = memory.allocate((twin.slots.length + 3) * 4);
        const disorder = placeWords([7]);
        const keyCount = kernels.uniteEntries(
          keys,
          startsAt,
          endsAt,
          slots,
          order,
          count,
          keysOut,
          startsOut,
          slotsOut,
          disorder,
        );
        expect(words(keysOut, keyCount)).toEqual(twin.keys);
        expect(words(startsOut, keyCount + 1)).toEqual(twin.starts);
        expect(words(slotsOut, twin.slots.length)).toEqual(twin.slots);
        expect(words(disorder, 1)).toEqual([Number(twin.isDisordered)]);
      }),
    ),
    { numRuns: 300 },
  );
});
