/** `bitloom serve` as it is run: in a process of its own, stopped by a signal or killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { BitloomClient } from '../../src/client/client.ts';
import { generateDump } from '../../src/generate/generate.ts';
import { temporaryDirectory } from '../temporary.ts';
import { runBitloom } from './run-bitloom.ts';

const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const temporary = temporaryDirectory();
const dumps = join(temporary.path, 'dumps');
const definition = join(dumps, 'index.yaml');
const TOKENS = { BITLOOM_READ_TOKEN: 'r'.repeat(32), BITLOOM_WRITE_TOKEN: 'w'.repeat(32) };

beforeAll(() => generateDump({ rows: 200_000, out: dumps }));

interface Serving {
  readonly child: ChildProcess;
  readonly client: BitloomClient;
  /** Exit code and signal. */
  readonly ended: Promise<[number | null, NodeJS.Signals | null]>;
  readonly log: string[];
}

/** Resolves once it is ready. */
async function serve(...args: string[]): Promise<Serving> {
  const child = spawn(process.execPath, [MAIN, 'serve', '--port', '0', '--dump-directory', dumps, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...TOKENS },
  });
  const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.once('close', (...end) => resolve(end)),
  );
  const log: string[] = [];
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stderr! }).on('line', (line) => {
      log.push(line);
      const { msg, url } = JSON.parse(line);
      if (msg === 'ready') resolve(url);
    });
    void ended.then(() => reject(new Error(log.join('\n'))));
  });
  return { child, client: new BitloomClient({ url, token: TOKENS.BITLOOM_WRITE_TOKEN }), ended, log };
}

const FILES = { images: 'images.csv', tags: 'tags.csv', tools: 'tools.csv' };

/** The status that the registry on disk gives a dump. */
function statusOnDisk(directory: string, name: string): string | undefined {
  try {
    const { dumps } = JSON.parse(readFileSync(join(directory, 'dumps.json'), 'utf8'));
    return dumps.find((dump: { name: string }) => dump.name === name)?.status;
  } catch {
    return undefined;
  }
}

async function until(isReached: () => boolean): Promise<void> {
  while (!isReached()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test('kill -9 while a dump is loading: it is failed, nothing of it is published, what waited is loaded', async () => {
  const directory = join(temporary.path, 'killed');
  const first = await serve('-d', directory, '--definition', definition);
  await first.client.registerDump('first', { files: FILES });
  await first.client.registerDump('second', { files: { tools: 'tools.csv' } });
  await until(() => statusOnDisk(directory, 'first') === 'loading');
  first.child.kill('SIGKILL');
  expect(await first.ended).toEqual([null, 'SIGKILL']);
  expect(statusOnDisk(directory, 'first')).toMatch(/loading|publishing/);

  const second = await serve('-d', directory, '--definition', definition);
  try {
    expect(await second.client.dump('first')).toMatchObject({
      status: 'failed',
      reason: { code: 'DUMP_INTERRUPTED' },
      counts: null,
    });
    await until(() => statusOnDisk(directory, 'second') === 'complete');
    // Tools make no slot alive, and nothing else was loaded.
    expect(await second.client.stats()).toMatchObject({ alive: 0, fields: { nsfwLevel: { present: 0 } } });
  } finally {
    second.child.kill('SIGTERM');
    await second.ended;
  }
});

test('kill -9 at random moments of a dump: what the registry says of it is what the index holds', {
  timeout: 120_000,
}, async () => {
  const directory = join(temporary.path, 'random');
  let loadMs = 400;
  const outcomes = new Set<string>();
  for (let round = 0; round < 4; round++) {
    const name = `dump-${round}`;
    const serving = await serve('-d', directory, '--definition', definition);
    const before = await serving.client.stats();
    const startedAtMs = performance.now();
    await serving.client.registerDump(name, { files: { images: 'images.csv' } });
    // The first one ends, so that the kills know how long a load takes.
    if (round === 0) await until(() => statusOnDisk(directory, name) === 'complete');
    else await new Promise((resolve) => setTimeout(resolve, loadMs * (0.5 + round / 8)));
    if (round === 0) loadMs = performance.now() - startedAtMs;
    serving.child.kill('SIGKILL');
    await serving.ended;
    const after = await serve('-d', directory, '--definition', definition);
    const { status, counts } = await after.client.dump(name);
    const stats = await after.client.stats();
    outcomes.add(status);
    expect(['complete', 'failed']).toContain(status);
    if (status === 'complete') expect(counts).toMatchObject({ alive: stats.alive, version: stats.version });
    else expect(stats.version).toBe(before.version);
    after.child.kill('SIGTERM');
    expect(await after.ended).toEqual([0, null]);
  }
  expect(outcomes).toContain('complete');
});

test('SIGTERM ends it with code 0, and what was acknowledged is there', async () => {
  const directory = join(temporary.path, 'stopped');
  const first = await serve('-d', directory, '--definition', definition);
  const { position } = await first.client.apply({ ops: [{ slot: 7, alive: true, ops: [] }] });
  expect(await first.client.count(undefined, position === null ? {} : { after: position })).toBe(1);
  first.child.kill('SIGTERM');
  expect(await first.ended).toEqual([0, null]);
  expect(first.log.join('\n')).not.toContain(TOKENS.BITLOOM_WRITE_TOKEN);
  const second = await serve('-d', directory);
  expect(await second.client.count()).toBe(1);
  second.child.kill('SIGINT');
  expect(await second.ended).toEqual([0, null]);
});

test('kill -9 under batches of ops: every acknowledged one is there, none is half there', async () => {
  const directory = join(temporary.path, 'ops');
  const serving = await serve('-d', directory, '--definition', definition);
  const slotsOf = (batch: number) => Array.from({ length: 100 }, (_, i) => batch * 100 + i);
  const acknowledged: number[] = [];
  const senders = Array.from({ length: 4 }, async (_, sender) => {
    for (let batch = sender; ; batch += 4) {
      try {
        await serving.client.apply({ ops: slotsOf(batch).map((slot) => ({ slot, alive: true, ops: [] })) });
      } catch {
        return;
      }
      acknowledged.push(batch);
    }
  });
  await until(() => acknowledged.length > 30);
  serving.child.kill('SIGKILL');
  await Promise.all(senders);
  const after = await serve('-d', directory);
  const { ids, total } = await after.client.query({ take: 10_000 });
  expect(total % 100).toBe(0);
  const found = new Set(ids);
  for (const batch of acknowledged.filter((batch) => batch < 100)) {
    expect(slotsOf(batch).every((slot) => found.has(slot))).toBe(true);
  }
  expect(total).toBeGreaterThanOrEqual(acknowledged.length * 100);
  after.child.kill('SIGTERM');
  await after.ended;
});

test.each([
  ['without tokens', ['-d', join(temporary.path, 'none')], 'there is no read token'],
  ['without tokens on the network', ['-d', 'x', '--no-auth', '--host', '0.0.0.0'], 'not a loopback address'],
  [
    'with a dump directory that is not there',
    ['-d', join(temporary.path, 'none'), '--no-auth', '--port', '0', '--dump-directory', '/nonexistent'],
    '/nonexistent',
  ],
  ['without a definition', ['-d', join(temporary.path, 'none'), '--no-auth', '--port', '0'], 'definition'],
  ['with a port that is none', ['-d', 'x', '--port', '70000'], 'Expected a port'],
])('it does not start %s', async (_what, args, message) => {
  const { code, stderr } = await runBitloom(['serve', ...args]);
  expect(code).toBe(1);
  expect(stderr).toContain(message);
});
