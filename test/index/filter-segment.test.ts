import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FilterSegment } from '../../src/index/filter-segment.ts';
import { FilterSegmentBuilder } from '../../src/index/filter-segment-builder.ts';
import { RoaringBitmap32 } from '../../src/index/roaring.ts';
import { SMALL_VALUE_SLOTS_MAX } from '../../src/limits.ts';
import { ascending, buildFilter, type FilterModel } from './model.ts';

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
        expect(field.slots(key)).toEqual(slots);
        expect(field.bitmap(key).toUint32Array()).toEqual(slots);
        expect(field.bitmap(key).isEmpty).toBe(slots.length === 0);
      }
      const present = new Set<number>();
      for (const slots of values.values()) for (const slot of slots) present.add(slot);
      expect(field.present.toUint32Array()).toEqual(ascending(present));
    }),
    { numRuns: 60 },
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
      const bytes = builder.finish(isPresentGiven ? present : undefined);
      expect(Buffer.compare(Buffer.from(bytes), Buffer.from(buildFilter(values)))).toBe(0);
    }),
    { numRuns: 60 },
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
  const slots = Uint32Array.from({ length: 20_000 }, (_, i) => i * 70_001);
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
