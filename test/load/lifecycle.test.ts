/** Cancelling, crashing, closing: whatever ends a load early leaves the version before it and no thread behind. */
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { type BitloomIndex, type LoadProgress, openIndex } from 'bitloom';
import { beforeAll, expect, test } from 'vitest';
import { generateDump } from '../../src/generate/generate.ts';
import { temporaryDirectory } from '../temporary.ts';

const ROWS = 50_000;
const temporary = temporaryDirectory();
const definition = join(temporary.path, 'index.yaml');
const files = { images: join(temporary.path, 'images.csv'), tags: join(temporary.path, 'tags.csv') };

beforeAll(() => generateDump({ rows: ROWS, out: temporary.path }));

async function withIndex(inProcess: boolean, use: (index: BitloomIndex) => Promise<void>): Promise<void> {
  const index = await openIndex({ definition, inProcess });
  try {
    await use(index);
  } finally {
    await index.close();
  }
}

const PLACES = [
  ['in process', true],
  ['on its own thread', false],
] as const;

test.each(PLACES)('queries see the previous version until the dump is published (%s)', (_place, inProcess) =>
  withIndex(inProcess, async (index) => {
    await index.load({ tags: files.tags }, { threads: 1 });
    const seen = new Set<number>();
    let loading = true;
    const load = index.load(files, { threads: 2, chunkLines: 5000 }).finally(() => {
      loading = false;
    });
    while (loading) {
      seen.add(await index.count());
      await new Promise(setImmediate);
    }
    await load;
    expect(await index.count()).toBe(ROWS);
    // Tags make no slot alive; nothing between nothing and everything is ever visible.
    expect([...seen].every((count) => count === 0 || count === ROWS)).toBe(true);
    expect(seen.has(0)).toBe(true);
  }),
);

test.each(PLACES)(
  'aborting cancels, keeps the version and leaves the index usable (%s)',
  (_place, inProcess) =>
    withIndex(inProcess, async (index) => {
      await index.load({ images: files.images }, { threads: 1 });
      const controller = new AbortController();
      const load = index.load(files, {
        threads: 2,
        chunkLines: 1000,
        signal: controller.signal,
        onProgress: ({ phase }) => phase === 'scan' && controller.abort(),
      });
      await expect(load).rejects.toMatchObject({ code: 'LOAD_CANCELLED' });
      expect((await index.stats()).version).toBe(1);
      await expect(index.load(files, { signal: controller.signal })).rejects.toMatchObject({
        code: 'LOAD_CANCELLED',
      });
      await index.load(files, { threads: 2 });
      expect((await index.stats()).version).toBe(2);
    }),
);

test.each(PLACES)('closing cancels a running load (%s)', async (_place, inProcess) => {
  const index = await openIndex({ definition, inProcess });
  const load = index.load(files, { threads: 2, chunkLines: 1000 });
  const failure = expect(load).rejects.toMatchObject({
    code: expect.stringMatching(/LOAD_CANCELLED|INDEX_CLOSED/),
  });
  await index.close();
  await failure;
  await expect(index.count()).rejects.toMatchObject({ code: 'INDEX_CLOSED' });
  await index.close();
});

test('a second load at the same time is refused, the first goes on', () =>
  withIndex(true, async (index) => {
    const first = index.load(files, { threads: 1 });
    await expect(index.load(files)).rejects.toMatchObject({ code: 'LOAD_RUNNING' });
    expect((await first).alive).toBe(ROWS);
  }));

test.each(PLACES)('progress never goes back, ends with done and counts every row (%s)', (_place, inProcess) =>
  withIndex(inProcess, async (index) => {
    const reports: LoadProgress[] = [];
    const { rows } = await index.load(files, {
      threads: 2,
      onProgress: (progress) => reports.push(progress),
    });
    // The last report of a thread arrives on its own message.
    await expect.poll(() => reports.at(-1)?.phase).toBe('done');
    const phases = ['plan', 'scan', 'merge', 'publish', 'done'];
    const order = reports.map(({ phase }) => phases.indexOf(phase));
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(new Set(order)).toEqual(new Set([0, 1, 2, 3, 4]));
    expect(reports.at(-1)).toMatchObject({ rows, rejects: 0, bytesDone: reports[0].bytesTotal });
  }),
);

/** The worker threads that this process starts while `use` runs. */
async function withWorkers(use: (workers: readonly Worker[]) => Promise<void>): Promise<void> {
  const workers: Worker[] = [];
  const collect = (worker: Worker): void => void workers.push(worker);
  process.on('worker', collect);
  try {
    await use(workers);
  } finally {
    process.off('worker', collect);
  }
}

test('a worker that dies fails the load with its cause, and the next load gets a new one', () =>
  withWorkers((workers) =>
    withIndex(true, async (index) => {
      const load = index.load(files, {
        threads: 2,
        chunkLines: 1000,
        onProgress: ({ rows }) => rows > 0 && workers[0].terminate(),
      });
      await expect(load).rejects.toMatchObject({ code: 'WORKER_CRASHED', cause: expect.anything() });
      expect(await index.stats()).toMatchObject({ version: 0, alive: 0 });
      expect((await index.load(files, { threads: 2 })).alive).toBe(ROWS);
    }),
  ));

test('when the engine thread dies every call fails instead of waiting for ever', () =>
  withWorkers(async (workers) => {
    const index = await openIndex({ definition });
    const calls = [index.load(files, { threads: 2, chunkLines: 1000 }), index.count()];
    const failures = calls.map((call) =>
      call.then(
        () => null,
        (error: { code: string }) => error.code,
      ),
    );
    await workers[0].terminate();
    expect(await failures[0]).toBe('ENGINE_CRASHED');
    await expect(index.count()).rejects.toMatchObject({ code: 'ENGINE_CRASHED' });
    await index.close();
  }));

test('aborting after the last merge still cancels', () =>
  withIndex(true, async (index) => {
    const controller = new AbortController();
    const load = index.load(files, {
      threads: 1,
      signal: controller.signal,
      onProgress: ({ phase }) => phase === 'publish' && controller.abort(),
    });
    await expect(load).rejects.toMatchObject({ code: 'LOAD_CANCELLED' });
    expect((await index.stats()).version).toBe(0);
  }));
