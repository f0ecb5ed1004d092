import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyOfValue } from '../../src/index/key.ts';
import { RoaringBitmap32 } from '../../src/index/roaring.ts';
import { SortSegment } from '../../src/index/sort-segment.ts';
import type { SortField } from '../../src/index/version.ts';
import { fillByField, fillBySlot, type Position, type SlotPage } from '../../src/query/page-order.ts';
import { buildSort } from '../index/model.ts';
import { fields, listOf, makeRows, type Row, randomOf, versionOf } from './table.ts';

/** A field of a table with some of its slots as candidates, and their positions in ascending order. */
interface Case {
  name: string;
  field: SortField;
  candidates: RoaringBitmap32;
  positions: Position[];
}

const shapes = {
  'one page': { seed: 11, slotStart: 0, slotStride: 1, rowCount: 9_000, nullPart: 0.1, deadPart: 0 },
  'twenty pages': { seed: 12, slotStart: 70_000, slotStride: 97, rowCount: 14_000, nullPart: 0, deadPart: 0 },
  'last pages': {
    seed: 13,
    slotStart: 2 ** 32 - 150_000,
    slotStride: 10,
    rowCount: 15_000,
    nullPart: 0,
    deadPart: 0,
  },
};

function casesOf(name: string, rows: Row[], part: number): Case[] {
  const version = versionOf(rows);
  const random = randomOf(part * 100);
  const chosen = rows.filter(() => random() < part);
  const candidates = new RoaringBitmap32(chosen.map((row) => row.slot));
  return fields
    .filter((field) => field.sort)
    .map((field) => {
      const positions = chosen.map(({ slot, values }) => {
        const [value] = listOf(values[field.name]);
        const type = field.type as 'uint32';
        return { slot, key: value === undefined ? null : keyOfValue(type, value as number | boolean) };
      });
      return {
        name: `${field.name}, ${name}`,
        field: version.sort(field.name) as SortField,
        candidates,
        positions: positions.sort(comparePositions),
      };
    });
}

function comparePositions(left: Position, right: Position): number {
  if (left.key === right.key) return left.slot - right.slot;
  return (left.key ?? 2 ** 32) - (right.key ?? 2 ** 32);
}

/** What the order says: nulls last in both directions, everything else turned round when descending. */
function inOrder(positions: Position[], descending: boolean): Position[] {
  if (!descending) return positions;
  const valued = positions.filter((position) => position.key !== null);
  const valueless = positions.filter((position) => position.key === null);
  return [...valued.reverse(), ...valueless.reverse()];
}

function isAfter(position: Position, after: Position, descending: boolean): boolean {
  if (position.key !== null && after.key !== null && descending) return comparePositions(position, after) < 0;
  if (position.key === null && after.key === null && descending) return position.slot < after.slot;
  return comparePositions(position, after) > 0;
}

const cases = Object.entries(shapes).flatMap(([name, shape]) => {
  const rows = makeRows(shape);
  return [...casesOf(`all of ${name}`, rows, 1), ...casesOf(`most of ${name}`, rows, 0.7)];
});

const anyCase = fc.constantFrom(...cases).map((value) => ({ ...value, toString: () => value.name }));

/** Near a key that occurs, anywhere, or at an end: a later version may have lost or never had the key. */
const nearKey = fc.record({
  part: fc.double({ min: 0, max: 0.999, noNaN: true }),
  distance: fc.constantFrom(-1000, -1, 0, 0, 0, 0, 1, 1000),
});
const anyKey = fc.oneof(
  { arbitrary: nearKey, weight: 8 },
  { arbitrary: fc.integer({ min: 0, max: 2 ** 32 - 1 }), weight: 1 },
  { arbitrary: fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1, null), weight: 1 },
);

