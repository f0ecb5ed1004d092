import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DUMP_DEFINITION_YAML } from '../../src/generate/dump-definition.ts';
import { generateDump } from '../../src/generate/generate.ts';

const ROWS = 20_000;
let directory: string;
let images: string[][];
let tags: string[][];
let tools: string[][];
let imagesText: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bitloom-generate-'));
  await generateDump({ rows: ROWS, out: join(directory, 'shape'), seed: 3 });
  imagesText = await readFile(join(directory, 'shape', 'images.csv'), 'utf8');
  images = parse(imagesText) as string[][];
  tags = parse(await readFile(join(directory, 'shape', 'tags.csv'))) as string[][];
  tools = parse(await readFile(join(directory, 'shape', 'tools.csv'))) as string[][];
});

afterAll(() => rm(directory, { recursive: true, force: true }));

async function hashes(folder: string): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const name of ['images', 'tags', 'tools']) {
    const bytes = await readFile(join(directory, folder, `${name}.csv`));
    result[name] = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  }
  return result;
}

describe('determinism', () => {
  test('the bytes of a dump are the recorded ones on every machine', async () => {
    await generateDump({ rows: 2_000, out: join(directory, 'golden'), seed: 7 });
    expect(await hashes('golden')).toMatchInlineSnapshot(`
      {
        "images": "d90830ee2d706d8d",
        "tags": "a36e8b38d8046f60",
        "tools": "d20eb5c389b08ca9",
      }
    `);
  });

  test('another seed gives another dump', async () => {
    await generateDump({ rows: 2_000, out: join(directory, 'golden'), seed: 7 });
    const first = await hashes('golden');
    await generateDump({ rows: 2_000, out: join(directory, 'golden'), seed: 8 });
    const second = await hashes('golden');
    for (const name of ['images', 'tags', 'tools']) expect(second[name]).not.toBe(first[name]);
  });

  test('the summary states rows and bytes of each file', async () => {
    const summary = await generateDump({ rows: 500, out: join(directory, 'summary') });
    for (const file of summary.files) {
      const text = await readFile(file.path, 'latin1');
      expect(file.bytes).toBe(text.length);
      expect(file.rows).toBe(text.split('\n').length - 1);
    }
    expect(await readFile(summary.definition, 'utf8')).toBe(DUMP_DEFINITION_YAML);
  });

  test('zero rows give empty files', async () => {
    const summary = await generateDump({ rows: 0, out: join(directory, 'empty') });
    expect(summary.files.map((file) => file.bytes)).toEqual([0, 0, 0]);
  });

  test.each([
    { rows: -1 },
    { rows: 1.5 },
    { rows: 3_000_000_001 },
    { rows: 1, seed: -1 },
    { rows: 1, seed: 2 ** 32 },
  ])('%o is refused', async (options) => {
    await expect(generateDump({ ...options, out: join(directory, 'refused') })).rejects.toMatchObject({
      code: 'GENERATE_OPTIONS',
    });
  });
});

describe('shape', () => {
  const share = (column: number, wanted: (text: string) => boolean) =>
    images.filter((row) => wanted(row[column])).length / ROWS;
  const isNull = (text: string) => text === '';

  test('every row has eleven fields and ids are sparse and increasing', () => {
    expect(images.length).toBe(ROWS);
    let previous = 0;
    for (const row of images) {
      expect(row.length).toBe(11);
      expect(Number(row[0])).toBeGreaterThan(previous);
      previous = Number(row[0]);
    }
    expect(previous / ROWS).toBeGreaterThan(1.1);
    expect(previous / ROWS).toBeLessThan(1.3);
  });

  test('about a third of the hashes hold a comma and are quoted, nothing else is', () => {
    const quotedLines = imagesText.split('\n').filter((line) => line.includes('"')).length;
    expect(quotedLines).toBe(images.filter((row) => row[3].includes(',')).length);
    expect(quotedLines / ROWS).toBeGreaterThan(0.3);
    expect(quotedLines / ROWS).toBeLessThan(0.4);
  });

  test('null shares', () => {
    expect(share(3, isNull)).toBeCloseTo(0.03, 2);
    expect(share(7, isNull)).toBeCloseTo(0.98, 2);
    expect(share(8, isNull)).toBeCloseTo(0.1, 2);
    expect(share(10, isNull)).toBeCloseTo(0.02, 2);
  });

  test('wide ties: most images have level 1 and share their creation second with another', () => {
    expect(share(2, (text) => text === '1')).toBeGreaterThan(0.7);
    expect(new Set(images.map((row) => row[2]))).toEqual(new Set(['1', '2', '4', '8', '16', '32', '64']));
    expect(new Set(images.map((row) => row[9])).size).toBeLessThan(ROWS * 0.7);
  });

  test('posts have 1 to 20 images of one user, users follow a power law', () => {
    const usersOfPost = new Map<string, Set<string>>();
    const imagesOfPost = new Map<string, number>();
    const imagesOfUser = new Map<string, number>();
    for (const row of images) {
      imagesOfUser.set(row[6], (imagesOfUser.get(row[6]) ?? 0) + 1);
      if (row[10] === '') continue;
      usersOfPost.set(row[10], (usersOfPost.get(row[10]) ?? new Set()).add(row[6]));
      imagesOfPost.set(row[10], (imagesOfPost.get(row[10]) ?? 0) + 1);
    }
    expect(Math.max(...[...usersOfPost.values()].map((users) => users.size))).toBe(1);
    expect(Math.max(...imagesOfPost.values())).toBeLessThanOrEqual(20);
    const counts = [...imagesOfUser.values()].sort((a, b) => b - a);
    const top = counts.slice(0, Math.floor(counts.length / 20)).reduce((sum, count) => sum + count, 0);
    expect(top / ROWS).toBeGreaterThan(0.15);
  });

  test('join rows name existing images, are distinct, mostly but not wholly in slot order', () => {
    const slots = new Set(images.map((row) => row[0]));
    for (const [rows, perImage] of [
      [tags, 4.5],
      [tools, 0.5],
    ] as const) {
      expect(new Set(rows.map((row) => row.join())).size).toBe(rows.length);
      expect(rows.every((row) => slots.has(row[1]))).toBe(true);
      expect(rows.length / ROWS).toBeGreaterThan(perImage * 0.9);
      expect(rows.length / ROWS).toBeLessThan(perImage * 1.1);
      let descents = 0;
      for (let row = 1; row < rows.length; row++) if (+rows[row][1] < +rows[row - 1][1]) descents++;
      expect(descents).toBeGreaterThan(0);
      expect(descents / rows.length).toBeLessThan(0.01);
    }
  });
});
