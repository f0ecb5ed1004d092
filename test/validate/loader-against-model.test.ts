/** The loader against the naive model on arbitrary text: rejects, counts and digests, however the file is cut. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseDefinition } from '../../src/config/parse.ts';
import { type BitloomIndex, openIndex } from '../../src/index.ts';
import { checkContent, checkCounts, checkRejects } from '../../src/validate/model-checks.ts';
import { buildNaiveModel } from '../../src/validate/naive-model.ts';
import { temporaryDirectory } from '../temporary.ts';

const definition = parseDefinition(
  `
name: arbitrary
fields:
  label: { type: string, index: filter }
  level: { type: int32, index: [filter, sort] }
  count: { type: uint32, index: [filter, sort] }
  seenAt: { type: timestamp, index: [filter, sort] }
  on: { type: boolean, index: filter }
  mixed: { type: uint32, index: filter }
  same: { type: boolean, index: filter }
  tagIds: { type: uint32, index: filter, many: true }
  words: { type: string, index: filter, many: true }
tables:
  rows:
    csv: { columns: [id, label, level, count, seenAt, on] }
    slot: id
    alive: true
    where: level != 13 || isNull(level)
    fields:
      label: label
      level: level
      count: count
      seenAt: seenAt
      on: on
      mixed: level + count * 2 >> 1
      same: label == "a" || on && count > 1
      words: label
  tags:
    csv: { columns: [tagId, word, id] }
    slot: id
    fields:
      tagIds: tagId
      words: word
      label: word
      count: tagId
`,
  'arbitrary.yaml',
);

/** FUZZ_RUNS asks for more. */
const RUNS = Number(process.env.FUZZ_RUNS ?? 60);

const folder = temporaryDirectory();
let index: BitloomIndex;

beforeAll(async () => {
  index = await openIndex({ definition: definition.normalised as object, inProcess: true });
});

afterAll(() => index.close());

const slot = fc.oneof(
  fc.nat(20),
  fc.nat(200_000),
  fc.constantFrom(0, 65_535, 65_536, 4_294_967_295, 4_294_967_296, -1),
);
const word = fc.constantFrom(
  'a',
  'b',
  '',
  'a,b',
  'say "x"',
  'two\nlines',
  'two\r\nlines',
  'é',
  ' ',
  '\r',
  'x'.repeat(70),
  '"',
);
const integer = fc.oneof(
  fc.integer({ min: -20, max: 20 }).map(String),
  fc.constantFrom(
    '',
    '2147483647',
    '-2147483648',
    '4294967295',
    '4294967296',
    '+5',
    '007',
    '9007199254740993',
    '1.5',
    'x',
    '-',
    '13',
  ),
);
const time = fc.constantFrom(
  '',
  '0',
  '1700000000',
  '2024-02-29',
  '2024-02-29 10:11:12+02',
  '2023-02-29',
  '1969-12-31',
  'x',
);
const flag = fc.constantFrom('', 't', 'f', 'true', 'false', '1', '0', 'yes');

/** A field as a writer would put it: quoted where it must be, and sometimes where it need not. */
function written(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(text, fc.nat(5)).map(([value, roll]) => {
    const quoted = /[",\n\r]/.test(value) || roll === 0;
    return quoted ? `"${value.replaceAll('"', '""')}"` : value;
  });
}

const lineEnd = fc.constantFrom('\n', '\n', '\n', '\r\n', '\n\n');
const wellFormed = fc
  .tuple(
    written(slot.map(String)),
    written(word),
    written(integer),
    written(integer),
    written(time),
    written(flag),
    lineEnd,
  )
  .map((parts) => parts.slice(0, 6).join(',') + parts[6]);
const hostile = fc.array(fc.constantFrom('"', '"', ',', '\n', '\r', 'a', '1', ' ', '""', ',"', '",'), {
  minLength: 1,
  maxLength: 12,
});
const rowsText = fc
  .array(
    fc.oneof(
      { weight: 8, arbitrary: wellFormed },
      { weight: 1, arbitrary: hostile.map((parts) => parts.join('')) },
    ),
    {
      minLength: 1,
      maxLength: 40,
    },
  )
  .map((lines) => lines.join(''));
const tagsText = fc
  .array(fc.tuple(written(integer), written(word), written(slot.map(String)), lineEnd), {
    minLength: 1,
    maxLength: 30,
  })
  .map((rows) => rows.map(([tag, text, id, end]) => `${tag},${text},${id}${end}`).join(''));
/** Another number of threads would start another pool for every run. */
const cut = fc.record({ threads: fc.constant(2), chunkLines: fc.constantFrom(1, 3, 10_000_000) });

test('any text gives the same index, counts and rejects', async () => {
  await fc.assert(
    fc.asyncProperty(
      rowsText,
      tagsText,
      fc.constantFrom('', '\ufeff'),
      cut,
      async (rows, tags, mark, options) => {
        const files = { rows: folder.write('rows.csv', mark + rows), tags: folder.write('tags.csv', tags) };
        const report = await index.load(files, { ...options, maxRejects: Number.POSITIVE_INFINITY });
        const model = await buildNaiveModel(definition, files);
        expect(checkRejects(report.rejects, model)).toMatchObject({ state: 'passed' });
        expect(checkCounts(report, model)).toMatchObject({ state: 'passed' });
        expect(await checkContent(index, model)).toMatchObject({ state: 'passed' });
      },
    ),
    { numRuns: RUNS },
  );
});
