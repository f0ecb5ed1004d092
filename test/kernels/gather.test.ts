import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inMemory, kernels, placeBitset, placeNulls, placeWords, words } from './bits-memory.ts';

const { memory } = kernels;
const RUNS = { numRuns: 150 };
const key = fc.integer({ min: 0, max: 0xffffffff });
const PAGE_BASE = 0xffff_0000;

test('columns are gathered by row', () => {
  fc.assert(
    fc.property(
      fc.array(key, { minLength: 1, maxLength: 60 }),
      fc.array(fc.nat(), { maxLength: 60 }),
      (source, seeds) =>
        inMemory(() => {
          const rows = seeds.map((seed) => seed % source.length);
          const out = memory.allocate(rows.length * 4);
          kernels.gather32(placeWords(source), placeWords(rows), rows.length, out);
          expect(words(out, rows.length)).toEqual(rows.map((row) => source[row]));
          const bytes = memory.allocate(source.length);
          memory.u8.set(
            source.map((value) => value & 0xff),
            bytes,
          );
          kernels.gather8(bytes, placeWords(rows), rows.length, out);
          expect([...memory.u8.subarray(out, out + rows.length)]).toEqual(
            rows.map((row) => source[row] & 0xff),
          );
        }),
    ),
    RUNS,
  );
});

/** Slots of one page, the last of the range, with a key or null each. */
const rows = fc.uniqueArray(fc.tuple(fc.nat(65_535), fc.option(key)), {
  selector: ([position]) => position,
  maxLength: 80,
});

test('values without nulls are listed', () => {
  fc.assert(
    fc.property(rows, (list) =>
      inMemory(() => {
        const keys = list.map(([, value]) => value);
        const slotsOut = memory.allocate((list.length + 1) * 4);
        const keysOut = memory.allocate((list.length + 1) * 4);
        const slotsAt = placeWords(list.map(([position]) => position));
        const keysAt = placeWords(keys.map((value) => value ?? 0xdeadbeef));
        const nulls = placeNulls(keys);
        const count = kernels.compactValues(slotsAt, keysAt, nulls, 0, list.length, slotsOut, keysOut);
        const kept = list.filter(([, value]) => value !== null);
        expect(words(slotsOut, count)).toEqual(kept.map(([position]) => position));
        expect(words(keysOut, count)).toEqual(kept.map(([, value]) => value));
      }),
    ),
    RUNS,
  );
});

test('a page takes its keys and gives them back, leaving zeros', () => {
  fc.assert(
    fc.property(rows, (list) =>
      inMemory(() => {
        const keys = list.map(([, value]) => value);
        const column = memory.allocate(65_536 * 4);
        memory.u8.fill(0, column, column + 65_536 * 4);
        const slotsAt = placeWords(list.map(([position]) => PAGE_BASE + position));
        const keysAt = placeWords(keys.map((value) => value ?? 0xdeadbeef));
        kernels.scatterKeys(slotsAt, keysAt, placeNulls(keys), 0, list.length, column);
        const kept = list.filter(([, value]) => value !== null).sort((a, b) => a[0] - b[0]);
        for (const [position, value] of kept) expect(memory.u32[column / 4 + position]).toBe(value);
        const present = placeBitset(kept.map(([position]) => position));
        const slotsOut = memory.allocate(kept.length * 4);
        const keysOut = memory.allocate(kept.length * 4);
        kernels.takePage(column, present, PAGE_BASE, slotsOut, keysOut);
        expect(words(slotsOut, kept.length)).toEqual(kept.map(([position]) => PAGE_BASE + position));
        expect(words(keysOut, kept.length)).toEqual(kept.map(([, value]) => value));
        expect(memory.u32.subarray(column / 4, column / 4 + 65_536).every((word) => word === 0)).toBe(true);
      }),
    ),
    RUNS,
  );
});
