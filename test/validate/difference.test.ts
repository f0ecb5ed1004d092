import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseDefinition } from '../../src/config/parse.ts';
import { type BitloomIndex, openIndex } from '../../src/index.ts';
import { findDifference, formatDifference } from '../../src/validate/difference.ts';
import { buildNaiveModel } from '../../src/validate/naive-model.ts';
import { temporaryDirectory } from '../temporary.ts';

const DEFINITION = `
name: planted
fields:
  label: { type: string, index: filter }
  level: { type: int32, index: sort }
  tagIds: { type: uint32, index: filter, many: true }
tables:
  rows:
    csv: { columns: [id, label, level] }
    slot: id
    alive: true
    fields: { label: label, level: level }
  tags:
    csv: { columns: [tagId, id] }
    slot: id
    fields: { tagIds: tagId }
`;
const ROWS = '1,a,10\n2,b,-5\n3,a,10\n4,,\n70000,b,7\n';
const TAGS = '5,1\n5,2\n6,2\n6,99\n';

const definition = parseDefinition(DEFINITION, 'planted.yaml');
const folder = temporaryDirectory();
let index: BitloomIndex;

beforeAll(async () => {
  index = await openIndex({ definition: definition.normalised as object, inProcess: true });
  await index.load({ rows: folder.write('rows.csv', ROWS), tags: folder.write('tags.csv', TAGS) });
});

afterAll(() => index.close());

/** The difference found when the model reads files in which one text was replaced after the load. */
async function differenceAfter(text: string, replacement: string): Promise<unknown> {
  const tamper = (content: string) => content.replace(text, replacement);
  const files = {
    rows: folder.write('tampered-rows.csv', tamper(ROWS)),
    tags: folder.write('tampered-tags.csv', tamper(TAGS)),
  };
  expect(readFileSync(files.rows, 'utf8') !== ROWS || readFileSync(files.tags, 'utf8') !== TAGS).toBe(
    text !== '',
  );
  const found = await findDifference(index, await buildNaiveModel(definition, files));
  return found === null ? null : [found.part, found.field, found.value, found.slot];
}

test('the same files show no difference', async () => {
  expect(await differenceAfter('', '')).toBeNull();
});

test.each([
  { planted: 'a missing row', text: '4,,\n', replacement: '', expected: ['alive', null, null, 4] },
  { planted: 'another slot', text: '70000,', replacement: '70001,', expected: ['alive', null, null, 70_000] },
  { planted: 'another string', text: '3,a', replacement: '3,b', expected: ['filter', 'label', 'a', 3] },
  {
    planted: 'a value of the model only',
    text: '4,,',
    replacement: '4,c,',
    expected: ['filter', 'label', 'c', 4],
  },
  {
    planted: 'a value of the index only',
    text: '70000,b',
    replacement: '70000,',
    expected: ['filter', 'label', 'b', 70_000],
  },
  {
    planted: 'a string of one slot gone',
    text: '2,b,-5',
    replacement: '2,,-5',
    expected: ['filter', 'label', 'b', 2],
  },
  {
    planted: 'another place in the order',
    text: '3,a,10',
    replacement: '3,a,8',
    expected: ['sort', 'level', 8, 3],
  },
  {
    planted: 'another sort value in the same place',
    text: '7\n',
    replacement: '6\n',
    expected: ['sort', 'level', 6, 70_000],
  },
  {
    planted: 'a null for a sort value',
    text: '4,,',
    replacement: '4,,11',
    expected: ['sort', 'level', 11, 4],
  },
  { planted: 'a missing tag', text: '6,2\n', replacement: '', expected: ['filter', 'tagIds', 6, 2] },
  {
    planted: 'a tag of a slot that is not alive',
    text: '6,99',
    replacement: '6,98',
    expected: ['filter', 'tagIds', null, null],
  },
])('$planted is found', async ({ text, replacement, expected }) => {
  expect(await differenceAfter(text, replacement)).toEqual(expected);
});

test('a difference reads as one line', () => {
  const found = { part: 'filter', field: 'tagIds', value: 12, slot: 77, message: 'only here' } as const;
  expect(formatDifference(found)).toBe('filter tagIds, value 12, slot 77: only here');
  expect(formatDifference({ ...found, part: 'alive', field: null, value: null })).toBe(
    'alive, slot 77: only here',
  );
});
