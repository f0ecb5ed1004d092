/**
 * A thousand damaged files: bytes changed, cut out, doubled, swapped, quotes and line ends strewn in. Each gives an error
 * or rejects, and what is loaded is exactly what the naive model accepts; nothing crashes or hangs.
 */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { type BitloomIndex, openIndex } from 'bitloom';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseDefinition } from '../../src/config/parse.ts';
import { checkContent, checkCounts, checkRejects } from '../../src/validate/model-checks.ts';
import { buildNaiveModel } from '../../src/validate/naive-model.ts';
import { readFixtures } from '../fixtures/fixtures.ts';
import { temporaryDirectory } from '../temporary.ts';

const FILES = 1000;
const SEED = 20_240_229;
const temporary = temporaryDirectory();
const STREWN = [
  '"',
  '""',
  '\n',
  '\r\n',
  ',',
  '\0',
  '\xff',
  '-',
  '9'.repeat(30),
  '"\n"',
  '\ufeff',
  ',"',
  '\t',
];

/** Small, fast, seeded; the quality of the numbers does not matter here. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function damage(text: Buffer, random: (below: number) => number): Buffer {
  let bytes = text;
  for (let wounds = 1 + random(4); wounds > 0; wounds--) {
    const at = random(bytes.length + 1);
    const to = Math.min(bytes.length, at + 1 + random(40));
    const [before, inside, after] = [bytes.subarray(0, at), bytes.subarray(at, to), bytes.subarray(to)];
    switch (random(6)) {
      case 0:
        bytes = Buffer.concat([before, Buffer.from(STREWN[random(STREWN.length)], 'latin1'), inside, after]);
        break;
      case 1:
        bytes = Buffer.concat([before, after]);
        break;
      case 2:
        bytes = Buffer.concat([before, inside, inside, after]);
        break;
      case 3:
        bytes = Buffer.concat([before, Buffer.from(inside).reverse(), after]);
        break;
      case 4:
        bytes = Buffer.concat([before, Buffer.from(inside).fill(random(256)), after]);
        break;
      default:
        bytes = Buffer.from(before);
    }
    if (bytes.length === 0) return Buffer.from('"');
  }
  return bytes;
}

const fixtures = readFixtures().filter(({ expected }) => expected.loadError === undefined);
const indexes = new Map<string, BitloomIndex>();

beforeAll(async () => {
  for (const { name, definitionPath } of fixtures) {
    indexes.set(name, await openIndex({ definition: definitionPath, inProcess: true }));
  }
});

afterAll(async () => {
  for (const index of indexes.values()) await index.close();
});

test(`${FILES} damaged files load exactly what is sound in them`, { timeout: 240_000 }, async () => {
  const random = randomOf(SEED);
  let failed = 0;
  let rejecting = 0;
  for (let number = 0; number < FILES; number++) {
    const fixture = fixtures[number % fixtures.length];
    const tables = Object.keys(fixture.files);
    const table = tables[random(tables.length)];
    const damaged = damage(readFileSync(fixture.files[table]), random);
    const files = { ...fixture.files, [table]: temporary.write('damaged.csv', damaged) };
    const index = indexes.get(fixture.name)!;
    const options = {
      threads: 1,
      chunkLines: [1, 7, 10_000_000][random(3)],
      maxRejects: Number.POSITIVE_INFINITY,
    };
    const report = await index.load(files, options).catch((error: { code?: string }) => error.code);
    if (typeof report === 'string') {
      // Only a file whose header is gone fails as a whole.
      expect(['COLUMN_UNKNOWN', 'COLUMN_DUPLICATE', 'HEADER_INVALID', 'SOURCE_FORMAT']).toContain(report);
      failed++;
      continue;
    }
    expect(report).toBeTypeOf('object');
    if (report!.rejectedRows > 0) rejecting++;
    const definition = parseDefinition(readFileSync(fixture.definitionPath, 'utf8'), fixture.definitionPath);
    const model = await buildNaiveModel(definition, files);
    const context = `file ${number}, made from ${fixture.name}`;
    if (report!.rejectedRows <= report!.rejects.length) {
      expect(checkRejects(report!.rejects, model), context).toMatchObject({ state: 'passed' });
    }
    expect(checkCounts(report!, model), context).toMatchObject({ state: 'passed' });
    expect(await checkContent(index, model), context).toMatchObject({ state: 'passed' });
  }
  expect(rejecting).toBeGreaterThan(FILES / 4);
  expect(failed).toBeLessThan(FILES / 5);
});

test('damaged gzip files give an error', async () => {
  const random = randomOf(SEED);
  const fixture = fixtures.find(({ name }) => name === 'generated')!;
  const zipped = gzipSync(readFileSync(fixture.files.images));
  for (let number = 0; number < 50; number++) {
    const damaged = damage(zipped, random);
    if (damaged.equals(zipped)) continue;
    const file = temporary.write('damaged.csv.gz', damaged);
    await expect(indexes.get('generated')!.load({ images: file }, { threads: 1 })).rejects.toMatchObject({
      code: expect.stringMatching(/^SOURCE_|^TOO_MANY_REJECTS$/),
    });
  }
});
