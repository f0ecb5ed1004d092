/** Versions that are built where older ones stood are the versions that fresh memory gives, and nobody sees the change. */
import { join } from 'node:path';
import type { BitloomIndex, IndexStats } from 'bitloom';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { openIndex } from '../../src/engine/open-index.ts';
import { generateDump } from '../../src/generate/generate.ts';
import { SegmentMemory } from '../../src/index/segment-memory.ts';
import { temporaryDirectory } from '../temporary.ts';

const temporary = temporaryDirectory();
const small = dumpAt(40_000);
const large = dumpAt(43_000);

interface Dump {
  readonly rows: number;
  readonly directory: string;
  readonly files: Readonly<Record<string, string>>;
}

function dumpAt(rows: number): Dump {
  const directory = join(temporary.path, String(rows));
  const files = Object.fromEntries(
    ['images', 'tags', 'tools'].map((table) => [table, join(directory, `${table}.csv`)]),
  );
  return { rows, directory, files };
}

function open(checkpointLogBytes?: number): Promise<BitloomIndex> {
  const definition = join(small.directory, 'index.yaml');
  return openIndex({
    definition,
    inProcess: true,
    ...(checkpointLogBytes === undefined ? {} : { checkpointLogBytes }),
  });
}

/** Changes a few thousand slots of the dump, some of them twice. */
async function change(index: BitloomIndex, round: number): Promise<void> {
  for (let from = 0; from < 4000; from += 500) {
    await index.apply({
      ops: Array.from({ length: 500 }, (_, i) => ({
        slot: 1 + ((from + i) % 3000),
        alive: true,
        ops: [
          { op: 'set', field: 'userId', value: round * 7 + i },
          { op: 'set', field: 'existedAt', value: 1_700_000_000 + i },
          { op: 'add', field: 'tagIds', value: 3 + round },
        ],
      })),
    });
  }
}

async function digestOf(index: BitloomIndex): Promise<IndexStats['digest']> {
  return (await index.stats({ digest: true })).digest;
}

/** Of an index to which one thing was done after another. */
async function digestAfter(
  ...acts: ((index: BitloomIndex) => Promise<unknown>)[]
): Promise<IndexStats['digest']> {
  const index = await open();
  try {
    for (const act of acts) await act(index);
    return await digestOf(index);
  } finally {
    await index.close();
  }
}

beforeAll(async () => {
  for (const { rows, directory } of [small, large]) await generateDump({ rows, out: directory });
});

afterEach(() => vi.restoreAllMocks());

test('loads, merges and checkpoints in turn', async () => {
  const taken = vi.spyOn(SegmentMemory.prototype, 'take');
  const index = await open(1000);
  try {
    const steps = [
      (index: BitloomIndex) => index.load(small.files, { threads: 2 }),
      (index: BitloomIndex) => change(index, 1),
      (index: BitloomIndex) => index.load({ tags: large.files.tags }, { threads: 2, mode: 'merge' }),
      (index: BitloomIndex) => change(index, 2),
    ];
    const expected: IndexStats['digest'][] = [];
    for (let count = 1; count <= steps.length; count++) {
      expected.push(await digestAfter(...steps.slice(0, count)));
    }
    for (let round = 0; round < 3; round++) {
      await index.load(large.files, { threads: 2, chunkLines: 5000 });
      for (let step = 0; step < steps.length; step++) {
        await steps[step](index);
        expect(await digestOf(index)).toEqual(expected[step]);
      }
    }
    expect((await index.stats()).checkpoints).toBeGreaterThan(3);
    const reused = taken.mock.results.filter(({ value }) => value !== null);
    expect(reused.length).toBeGreaterThan(20);
  } finally {
    await index.close();
  }
});

test('queries meanwhile see one version or the other', async () => {
  const where = { tagIds: { in: [1, 2, 3] }, hasMeta: true };
  const query = { where, orderBy: { existedAt: 'desc' }, take: 100 } as const;
  const pages: string[] = [];
  for (const dump of [small, large]) {
    const index = await open();
    await index.load(dump.files, { threads: 2 });
    pages.push(JSON.stringify(await index.query(query)));
    await index.close();
  }
  const index = await open();
  try {
    await index.load(small.files, { threads: 2 });
    const seen = new Set<string>();
    for (let round = 0; round < 8; round++) {
      let loading = true;
      const load = index.load((round % 2 === 0 ? large : small).files, { threads: 2 }).finally(() => {
        loading = false;
      });
      while (loading) {
        seen.add(JSON.stringify(await index.query(query)));
        await new Promise(setImmediate);
      }
      await load;
    }
    expect(pages[0]).not.toBe(pages[1]);
    expect([...seen].sort()).toEqual(pages.toSorted());
  } finally {
    await index.close();
  }
});
