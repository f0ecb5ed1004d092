import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseDefinition, readDefinition } from '../../src/config/parse.ts';
import { digestOfModel, valuesInOrder } from '../../src/validate/naive-digest.ts';
import { buildNaiveModel } from '../../src/validate/naive-model.ts';
import { readFixtures } from '../fixtures/fixtures.ts';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bitloom-model-'));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

describe('the naive model holds to the fixtures', () => {
  test.each(readFixtures())('$name', async ({ definitionPath, files, expected }) => {
    const definition = await readDefinition(definitionPath);
    const model = await buildNaiveModel(definition, files);
    expect([...model.alive].sort((a, b) => a - b)).toEqual(expected.alive);
    for (const [name, field] of model.fields) {
      const values = valuesInOrder(field).map((value) => [value, [...field.slotsOfValue.get(value)!]]);
      const byText = (a: unknown[], b: unknown[]) => (String(a[0]) < String(b[0]) ? -1 : 1);
      expect(values.sort(byText), name).toEqual(expected.fields[name].toSorted(byText));
    }
    expect(model.rejects).toEqual(expected.rejects);
    expect(model.tables).toEqual(expected.tables);
    expect(digestOfModel(model).index).toBe(expected.digest);
  });
});

const LONG_DEFINITION = parseDefinition(
  `
name: long
fields: { label: { type: string, index: filter } }
tables:
  rows:
    csv: { columns: [id, label] }
    slot: id
    alive: true
    fields: { label: label }
`,
  'long.yaml',
);

describe('records larger than the pieces a file is read in', () => {
  test('a long field is whole, a record beyond the limit is rejected and the next lines are read', async () => {
    const long = 'x'.repeat(400_000);
    const text = `1,"${long}\n"\n2,"${'y'.repeat(1_500_000)}\n"\n3,${'z'.repeat(1_500_000)}\n4,after\n`;
    const file = join(directory, 'long.csv');
    await writeFile(file, text);
    const model = await buildNaiveModel(LONG_DEFINITION, { rows: file });
    // The second record loses its first line only; the quote on the next one
    // then opens a field that finds no end either.
    expect(model.rejects.map(({ line, code }) => [line, code])).toEqual([
      [3, 'RECORD_TOO_LONG'],
      [4, 'RECORD_TOO_LONG'],
      [5, 'RECORD_TOO_LONG'],
    ]);
    expect([...model.alive]).toEqual([1, 4]);
    expect(model.fields.get('label')!.valueOfSlot.get(1)).toBe(`${long}\n`);
  });

  test('records split by the pieces of the file are whole, with their lines and offsets', async () => {
    const rows = Array.from(
      { length: 20_000 },
      (_, slot) => `${slot},"a ""${slot % 7}""\n${'.'.repeat(slot % 200)}"\r\n`,
    );
    rows[19_000] = 'bad,x\r\n';
    const file = join(directory, 'many.csv');
    await writeFile(file, rows.join(''));
    const model = await buildNaiveModel(LONG_DEFINITION, { rows: file });
    expect(model.alive.size).toBe(19_999);
    expect(model.rejects).toEqual([
      {
        table: 'rows',
        line: 19_000 * 2 + 1,
        byteOffset: rows.slice(0, 19_000).join('').length,
        column: 'id',
        code: 'INVALID_INTEGER',
      },
    ]);
    expect(model.fields.get('label')!.valueOfSlot.get(12_345)).toBe(`a "4"\n${'.'.repeat(145)}`);
  });

  test('a gzip file reads as its plain text', async () => {
    const file = join(directory, 'plain.csv.gz');
    await writeFile(file, gzipSync('1,a\n2,"b\nb"\n'));
    const model = await buildNaiveModel(LONG_DEFINITION, { rows: file });
    expect([...model.alive]).toEqual([1, 2]);
    expect(model.fields.get('label')!.valueOfSlot.get(2)).toBe('b\nb');
  });
});
