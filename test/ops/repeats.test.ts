import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dedup } from '../../src/ops/dedup.ts';
import type { Entity, SlotOp } from '../../src/ops/op.ts';
import { dedupRepeats } from '../../src/ops/repeats.ts';
import { batchOf, entities, entitiesOf, stateAfter } from './stream.ts';

const LEVEL: SlotOp = { op: 'set', field: 'level', value: 1 };
const TAG: SlotOp = { op: 'add', field: 'tags', value: 1 };
const MANY = ['tags', 'labels'];
const DELETE: SlotOp = { op: 'delete' };

function entity(slot: number, ...ops: SlotOp[]): Entity {
  return { slot, alive: true, ops };
}

/** Slots from `first` on, ascending or not. */
function others(first: number, count: number): Entity[] {
  return Array.from({ length: count }, (_, at) => entity(first + ((at * 7) % count), LEVEL));
}

test('a batch means the same with and without it', () => {
  fc.assert(
    fc.property(entities, entities, (before, stream) => {
      expect(stateAfter(before, entitiesOf(dedupRepeats(batchOf(stream))))).toEqual(
        stateAfter(before, stream),
      );
    }),
    { numRuns: 1000 },
  );
});

test('of single-valued fields, what it leaves alone has nothing that dedup would drop', () => {
  fc.assert(
    fc.property(fc.array(entities, { minLength: 1, maxLength: 3 }), (streams) => {
      // Up to three entities, so that one repeat is enough.
      const stream = streams
        .flatMap((each) => each.slice(0, 1))
        .map(({ slot, ops }) => ({
          slot,
          ops: ops.filter((op) => op.op === 'delete' || (op.op !== 'queryOpSet' && !MANY.includes(op.field))),
        }));
      const batch = batchOf(stream.filter(({ ops }) => ops.length > 0));
      if (dedupRepeats(batch) === batch) expect(dedup(batch)).toBe(batch);
    }),
    { numRuns: 2000 },
  );
});

describe('it looks at the slots and fields first', () => {
  test.each<[string, Entity[]]>([
    ['slots in ascending order', Array.from({ length: 100 }, (_, slot) => entity(slot, LEVEL, TAG))],
    ['slots in any order', others(5, 100)],
    ['members of one field', [entity(1, TAG, { op: 'add', field: 'tags', value: 2 })]],
    ['a whole set and its members', [entity(1, { op: 'set', field: 'tags', value: [1, 2, 3] })]],
    [
      'deletes',
      [
        { slot: 1, ops: [DELETE] },
        { slot: 2, ops: [DELETE] },
      ],
    ],
    ['a few repeats among many', [...others(5, 100), ...others(5, 20)]],
  ])('left as it is: %s', (_, stream) => {
    const batch = batchOf(stream);
    expect(dedupRepeats(batch)).toBe(batch);
  });

  test.each<[string, Entity[], number]>([
    ['a slot again', [entity(1, LEVEL), entity(1, LEVEL)], 1],
    ['a slot again, in any order', [entity(9, LEVEL), entity(1, LEVEL), entity(9, LEVEL)], 2],
    [
      'slots 0 and 4294967295 again',
      [0, 4_294_967_295, 0, 4_294_967_295].map((slot) => entity(slot, LEVEL)),
      2,
    ],
    ['a field again', [entity(1, LEVEL, { op: 'set', field: 'level', value: 2 })], 1],
    ['a field again after a member', [entity(1, TAG, { op: 'set', field: 'tags', value: [] })], 1],
    ['ops before a delete', [entity(1, LEVEL, DELETE)], 1],
    ['a third of them', [...others(5, 100), ...others(5, 50)], 100],
  ])('given to dedup: %s', (_, stream, opsLeft) => {
    const batch = batchOf(stream);
    const left = dedupRepeats(batch);
    expect(left).not.toBe(batch);
    expect(left.kinds).toHaveLength(opsLeft);
  });
});
