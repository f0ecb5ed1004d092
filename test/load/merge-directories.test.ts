/** What directories have of a key, as lists and as bitmaps, is united whatever its size. */
import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { FilterSegment } from '../../src/index/filter-segment.ts';
import { FilterSegmentBuilder } from '../../src/index/filter-segment-builder.ts';
import { portableBytes, SpentBitmap } from '../../src/index/portable.ts';
import { RoaringBitmap32 } from '../../src/index/roaring.ts';
import { SpillFile, spill } from '../../src/index/spill-file.ts';
import { loadKernels } from '../../src/kernels/kernels.ts';
import { DirectoryMerge } from '../../src/load/merge-directories.ts';
import type { Directory, ListDirectory } from '../../src/load/merge-directory.ts';
import { SlotUnion } from '../../src/load/merge-union.ts';

function listOf(key: number, slots: Uint32Array, lost: readonly number[] | null = null): ListDirectory {
  const loss = lost === null ? null : { bitmap: new RoaringBitmap32(lost), set: null };
  return {
    keys: Uint32Array.of(key),
    starts: Uint32Array.of(0, slots.length),
    slots,
    from: 0,
    to: 1,
    bitmaps: null,
    loss,
  };
}

function bitmapOf(key: number, slots: Iterable<number>): Directory {
  const bytes = portableBytes(new RoaringBitmap32(slots));
  return { keys: Uint32Array.of(key), bitmaps: { at: () => bytes }, from: 0, to: 1, loss: null };
}

function every(step: number, count: number, first = 0): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => first + i * step);
}

function merged(rounds: readonly (readonly Directory[])[]): { segment: FilterSegment; kernelBytes: number } {
  const kernels = loadKernels();
  const builder = new FilterSegmentBuilder({ field: 'field' });
  const merge = new DirectoryMerge(kernels, new SlotUnion(kernels, null), builder);
  for (const round of rounds) merge.add(round);
  return { segment: new FilterSegment(builder.finish()), kernelBytes: kernels.memory.u8.length };
}

test('a key that is a list here and a bitmap there is one value, and so are its neighbours', () => {
  const list = {
    ...listOf(4, every(2, 300)),
    keys: Uint32Array.of(4, 6),
    starts: Uint32Array.of(0, 200, 300),
    to: 2,
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

test('lists of a key that are in the spill file become a bitmap there', () => {
  const spillFile = SpillFile.open(tmpdir(), 0);
  try {
    const { space } = spillFile;
    const slots = 700_000;
    const lists = [every(3, slots), every(3, slots, 1)];
    const directories = lists.map((list): Directory => {
      const inFile = spill(space, new Uint8Array(list.buffer));
      return { ...listOf(9, list), slots: inFile };
    });
    const kernels = loadKernels();
    const builder = new FilterSegmentBuilder({ field: 'field', space });
    new DirectoryMerge(kernels, new SlotUnion(kernels, space), builder).add(directories);
    builder.addSlots(10, lists[0], 0, 500);
    const expected = new RoaringBitmap32([...lists[0], ...lists[1]]);
    const segment = new FilterSegment(builder.finish(new SpentBitmap(expected.clone())));
    expect(segment.bitmap(9).isEqual(expected)).toBe(true);
    expect(segment.slots(10)).toEqual(lists[0].subarray(0, 500));
    expect(kernels.memory.u8.length).toBeLessThan(slots * 4);
  } finally {
    spillFile.close();
  }
});
