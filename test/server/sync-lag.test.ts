/**
 * Where the sources are outlives the server: after kill -9 and a restart it is what was acknowledged, in the answer of
 * /v1/sync-lag and in the metrics, whether it is in the version, in the op log after it, or in both.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { BitloomClient } from '../../src/client/client.ts';
import { openIndex } from '../../src/engine/open-index.ts';
import { temporaryDirectory } from '../temporary.ts';
import { ask, eventually } from './harness.ts';

const CHILD = fileURLToPath(new URL('fixtures/serve-until-killed.ts', import.meta.url));
const folder = temporaryDirectory();
const directory = join(folder.path, 'data');
const definition = folder.write(
  'index.yaml',
  `
name: lag
fields:
  value: { type: uint32, index: filter }
tables:
  rows: { csv: { columns: [id, value] }, slot: id, alive: true, fields: { value: value } }
`,
);

let running: ChildProcess | null = null;

afterEach(() => running?.kill('SIGKILL'));

async function startChild(): Promise<{ client: BitloomClient; url: string }> {
  const args = ['--import', 'tsx', CHILD, definition, directory];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  running = child;
  let url = '';
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('listening ')) url = line.slice('listening '.length);
    if (line === 'open') break;
  }
  return { client: new BitloomClient({ url }), url };
}

async function kill(): Promise<void> {
  running?.kill('SIGKILL');
  await once(running!, 'close');
}

/** A batch that takes some bytes of the log; the child makes a checkpoint every 3,000. */
function batchOf(cursor: number, entities: number) {
  const ops = Array.from({ length: entities }, (_, at) => ({
    slot: cursor * 1000 + at,
    alive: true as const,
    ops: [{ op: 'set' as const, field: 'value', value: cursor }],
  }));
  return { ops, meta: { source: 'images', cursor, maxId: cursor + 7, lagRows: 7 } };
}

test('after kill -9 and a restart the sources are where they were acknowledged', async () => {
  let { client, url } = await startChild();
  // In the log alone: too little for a checkpoint.
  await client.apply(batchOf(1, 3));
  await client.apply({ ops: [], meta: { source: 'tags', cursor: 50 } });
  await kill();

  ({ client, url } = await startChild());
  const said = { source: 'images', cursor: 1, maxId: 8, lagRows: 7, entities: 0, appliedAt: null };
  const tags = { source: 'tags', cursor: 50, maxId: null, lagRows: null, entities: 0, appliedAt: null };
  expect(await client.syncLag()).toEqual([said, tags]);
  const metrics = (await ask(url, 'GET', '/metrics')).body as string;
  expect(metrics.split('\n').filter((line) => line.startsWith('bitloom_source_'))).toEqual([
    'bitloom_source_cursor{source="images"} 1',
    'bitloom_source_cursor{source="tags"} 50',
    'bitloom_source_max_id{source="images"} 8',
    'bitloom_source_lag_rows{source="images"} 7',
  ]);

  // In the version, with the log before it let go.
  for (let cursor = 2; cursor <= 9; cursor++) await client.apply(batchOf(cursor, 600));
  const before = await eventually(
    () => client.stats(),
    (stats) => Number(stats.checkpoints) > 0,
  );
  await kill();
  ({ client } = await startChild());
  expect(await client.syncLag()).toEqual([{ ...said, cursor: 9, maxId: 16 }, tags]);
  expect((await client.stats()).version).toBeGreaterThanOrEqual(before.version);

  // In both: the later one counts, and what a batch leaves unsaid stays.
  const { position } = await client.apply({ ops: [], meta: { source: 'images', cursor: 10, lagRows: 0 } });
  expect(position).toBeGreaterThan(0);
  await client.apply({ ops: batchOf(11, 1).ops, meta: { source: 'posts', maxId: 3 } });
  await kill();
  ({ client } = await startChild());
  const posts = { source: 'posts', cursor: null, maxId: 3, lagRows: null, entities: 0, appliedAt: null };
  expect(await client.syncLag()).toEqual([{ ...said, cursor: 10, maxId: 16, lagRows: 0 }, tags, posts]);
  // The first batch since then is counted from one.
  await client.apply(batchOf(12, 2));
  const [images] = await client.syncLag();
  expect(images).toMatchObject({ cursor: 12, entities: 2, appliedAt: expect.stringMatching(/^20/) });
  await kill();

  // A checkpoint, then nothing in the log at all: the manifest alone says where they are.
  const index = await openIndex({ directory, inProcess: true });
  await index.close();
  const reader = await openIndex({ directory, readOnly: true, inProcess: true });
  const { sources } = await reader.stats();
  await reader.close();
  expect(sources.map(({ source, cursor }) => [source, cursor])).toEqual([
    ['images', 12],
    ['tags', 50],
    ['posts', null],
  ]);
}, 60_000);
