import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SortSegment } from '../../src/index/sort-segment.ts';
import { SortSegmentBuilder } from '../../src/index/sort-segment-builder.ts';
import { COLUMN_SPARSE_SLOTS_MAX } from '../../src/limits.ts';
import { ascending, buildSort, type SortModel, sameBytes, transposeNaively } from './model.ts';

const key = fc.oneof(
  fc.constantFrom(0, 1, 0x80000000, 0xffffffff),
  fc.integer({ min: 0, max: 100 }),
  fc.integer({ min: 0, max: 0xffffffff }),
);
const sparse = fc.array(fc.tuple(fc.integer({ min: 0, max: 0xffffffff }), key), { maxLength: 30 });
const stretch = fc
  .record({
    start: fc.constantFrom(0, 65_530, 0xfffe0000),
    count: fc.constantFrom(1, COLUMN_SPARSE_SLOTS_MAX, COLUMN_SPARSE_SLOTS_MAX + 1, 70_000),
    factor: fc.constantFrom(0, 1, 65_521, 2_654_435_761),
  })
  .map(({ start, count, factor }) =>
    Array.from({ length: count }, (_, i): [number, number] => [
      (start + i) >>> 0,
      Math.imul(i, factor) >>> 0,
    ]),
  );
const model: fc.Arbitrary<SortModel> = fc.tuple(stretch, sparse).map(([a, b]) => new Map([...a, ...b]));

test('a field reads back as it was added', () => {
  fc.assert(
    fc.property(model, (values) => {
      const field = new SortSegment(buildSort(values));
      const slots = ascending(values.keys());
      expect(sameBytes(field.present.toUint32Array(), slots)).toBe(true);
      const expected = Uint32Array.from(slots, (slot) => values.get(slot)!);
      const keys = new Uint32Array(slots.length);
      field.gather(slots, keys, slots.length);
      expect(sameBytes(keys, expected)).toBe(true);
      for (let i = 0; i < slots.length; i += 997) expect(field.keyOf(slots[i])).toBe(expected[i]);
      expect(field.keyMin).toBe(expected.reduce((a, b) => Math.min(a, b), 0xffffffff));
      expect(field.keyMax).toBe(expected.reduce((a, b) => Math.max(a, b), 0));
      expect(field.layerCount).toBe(32 - Math.clz32(field.keyMax));
      for (let bit = 0; bit < 32; bit++) {
        const layer = slots.filter((_, i) => (expected[i] >>> bit) & 1);
        expect(sameBytes(field.layer(bit).toUint32Array(), layer), `layer ${bit}`).toBe(true);
      }
      expectPages(field, slots, values);
    }),
    { numRuns: 12 },
  );
});

function expectPages(field: SortSegment, slots: Uint32Array, values: SortModel): void {
  const { pageKeys, keyMins, keyMaxs } = field.pages();
  expect([...pageKeys]).toEqual([...new Set(Array.from(slots, (slot) => slot >>> 16))]);
  const column = new Uint32Array(65_536);
  for (let page = 0; page < pageKeys.length; page++) {
    const ofPage = slots.filter((slot) => slot >>> 16 === pageKeys[page]);
    const keys = Array.from(ofPage, (slot) => values.get(slot)!);
    expect(keyMins[page]).toBe(keys.reduce((a, b) => Math.min(a, b)));
    expect(keyMaxs[page]).toBe(keys.reduce((a, b) => Math.max(a, b)));
    const expected = new Uint32Array(65_536);
    for (const slot of ofPage) expected[slot & 0xffff] = values.get(slot)!;
    field.copyPage(pageKeys[page], column);
    expect(sameBytes(column, expected)).toBe(true);
  }
}

test('a page added as a list of slots gives the same bytes', () => {
  fc.assert(
    fc.property(sparse, (entries) => {
      const values = new Map(entries);
      const slots = ascending(values.keys());
      const keys = Uint32Array.from(slots, (slot) => values.get(slot)!);
      const builder = new SortSegmentBuilder({ field: 'field', transpose: transposeNaively });
      for (let from = 0, to = 0; from < slots.length; from = to) {
        while (to < slots.length && slots[to] >>> 16 === slots[from] >>> 16) to++;
        builder.addSparsePage(slots, keys, from, to);
      }
      expect(sameBytes(builder.finish(), buildSort(values))).toBe(true);
    }),
    { numRuns: 30 },
  );
});

test('a page absent from the column copies as zeros', () => {
  const field = new SortSegment(buildSort(new Map([[65_536, 7]])));
  for (const pageKey of [0, 2, 65_535]) {
    const column = new Uint32Array(65_536).fill(9);
    field.copyPage(pageKey, column);
    expect(column.every((key) => key === 0)).toBe(true);
  }
});

test('a field without values has no layers and no bounds', () => {
  const field = new SortSegment(buildSort(new Map()));
  expect([field.keyMin, field.keyMax, field.layerCount, field.present.size]).toEqual([0, 0, 0, 0]);
  expect(field.layer(0).isEmpty).toBe(true);
  expect(field.pages().pageKeys).toHaveLength(0);
});

test('pages without present slots leave no trace, pages out of order are refused', () => {
  const builder = new SortSegmentBuilder({ field: 'width', transpose: transposeNaively });
  const column = new Uint32Array(65_536);
  const present = new Uint32Array(2048);
  builder.addPage(1, column, present);
  present[0] = 1;
  column[0] = 3;
  builder.addPage(4, column, present);
  expect(() => builder.addPage(4, column, present)).toThrow('field width: page 4');
  const expected = buildSort(new Map([[4 * 65_536, 3]]));
  expect(sameBytes(builder.finish(), expected)).toBe(true);
});
