/** Lists of slots united by key, against sets. */
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { RoaringBitmap32 } from '../../src/index/roaring.ts';
import { SpillFile, spill } from '../../src/index/spill-file.ts';
import { loadKernels } from '../../src/kernels/kernels.ts';
import type { ListDirectory, Loss } from '../../src/load/merge-directory.ts';
import { firstAbove } from '../../src/load/merge-entries.ts';
import { ListUnion } from '../../src/load/merge-lists.ts';

const spillFile = SpillFile.open(tmpdir(), 0);
afterAll(() => spillFile.close());

const slot = fc.oneof(fc.nat(30), fc.integer({ min: 0, max: 0xffffffff }));
const ascending = fc.array(slot).map((slots) => [...new Set(slots)].sort((a, b) => a - b));

type Content = ReadonlyMap<number, ReadonlySet<number>>;

/** Keys close together, far apart, and from the smallest to the largest. */
const key = fc.oneof(fc.nat(20), fc.integer({ min: 0, max: 0xffffffff }), fc.constantFrom(0, 0xffffffff));
const content: fc.Arbitrary<Content> = fc
  .array(fc.tuple(key, fc.array(slot, { minLength: 1, maxLength: 20 })), { minLength: 1, maxLength: 12 })
  .map((entries) => new Map(entries.map(([key, slots]) => [key, new Set(slots)])));
const lost = fc.option(fc.array(slot), { nil: null });
/** A long list is alone, and in the spill file. */
const directories = fc.array(
  fc.oneof(
    { arbitrary: fc.tuple(content, lost, fc.constant(false)), weight: 4 },
    fc.tuple(
      content.map((entries) => new Map([...entries].slice(0, 1))),
      lost,
      fc.boolean(),
    ),
  ),
  { maxLength: 6 },
);

/** In shared memory, as parts of messages are, somewhere in the middle. */
function directoryOf(content: Content, lost: readonly number[] | null, isSpilled: boolean): ListDirectory {
  const loss = lost === null ? null : { bitmap: new RoaringBitmap32(lost), set: null };
  if (isSpilled) return spilledDirectory(content, loss);
  const keys = [...content.keys()].sort((a, b) => a - b);
  const starts = [3];
  const slots = [0, 0, 0];
  for (const key of keys) {
    slots.push(...[...content.get(key)!].sort((a, b) => a - b));
    starts.push(slots.length);
  }
  const shared = new Uint32Array(new SharedArrayBuffer(slots.length * 4));
  shared.set(slots);
  // The middle of what there is.
  return {
    keys: Uint32Array.from([99, ...keys, 98]),
    starts: Uint32Array.from([1, ...starts, starts[starts.length - 1] + 5]),
    slots: shared,
    from: 1,
    to: keys.length + 1,
    bitmaps: null,
    loss,
  };
}

function spilledDirectory(content: Content, loss: Loss | null): ListDirectory {
  const [[key, set]] = content;
  const slots = Uint32Array.from(set).sort();
  return {
    keys: Uint32Array.of(key),
    starts: Uint32Array.of(0, slots.length),
    slots: spill(spillFile.space, new Uint8Array(slots.buffer)),
    from: 0,
    to: 1,
    bitmaps: null,
    loss,
  };
}

test('lists of many directories become one list per key, without what is lost', () => {
  const union = new ListUnion(loadKernels());
  fc.assert(
    fc.property(directories, (inputs) => {
      const expected = new Map<number, Set<number>>();
      for (const [content, lost] of inputs) {
        for (const [key, slots] of content) {
          const kept = [...slots].filter((slot) => !lost?.includes(slot));
          expected.set(key, new Set([...(expected.get(key) ?? []), ...kept]));
        }
      }
      const { keys, starts, slots } = union.unite(
        inputs.map(([content, lost, isSpilled]) => directoryOf(content, lost, isSpilled)),
      );
      const found = Array.from(keys, (key, i) => [key, [...slots.subarray(starts[i], starts[i + 1])]]);
      const filled = [...expected].filter(([, slots]) => slots.size > 0).sort(([a], [b]) => a - b);
      expect(found).toEqual(filled.map(([key, slots]) => [key, [...slots].sort((a, b) => a - b)]));
    }),
    { numRuns: 500 },
  );
});

test('the first slot above another is found, or the end', () => {
  fc.assert(
    fc.property(ascending, slot, fc.nat(5), (slots, above, start) => {
      const from = Math.min(start, slots.length);
      const index = slots.findIndex((other, at) => at >= from && other > above);
      expect(firstAbove(Uint32Array.from(slots), from, slots.length, above)).toBe(
        index < 0 ? slots.length : index,
      );
    }),
  );
});
