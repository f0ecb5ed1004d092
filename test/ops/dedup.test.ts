import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dedup } from '../../src/ops/dedup.ts';
import type { Entity, SlotOp } from '../../src/ops/op.ts';
import { batchOf, definition, entities, entitiesOf, plainEntities, stateAfter } from './stream.ts';

function deduped(stream: readonly Entity[]): Entity[] {
  return entitiesOf(dedup(batchOf(stream)));
}

/** The ops left of one entity. */
function opsLeft(...ops: SlotOp[]): unknown[] {
  return deduped([{ slot: 1, ops }]).flatMap((entity) => entity.ops);
}

function set(field: string, value: Extract<SlotOp, { op: 'set' }>['value']): SlotOp {
  return { op: 'set', field, value };
}

function add(field: string, value: string | number): SlotOp {
  return { op: 'add', field, value };
}

function remove(field: string, value: string | number): SlotOp {
  return { op: 'remove', field, value };
}

const DELETE: SlotOp = { op: 'delete' };

describe('it changes nothing', () => {
  test('apply(dedup(x)) = apply(x), onto whatever was there', () => {
    fc.assert(
      fc.property(entities, entities, (before, stream) => {
        expect(stateAfter(before, deduped(stream))).toEqual(stateAfter(before, stream));
      }),
      { numRuns: 3000 },
    );
  });

  test('what is left stays in its order', () => {
    fc.assert(
      fc.property(entities, (stream) => {
        const numbered = stream.map((entity, index) => ({ ...entity, source: String(index) }));
        const sources = deduped(numbered).map((entity) => Number(entity.source));
        expect(sources).toEqual([...sources].sort((a, b) => a - b));
      }),
    );
  });

  test('dedup(dedup(x)) has nothing more to drop', () => {
    fc.assert(
      fc.property(entities, (stream) => {
        const once = dedup(batchOf(stream));
        expect(dedup(once)).toBe(once);
      }),
    );
  });

  test('it does the same where the definition has far more fields than the ops name', () => {
    const unused = Array.from({ length: 1000 }, () => definition.fields[0]);
    const fields = [...definition.fields, ...unused];
    fc.assert(
      fc.property(entities, (stream) => {
        const batch = batchOf(stream);
        const wide = dedup({ ...batch, fields });
        expect({ ...wide, fields: batch.fields }).toEqual(dedup(batch));
      }),
      { numRuns: 1000 },
    );
  });

  test('a batch without anything to drop is returned as it is', () => {
    const batch = batchOf([{ slot: 1, alive: true, ops: [set('level', 1), add('tags', 1), add('tags', 2)] }]);
    expect(dedup(batch)).toBe(batch);
  });
});

