/** Any stream of ops through the AccumulatorSink leaves what it leaves in the naive model. */
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { createVersion } from '../../src/index/base-version.ts';
import { digestVersion, type VersionDigest } from '../../src/index/digest.ts';
import { loadKernels } from '../../src/kernels/kernels.ts';
import { AccumulatorSink } from '../../src/ops/accumulator-sink.ts';
import { CoalescerSink } from '../../src/ops/coalescer-sink.ts';
import { NaiveOps } from '../../src/ops/naive-ops.ts';
import type { Entity, Op } from '../../src/ops/op.ts';
import { processBatch } from '../../src/ops/processor.ts';
import { digestOfNaiveOps } from './naive-digest.ts';
import { batchOf, definition, entities } from './stream.ts';

const kernels = loadKernels();

async function digestAfter(batches: readonly (readonly Entity[])[]): Promise<VersionDigest> {
  const sink = new AccumulatorSink(definition, kernels);
  for (const batch of batches) processBatch(batchOf(batch), sink);
  return digestVersion(createVersion({ id: 1, definition, segments: await sink.finish() }));
}

function digestOfModel(batches: readonly (readonly Entity[])[]): VersionDigest {
  const model = new NaiveOps(definition);
  for (const batch of batches) model.apply(batch);
  return digestOfNaiveOps(model, definition);
}

/** What rows of a dump become. */
const dumpOp: fc.Arbitrary<Op> = fc.oneof(
  fc.record({
    op: fc.constant('set' as const),
    field: fc.constantFrom('level', 'score', 'seenAt'),
    value: fc.option(fc.nat(5)),
  }),
  fc.record({
    op: fc.constant('set' as const),
    field: fc.constant('kind'),
    value: fc.option(fc.constantFrom('', 'b', 'a', 'é')),
  }),
  fc.record({ op: fc.constant('add' as const), field: fc.constant('tags'), value: fc.nat(5) }),
  fc.record({
    op: fc.constant('add' as const),
    field: fc.constant('labels'),
    value: fc.constantFrom('y', 'x'),
  }),
);
const dumpEntity: fc.Arbitrary<Entity> = fc
  .record({
    slot: fc.oneof(fc.nat(40), fc.constantFrom(65_535, 65_536, 200_000, 0xffff_ffff)),
    alive: fc.boolean(),
    ops: fc.array(dumpOp, { maxLength: 5 }),
  })
  .map(({ slot, alive, ops }) => (alive ? { slot, alive, ops } : { slot, ops }));

test('what a dump says, in any order, is what the naive model holds, and nothing settles', async () => {
  const settled = vi.spyOn(CoalescerSink.prototype, 'addAlive');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(dumpEntity, { maxLength: 30 }), { maxLength: 4 }), async (batches) => {
      expect(await digestAfter(batches)).toEqual(digestOfModel(batches));
    }),
    { numRuns: 60 },
  );
  expect(settled).not.toHaveBeenCalled();
  settled.mockRestore();
});

test('any other stream is what the naive model holds', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(entities, { maxLength: 4 }), async (batches) => {
      expect(await digestAfter(batches)).toEqual(digestOfModel(batches));
    }),
    { numRuns: 80 },
  );
});

test('a string that was known before the stream settles keeps its key in the batch that settles it', async () => {
  const stream: Entity[] = [
    { slot: 1, alive: true, ops: [{ op: 'set', field: 'kind', value: 'z' }] },
    { slot: 2, alive: true, ops: [{ op: 'set', field: 'kind', value: 'a' }] },
    { slot: 1, ops: [{ op: 'delete' }] },
    { slot: 3, alive: true, ops: [{ op: 'set', field: 'kind', value: 'z' }] },
    { slot: 4, alive: true, ops: [{ op: 'set', field: 'kind', value: 'm' }] },
  ];
  expect(await digestAfter([stream])).toEqual(digestOfModel([stream]));
});

test('more rows than a chunk holds, each slot stated twice: the later statement wins', async () => {
  const slots = 150_000;
  const half = (value: number): Entity[] =>
    Array.from({ length: slots }, (_, slot): Entity => {
      const level: Op = { op: 'set', field: 'level', value: slot % 3 === 0 ? null : (slot + value) % 7 };
      const score: Op = { op: 'set', field: 'score', value: slot * value };
      return { slot: slot * 2, alive: true, ops: [level, score] };
    });
  const [first, second] = [half(1), half(2)];
  const parts = [...first, ...second.reverse()];
  const batches: Entity[][] = [];
  for (let from = 0; from < parts.length; from += 50_000) batches.push(parts.slice(from, from + 50_000));
  expect(await digestAfter(batches)).toEqual(digestOfModel([second]));
});
