import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FilterSegment } from '../../src/index/filter-segment.ts';
import { FilterSegmentBuilder } from '../../src/index/filter-segment-builder.ts';
import { PortableWriter, SpentBitmap } from '../../src/index/portable.ts';
import { RoaringBitmap32 } from '../../src/index/roaring.ts';
import { SpillFile, type SpillSpace } from '../../src/index/spill-file.ts';
import { SMALL_VALUE_SLOTS_MAX } from '../../src/limits.ts';
import { ascending, buildFilter, type FilterModel, sameBytes } from './model.ts';

const slot = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.integer({ min: 65_500, max: 65_600 }),
  fc.integer({ min: 0, max: 0xffffffff }),
);
const slotSet = fc.oneof(
  fc.uniqueArray(slot, { maxLength: 20 }).map((slots) => new Set(slots)),
  fc
    .record({ start: slot, count: fc.integer({ min: 1, max: 700 }), stride: fc.constantFrom(1, 2, 300) })
    .map(({ start, count, stride }) => {
      const slots = new Set<number>();
      for (let i = 0; i < count; i++) slots.add((start + i * stride) >>> 0);
      return slots;
    }),
);
const key = fc.oneof(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 0xffffffff }));
const model: fc.Arbitrary<FilterModel> = fc
  .array(fc.tuple(key, slotSet), { maxLength: 10 })
  .map((entries) => new Map(entries));

test('a field reads back as it was added', () => {
  fc.assert(
    fc.property(model, key, (values, otherKey) => {
      const field = new FilterSegment(buildFilter(values));
      const keys = ascending([...values].filter(([, slots]) => slots.size > 0).map(([key]) => key));
      expect([...field.keys()]).toEqual(
        Array.from(keys, (key) => ({ key, cardinality: values.get(key)!.size })),
      );
      expect(field.valueCount).toBe(keys.length);
      for (const key of [...keys, otherKey]) {
        const slots = ascending(values.get(key) ?? []);
        expect(field.cardinality(key)).toBe(slots.length);
        expect(sameBytes(field.slots(key), slots)).toBe(true);
        expect(sameBytes(field.bitmap(key).toUint32Array(), slots)).toBe(true);
        expect(field.bitmap(key).isEmpty).toBe(slots.length === 0);
      }
      const present = new Set<number>();
      for (const slots of values.values()) for (const slot of slots) present.add(slot);
      expect(sameBytes(field.present.toUint32Array(), ascending(present))).toBe(true);
    }),
    { numRuns: 40 },
  );
});

test('slots and bitmaps of the same content give the same bytes', () => {
  fc.assert(
    fc.property(model, fc.boolean(), (values, isPresentGiven) => {
      const builder = new FilterSegmentBuilder({ field: 'field' });
      const present = new RoaringBitmap32();
      for (const key of ascending(values.keys())) {
        const bitmap = new RoaringBitmap32(ascending(values.get(key)!));
        present.orInPlace(bitmap);
        builder.addBitmap(key, bitmap);
      }
      const bytes = builder.finish(isPresentGiven ? new SpentBitmap(present) : undefined);
      expect(sameBytes(bytes, buildFilter(values))).toBe(true);
    }),
    { numRuns: 40 },
  );
});

test('what is spilled while it is built gives the same bytes', () => {
  const spillFile = SpillFile.open(tmpdir(), 0);
  try {
    fc.assert(
      fc.property(model, (values) => {
        const builder = new FilterSegmentBuilder({ field: 'field', space: spillFile.space });
        const present = new RoaringBitmap32();
        for (const key of ascending(values.keys())) {
          const slots = ascending(values.get(key)!);
          present.addMany(slots);
          if (key % 3 === 0) builder.addSlots(key, slots, 0, slots.length);
          else if (key % 3 === 1) builder.addBitmap(key, new RoaringBitmap32(slots));
          else builder.takePortable(key, writerOf(slots, spillFile.space));
        }
        const bytes = builder.finish(writerOf(present.toUint32Array(), spillFile.space));
        expect(sameBytes(bytes, buildFilter(values))).toBe(true);
      }),
      { numRuns: 40 },
    );
    expect(Number(spillFile.space.end[0])).toBeGreaterThan(0);
  } finally {
    spillFile.close();
  }
});

function writerOf(slots: Uint32Array, space: SpillSpace): PortableWriter {
  const writer = new PortableWriter(space);
  writer.addSlots(slots, 0, slots.length);
  return writer;
}

test('a directory added at once gives the same bytes', () => {
  fc.assert(
    fc.property(model, fc.nat({ max: 12 }), (values, cut) => {
      const keys = ascending([...values].filter(([, slots]) => slots.size > 0).map(([key]) => key));
      const starts = new Uint32Array(keys.length + 1);
      for (let i = 0; i < keys.length; i++) starts[i + 1] = starts[i] + values.get(keys[i])!.size;
      const slots = new Uint32Array(starts[keys.length]);
      for (let i = 0; i < keys.length; i++) slots.set(ascending(values.get(keys[i])!), starts[i]);
      const builder = new FilterSegmentBuilder({ field: 'field', keyCountMax: keys.length, slotCountMax: 0 });
      const middle = Math.min(cut, keys.length);
      builder.addDirectory(keys, starts, slots, 0, middle);
      builder.addDirectory(keys, starts, slots, middle, keys.length);
      expect(sameBytes(builder.finish(), buildFilter(values))).toBe(true);
    }),
    { numRuns: 40 },
  );
});

test('values of up to SMALL_VALUE_SLOTS_MAX slots are runs, larger ones own a bitmap', () => {
  const slots = Uint32Array.from({ length: SMALL_VALUE_SLOTS_MAX + 1 }, (_, i) => i * 3);
  const builder = new FilterSegmentBuilder({ field: 'field' });
  builder.addSlots(1, slots, 0, SMALL_VALUE_SLOTS_MAX);
  builder.addSlots(2, slots, 0, slots.length);
  const field = new FilterSegment(builder.finish());
  expect([...field.runKeys]).toEqual([1]);
  expect([...field.bitmapKeys]).toEqual([2]);
  expect(field.bitmap(2).isFrozen).toBe(true);
});

test('many more small values than the cache holds stay readable', () => {
  const builder = new FilterSegmentBuilder({ field: 'field' });
  const slots = Uint32Array.from({ length: 12_000 }, (_, i) => i * 70_001);
  for (let key = 0; key < slots.length - 1; key++) builder.addSlots(key, slots, key, key + 2);
  const field = new FilterSegment(builder.finish());
  for (let round = 0; round < 2; round++) {
    for (let key = 0; key < slots.length - 1; key += 3) {
      expect(field.bitmap(key).toArray()).toEqual([slots[key], slots[key + 1]]);
    }
  }
  expect(field.present.size).toBe(slots.length);
});

test('a key that does not ascend is refused', () => {
  const builder = new FilterSegmentBuilder({ field: 'userId' });
  builder.addSlots(5, Uint32Array.of(1), 0, 1);
  expect(() => builder.addSlots(5, Uint32Array.of(2), 0, 1)).toThrow('field userId: key 5 after 5');
  expect(() => builder.addBitmap(4, RoaringBitmap32.of(1))).toThrow('key 4 after 5');
});
