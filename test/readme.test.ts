/** The README is run, not trusted: its programs and their files, and the tables of what the code can raise. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { REJECT_CODES } from '../src/csv/reject.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const README = await readFile(join(ROOT, 'README.md'), 'utf8');

const OPERATIONS = await readFile(join(ROOT, 'docs/operations.md'), 'utf8');

/** The fenced blocks of one language, in order. */
function blocks(language: string): string[] {
  return Array.from(
    README.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms')),
    (match) => match[1],
  );
}

/** Without what differs from run to run; line breaks are as spaces. */
function outputOf(text: string): string {
  return text.replace(/nextCursor: '[\w-]+'/, "nextCursor: '…'").replaceAll(/\s+/g, ' ');
}

test('the example programs give what their comments say, one after the other', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'bitloom-readme-'));
  try {
    const [load, apply, client, commit] = blocks('js');
    const [books, genres] = blocks('csv');
    await mkdir(join(directory, 'node_modules'));
    await Promise.all([
      // So that the examples import the package by its name.
      symlink(ROOT, join(directory, 'node_modules', 'bitloom'), 'dir'),
      writeFile(join(directory, 'books.yaml'), blocks('yaml')[0]),
      writeFile(join(directory, 'books.csv'), books),
      writeFile(join(directory, 'genres.csv'), genres),
    ]);
    const run = async (program: string, env: NodeJS.ProcessEnv = process.env): Promise<string> => {
      await writeFile(join(directory, 'program.mjs'), program);
      const running = promisify(execFile)(process.execPath, ['program.mjs'], { cwd: directory, env });
      return outputOf((await running).stdout);
    };
    expect(await run(load)).toBe("9 rows, 0 rejected { ids: [ 4, 1 ], total: 3, nextCursor: '…' } 3 ");
    expect(await run(apply)).toBe(
      '3 ops[3].ops[0].field: no field is named "pages" { ids: [ 5, 1, 3 ], total: 3, nextCursor: null } 2 ',
    );
    expect(await run(commit)).toBe('green 1 ');
    await serving(join(directory, 'data'), async (url, env) => {
      expect(client).toContain('http://127.0.0.1:8080');
      expect(await run(client.replace('http://127.0.0.1:8080', url), env)).toBe(
        '[ 4 ] QUERY_UNKNOWN_FIELD 400 false ',
      );
      const described = await fetch(`${url}/openapi.json`);
      const { paths } = (await described.json()) as { paths: Record<string, object> };
      const routes = Object.entries(paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
      );
      const section = README.slice(README.indexOf('\n## The server'), README.indexOf('\n## The client'));
      expect(routesIn(section)).toEqual(routes.toSorted());
      expect(routesIn(OPERATIONS)).toEqual(routes.toSorted());
    });
  } finally {
    await rm(directory, { recursive: true });
  }
});

/** Runs `bitloom serve` on a free port while `use` runs. */
async function serving(
  directory: string,
  use: (url: string, env: NodeJS.ProcessEnv) => Promise<void>,
): Promise<void> {
  const env = {
    ...process.env,
    BITLOOM_READ_TOKEN: 'read-token-of-the-readme',
    BITLOOM_WRITE_TOKEN: 'write-token-of-the-readme',
  };
  const command = join(ROOT, 'dist/src/cli/main.js');
  const server = spawn(process.execPath, [command, 'serve', '-d', directory, '--port', '0'], {
    env,
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const exited = once(server, 'exit');
  try {
    let url: string | null = null;
    for await (const line of createInterface({ input: server.stderr })) {
      const entry: { msg: string; url: string } = JSON.parse(line);
      if (entry.msg !== 'ready') continue;
      url = entry.url;
      break;
    }
    if (url === null) throw new Error('the server ended before it was ready');
    server.stderr.resume();
    await use(url, env);
  } finally {
    server.kill('SIGTERM');
    await exited;
  }
  expect(server.exitCode).toBe(0);
}

/** What is written as `GET /v1/stats`, each once. */
function routesIn(text: string): string[] {
  const routes = Array.from(text.matchAll(/`((?:GET|PUT|POST|DELETE) \/[^`?]*)`/g), (match) => match[1]);
  return [...new Set(routes)].toSorted();
}

test('the flags of the command are those that its help lists', async () => {
  const command = README.slice(README.indexOf('\n## The command'), README.indexOf('\n## Durability'));
  const rows = Array.from(command.matchAll(/^\| `([a-z]+)[ `].*$/gm), ([row, name]) => ({ row, name }));
  expect(rows.length).toBeGreaterThan(0);
  const helps = await Promise.all(rows.map(({ name }) => flagsOf(name)));
  for (const [i, { row }] of rows.entries()) expect(helps[i]).toEqual(expect.arrayContaining(flagsIn(row)));
  const server = README.slice(README.indexOf('\n| flag |'), README.indexOf('\n## The client'));
  const served = new Set([...flagsIn(server), '--help']);
  expect([...served].toSorted()).toEqual(helps[rows.findIndex(({ name }) => name === 'serve')]);
});

/** Those that the help of a command lists. */
async function flagsOf(command: string): Promise<string[]> {
  const main = join(ROOT, 'dist/src/cli/main.js');
  const { stdout } = await promisify(execFile)(process.execPath, [main, command, '--help']);
  const flags = Array.from(stdout.matchAll(/^ +(?:-\w, )?(--[a-z-]+)/gm), (match) => match[1]);
  return flags.toSorted();
}

function flagsIn(text: string): string[] {
  return [...new Set(Array.from(text.matchAll(/--[a-z][a-z-]+/g), ([flag]) => flag))].toSorted();
}

/** The codes in the first column of the tables between two headings. */
function documentedCodes(from: string, to: string): string[] {
  const section = README.slice(README.indexOf(`\n${from}`), README.indexOf(`\n${to}`));
  return Array.from(section.matchAll(/^\| `([A-Z_0-9]+)` \|/gm), (match) => match[1]).toSorted();
}

/** The quoted codes in what a pattern matches in the sources. */
async function codesInSources(pattern: RegExp): Promise<Set<string>> {
  const codes = new Set<string>();
  for (const folder of ['src', 'workers', 'bench']) {
    for (const path of await readdir(join(ROOT, folder), { recursive: true })) {
      // The naive model of the validation is no part of what users meet.
      if (!path.endsWith('.ts') || path.startsWith('validate')) continue;
      const source = await readFile(join(ROOT, folder, path), 'utf8');
      for (const [match] of source.matchAll(pattern)) {
        for (const [, code] of match.matchAll(/'([A-Z][A-Z_]+)'/g)) codes.add(code);
      }
    }
  }
  return codes;
}

const REFUSAL = /\brefusal\(([^,]+),/g;

test('every error code of the sources is in the tables of errors, and no other', async () => {
  const raised = await codesInSources(/new (?:Bitloom|Client)Error\(([^,]+),|\bcode: ('[A-Z_]+')/g);
  for (const code of [...REJECT_CODES, ...(await codesInSources(REFUSAL))]) raised.delete(code);
  expect(documentedCodes('## Errors', '## How it works')).toEqual([...raised].toSorted());
});

test('every code of a refused entity is in the table of refused entities', async () => {
  const refused = await codesInSources(REFUSAL);
  expect(documentedCodes('## Applying ops', '### What is kept')).toEqual([...refused].toSorted());
});

test('every reject code is in the table of rejects', () => {
  expect(documentedCodes('### Rejects', '## Loading')).toEqual(REJECT_CODES.toSorted());
});
