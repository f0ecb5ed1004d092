/** A dump as ops, on arbitrary rows: applied in any way it gives what the naive model of the files gives. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseDefinition } from '../../src/config/parse.ts';
import { createVersion, emptyVersion } from '../../src/index/base-version.ts';
import { DeltaVersion } from '../../src/index/delta-version.ts';
import { digestVersion } from '../../src/index/digest.ts';
import { loadKernels } from '../../src/kernels/kernels.ts';
import { AccumulatorSink } from '../../src/ops/accumulator-sink.ts';
import { CoalescerSink } from '../../src/ops/coalescer-sink.ts';
import { processBatch } from '../../src/ops/processor.ts';
import { BATCH_ENTITIES, csvOps } from '../../src/validate/csv-ops.ts';
import { digestOfModel } from '../../src/validate/naive-digest.ts';
import { buildNaiveModel } from '../../src/validate/naive-model.ts';
import { temporaryDirectory } from '../temporary.ts';

const definition = parseDefinition(
  `
name: shared
fields:
  label: { type: string, index: filter }
  level: { type: int32, index: [filter, sort] }
  tagIds: { type: uint32, index: filter, many: true }
  words: { type: string, index: filter, many: true }
tables:
  rows:
    csv: { columns: [id, label, level] }
    slot: id
    alive: true
    where: level != 13 || isNull(level)
    fields: { label: label, level: level, words: label }
  more:
    csv: { columns: [label, level, id, tagId] }
    slot: id
    fields: { label: label, level: level * 2, tagIds: tagId }
  last:
    slot: id
    csv: { null: '-' }
    fields: { level: level }
`,
  'shared.yaml',
);

const folder = temporaryDirectory();
const sinkKernels = loadKernels();
const kernels = loadKernels();

async function expectModel(texts: Record<string, string>): Promise<void> {
  const files = Object.fromEntries(
    Object.entries(texts).map(([table, text]) => [table, folder.write(`${table}.csv`, text)]),
  );
  const model = await buildNaiveModel(definition, files);
  const accumulating = new AccumulatorSink(definition, sinkKernels);
  const version = new DeltaVersion(emptyVersion(0, definition));
  const { batches, tables } = csvOps(definition, files, kernels);
  for await (const batch of batches) {
    expect(batch.entityCount).toBeLessThanOrEqual(BATCH_ENTITIES);
    processBatch(batch, accumulating);
    processBatch(batch, new CoalescerSink(version));
  }
  for (const [table, { rows, skippedRows, rejectedRows }] of Object.entries(model.tables)) {
    expect(tables[table]).toEqual({ rows, skippedRows, rejectedRows });
  }
  const expected = digestOfModel(model);
  expect(digestVersion(version)).toEqual(expected);
  const segments = await accumulating.finish();
  expect(digestVersion(createVersion({ id: 1, definition, segments }))).toEqual(expected);
}

const slot = fc.oneof(fc.nat(6), fc.constantFrom(70_000, 0xffff_ffff, -1));
const text = fc.constantFrom('', '""', 'a', 'b', '"c,d"', '"e\n"', '"f""g"', 'h"i', '\u00e9');
const level = fc.oneof(fc.constantFrom('', 'x', '13', '2147483648'), fc.integer({ min: -3, max: 3 }));
const lines = (row: fc.Arbitrary<unknown[]>) =>
  fc
    .array(row, { minLength: 1, maxLength: 12 })
    .map((rows) => `${rows.map((row) => row.join(',')).join('\n')}\n`);

test('tables that share fields and slots, with nulls, duplicates, skipped and rejected rows', async () => {
  await fc.assert(
    fc.asyncProperty(
      lines(fc.tuple(slot, text, level)),
      lines(fc.tuple(text, level, slot, fc.constantFrom('', '1', '2'))),
      lines(fc.tuple(slot, fc.constantFrom('-', '5', '6'))),
      (rows, more, last) => expectModel({ rows, more, last: `\ufeffid,level\n${last}` }),
    ),
    { numRuns: 80 },
  );
});

test('a later table wins where its last row of a slot has a value, and leaves the earlier value where not', async () => {
  await expectModel({
    rows: '1,a,1\n2,b,2\n3,c,3\n',
    more: 'x,5,1,\n,,1,\ny,6,2,\n',
    last: 'id,level\n3,-\n3,9',
  });
});

test('more rows than a batch holds, strings new and old in each', async () => {
  const rows = Array.from(
    { length: 12_345 },
    (_, row) => `${row},${row % 5 === 0 ? `new ${row}` : 'old'},${row}\n`,
  );
  await expectModel({ rows: rows.join('') });
});
