/** The slots of a `many` field are known to the merge whatever order its rows come in, and given up when they are strewn. */
import { expect, test } from 'vitest';
import { loadKernels } from '../../src/kernels/kernels.ts';
import { ChunkAccumulator } from '../../src/load/accumulator.ts';
import { KIND_PRESENT } from '../../src/load/accumulator-message.ts';
import { PartBitmaps, partsOf } from '../../src/load/merge-parts.ts';
import { unitedInMemory } from '../../src/load/merge-union.ts';

const FIELD = { name: 'tags', filter: true, sort: false, many: true };

/** The slots that the message says have a value; null when it does not say. */
function presentOf(slots: readonly number[], nulls: readonly number[] = []): number[] | null {
  const kernels = loadKernels();
  const accumulator = new ChunkAccumulator(kernels, { fields: [FIELD], singleValued: false });
  const { memory } = kernels;
  const [slotsAt, keysAt] = [memory.allocate(slots.length * 4), memory.allocate(slots.length * 4)];
  const nullsAt = nulls.length === 0 ? 0 : memory.allocate(nulls.length);
  memory.u32.set(slots, slotsAt / 4);
  memory.u32.fill(7, keysAt / 4, keysAt / 4 + slots.length);
  if (nullsAt !== 0) memory.u8.set(nulls, nullsAt);
  accumulator.addBatch(slots.length, slotsAt, [{ keys: keysAt, nulls: nullsAt }]);
  const parts = partsOf(accumulator.finish(), 0).filter(({ kind }) => kind === KIND_PRESENT);
  const sources = parts.map(
    (part) => ({ kind: 'bitmap', bytes: new PartBitmaps(part).at(0), loss: null }) as const,
  );
  return parts.length === 0 ? null : unitedInMemory(sources).toArray();
}

test('slots in any order, repeated and of pages far apart, are all there once', () => {
  const slots = [70_000, 5, 4_294_967_295, 5, 70_001, 0, 65_536];
  expect(presentOf(slots)).toEqual([0, 5, 65_536, 70_000, 70_001, 4_294_967_295]);
});

test('rows without a value do not count', () => {
  expect(presentOf([9, 8, 7], [0, 1, 0])).toEqual([7, 9]);
});

test('slots of a thousand pages are kept, of more they are left to the merge', () => {
  const strewn = (pages: number): number[] =>
    Array.from({ length: pages }, (_value, page) => page * 65_536 + 3);
  expect(presentOf(strewn(1024))).toEqual(strewn(1024));
  expect(presentOf(strewn(1025))).toBeNull();
});
