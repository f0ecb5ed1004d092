import { existsSync } from 'node:fs';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateDump } from '../../src/generate/generate.ts';
import { runBitloom } from './run-bitloom.ts';

const ROWS = 2000;

let root: string;
let dump: string;
let data: string;
let tables: string[];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'bitloom-cli-'));
  dump = join(root, 'dump');
  data = join(root, 'data');
  tables = ['images', 'tags', 'tools'].map((table) => `${table}=${join(dump, `${table}.csv`)}`);
  const generated = await runBitloom(['generate', '--rows', '2k', '--out', dump, '--json']);
  expect(generated).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(generated.stdout)).toMatchObject({ rows: ROWS, seed: 1 });
});

afterAll(() => rm(root, { recursive: true }));

function load(directory: string, ...rest: string[]): ReturnType<typeof runBitloom> {
  return runBitloom(['load', '--definition', join(dump, 'index.yaml'), '--directory', directory, ...rest]);
}

describe('help', () => {
  test.each(['load', 'query', 'count', 'stats', 'generate', 'validate', 'bench', 'demo'])(
    '%s',
    async (command) => {
      const result = await runBitloom([command, '--help']);
      expect(result).toMatchObject({ code: 0, stderr: '' });
      expect(result.stdout).toContain(`Usage: bitloom ${command}`);
      expect(result.stdout).toContain(`$ bitloom ${command}`);
    },
  );

  test('the command itself names every command', async () => {
    const { stdout } = await runBitloom(['--help']);
    for (const command of ['load', 'query', 'count', 'stats', 'generate', 'validate', 'bench', 'demo']) {
      expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    }
  });
});

describe('wrong arguments end with exit code 1 and say what is accepted', () => {
  test.each([
    [['loda'], /Did you mean load\?/],
    [['load', 'images=x.csv'], /required option '-d, --directory <path>'/],
    [['load', '-d', 'x', '--mode', 'append', 'images=x.csv'], /Allowed choices are replace, merge/],
    [['load', '-d', 'x', '--memory-limit', 'much', 'images=x.csv'], /512MB/],
    [['load', '-d', 'x', '--max-rejects', 'few', 'images=x.csv'], /unlimited/],
    [['load', '-d', 'x', 'images.csv'], /table=path/],
    [['query', '-d', 'x', '{where:1}'], /the query is not valid JSON/],
  ])('%j', async (args, message) => {
    const result = await runBitloom(args);
    expect(result.stderr).toMatch(message);
    expect(result).toMatchObject({ code: 1, stdout: '' });
  });
});

