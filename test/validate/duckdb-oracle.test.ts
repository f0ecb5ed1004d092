import { describe, expect, test } from 'vitest';
import { parseDefinition, readDefinition } from '../../src/config/parse.ts';
import { generateDump } from '../../src/generate/generate.ts';
import type { Query } from '../../src/query/query.ts';
import { compareWithDuckdb } from '../../src/validate/duckdb-oracle.ts';
import { buildNaiveModel, type ModelField, type NaiveModel } from '../../src/validate/naive-model.ts';
import { NaiveQueries } from '../../src/validate/naive-query.ts';
import { temporaryDirectory } from '../temporary.ts';

const folder = temporaryDirectory();

const MIXED = parseDefinition(
  `
name: mixed
fields:
  label: { type: string, index: filter }
  level: { type: int32, index: [filter, sort] }
  seenAt: { type: timestamp, index: sort }
  larger: { type: int32, index: filter }
  bits: { type: int32, index: filter }
  either: { type: boolean, index: filter }
  missing: { type: boolean, index: filter }
  tagIds: { type: uint32, index: filter, many: true }
tables:
  rows:
    slot: id
    alive: true
    where: label != "skip" || isNull(label)
    fields:
      label: label
      level: level
      seenAt: seenAt
      larger: max(level, -3)
      bits: (level << 2 | 1) ^ 5 & ~level >> 1
      either: on || level / 2 % 2 == -1
      missing: isNull(level) && !on
  tags:
    csv: { columns: [tagId, id], delimiter: ";", "null": "-" }
    slot: id
    fields:
      tagIds: coalesce(tagId, 0)
`,
  'mixed.yaml',
);

const ROWS = `note,id,label,level,on,seenAt
x,4,"a, ""b""",-3,t,2024-02-29
x,2,,7,f,1700000000
"x
y",9,"",,true,2024-02-29T12:00:00.5+05:30
x,1,it's,-300000000,,2024-02-29 12:00:00-0800
x,4,again,3,0,2024-02-29 11:00
x,3,skip,3,0,
x,7,é,300000000,1,
x,2,,,f,2024-02-29 12:00:00Z
x,8,again,-3,,1700000000
`;
const TAGS = '5;4\n6;4\n-;4\n5;4\n5;77\n5;1\n';

function mixedFiles(): Record<string, string> {
  return { rows: folder.write('rows.csv', ROWS), tags: folder.write('tags.csv', TAGS) };
}

function oracleInput(model: NaiveModel, files: Record<string, string>) {
  const queries = new NaiveQueries(model);
  const idsOf = async ({ where, orderBy }: Query, count: number) => [
    ...queries.ordered(where ?? {}, orderBy).subarray(0, count),
  ];
  return { model, files, idsOf };
}

/** The model with one value of a field changed. */
function withField(
  model: NaiveModel,
  name: string,
  change: (field: ModelField) => Partial<ModelField>,
): NaiveModel {
  const field = model.fields.get(name)!;
  return { ...model, fields: new Map(model.fields).set(name, { ...field, ...change(field) }) };
}

describe('DuckDB and the naive model agree', () => {
  test('on a generated dump', async () => {
    const dump = await generateDump({ rows: 2_000, out: folder.path, seed: 5 });
    const files = Object.fromEntries(dump.files.map(({ table, path }) => [table, path]));
    const model = await buildNaiveModel(await readDefinition(dump.definition), files);
    expect(await compareWithDuckdb(oracleInput(model, files))).toMatchObject({ state: 'passed' });
  });

  test('on every type, expression operator, null, duplicate, zone and dialect', async () => {
    const model = await buildNaiveModel(MIXED, mixedFiles());
    expect(model.alive).toEqual(new Set([4, 2, 9, 1, 7, 8]));
    expect(model.rejects).toEqual([]);
    const check = await compareWithDuckdb(oracleInput(model, mixedFiles()));
    expect(check.detail).toMatch(/values and \d+ pages agree/);
    expect(check.state).toBe('passed');
  });
});

describe('DuckDB finds what is wrong with', () => {
  test('alive', async () => {
    const model = await buildNaiveModel(MIXED, mixedFiles());
    const check = await compareWithDuckdb(oracleInput({ ...model, alive: new Set([1, 2]) }, mixedFiles()));
    expect(check).toMatchObject({ state: 'failed', detail: 'alive: DuckDB has 6 slots, the model 2' });
  });

  test('the slots of a value, of the same number', async () => {
    const model = await buildNaiveModel(MIXED, mixedFiles());
    const changed = withField(model, 'level', ({ slotsOfValue }) => ({
      slotsOfValue: new Map(slotsOfValue).set(-3, Uint32Array.of(9)),
    }));
    const check = await compareWithDuckdb(oracleInput(changed, mixedFiles()));
    expect(check.detail).toBe('level, value -3: DuckDB has the same number of other slots, the model 1');
  });

  test('a value that does not exist', async () => {
    const model = await buildNaiveModel(MIXED, mixedFiles());
    const changed = withField(model, 'tagIds', ({ slotsOfValue }) => ({
      slotsOfValue: new Map(slotsOfValue).set(123, Uint32Array.of(9)),
    }));
    const check = await compareWithDuckdb(oracleInput(changed, mixedFiles()));
    expect(check.detail).toBe('tagIds, value 123: DuckDB does not have it');
  });

  test('the order of a page', async () => {
    const model = await buildNaiveModel(MIXED, mixedFiles());
    const input = oracleInput(model, mixedFiles());
    const idsOf = async (query: Query, count: number) => (await input.idsOf(query, count)).toReversed();
    const check = await compareWithDuckdb({ ...input, idsOf });
    expect(check).toMatchObject({ state: 'failed' });
    expect(check.detail).toContain('"orderBy":{"level":"asc"}');
  });
});

test('rejected rows keep DuckDB from running, and it says so', async () => {
  const files = { ...mixedFiles(), rows: folder.write('bad.csv', `${ROWS}x,bad,,,,\n`) };
  const model = await buildNaiveModel(MIXED, files);
  expect(await compareWithDuckdb(oracleInput(model, files))).toMatchObject({ state: 'not run' });
});
