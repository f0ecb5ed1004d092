/** docs/commit.md is run, not trusted: its program, its table of errors and its table of metrics. */
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { openCommitStore, registerCommitMetrics } from '../../src/commit/index.ts';
import { temporaryDirectory } from '../temporary.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = await readFile(join(ROOT, 'docs/commit.md'), 'utf8');
const folder = temporaryDirectory();

test('the example program prints what its comments say', async () => {
  const [, program] = /^```js\n(.*?)^```/ms.exec(PAGE)!;
  await mkdir(join(folder.path, 'node_modules'));
  await symlink(ROOT, join(folder.path, 'node_modules', 'bitloom'), 'dir');
  await writeFile(join(folder.path, 'program.mjs'), program);
  const { stdout } = await promisify(execFile)(process.execPath, ['program.mjs'], { cwd: folder.path });
  const promised = Array.from(program.matchAll(/^\/\/ (.*)$/gm), ([, line]) => line);
  expect(stdout.trimEnd().split('\n')).toEqual(promised);
});

test('every code of a CommitError is in the table of errors, and no other', async () => {
  const raised = new Set<string>();
  const directory = join(ROOT, 'src/commit');
  for (const path of await readdir(directory, { recursive: true })) {
    if (!path.endsWith('.ts')) continue;
    const source = await readFile(join(directory, path), 'utf8');
    for (const [argument] of source.matchAll(/new CommitError\(([^,]+),/g)) {
      for (const [, code] of argument.matchAll(/'([A-Z_]+)'/g)) raised.add(code);
    }
  }
  expect(namesInTable('## Errors', /`([A-Z_]+)`/g)).toEqual([...raised].toSorted());
});

test('every metric is in the table of metrics, and no other', async () => {
  const store = await openCommitStore({ embedded: true });
  try {
    const registry = new Registry();
    registerCommitMetrics(store, registry);
    const names = (await registry.getMetricsAsJSON()).map(({ name }) => name);
    expect(namesInTable('| metric |', /`(bitloom_commit_[a-z_]+)[`{]/g)).toEqual(names.toSorted());
  } finally {
    await store.close();
  }
});

/** Names in the first column of the table that follows `start`. */
function namesInTable(start: string, name: RegExp): string[] {
  const rows = PAGE.slice(PAGE.indexOf(start))
    .split('\n\n## ')[0]
    .matchAll(/^\| (`[^|]*)\|/gm);
  return Array.from(rows, ([, cell]) => Array.from(cell.matchAll(name), ([, each]) => each))
    .flat()
    .toSorted();
}
