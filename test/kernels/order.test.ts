import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inMemory, kernels, placeWords, words } from './bits-memory.ts';
import { orderListsTwin } from './twins/order.ts';

const { memory } = kernels;

const slot = fc.oneof(fc.nat(40), fc.integer({ min: 0, max: 0xffffffff }));
const run = fc.array(slot, { maxLength: 30 }).map((slots) => slots.toSorted((a, b) => a - b));
/** Ascending, in runs that overlap, in any order, with repetitions, empty. */
const list = fc.oneof(
  run.map((slots) => [...new Set(slots)]),
  fc.array(run, { maxLength: 6 }).map((runs) => runs.flat()),
  fc.array(slot, { maxLength: 40 }),
);

test('lists are put in order, without repetitions or gaps', () => {
  fc.assert(
    fc.property(fc.array(list, { maxLength: 12 }), fc.array(slot, { maxLength: 5 }), (lists, behind) =>
      inMemory(() => {
        const ends = lists.map((_, i) => lists.slice(0, i + 1).flat().length);
        const starts = placeWords([0, ...ends]);
        const slots = placeWords([...lists.flat(), ...behind]);
        const longest = Math.max(0, ...lists.map(({ length }) => length));
        const scratch = memory.allocate(longest * 4);
        const guard = placeWords([7, 7]);
        kernels.orderLists(starts, lists.length, slots, scratch);
        const expected = orderListsTwin(lists);
        const expectedEnds = expected.map((_, i) => expected.slice(0, i + 1).flat().length);
        expect(words(starts, lists.length + 1)).toEqual([0, ...expectedEnds]);
        expect(words(slots, expected.flat().length)).toEqual(expected.flat());
        expect(words(slots + lists.flat().length * 4, behind.length)).toEqual(behind);
        expect(words(guard, 2)).toEqual([7, 7]);
      }),
    ),
    { numRuns: 500 },
  );
});
