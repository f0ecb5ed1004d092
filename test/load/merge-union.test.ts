/** Sets of slots are united to the same bytes natively and page by page, from memory and from the spill file. */
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { type Portable, portableBytes } from '../../src/index/portable.ts';
import { RoaringBitmap32 } from '../../src/index/roaring.ts';
import { SpillFile, spill } from '../../src/index/spill-file.ts';
import { loadKernels } from '../../src/kernels/kernels.ts';
import type { SlotSource } from '../../src/load/merge-directory.ts';
import { SlotUnion } from '../../src/load/merge-union.ts';

const spillFile = SpillFile.open(tmpdir(), 64 * 1024);
afterAll(() => spillFile.close());
const kernels = loadKernels();

/** Arrays, bitsets and stretches, in pages that others have too or not. */
const slots = fc
  .array(
    fc.record({
      page: fc.oneof(fc.nat(5), fc.constantFrom(40_000, 65_535)),
      start: fc.nat(65_535),
      count: fc.constantFrom(1, 30, 5000, 40_000),
      stride: fc.constantFrom(1, 2, 13),
    }),
    { maxLength: 6 },
  )
  .map((stretches) => {
    const bitmap = new RoaringBitmap32();
    for (const { page, start, count, stride } of stretches) {
      for (let i = 0, position = start; i < count && position < 65_536; i++, position += stride) {
        bitmap.add(page * 65_536 + position);
      }
    }
    return bitmap;
  });

const stored = fc.record({
  slots,
  kind: fc.constantFrom('list', 'bitmap', 'bitmap with runs'),
  isSpilled: fc.boolean(),
  lost: fc.option(slots, { nil: null }),
});

function sourceOf({ slots, kind, isSpilled, lost }: typeof stored extends fc.Arbitrary<infer T> ? T : never) {
  const loss = lost === null ? null : { bitmap: lost, set: null };
  const keep = (bytes: Uint8Array) => (isSpilled ? spill(spillFile.space, bytes) : bytes);
  if (kind !== 'list') {
    const bitmap = slots.clone();
    if (kind === 'bitmap with runs') bitmap.runOptimize();
    return { kind: 'bitmap', bytes: keep(bitmap.serialize('portable')), loss } as const;
  }
  const list = slots.toUint32Array();
  const inFile = isSpilled ? spill(spillFile.space, new Uint8Array(list.buffer, 0, list.byteLength)) : list;
  return { kind: 'list', slots: inFile, loss } as const;
}

function bytesOf(portable: Portable): Uint8Array {
  const bytes = new Uint8Array(portable.byteLength);
  portable.writeTo(bytes);
  return bytes;
}

test('the union has every slot that its source does not lose, in canonical bytes', () => {
  fc.assert(
    fc.property(
      fc.array(stored, { maxLength: 5 }),
      fc.boolean(),
      fc.constantFrom(0, 1024 * 1024 * 1024),
      (sets, hasSpace, pagedBytesMin) => {
        const expected = new RoaringBitmap32();
        for (const { slots, lost } of sets) {
          expected.orInPlace(lost === null ? slots : RoaringBitmap32.andNot(slots, lost));
        }
        const mark = kernels.memory.mark();
        const union = new SlotUnion(kernels, hasSpace ? spillFile.space : null, pagedBytesMin);
        const found = union.unite(sets.map(sourceOf));
        expect(found.cardinality).toBe(expected.size);
        expect(Buffer.compare(bytesOf(found), portableBytes(expected))).toBe(0);
        union.release();
        kernels.memory.release(mark);
      },
    ),
    { numRuns: 150 },
  );
});

test('a large union is in the spill file and not in memory, and so is the next one', () => {
  const sources: SlotSource[] = [];
  const expected = new RoaringBitmap32();
  for (let chunk = 0; chunk < 4; chunk++) {
    const bitmap = new RoaringBitmap32();
    for (let page = 0; page < 60; page++) {
      const first = (chunk * 59 + page) * 65_536;
      bitmap.addMany(Uint32Array.from({ length: 22_000 }, (_, i) => first + 3 * i));
    }
    expected.orInPlace(bitmap);
    sources.push({ kind: 'bitmap', bytes: spill(spillFile.space, bitmap.serialize('portable')), loss: null });
  }
  const mark = kernels.memory.mark();
  const union = new SlotUnion(kernels, spillFile.space);
  for (let round = 0; round < 2; round++) {
    const spilledBefore = Number(spillFile.space.end[0]);
    const found = union.unite(sources);
    const spilledBytes = Number(spillFile.space.end[0]) - spilledBefore;
    expect(spilledBytes).toBeGreaterThan(0.9 * found.byteLength);
    expect(Buffer.compare(bytesOf(found), portableBytes(expected))).toBe(0);
  }
  kernels.memory.release(mark);
});