describe('load, then read', () => {
  beforeAll(async () => {
    const result = await load(data, ...tables, '--json', '--progress', 'json');
    expect(result.code).toBe(0);
    expect(JSON.parse(result.stdout)).toMatchObject({
      version: 1,
      alive: ROWS,
      rejectedRows: 0,
      rejects: [],
      tables: { images: { rows: ROWS }, tags: {}, tools: {} },
    });
    const progress = result.stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(progress.at(-1)).toMatchObject({ phase: 'done' });
    for (const update of progress) {
      expect(update).toMatchObject({ bytesDone: expect.any(Number), rows: expect.any(Number) });
    }
  });

  test('the report of a load is a table when read by people, and progress is silent without a terminal', async () => {
    const directory = join(root, 'text');
    const result = await load(directory, ...tables);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toMatch(/^images +2,000 /m);
    expect(result.stdout).toMatch(/version 1 published/);
  });

  test('query prints ids, one a line, and the way to the next page', async () => {
    const query = { where: { type: 'image' }, orderBy: { existedAt: 'desc' } };
    const json = await runBitloom(['query', '-d', data, JSON.stringify(query), '--take', '3', '--json']);
    expect(json).toMatchObject({ code: 0, stderr: '' });
    const page = JSON.parse(json.stdout);
    expect(page.ids).toHaveLength(3);

    const text = await runBitloom(['query', '-d', data, '-', '--take', '3'], {
      input: JSON.stringify(query),
    });
    expect(text.stdout.split('\n').slice(0, 3)).toEqual(page.ids.map(String));
    expect(text.stdout).toContain(`--cursor ${page.nextCursor}`);

    const next = await runBitloom([
      'query',
      '-d',
      data,
      JSON.stringify(query),
      '--json',
      '--cursor',
      page.nextCursor,
    ]);
    expect(JSON.parse(next.stdout).ids).not.toContain(page.ids[0]);
  });

  test('count', async () => {
    expect(await runBitloom(['count', '-d', data])).toEqual({ code: 0, stdout: `${ROWS}\n`, stderr: '' });
    const { stdout } = await runBitloom(['count', '-d', data, '{"NOT":{"type":"image"}}', '--json']);
    const lines = (await readFile(join(dump, 'images.csv'), 'utf8')).trimEnd().split('\n');
    expect(JSON.parse(stdout)).toEqual({ count: lines.filter((line) => !line.includes(',image,')).length });
  });

  test('stats', async () => {
    const json = await runBitloom(['stats', '-d', data, '--digest', '--json']);
    expect(json).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(json.stdout)).toMatchObject({ version: 1, alive: ROWS });
    const text = await runBitloom(['stats', '-d', data]);
    expect(text.stdout).toMatch(/^nsfwLevel /m);
  });

  test('errors are text, and JSON with --json', async () => {
    const text = await runBitloom(['query', '-d', data, '{"where":{"nsfwLevle":1}}']);
    expect(text).toMatchObject({ code: 1, stdout: '' });
    expect(text.stderr).toMatch(/^error: .*nsfwLevle/);
    expect(text.stderr).toMatch(/hint: .*nsfwLevel/);
    const json = await runBitloom(['query', '-d', data, '{"where":{"nsfwLevle":1}}', '--json']);
    expect(JSON.parse(json.stderr)).toMatchObject({
      error: { code: 'QUERY_UNKNOWN_FIELD', hint: expect.stringContaining('nsfwLevel') },
    });
  });

  test('a directory that is not there is an error and is not created', async () => {
    const directory = join(root, 'nowhere');
    const result = await runBitloom(['count', '-d', directory]);
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toContain(directory);
    expect(existsSync(directory)).toBe(false);
  });
});

describe('a load that does not go through', () => {
  test('an unknown table is named with the known ones', async () => {
    const result = await load(join(root, 'unknown'), `image=${join(dump, 'images.csv')}`);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/image\b/);
    for (const table of ['images', 'tags', 'tools']) expect(result.stderr).toContain(table);
  });

  test('rejects over budget fail it, within budget they end with exit code 2', async () => {
    const directory = join(root, 'rejects');
    const images = join(root, 'images.csv');
    const rejects = join(root, 'rejects.jsonl');
    await writeFile(images, await readFile(join(dump, 'images.csv')));
    await appendFile(images, 'seven,,1,,0,image,1,,,1672531200,\n');

    const failed = await load(directory, `images=${images}`);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toMatch(/images\.csv:2001/);
    expect(failed.stderr).toMatch(/maxRejects|--max-rejects/);
    expect((await runBitloom(['count', '-d', directory])).stdout).toBe('');

    const published = await load(
      directory,
      `images=${images}`,
      '--max-rejects',
      '1',
      '--rejects-file',
      rejects,
      '--json',
    );
    expect(published.code).toBe(2);
    expect(JSON.parse(published.stdout)).toMatchObject({ rejectedRows: 1, alive: ROWS });
    expect(JSON.parse(await readFile(rejects, 'utf8'))).toMatchObject({
      table: 'images',
      line: 2001,
      column: 'id',
    });
  });

  test('interrupting it ends with exit code 130 and leaves the previous version', async () => {
    const directory = join(root, 'interrupted');
    const large = join(root, 'large');
    await generateDump({ rows: 400_000, out: large });
    expect((await load(directory, ...tables)).code).toBe(0);

    const args = [
      'load',
      '-d',
      directory,
      '--threads',
      '1',
      '--progress',
      'json',
      `images=${join(large, 'images.csv')}`,
    ];
    let interrupted = false;
    const result = await runBitloom(args, {
      onStderr: (_, child) => {
        if (!interrupted) child.kill('SIGINT');
        interrupted = true;
      },
    });
    expect(result).toMatchObject({ code: 130, stdout: '' });
    expect(result.stderr).toContain('the previous version is unchanged');
    expect((await runBitloom(['count', '-d', directory])).stdout).toBe(`${ROWS}\n`);
  });
});