describe('fillByField', () => {
  test('any number of slots after any position, against a sorted list', () => {
    fc.assert(
      fc.property(
        anyCase,
        fc.boolean(),
        fc.option(anyKey, { nil: undefined }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.constantFrom(-1, 0, 1),
        ({ field, candidates, positions }, descending, chosen, part, distance) => {
          const after = positionOf(positions, chosen);
          const rest = inOrder(positions, descending).filter(
            (position) => after === null || isAfter(position, after, descending),
          );
          // Pages that end where the key changes, or one slot beside it, are where narrowing has to count exactly.
          const limit = Math.max(1, keyChangeFrom(rest, Math.floor(part ** 3 * 4000)) + distance);
          const page: SlotPage = { slots: new Uint32Array(limit), count: 0 };
          fillByField(page, field, candidates, descending, after, false);
          expect([...page.slots.subarray(0, page.count)]).toEqual(
            rest.slice(0, limit).map((position) => position.slot),
          );
        },
      ),
      { numRuns: 1500 },
    );
  });

  test.each([false, true])('pages of slots whose keys do not overlap, descending: %s', (descending) => {
    const upperParts = descending ? UPPER_PARTS_DESCENDING : UPPER_PARTS_ASCENDING;
    const positions = disjointPages(upperParts);
    const field = new SortSegment(
      buildSort(new Map(positions.map(({ slot, key }) => [slot, key as number]))),
    );
    const candidates = new RoaringBitmap32(positions.map((position) => position.slot));
    const ordered = inOrder([...positions], descending);
    const gaps = [0, ...upperParts, 1200].map((upperPart) => ({ key: gapKey(upperPart), slot: 0 }));
    for (const after of [null, ...gaps, positions[10], positions[DISJOINT_SLOTS * 2 - 1]]) {
      const rest = ordered
        .filter((position) => after === null || isAfter(position, after, descending))
        .map((position) => position.slot);
      for (const limit of limitsAround(rest.length)) {
        const page: SlotPage = { slots: new Uint32Array(limit), count: 0 };
        fillByField(page, field, candidates, descending, after, false);
        const isEqual = Buffer.compare(
          new Uint8Array(Uint32Array.from(rest.slice(0, limit)).buffer),
          new Uint8Array(page.slots.buffer, 0, page.count * 4),
        );
        expect(isEqual, `${limit} after ${JSON.stringify(after)}`).toBe(0);
      }
    }
  });
});

test('fillBySlot: any number of slots after any slot', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(
        fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 2 ** 32 - 9, max: 2 ** 32 - 1 })),
      ),
      fc.boolean(),
      fc.option(
        fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 2 ** 32 - 9, max: 2 ** 32 - 1 })),
      ),
      fc.integer({ min: 1, max: 60 }),
      (slots, descending, after, limit) => {
        const page: SlotPage = { slots: new Uint32Array(limit), count: 0 };
        fillBySlot(page, new RoaringBitmap32(slots), descending, after);
        const ordered = slots.toSorted((left, right) => (descending ? right - left : left - right));
        const rest = ordered.filter((slot) => after === null || (descending ? slot < after : slot > after));
        expect([...page.slots.subarray(0, page.count)]).toEqual(rest.slice(0, limit));
      },
    ),
  );
});

/** Upper parts of the keys, page by page: the last page asked for in either direction differs in its highest bit. */
const UPPER_PARTS_ASCENDING = [3, 513, 514, 515, 516, 517, 518, 1100];
const UPPER_PARTS_DESCENDING = [3, 1025, 1026, 1027, 1028, 1029, 1030, 1100];
const DISJOINT_SLOTS = 3000;

/** Pages of slots with ascending keys and a gap after each. */
function disjointPages(upperParts: readonly number[]): Position[] {
  const positions: Position[] = [];
  for (let pageIndex = 0; pageIndex < upperParts.length; pageIndex++) {
    for (let index = 0; index < DISJOINT_SLOTS; index++) {
      positions.push({
        slot: pageIndex * 65_536 + index * 7,
        key: upperParts[pageIndex] * 2 ** 20 + 200 + index,
      });
    }
  }
  return positions;
}

/** A key in the gap after a page; all its low bits are set. */
function gapKey(upperPart: number): number {
  return upperPart * 2 ** 20 + 2 ** 19 - 1;
}

/** Limits near whole pages of slots, and some between. */
function limitsAround(count: number): number[] {
  const limits: number[] = [];
  for (let pageCount = 0; pageCount <= UPPER_PARTS_ASCENDING.length; pageCount++) {
    for (const distance of [-30, -1, 0, 1, 30, 1500]) limits.push(pageCount * DISJOINT_SLOTS + distance);
  }
  return limits.filter((limit) => limit >= 1 && limit <= count + 1);
}

function positionOf(
  positions: readonly Position[],
  chosen: number | null | undefined | { part: number; distance: number },
): Position | null {
  if (chosen === undefined) return null;
  if (chosen === null || typeof chosen === 'number') return { key: chosen, slot: 100_000 };
  const { key, slot } = positions[Math.floor(chosen.part * positions.length)];
  if (key === null) return { key, slot };
  return { key: Math.min(2 ** 32 - 1, Math.max(0, key + chosen.distance)), slot };
}

/** The first index from `index` on at which the key is another than before. */
function keyChangeFrom(positions: readonly Position[], index: number): number {
  let change = Math.max(1, index);
  while (change < positions.length && positions[change].key === positions[change - 1].key) change++;
  return Math.min(change, 9_000);
}
