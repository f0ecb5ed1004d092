/**
 * The vectors of conformance, and what follows from ops being absolute. Each vector holds for the model, for a stream
 * that went through dedup in one batch, and for one that went through it entity by entity.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dedup } from '../../src/ops/dedup.ts';
import { NaiveOps } from '../../src/ops/naive-ops.ts';
import type { Entity } from '../../src/ops/op.ts';
import { decodeBatch, encodeBatch } from '../../src/ops/op-codec.ts';
import { batchOf, definition, entitiesOf, plainEntities, stateAfter } from './stream.ts';
import { alive, one, set, vectors } from './vectors.ts';

describe.each([
  ['the model', (stream: Entity[]) => stream],
  ['the batch resolved', (stream: Entity[]) => entitiesOf(batchOf(stream))],
  ['deduped', (stream: Entity[]) => entitiesOf(dedup(batchOf(stream)))],
  [
    'deduped entity by entity',
    (stream: Entity[]) => stream.flatMap((each) => entitiesOf(dedup(batchOf([each])))),
  ],
  ['encoded', (stream: Entity[]) => entitiesOf(decodeBatch(encodeBatch(batchOf(stream)), definition))],
])('%s', (_, through) => {
  test.each(vectors)('$name', ({ before, ops, after }) => {
    const model = new NaiveOps(definition);
    model.apply(before);
    model.apply(through(ops));
    for (const [where, slots] of after) expect(model.matches(where)).toEqual(slots);
  });
});

describe('ops are absolute', () => {
  test('apply(x · x) = apply(x) without queryOpSet', () => {
    fc.assert(
      fc.property(plainEntities, plainEntities, (before, stream) => {
        expect(stateAfter(before, stream, stream)).toEqual(stateAfter(before, stream));
      }),
      { numRuns: 1000 },
    );
  });

  test('a suffix played again ends in the same state', () => {
    fc.assert(
      fc.property(plainEntities, plainEntities, fc.nat(), (before, stream, from) => {
        const suffix = stream.slice(from % (stream.length + 1));
        expect(stateAfter(before, stream, suffix)).toEqual(stateAfter(before, stream));
      }),
      { numRuns: 1000 },
    );
  });

  test('and so it does deduped together with what it repeats', () => {
    fc.assert(
      fc.property(plainEntities, fc.nat(), (stream, from) => {
        const repeated = [...stream, ...stream.slice(from % (stream.length + 1))];
        expect(stateAfter(entitiesOf(dedup(batchOf(repeated))))).toEqual(stateAfter(stream));
      }),
      { numRuns: 1000 },
    );
  });

  test('null and the empty list clear; timestamps are seconds whichever way they are written', () => {
    const model = new NaiveOps(definition);
    model.apply(
      alive(set('seenAt', '2024-05-01T12:00:00Z'), set('level', 1), set('tags', [1]), set('labels', ['a'])),
    );
    expect(model.matches({ seenAt: 1_714_564_800 })).toEqual([7]);
    model.apply(one(set('level', null), set('tags', []), set('labels', null)));
    expect(model.matches({ level: null, tags: null, labels: { isNull: true } })).toEqual([7]);
  });

  test('the visible state is that of alive slots', () => {
    const model = new NaiveOps(definition);
    model.apply([...one(set('level', 1)), { slot: 8, alive: true, ops: [set('level', 2)] }]);
    expect(model.state().fields.level).toEqual([
      [7, [1]],
      [8, [2]],
    ]);
    expect(model.state({ hidden: false }).fields.level).toEqual([[8, [2]]]);
  });
});
