/** What can be wrong with the files of a dump: each gets an error of its own and nothing is published. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type BitloomIndex, type LoadOptions, openIndex } from 'bitloom';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { temporaryDirectory } from '../temporary.ts';

const temporary = temporaryDirectory();
const LINES = 5000;

function csv(lines: number): string {
  return Array.from({ length: lines }, (_value, line) => `${line + 1},${line % 10}\n`).join('');
}

let index: BitloomIndex;

beforeEach(async () => {
  index = await openIndex({
    inProcess: true,
    definition: {
      name: 'rows',
      fields: { level: { type: 'uint32', index: 'filter' } },
      tables: {
        rows: { csv: { columns: ['id', 'level'] }, slot: 'id', alive: true, fields: { level: 'level' } },
        headed: { csv: {}, slot: 'id', fields: { level: 'level' } },
      },
    },
  });
  await index.load({ rows: temporary.write('good.csv', csv(3)) }, { threads: 1 });
});

afterEach(() => index.close());

async function expectFailure(
  files: Record<string, string>,
  error: object,
  options: LoadOptions = {},
): Promise<void> {
  await expect(index.load(files, { threads: 1, ...options })).rejects.toMatchObject(error);
  expect(await index.stats()).toMatchObject({ version: 1, alive: 3 });
}

test('a missing file', async () => {
  const file = join(temporary.path, 'none.csv');
  await expectFailure({ rows: file }, { code: 'SOURCE_NOT_FOUND', at: { file } });
});

test('a directory', async () => {
  mkdirSync(join(temporary.path, 'folder'), { recursive: true });
  await expectFailure({ rows: join(temporary.path, 'folder') }, { code: 'SOURCE_NOT_A_FILE' });
});

test('a pipe', async () => {
  const pipe = join(temporary.path, 'pipe');
  execFileSync('mkfifo', [pipe]);
  await expectFailure({ rows: pipe }, { code: 'SOURCE_NOT_A_FILE' });
});

test('an empty file', () =>
  expectFailure({ rows: temporary.write('empty.csv', '') }, { code: 'SOURCE_EMPTY' }));

test('gzip under a plain name, and plain text under the name of gzip', async () => {
  await expectFailure({ rows: temporary.write('zipped.csv', gzipSync(csv(10))) }, { code: 'SOURCE_FORMAT' });
  await expectFailure({ rows: temporary.write('plain.csv.gz', csv(10)) }, { code: 'SOURCE_FORMAT' });
});

test('a gzip file that is cut off, and one with damage in the middle', async () => {
  const zipped = gzipSync(csv(LINES));
  const cut = temporary.write('cut.csv.gz', zipped.subarray(0, zipped.length / 2));
  await expectFailure({ rows: cut }, { code: 'SOURCE_TRUNCATED' });
  const damaged = Buffer.from(zipped);
  damaged.fill(0xff, zipped.length / 2, zipped.length / 2 + 100);
  await expectFailure({ rows: temporary.write('damaged.csv.gz', damaged) }, { code: 'SOURCE_UNREADABLE' });
});

test('a file that grows while it is loaded', async () => {
  const growing = temporary.write('growing.csv', csv(LINES));
  await expectFailure(
    { rows: growing },
    { code: 'SOURCE_CHANGED' },
    { onProgress: ({ phase }) => phase === 'merge' && appendFileSync(growing, '9999,1\n') },
  );
});

test('a table that the definition does not have, and no table at all', async () => {
  const file = temporary.write('rows.csv', csv(1));
  await expectFailure({ row: file }, { code: 'TABLE_UNKNOWN', hint: expect.stringContaining('rows') });
  await expectFailure({}, { code: 'DUMP_EMPTY' });
});

test('a header without a column that the table reads, or with one twice', async () => {
  await expectFailure({ headed: temporary.write('short.csv', 'id,lvl\n1,2\n') }, { code: 'COLUMN_UNKNOWN' });
  await expectFailure(
    { headed: temporary.write('twice.csv', 'id,level,level\n1,2,3\n') },
    { code: 'COLUMN_DUPLICATE' },
  );
});

test('too many rejected rows name the first one and the option that tolerates them', async () => {
  const file = temporary.write('bad.csv', `${csv(LINES)}x,1\n1,y\n`);
  await expectFailure(
    { rows: file },
    {
      code: 'TOO_MANY_REJECTS',
      at: { file, line: LINES + 1 },
      hint: expect.stringContaining('maxRejects'),
      details: { reject: expect.objectContaining({ column: 'id', code: 'INVALID_INTEGER', raw: 'x,1' }) },
    },
    { chunkLines: 100 },
  );
  const report = await index.load({ rows: file }, { threads: 2, maxRejects: 2, chunkLines: 100 });
  expect(report).toMatchObject({ rows: LINES, rejectedRows: 2, version: 2 });
  expect(report.rejects.map(({ line }) => line)).toEqual([LINES + 1, LINES + 2]);
});

test('every rejected row is in the rejects file, and a path that cannot be written fails the load', async () => {
  const rejectsFile = join(temporary.path, 'rejects.jsonl');
  const file = temporary.write('mixed.csv', csv(LINES).replaceAll(',7\n', ',seven\n'));
  const report = await index.load(
    { rows: file },
    { threads: 2, maxRejects: Infinity, rejectsFile, chunkLines: 500 },
  );
  const rejects = readFileSync(rejectsFile, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(rejects).toHaveLength(LINES / 10);
  expect(report.rejectedRows).toBe(LINES / 10);
  expect(rejects.map(({ line }) => line)).toEqual(rejects.map((_reject, number) => number * 10 + 8));
  const lines = readFileSync(file, 'utf8');
  for (const { byteOffset, raw } of rejects) expect(lines.startsWith(raw, byteOffset)).toBe(true);
  await expect(
    index.load({ rows: file }, { rejectsFile: join(temporary.path, 'nowhere', 'rejects.jsonl') }),
  ).rejects.toMatchObject({ code: 'REJECTS_FILE' });
});

test('options that make no sense are refused by name', async () => {
  const file = temporary.write('options.csv', csv(1));
  for (const options of [
    { threads: 0 },
    { threads: 1.5 },
    { chunkLines: 0 },
    { chunkLines: 10_000_001 },
    { maxRejects: -1 },
    { memoryLimitBytes: 0 },
    { mode: 'append' },
    { retries: 3 },
  ]) {
    const [name] = Object.keys(options);
    await expect(index.load({ rows: file }, options as LoadOptions)).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringContaining(name),
    });
  }
});

test('a memory limit that nothing fits in is an error, not a wait', () =>
  expectFailure(
    { rows: temporary.write('memory.csv', csv(10)) },
    { code: 'MEMORY_LIMIT', hint: expect.stringContaining('memoryLimitBytes') },
    { memoryLimitBytes: 1_000_000 },
  ));
