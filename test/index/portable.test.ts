import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BITSET_WORDS, frozenView, PortableWriter, portableBytes } from '../../src/index/portable.ts';
import { RoaringBitmap32 } from '../../src/index/roaring.ts';

/** Stretches of slots: consecutive, strided or random, so that every container form and its limits occur. */
const stretches = fc.array(
  fc.record({
    page: fc.constantFrom(0, 1, 2, 3, 7, 40_000, 65_535),
    start: fc.integer({ min: 0, max: 65_535 }),
    count: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 9000 }), fc.constant(65_536)),
    stride: fc.constantFrom(1, 1, 2, 3, 7),
  }),
  { maxLength: 6 },
);

function slotsOf(
  parts: readonly { page: number; start: number; count: number; stride: number }[],
): Uint32Array {
  const slots = new Set<number>();
  for (const { page, start, count, stride } of parts) {
    for (let i = 0; i < count; i++) slots.add(page * 65_536 + ((start + i * stride) & 0xffff));
  }
  return Uint32Array.from(slots).sort();
}

function reference(slots: Uint32Array): Uint8Array {
  const bitmap = new RoaringBitmap32(slots);
  bitmap.removeRunCompression();
  bitmap.runOptimize();
  return bitmap.serialize('portable');
}

function written(writer: PortableWriter): Uint8Array {
  const bytes = new Uint8Array(writer.byteLength);
  writer.writeTo(bytes);
  return bytes;
}

test('bitmaps written from slots equal the bytes of the roaring package', () => {
  const writer = new PortableWriter();
  fc.assert(
    fc.property(stretches, (parts) => {
      const slots = slotsOf(parts);
      writer.reset();
      writer.addSlots(slots, 0, slots.length);
      expect(writer.cardinality).toBe(slots.length);
      expect(Buffer.compare(written(writer), reference(slots))).toBe(0);
    }),
    { numRuns: 40 },
  );
});

test('bitmaps written from page bitsets equal the bytes of the roaring package', () => {
  const writer = new PortableWriter();
  const words = new Uint32Array(BITSET_WORDS + 5);
  fc.assert(
    fc.property(stretches, (parts) => {
      const slots = slotsOf(parts);
      writer.reset();
      for (let i = 0; i < slots.length; ) {
        const pageKey = slots[i] >>> 16;
        words.fill(0);
        for (; i < slots.length && slots[i] >>> 16 === pageKey; i++) {
          words[5 + ((slots[i] & 0xffff) >>> 5)] |= 1 << (slots[i] & 31);
        }
        writer.addBitset(pageKey, words, 5);
      }
      words.fill(0);
      writer.addBitset(65_535, words, 5);
      expect(Buffer.compare(written(writer), reference(slots))).toBe(0);
    }),
    { numRuns: 40 },
  );
});

test('the limits of the container forms are where roaring has them', () => {
  const writer = new PortableWriter();
  for (const [count, length] of [
    [1, 1],
    [1, 2],
    [1, 3],
    [2, 2],
    [2, 3],
    [4096, 1],
    [4097, 1],
    [2047, 3],
    [2048, 3],
    [2047, 2],
    [2048, 2],
    [1, 65_536],
  ]) {
    const slots = new Uint32Array(count * length);
    for (let i = 0; i < slots.length; i++) slots[i] = Math.floor(i / length) * (length + 1) + (i % length);
    writer.reset();
    writer.addSlots(slots, 0, slots.length);
    expect(Buffer.compare(written(writer), reference(slots)), `${count} runs of ${length}`).toBe(0);
  }
});

test('portable bytes depend on the content only, not on the container forms a bitmap arrived with', () => {
  // A run of three: as runs and as an array the container is equally large, and runOptimize alone keeps either.
  const asRuns = RoaringBitmap32.fromRange(10, 13);
  asRuns.runOptimize();
  const asArray = RoaringBitmap32.of(10, 11, 12);
  asArray.runOptimize();
  expect(asRuns.serialize('portable')).not.toEqual(asArray.serialize('portable'));
  expect(Buffer.compare(portableBytes(asRuns), portableBytes(asArray))).toBe(0);
  const frozen = frozenView(portableBytes(asArray));
  expect(Buffer.compare(portableBytes(frozen), portableBytes(asArray))).toBe(0);
});