describe('what is dropped', () => {
  test('without barriers, one statement is left per part of a slot', () => {
    fc.assert(
      fc.property(plainEntities, (stream) => {
        const statements = new Map<string, string[]>();
        for (const { slot, ops } of deduped(stream)) {
          for (const op of ops as SlotOp[]) {
            if (op.op === 'delete') continue;
            const isMember = !['set'].includes(op.op);
            const part = `${slot} ${op.field}${isMember ? ` ${String(op.value)}` : ''}`;
            statements.set(part, [...(statements.get(part) ?? []), op.op]);
          }
        }
        for (const each of statements.values()) expect(each).toHaveLength(1);
      }),
    );
  });

  test.each<[string, SlotOp[], SlotOp[]]>([
    ['of two sets the later', [set('level', 1), set('level', 2)], [set('level', 2)]],
    ['a remove before a set', [remove('level', 1), set('level', 2)], [set('level', 2)]],
    [
      'a chain of changes',
      [remove('level', 1), set('level', 2), remove('level', 2), set('level', 3)],
      [set('level', 3)],
    ],
    ['a set whose value is removed clears', [set('level', 5), remove('level', 5)], [set('level', null)]],
    ['a remove of another value', [set('level', 5), remove('level', 6)], [set('level', 5)]],
    [
      'of equal removes the earlier',
      [remove('level', 5), remove('level', 6), remove('level', 5)],
      [remove('level', 6), remove('level', 5)],
    ],
    ['of add and remove the later', [add('tags', 1), add('tags', 1), remove('tags', 1)], [remove('tags', 1)]],
    ['of remove and add the later', [remove('tags', 1), add('tags', 1)], [add('tags', 1)]],
    ['nothing of other members', [remove('tags', 1), add('tags', 2)], [remove('tags', 1), add('tags', 2)]],
    ['members before a whole set', [add('tags', 1), remove('tags', 2), set('tags', [])], [set('tags', [])]],
    ['removes after a whole set', [set('tags', []), remove('tags', 2)], [set('tags', [])]],
    ['everything before a delete', [set('level', 1), add('tags', 2), remove('kind', 'x'), DELETE], [DELETE]],
    ['nothing after a delete', [DELETE, set('level', 1)], [DELETE, set('level', 1)]],
    ['of two deletes the earlier', [DELETE, set('level', 1), DELETE], [DELETE]],
  ])('%s', (_, ops, left) => {
    expect(opsLeft(...ops)).toEqual(left);
  });

  test('across entities and sources, by slot', () => {
    expect(
      deduped([
        { slot: 1, source: 'images', ops: [set('level', 1), set('kind', 'a')] },
        { slot: 2, source: 'images', ops: [set('level', 1)] },
        { slot: 1, source: 'posts', ops: [set('level', 2)] },
      ]),
    ).toEqual([
      { slot: 1, source: 'images', ops: [set('kind', 'a')] },
      { slot: 2, source: 'images', ops: [set('level', 1)] },
      { slot: 1, source: 'posts', ops: [set('level', 2)] },
    ]);
  });

  test('entities that say nothing, alive included when it is said again', () => {
    expect(
      deduped([
        { slot: 1, alive: true, ops: [set('level', 1)] },
        { slot: 2, ops: [] },
        { slot: 1, alive: true, ops: [set('level', 1)] },
      ]),
    ).toEqual([{ slot: 1, alive: true, ops: [set('level', 1)] }]);
  });

  test('an alive that a delete ends', () => {
    expect(deduped([{ slot: 1, alive: true, ops: [set('level', 1), DELETE] }])).toEqual([
      { slot: 1, ops: [DELETE] },
    ]);
  });

  test('but not the alive of an entity whose ops are gone', () => {
    const stream: Entity[] = [
      { slot: 1, alive: true, ops: [add('tags', 1)] },
      { slot: 1, ops: [remove('tags', 1)] },
    ];
    expect(deduped(stream)).toEqual([
      { slot: 1, alive: true, ops: [] },
      { slot: 1, ops: [remove('tags', 1)] },
    ]);
  });
});

describe('barriers', () => {
  const fanOut = (ops: SlotOp[], where: object | null = { level: 1 }): Entity => ({
    slot: 9,
    source: 'posts',
    ops: [{ op: 'queryOpSet', where: where as never, ops }],
  });

  test('an op before a queryOpSet is not dropped for one after it', () => {
    const stream = [
      { slot: 1, alive: true as const, ops: [set('level', 1)] },
      fanOut([set('kind', 'seen')]),
      { slot: 1, alive: true as const, ops: [set('level', 2)] },
    ];
    expect(deduped(stream)).toEqual(stream);
  });

  test('two queryOpSets with one where stay two', () => {
    const stream = [fanOut([set('kind', 'a')]), fanOut([set('score', 2)])];
    expect(deduped(stream)).toEqual(stream);
  });

  test('inside of one entity too', () => {
    const [{ ops }] = [fanOut([set('kind', 'seen')])];
    const stream: Entity[] = [{ slot: 1, ops: [set('level', 1), ...ops, set('level', 2)] }];
    expect(deduped(stream)).toEqual(stream);
  });

  test.each([
    ['a null where', fanOut([set('kind', 'a')], null)],
    ['a where that nothing can match', fanOut([set('kind', 'a')], { OR: [] })],
    ['no ops', fanOut([])],
  ])('one with %s is dropped and is none', (_, entity) => {
    const stream = [{ slot: 1, ops: [set('level', 1)] }, entity, { slot: 1, ops: [set('level', 2)] }];
    expect(deduped(stream)).toEqual([{ slot: 1, ops: [set('level', 2)] }]);
  });

  test('ops inside of a queryOpSet are a stretch of their own', () => {
    const stream = [
      { slot: 0, ops: [set('level', 1)] },
      fanOut([set('level', 3), add('tags', 1), set('level', 4)]),
      { slot: 0, ops: [set('level', 2)] },
    ];
    expect(deduped(stream)).toEqual([stream[0], fanOut([add('tags', 1), set('level', 4)]), stream[2]]);
  });
});
