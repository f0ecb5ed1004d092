import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CODE_NONE, SMALL_KEYS } from '../../src/kernels/page-kernels.ts';
import { inMemory, kernels, placeBitset, placeNulls, placeWords, positionsOf } from './bits-memory.ts';
import { isAscendingTwin, nextDensePageTwin, pageEndTwin, setKeyCodesTwin } from './twins/bits.ts';

const { memory } = kernels;
const RUNS = { numRuns: 200 };

/** Ascending, with pages of one to many slots, up to the end of the range. */
const ascending = fc
  .tuple(
    fc.constantFrom(0, 65_530, 0xffff_fff0 - 70 * 9),
    fc.array(fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom(1, 1, 1, 70_000)), { maxLength: 70 }),
  )
  .map(([start, gaps]) => {
    let slot = start;
    return gaps.map((gap) => (slot += gap)).filter((at) => at <= 0xffffffff);
  });
const nearlyAscending = fc
  .tuple(ascending, fc.nat(), fc.nat(), fc.boolean())
  .map(([slots, i, j, isSwapped]) => {
    if (!isSwapped || slots.length === 0) return slots;
    const result = [...slots];
    [result[i % slots.length], result[j % slots.length]] = [
      result[j % slots.length],
      result[i % slots.length],
    ];
    return result;
  });
/** Rows of one page. */
const pageSlots = fc
  .uniqueArray(fc.oneof(fc.nat(65_535), fc.nat(80)), { maxLength: 90 })
  .map((positions) => positions.map((position) => 7 * 65_536 + position));

test('ascending slots are told from others', () => {
  fc.assert(
    fc.property(nearlyAscending, (slots) =>
      inMemory(() => {
        const at = placeWords(slots);
        expect(kernels.isStrictlyAscending(at, slots.length)).toBe(Number(isAscendingTwin(slots, true)));
        expect(kernels.isAscending(at, slots.length)).toBe(Number(isAscendingTwin(slots, false)));
      }),
    ),
    RUNS,
  );
});

test('pages end where the upper half of the slot changes', () => {
  fc.assert(
    fc.property(ascending, fc.nat(), fc.integer({ min: 1, max: 12 }), (slots, seed, rowsMin) => {
      if (slots.length === 0) return;
      inMemory(() => {
        const at = placeWords(slots);
        const from = seed % slots.length;
        expect(kernels.pageEnd(at, from, slots.length)).toBe(pageEndTwin(slots, from, slots.length));
        const first = pageEndTwin(slots, from, slots.length);
        const expected = nextDensePageTwin(slots, first, slots.length, rowsMin);
        expect(kernels.nextDensePage(at, first, slots.length, rowsMin)).toBe(expected);
      });
    }),
    RUNS,
  );
});

test('slots set their bits and keep those that are set', () => {
  fc.assert(
    fc.property(pageSlots, pageSlots, fc.infiniteStream(fc.boolean()), (before, slots, coin) =>
      inMemory(() => {
        const values = slots.map((slot) => (coin.next().value ? slot : null));
        const bitset = placeBitset(before.map((slot) => slot & 0xffff));
        kernels.setSlotBits(placeWords(slots), placeNulls(values), 0, slots.length, bitset);
        const kept = values.filter((slot) => slot !== null);
        const expected = new Set([...before, ...kept].map((slot) => slot & 0xffff));
        expect(positionsOf(bitset)).toEqual([...expected].sort((a, b) => a - b));
      }),
    ),
    RUNS,
  );
});

test('keys become codes up to the first key without one, and codes become bitsets', () => {
  const key = fc.option(fc.constantFrom(0, 1, 2, 3, 4095, 4096, 4097, 0xffffffff), { freq: 5 });
  fc.assert(
    fc.property(
      pageSlots.chain((slots) =>
        fc.tuple(fc.constant(slots), fc.array(key, { minLength: slots.length, maxLength: slots.length })),
      ),
      fc.uniqueArray(fc.constantFrom(0, 1, 2, 3, 4095), { maxLength: 5 }),
      ([slots, keys], known) =>
        inMemory(() => {
          const lookup = memory.allocate(SMALL_KEYS);
          memory.u8.fill(CODE_NONE, lookup, lookup + SMALL_KEYS);
          known.forEach((knownKey, code) => {
            memory.u8[lookup + knownKey] = code;
          });
          const codes = memory.allocate(65_536);
          memory.u8.fill(CODE_NONE, codes, codes + 65_536);
          const columns = [
            placeWords(slots),
            placeWords(keys.map((value) => value ?? 0xdeadbeef)),
            placeNulls(keys),
          ] as const;
          const reached = kernels.setKeyCodes(...columns, 0, slots.length, lookup, codes);
          const twin = setKeyCodesTwin(slots, keys, new Map(known.map((knownKey, code) => [knownKey, code])));
          expect(reached).toBe(twin.reached);
          known.forEach((_, code) => {
            const bitset = placeBitset();
            const count = kernels.codeBitset(codes, code, bitset);
            const expected = [...twin.codes]
              .filter(([, found]) => found === code)
              .map(([position]) => position);
            expect(positionsOf(bitset)).toEqual(expected.sort((a, b) => a - b));
            expect(count).toBe(expected.length);
          });
        }),
    ),
    RUNS,
  );
});
