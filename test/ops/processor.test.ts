/** A stream of ops through the processor and the CoalescerSink leaves what it leaves in the naive model. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { emptyVersion } from '../../src/index/base-version.ts';
import { DeltaVersion } from '../../src/index/delta-version.ts';
import { digestVersion } from '../../src/index/digest.ts';
import { CoalescerSink } from '../../src/ops/coalescer-sink.ts';
import { dedup } from '../../src/ops/dedup.ts';
import { NaiveOps } from '../../src/ops/naive-ops.ts';
import type { Entity } from '../../src/ops/op.ts';
import { processBatch } from '../../src/ops/processor.ts';
import { executeQuery } from '../../src/query/execute.ts';
import { digestOfNaiveOps } from './naive-digest.ts';
import { batchOf, definition, entities, plainEntities, where } from './stream.ts';

/** A stream in batches; `bulk` makes queryOpSets change bitmaps however few match. */
const stream = fc.array(fc.record({ entities, bulk: fc.boolean(), deduped: fc.boolean() }), { maxLength: 5 });

test('the version holds what the naive model holds, and answers the same', () => {
  fc.assert(
    fc.property(stream, where, (batches, where) => {
      const version = new DeltaVersion(emptyVersion(0, definition));
      const model = new NaiveOps(definition);
      const sink = new CoalescerSink(version);
      for (const { entities, bulk, deduped } of batches) {
        model.apply(entities);
        const batch = batchOf(entities);
        processBatch(deduped ? dedup(batch) : batch, sink, bulk ? 0 : undefined);
        if (where === null) continue;
        const { ids } = executeQuery(version, { where, take: 100 });
        expect(ids).toEqual(model.matches(where));
      }
      expect(digestVersion(version)).toEqual(digestOfNaiveOps(model, definition));
    }),
    { numRuns: 300 },
  );
});

test('a stream and a repeated stream leave the same, and so does a suffix played again', () => {
  fc.assert(
    fc.property(plainEntities, plainEntities, fc.nat(), (before, stream, from) => {
      const suffix = stream.slice(from % (stream.length + 1));
      const { index } = digestVersion(versionAfter(before, stream));
      expect(digestVersion(versionAfter(before, stream, stream)).index).toBe(index);
      expect(digestVersion(versionAfter(before, stream, suffix)).index).toBe(index);
    }),
    { numRuns: 50 },
  );
});

function versionAfter(...streams: Entity[][]): DeltaVersion {
  const version = new DeltaVersion(emptyVersion(0, definition));
  for (const entities of streams) processBatch(batchOf(entities), new CoalescerSink(version));
  return version;
}

test('a removed string that no slot ever had is not learnt', () => {
  const version = versionAfter([{ slot: 1, ops: [{ op: 'remove', field: 'kind', value: 'never' }] }]);
  expect(version.dictionary('kind')!.size).toBe(0);
});

test('a queryOpSet with more matches than any page changes all of them', () => {
  const insert = Array.from(
    { length: 20_000 },
    (_, slot): Entity => ({
      slot,
      alive: true,
      ops: [{ op: 'set', field: 'level', value: 7 }],
    }),
  );
  const version = versionAfter(insert, [
    {
      slot: 7,
      ops: [{ op: 'queryOpSet', where: { level: 7 }, ops: [{ op: 'set', field: 'score', value: -3 }] }],
    },
  ]);
  expect(executeQuery(version, { where: { score: -3, level: 7 } }).total).toBe(20_000);
});
