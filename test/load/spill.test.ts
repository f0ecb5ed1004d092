/** Loads that are larger than the memory they may use: the same version, by way of a file of which nothing is left. */
import { closeSync, openSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { BitloomIndex, IndexStats, LoadOptions } from 'bitloom';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { openIndex } from '../../src/engine/open-index.ts';
import { generateDump } from '../../src/generate/generate.ts';
import { spill } from '../../src/index/spill-file.ts';
import { temporaryDirectory } from '../temporary.ts';

const ROWS = 200_000;
const THREADS = 2;
/** Leaves next to nothing for accumulators. */
const MEMORY_LIMIT_BYTES = 100 * 1024 * 1024;

/** One slot in each stretch of 1,021, so that no page is full. */
const SPARSE_ROWS = 150_000;
const SPARSE_DEFINITION = {
  name: 'sparse',
  fields: {
    name: { type: 'string', index: 'filter' },
    score: { type: 'uint32', index: ['filter', 'sort'] },
  },
  tables: { rows: { csv: {}, slot: 'id', alive: true, fields: { name: 'name', score: 'score' } } },
} as const;

const temporary = temporaryDirectory();
const dump = join(temporary.path, 'dump');
const definition = join(dump, 'index.yaml');
const files = Object.fromEntries(
  ['images', 'tags', 'tools'].map((table) => [table, join(dump, `${table}.csv`)]),
);

beforeAll(() => generateDump({ rows: ROWS, out: dump }));
afterEach(() => vi.unstubAllEnvs());

async function withIndex<T>(act: (index: BitloomIndex) => Promise<T>, directory?: string): Promise<T> {
  const index = await openIndex({
    definition,
    inProcess: true,
    ...(directory === undefined ? {} : { directory }),
  });
  try {
    return await act(index);
  } finally {
    await index.close();
  }
}

async function digestOf(index: BitloomIndex): Promise<IndexStats['digest']> {
  return (await index.stats({ digest: true })).digest;
}

function digestAfterLoads(...loads: LoadOptions[]): Promise<IndexStats['digest']> {
  return withIndex(async (index) => {
    for (const load of loads) await index.load(files, { threads: THREADS, ...load });
    return digestOf(index);
  });
}

/** Bytes of the spill files that this process has open, which have no name any more. */
function spilledBytes(): number[] {
  const open = readdirSync('/proc/self/fd').map((descriptor) => join('/proc/self/fd', descriptor));
  return open.filter((path) => linkOf(path).includes('bitloom-spill-')).map((path) => statSync(path).size);
}

/** Of a descriptor that may be closed by now. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

test('a load that may use little memory gives the same version', async () => {
  const expected = await digestAfterLoads({});
  expect(await digestAfterLoads({ memoryLimitBytes: MEMORY_LIMIT_BYTES })).toEqual(expected);
});

test('so does one that is merged into the version before', async () => {
  const expected = await digestAfterLoads({}, { mode: 'merge' });
  const limited = { memoryLimitBytes: MEMORY_LIMIT_BYTES };
  expect(await digestAfterLoads(limited, { ...limited, mode: 'merge' })).toEqual(expected);
});

test('so does one of strings in any order on sparse slots, whose parts are read window by window', async () => {
  const rows = Array.from({ length: SPARSE_ROWS }, (_, row) => {
    const mixed = Math.imul(row + 1, 0x9e3779b1) >>> 0;
    return `${row * 1021},name-${mixed % 50_000},${mixed % 7919}`;
  });
  const csv = temporary.write('sparse.csv', `id,name,score\n${rows.join('\n')}\n`);
  const digests = await Promise.all(
    [{}, { memoryLimitBytes: MEMORY_LIMIT_BYTES }].map(async (options) => {
      const index = await openIndex({ definition: SPARSE_DEFINITION, inProcess: true });
      try {
        await index.load({ rows: csv }, { threads: THREADS, ...options });
        return await digestOf(index);
      } finally {
        await index.close();
      }
    }),
  );
  expect(digests[1]).toEqual(digests[0]);
});

test.runIf(process.platform === 'linux')('what it does not keep is in a file that goes with it', async () => {
  await withIndex(async (index) => {
    let most = 0;
    const onProgress = () => {
      most = Math.max(most, ...spilledBytes());
    };
    await index.load(files, { threads: THREADS, onProgress });
    expect(most).toBe(0);
    await index.load(files, { threads: THREADS, onProgress, memoryLimitBytes: MEMORY_LIMIT_BYTES });
    expect(most).toBeGreaterThan(2_000_000);
    await vi.waitFor(() => expect(spilledBytes()).toEqual([]));
  });
});

test('a stored index has the file in its directory and keeps nothing of it', async () => {
  const directory = join(temporary.path, 'stored');
  const stored = await withIndex(async (index) => {
    vi.stubEnv('TMPDIR', join(temporary.path, 'missing'));
    await index.load(files, { threads: THREADS, memoryLimitBytes: MEMORY_LIMIT_BYTES });
    return digestOf(index);
  }, directory);
  expect(
    readdirSync(directory, { recursive: true }).filter((file) => String(file).includes('spill')),
  ).toEqual([]);
  expect(await withIndex(digestOf, directory)).toEqual(stored);
});

test('where the file cannot be created the load says so and the version before stays', async () => {
  await withIndex(async (index) => {
    await index.load(files, { threads: THREADS });
    const before = await digestOf(index);
    vi.stubEnv('TMPDIR', join(temporary.path, 'missing'));
    const load = index.load(files, { threads: THREADS, memoryLimitBytes: MEMORY_LIMIT_BYTES });
    await expect(load).rejects.toMatchObject({
      code: 'SPILL_FAILED',
      message: expect.stringContaining(join(temporary.path, 'missing')),
      hint: expect.stringContaining('TMPDIR'),
    });
    expect(await digestOf(index)).toEqual(before);
  });
});

test.runIf(process.platform === 'linux')('a full disk is told as such', () => {
  const fd = openSync('/dev/full', 'r+');
  const space = { fd, directory: '/dev', end: new BigInt64Array(new SharedArrayBuffer(8)), windowBytes: 0 };
  try {
    expect(() => spill(space, new Uint8Array(10))).toThrow(
      expect.objectContaining({ code: 'SPILL_FAILED', cause: expect.objectContaining({ code: 'ENOSPC' }) }),
    );
  } finally {
    closeSync(fd);
  }
});
