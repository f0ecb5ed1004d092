/** The same dump gives the same index whatever the threads, the cuts, the order of the rows and the compression. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type LoadOptions, openIndex } from 'bitloom';
import { beforeAll, expect, test } from 'vitest';
import { parseDefinition } from '../../src/config/parse.ts';
import { generateDump } from '../../src/generate/generate.ts';
import { digestOfModel } from '../../src/validate/naive-digest.ts';
import { buildNaiveModel } from '../../src/validate/naive-model.ts';
import { temporaryDirectory } from '../temporary.ts';

const ROWS = 20_000;
const TABLES = ['images', 'tags', 'tools'];
const temporary = temporaryDirectory();
const definition = join(temporary.path, 'index.yaml');
const files = Object.fromEntries(TABLES.map((table) => [table, join(temporary.path, `${table}.csv`)]));
let expected: string;

beforeAll(async () => {
  await generateDump({ rows: ROWS, out: temporary.path });
  const parsed = parseDefinition(readFileSync(definition, 'utf8'), definition);
  expected = digestOfModel(await buildNaiveModel(parsed, files)).index;
});

async function digestOf(dump: Record<string, string>, options: LoadOptions): Promise<string> {
  const index = await openIndex({ definition, inProcess: true });
  try {
    const report = await index.load(dump, options);
    expect(report.alive).toBe(ROWS);
    return (await index.stats({ digest: true })).digest!.index;
  } finally {
    await index.close();
  }
}

test.each([
  { threads: 1 },
  { threads: 2 },
  { threads: 5 },
  { threads: 2, chunkLines: 1000 },
  { threads: 2, chunkLines: 777 },
  { threads: 2, chunkLines: 10_000_000 },
])('the digest is that of the naive model with %j', async (options) => {
  expect(await digestOf(files, options)).toBe(expected);
});

test('the order of the rows does not matter', async () => {
  const shuffled = TABLES.map((table) => {
    const lines = readFileSync(files[table], 'utf8').trimEnd().split('\n');
    // A fixed walk through all lines with a step that shares no factor with their number.
    const step = 7919;
    const walked = lines.map((_line, index) => lines[(index * step) % lines.length]);
    expect(new Set(walked).size).toBe(new Set(lines).size);
    return [table, temporary.write(`shuffled-${table}.csv`, `${walked.join('\n')}\n`)];
  });
  expect(await digestOf(Object.fromEntries(shuffled), { threads: 2, chunkLines: 1000 })).toBe(expected);
});

test('a gzip file gives the same as the plain one, in parts or whole', async () => {
  const zipped = TABLES.map((table) => [
    table,
    temporary.write(`${table}.csv.gz`, gzipSync(readFileSync(files[table]))),
  ]);
  expect(await digestOf(Object.fromEntries(zipped), { threads: 2 })).toBe(expected);
  expect(await digestOf(Object.fromEntries(zipped), { threads: 2, chunkLines: 1000 })).toBe(expected);
});

test('loading twice replaces, and merging the dump into itself changes nothing', async () => {
  const index = await openIndex({ definition, inProcess: true });
  try {
    for (const mode of ['replace', 'replace', 'merge'] as const) {
      await index.load(files, { mode, threads: 2 });
      expect((await index.stats({ digest: true })).digest!.index).toBe(expected);
    }
  } finally {
    await index.close();
  }
});
