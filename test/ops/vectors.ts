/**
 * The vectors of conformance: what was there, a stream of ops, and which alive slots match afterwards. In the fields of
 * stream.ts.
 */
import type { Entity, Op } from '../../src/ops/op.ts';
import type { Where } from '../../src/query/where.ts';

export function one(...ops: Op[]): Entity[] {
  return [{ slot: 7, ops }];
}

export function alive(...ops: Op[]): Entity[] {
  return [{ slot: 7, alive: true, ops }];
}

function images(slots: number[], level: number): Entity[] {
  return slots.map((slot) => ({ slot, alive: true, ops: [{ op: 'set', field: 'level', value: level }] }));
}

function fanOut(
  slot: number,
  level: number,
  ...ops: Extract<Op, { op: 'queryOpSet' }>['ops'][number][]
): Entity {
  return { slot, source: 'posts', ops: [{ op: 'queryOpSet', where: { level }, ops }] };
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

export const set = (field: string, value: Extract<Op, { op: 'set' }>['value']) =>
  ({ op: 'set', field, value }) as const;
const add = (field: string, value: string | number) => ({ op: 'add', field, value }) as const;
const remove = (field: string, value: string | number | null) => ({ op: 'remove', field, value }) as const;
const kill = { op: 'delete' } as const;

export interface Vector {
  name: string;
  before: Entity[];
  ops: Entity[];
  /** where → alive slots that match afterwards */
  after: [Where, number[]][];
}

export const vectors: readonly Vector[] = [
  {
    name: '1: remove the old, set the new',
    before: alive(set('level', 8)),
    ops: one(remove('level', 8), set('level', 16)),
    after: [
      [{ level: 16 }, [7]],
      [{ level: 8 }, []],
    ],
  },
  {
    name: '2: A to B to C leaves nothing in A or B',
    before: alive(set('kind', 'A')),
    ops: one(remove('kind', 'A'), set('kind', 'B'), remove('kind', 'B'), set('kind', 'C')),
    after: [
      [{ kind: 'C' }, [7]],
      [{ kind: { in: ['A', 'B'] } }, []],
    ],
  },
  {
    name: '3: A to B to A',
    before: alive(set('kind', 'A')),
    ops: [...one(remove('kind', 'A'), set('kind', 'B')), ...one(remove('kind', 'B'), set('kind', 'A'))],
    after: [
      [{ kind: 'A' }, [7]],
      [{ kind: 'B' }, []],
    ],
  },
  {
    name: '4: set, then remove of the same',
    before: alive(),
    ops: one(set('level', 5), remove('level', 5)),
    after: [[{ level: null }, [7]]],
  },
  {
    name: '5: add, remove',
    before: alive(),
    ops: one(add('tags', 1), remove('tags', 1)),
    after: [[{ tags: null }, [7]]],
  },
  {
    name: '6: add twice, remove once',
    before: alive(),
    ops: one(add('tags', 1), add('tags', 1), remove('tags', 1)),
    after: [[{ tags: null }, [7]]],
  },
  {
    name: '7: a late remove, then add',
    before: alive(),
    ops: one(remove('tags', 1), add('tags', 1)),
    after: [[{ tags: 1 }, [7]]],
  },
  {
    name: '8: deleted and created again',
    before: alive(set('level', 1), set('kind', 'old'), add('tags', 3)),
    ops: [...one(kill), ...alive(set('level', 2))],
    after: [[{ level: 2, kind: null, tags: null }, [7]]],
  },
  {
    name: '9: a sort value falls',
    before: alive(set('score', 100)),
    ops: one(set('score', 50)),
    after: [
      [{ score: 50 }, [7]],
      [{ score: { not: 50 } }, []],
    ],
  },
  {
    name: '10: a sort value rises and falls',
    before: alive(set('score', 5)),
    ops: [...one(set('score', 6)), ...one(set('score', 5))],
    after: [
      [{ score: 5 }, [7]],
      [{ score: 4 }, []],
      [{ score: 7 }, []],
    ],
  },
  {
    name: '11: two fan-outs with one where',
    before: images(numbers(1, 20), 40),
    ops: [fanOut(40, 40, set('score', 1)), fanOut(40, 40, set('kind', 'b'))],
    after: [[{ score: 1, kind: 'b' }, numbers(1, 20)]],
  },
  {
    name: '12: a fan-out to more than a page',
    before: images(numbers(1, 1000), 40),
    ops: [fanOut(40, 40, set('score', 1))],
    after: [[{ score: 1 }, numbers(1, 1000)]],
  },
  {
    name: '13: a fan-out sees what the batch created before it, and not what it created after',
    before: [],
    ops: [...images([7], 40), fanOut(40, 40, set('score', 1)), ...images([8], 40)],
    after: [
      [{ score: 1 }, [7]],
      [{ score: null }, [8]],
    ],
  },
  {
    name: '14: remove of null says nothing',
    before: alive(),
    ops: one(remove('kind', null), set('kind', 'x')),
    after: [[{ kind: 'x' }, [7]]],
  },
  {
    name: '15: a post and an image with one number are two entities',
    before: images([6], 40),
    ops: [
      fanOut(5, 40, set('kind', 'seen')),
      { slot: 5, alive: true, source: 'images', ops: [set('level', 40)] },
    ],
    after: [
      [{ kind: 'seen' }, [6]],
      [{ level: 40, kind: null }, [5]],
    ],
  },
  {
    name: '15: and the post does not make a slot',
    before: images([6], 40),
    ops: [fanOut(5, 40, set('kind', 'seen'))],
    after: [[{}, [6]]],
  },
  {
    name: '19: a negative value',
    before: alive(set('score', 1)),
    ops: one(set('score', -5)),
    after: [
      [{ score: -5 }, [7]],
      [{ score: { lt: 0 } }, [7]],
    ],
  },
  {
    name: '20: ops that cancel out on an entity that creates its slot',
    before: [],
    ops: alive(add('tags', 1), remove('tags', 1)),
    after: [[{ tags: null }, [7]]],
  },
  {
    name: 'rule 5: alive comes before the ops',
    before: [],
    ops: alive(set('level', 1), kill),
    after: [[{}, []]],
  },
  {
    name: 'rule 5: a set on a many field replaces all',
    before: alive(set('tags', [1, 2])),
    ops: one(set('tags', [2, 3, 3])),
    after: [
      [{ tags: { all: [2, 3] } }, [7]],
      [{ tags: 1 }, []],
    ],
  },
  {
    name: 'rule 7: values are hidden until the slot is alive',
    before: [],
    ops: [
      ...one(add('tags', 3)),
      fanOut(1, 1, kill),
      { slot: 1, ops: [{ op: 'queryOpSet', where: { tags: 3 }, ops: [set('level', 1)] }] },
    ],
    after: [[{ tags: 3 }, []]],
  },
  {
    name: 'rule 7: and then they show',
    before: one(add('tags', 3)),
    ops: alive(),
    after: [[{ tags: 3, level: null }, [7]]],
  },
  {
    name: 'rule 8: a fan-out that deletes',
    before: [...images([1, 2], 40), ...images([3], 41)],
    ops: [fanOut(40, 40, kill, set('kind', 'ghost'))],
    after: [
      [{}, [3]],
      [{ kind: 'ghost' }, []],
    ],
  },
  {
    name: 'rule 8: the matches are those at its place, though its ops change what matches',
    before: images([1, 2], 40),
    ops: [fanOut(40, 40, set('level', 41), set('kind', 'a'))],
    after: [[{ level: 41, kind: 'a' }, [1, 2]]],
  },
  {
    name: 'a null where matches no slot',
    before: images([1], 40),
    ops: [{ slot: 2, ops: [{ op: 'queryOpSet', where: null, ops: [kill] }] }],
    after: [[{}, [1]]],
  },
  {
    name: 'remove on a field of one value only takes that value',
    before: alive(set('level', 8)),
    ops: one(remove('level', 9)),
    after: [[{ level: 8 }, [7]]],
  },
  {
    name: 'add on a field of one value sets it',
    before: alive(set('level', 8)),
    ops: one(add('level', 9)),
    after: [
      [{ level: 9 }, [7]],
      [{ level: 8 }, []],
    ],
  },
];
