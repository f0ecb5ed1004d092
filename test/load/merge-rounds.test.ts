/** Directories that are merged round by round: every entry comes once, in the round of its key, whatever is in memory. */
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { readSpilled, type SpilledBytes, SpillFile } from '../../src/index/spill-file.ts';
import { KIND_PAIRS } from '../../src/load/accumulator-message.ts';
import { type Directory, isListDirectory, type Lists } from '../../src/load/merge-directory.ts';
import { type MessagePart, pairsOf } from '../../src/load/merge-parts.ts';
import {
  type Cursor,
  inKeyOrder,
  ListsCursor,
  roundsOf,
  SpilledListsCursor,
  spillLists,
} from '../../src/load/merge-rounds.ts';

const spillFile = SpillFile.open(tmpdir(), 0);
afterAll(() => spillFile.close());

/** Key → slots. */
type Entries = readonly (readonly [number, readonly number[]])[];

const lists: fc.Arbitrary<Entries> = fc
  .dictionary(
    fc.integer({ min: 0, max: 400 }).map(String),
    fc.oneof(
      { arbitrary: fc.array(fc.nat(1_000_000), { minLength: 1, maxLength: 4 }), weight: 9 },
      fc.array(fc.nat(1_000_000), { minLength: 40, maxLength: 90 }),
    ),
    { minKeys: 1, maxKeys: 120 },
  )
  .map((dictionary) => Object.entries(dictionary).map(([key, slots]) => [Number(key), slots] as const));

function viewOf(entries: Entries): Lists {
  const starts = [0];
  for (const [, slots] of entries) starts.push(starts[starts.length - 1] + slots.length);
  return {
    keys: Uint32Array.from(entries, ([key]) => key),
    starts: Uint32Array.from(starts),
    slots: Uint32Array.from(entries.flatMap(([, slots]) => slots)),
  };
}

const PART: MessagePart = {
  run: 0,
  kind: KIND_PAIRS,
  block: new SharedArrayBuffer(0),
  offset: 0,
  keys: 0,
  size: 0,
};

function spilledPart(view: Lists) {
  const part = { ...PART, keys: view.keys.length, size: view.slots.length };
  return spillLists(spillFile.space, part, view);
}

function entriesOf(directory: Directory): Entries {
  if (!isListDirectory(directory)) throw new Error('not lists');
  const { keys, starts, slots, from, to } = directory;
  const inMemory = slots instanceof Uint32Array ? slots : read(slots);
  return Array.from(keys.subarray(from, to), (key, i) => [
    key,
    [...inMemory.subarray(starts[from + i], starts[from + i + 1])],
  ]);
}

function read(slots: SpilledBytes): Uint32Array {
  const words = new Uint32Array(slots.byteLength / 4);
  readSpilled(slots, 0, new Uint8Array(words.buffer));
  return words;
}

function slotsIn(directory: Directory): number {
  return entriesOf(directory).reduce((sum, [, slots]) => sum + slots.length, 0);
}

test('rounds have every entry once, in ascending order and of a bounded size, with windows of any size', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(lists, fc.boolean()), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 16, max: 256 }),
      fc.integer({ min: 1, max: 150 }),
      (directories, windowWords, slotCountMax) => {
        const cursors = directories.map(([entries, isSpilled]): Cursor => {
          const view = viewOf(entries);
          if (!isSpilled) return new ListsCursor(view, null);
          return new SpilledListsCursor(spilledPart(view), windowWords, null);
        });
        const found: [number, readonly number[]][] = [];
        let keyBefore = -1;
        for (const round of roundsOf(cursors, slotCountMax)) {
          const entries = round.flatMap(entriesOf);
          const keys = entries.map(([key]) => key);
          expect(Math.min(...keys)).toBeGreaterThan(keyBefore);
          keyBefore = Math.max(...keys);
          // More than that by itself comes with nothing but its own key.
          const isLong = entries.some(([, slots]) => slots.length > slotCountMax);
          if (isLong) expect(new Set(keys).size).toBe(1);
          else for (const directory of round) expect(slotsIn(directory)).toBeLessThanOrEqual(slotCountMax);
          found.push(...entries.map(([key, slots]): [number, readonly number[]] => [key, slots]));
        }
        const byKey = ([left]: readonly [number, unknown], [right]: readonly [number, unknown]) =>
          left - right;
        expect(found.toSorted(byKey)).toEqual(directories.flatMap(([entries]) => entries).toSorted(byKey));
      },
    ),
    { numRuns: 300 },
  );
});

test('of spilled directories only a window is taken at a time', () => {
  const entries: Entries = Array.from({ length: 1000 }, (_, key) => [key, [key, key + 1]]);
  const cursors = [0, 1].map(() => new SpilledListsCursor(spilledPart(viewOf(entries)), 128, null));
  const sizes = Array.from(roundsOf(cursors), (round) =>
    round.reduce((sum, { from, to }) => sum + to - from, 0),
  );
  expect(sizes.length).toBeGreaterThan(20);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(128);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(2000);
});

test('lists whose keys were translated are put in order and read back from the file as they were put', () => {
  fc.assert(
    fc.property(lists, fc.array(fc.nat(10_000), { minLength: 401, maxLength: 401 }), (entries, order) => {
      const ranks = order.map((_, i) => i).sort((a, b) => order[a] - order[b]);
      const view = viewOf(entries);
      const translated = { ...view, keys: view.keys.map((key) => ranks[key]) };
      const expected = entries.map(([key, slots]) => [ranks[key], slots] as const);
      const { keys, starts, slots } = pairsOf(spilledPart(inKeyOrder(translated)));
      const found = Array.from(keys, (key, i) => [key, [...slots.subarray(starts[i], starts[i + 1])]]);
      expect(found).toEqual(expected.toSorted(([left], [right]) => left - right));
    }),
  );
});
