/** The README is run, not trusted: its program and its files, and the tables of what the code can raise. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { REJECT_CODES } from '../src/csv/reject.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const README = await readFile(join(ROOT, 'README.md'), 'utf8');

/** The fenced blocks of one language, in order. */
function blocks(language: string): string[] {
  return Array.from(
    README.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms')),
    (match) => match[1],
  );
}

test('the example program gives what its comments say', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'bitloom-readme-'));
  try {
    const [books, genres] = blocks('csv');
    const program = blocks('js')[0].replace(
      "'bitloom'",
      JSON.stringify(new URL('../dist/src/index.js', import.meta.url).href),
    );
    await Promise.all([
      writeFile(join(directory, 'books.yaml'), blocks('yaml')[0]),
      writeFile(join(directory, 'books.csv'), books),
      writeFile(join(directory, 'genres.csv'), genres),
      writeFile(join(directory, 'program.mjs'), program),
    ]);
    const { stdout } = await promisify(execFile)(process.execPath, ['program.mjs'], { cwd: directory });
    expect(stdout.replace(/nextCursor: '[\w-]+'/, "nextCursor: '…'").replaceAll(/\s+/g, ' ')).toBe(
      "9 rows, 0 rejected { ids: [ 4, 1 ], total: 3, nextCursor: '…' } 3 ",
    );
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('every error code of the sources is in the table of errors, and no other', async () => {
  const raised = new Set<string>();
  for (const folder of ['src', 'workers', 'bench']) {
    for (const path of await readdir(join(ROOT, folder), { recursive: true })) {
      // The naive model of the validation is no part of what users meet.
      if (!path.endsWith('.ts') || path.startsWith('validate')) continue;
      const source = await readFile(join(ROOT, folder, path), 'utf8');
      for (const [, argument] of source.matchAll(/new BitloomError\(([^,]+),/g)) {
        for (const [, code] of argument.matchAll(/'([A-Z][A-Z_]+)'/g)) raised.add(code);
      }
    }
  }
  const section = README.slice(README.indexOf('\n## Errors'), README.indexOf('\n## How it works'));
  const documented = Array.from(section.matchAll(/^\| `([A-Z_]+)` \|/gm), (match) => match[1]);
  expect(documented.toSorted()).toEqual([...raised].toSorted());
});

test('every reject code is in the table of rejects', () => {
  const section = README.slice(README.indexOf('\n### Rejects'), README.indexOf('\n## Loading'));
  const documented = Array.from(section.matchAll(/^\| `([A-Z_0-9]+)` \|/gm), (match) => match[1]);
  expect(documented.toSorted()).toEqual([...REJECT_CODES].toSorted());
});
