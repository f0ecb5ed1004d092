/** Opening for reading beside a process that writes: what is in its op log shows, and its files stay as they are. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import type { BitloomIndex, OpenOptions } from '../../src/engine/index-api.ts';
import { openIndex } from '../../src/engine/open-index.ts';
import { temporaryDirectory } from '../temporary.ts';

const script = fileURLToPath(new URL('apply-and-wait.mjs', import.meta.url));
const temporary = temporaryDirectory();
const definition = temporary.write(
  'index.yaml',
  `
name: read
fields:
  level: { type: uint32, index: [filter, sort] }
tables:
  rows: { csv: { columns: [id, level] }, slot: id, alive: true, fields: { level: level } }
`,
);
let directoryCount = 0;
const opened: BitloomIndex[] = [];
let writer: ChildProcess | null = null;

afterEach(async () => {
  writer?.kill('SIGKILL');
  writer = null;
  for (const index of opened.splice(0)) await index.close();
});

/** Another process that has applied so many batches, one slot each, without a checkpoint, and goes on living. */
async function startWriter(directory: string, batches: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [script, definition, directory, String(batches)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  writer = child;
  await once(createInterface({ input: child.stdout }), 'line');
  return child;
}

async function open(options: OpenOptions): Promise<BitloomIndex> {
  const index = await openIndex(options);
  opened.push(index);
  return index;
}

/** Every file with its content. */
function contentsOf(directory: string): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((each) =>
    each.isFile(),
  );
  return Object.fromEntries(
    names.map(({ parentPath, name }) => {
      const file = join(parentPath, name);
      return [file, readFileSync(file).toString('base64')];
    }),
  );
}

function newDirectory(): string {
  return `${temporary.path}/data-${++directoryCount}`;
}

test.each([true, false])(
  'a reader sees what a living writer has acknowledged and not stored, in process: %j',
  async (inProcess) => {
    const directory = newDirectory();
    const child = await startWriter(directory, 5);
    const before = contentsOf(directory);
    const index = await open({ directory, readOnly: true, inProcess });
    expect((await index.query({ where: { level: { gte: 0 } } })).ids).toEqual([0, 1, 2, 3, 4]);
    expect(await index.stats()).toMatchObject({
      alive: 5,
      version: 1,
      log: null,
      position: { sequence: 5 },
      sources: [{ source: 'test', cursor: 4, maxId: null, lagRows: null }],
    });
    await expect(index.apply({ ops: [] })).rejects.toMatchObject({ code: 'READ_ONLY' });
    // A second one beside it sees the same, and what the writer adds shows to those that open later.
    child.stdin?.write('2\n');
    await once(createInterface({ input: child.stdout! }), 'line');
    expect(await (await open({ directory, readOnly: true, inProcess })).count()).toBe(7);
    expect(await index.count()).toBe(5);
    // The log has grown by what the writer wrote, and nothing else has changed.
    const after = contentsOf(directory);
    expect(Object.keys(after)).toEqual(Object.keys(before));
    for (const [file, content] of Object.entries(before)) {
      const now = Buffer.from(after[file], 'base64').subarray(0, Buffer.from(content, 'base64').length);
      expect(now.toString('base64'), file).toBe(content);
    }
  },
);

test('after kill -9 a reader sees what was acknowledged, and leaves a torn or damaged log as it is', async () => {
  const directory = newDirectory();
  const child = await startWriter(directory, 4);
  child.kill('SIGKILL');
  await once(child, 'close');
  const log = join(directory, 'log');
  const [segment] = readdirSync(log);
  const whole = readFileSync(join(log, segment));
  const damaged = Buffer.from(whole);
  damaged[whole.length >> 1] ^= 1;
  const states: [Buffer, number, number][] = [
    [whole, 4, 0],
    // The beginning of a record that was never finished.
    [whole.subarray(0, whole.length - 3), 3, 0],
    [Buffer.concat([whole, Buffer.alloc(100)]), 4, 0],
    [damaged, 3, 1],
  ];
  for (const [bytes, count, warningCount] of states) {
    writeFileSync(join(log, segment), bytes);
    appendFileSync(join(log, `${segment}.tmp`), 'being made');
    const before = contentsOf(directory);
    const warnings: string[] = [];
    const onWarning = (message: string): void => void warnings.push(message);
    const index = await open({ directory, readOnly: true, inProcess: true, onWarning });
    expect(await index.count()).toBe(count);
    expect(warnings.length, warnings.join()).toBe(warningCount);
    expect(contentsOf(directory)).toEqual(before);
    rmSync(join(log, `${segment}.tmp`));
  }
  truncateSync(join(log, segment), 0);
  const index = await open({ directory, readOnly: true, inProcess: true });
  expect(await index.count()).toBe(0);
});

test('readers that open while versions come and go see one moment each, and never less than before', async () => {
  const directory = newDirectory();
  // A checkpoint after nearly every batch.
  const index = await open({ definition, directory, checkpointLogBytes: 1 });
  let isGoingOn = true;
  let sent = 0;
  let acknowledged = 0;
  const write = async (): Promise<void> => {
    while (isGoingOn) {
      const slot = sent++;
      await index.apply({ ops: [{ slot, alive: true, ops: [{ op: 'set', field: 'level', value: slot }] }] });
      acknowledged = sent;
    }
  };
  const read = async (): Promise<void> => {
    await index.apply({ ops: [{ slot: 0, alive: true, ops: [] }] });
    // How many checkpoints that takes is up to the disk; without a few the readers met no change of version.
    for (let round = 0; round < 40 || (await index.stats()).checkpoints <= 3; round++) {
      const before = acknowledged;
      const reader = await openIndex({ directory, readOnly: true, inProcess: true });
      const { ids, total } = await reader.query({ take: 10_000 });
      await reader.close();
      expect(total).toBeGreaterThanOrEqual(before);
      expect(ids).toEqual(Array.from({ length: total }, (_, slot) => slot));
    }
  };
  await Promise.all([
    write(),
    read().finally(() => {
      isGoingOn = false;
    }),
  ]);
  expect((await index.stats()).checkpoints).toBeGreaterThan(3);
});

test('a directory without a log, or with one that cannot be read, is served or refused by name', async () => {
  const directory = newDirectory();
  const index = await openIndex({ definition, directory });
  await index.apply({ ops: [{ slot: 1, alive: true, ops: [] }] });
  await index.close();
  rmSync(join(directory, 'log'), { recursive: true });
  expect(await (await open({ directory, readOnly: true })).count()).toBe(1);
  writeFileSync(join(directory, 'log'), 'no directory');
  await expect(openIndex({ directory, readOnly: true })).rejects.toMatchObject({ code: 'LOG_UNUSABLE' });
});
