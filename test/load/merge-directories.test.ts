/** What directories have of a key, as lists and as bitmaps, is united whatever its size. */
import { expect, test } from 'vitest';
import { FilterSegment } from '../../src/index/filter-segment.ts';
import { FilterSegmentBuilder } from '../../src/index/filter-segment-builder.ts';
import { RoaringBitmap32 } from '../../src/index/roaring.ts';
import { loadKernels } from '../../src/kernels/kernels.ts';
import { DirectoryMerge } from '../../src/load/merge-directories.ts';
import type { Directory } from '../../src/load/merge-directory.ts';

function listOf(key: number, slots: Uint32Array, lost: readonly number[] | null = null): Directory {
  const loss = lost === null ? null : { bitmap: new RoaringBitmap32(lost), set: null };
  return { keys: Uint32Array.of(key), starts: Uint32Array.of(0, slots.length), slots, bitmaps: null, loss };
}

function bitmapOf(key: number, slots: Iterable<number>): Directory {
  const bitmap = new RoaringBitmap32(slots);
  bitmap.freeze();
  return { keys: Uint32Array.of(key), bitmaps: { at: () => bitmap }, loss: null };
}

function every(step: number, count: number, first = 0): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => first + i * step);
}

function merged(rounds: readonly (readonly Directory[])[]): { segment: FilterSegment; kernelBytes: number } {
  const kernels = loadKernels();
  const builder = new FilterSegmentBuilder({ field: 'field' });
  const merge = new DirectoryMerge(kernels, builder);
  for (const round of rounds) merge.add(round);
  merge.release();
  return { segment: new FilterSegment(builder.finish()), kernelBytes: kernels.memory.u8.length };
}

test('a key that is a list here and a bitmap there is one value, and so are its neighbours', () => {
  const list = {
    ...listOf(4, every(2, 300)),
    keys: Uint32Array.of(4, 6),
    starts: Uint32Array.of(0, 200, 300),
  };
  const { segment } = merged([[list, bitmapOf(4, [1, 3]), bitmapOf(5, [7]), bitmapOf(6, [8, 9])]]);
  expect([...segment.slots(4)]).toEqual([...every(2, 200), 1, 3].sort((a, b) => a - b));
  expect([...segment.slots(5)]).toEqual([7]);
  expect([...segment.slots(6)]).toEqual([8, 9, ...every(2, 100, 400)]);
});

test('a key with more slots than lists may have is united outside of kernel memory', () => {
  const slots = 700_000;
  const rounds = [
    [listOf(9, every(2, slots)), listOf(9, every(2, slots, 1), [1, 3]), bitmapOf(9, [5_000_000])],
  ];
  const { segment, kernelBytes } = merged(rounds);
  const expected = RoaringBitmap32.fromRange(0, 2 * slots);
  expected.removeMany([1, 3]);
  expected.add(5_000_000);
  expect(segment.bitmap(9).isEqual(expected)).toBe(true);
  expect(kernelBytes).toBeLessThan(slots * 4);
});
