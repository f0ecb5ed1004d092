/** Ops through `index.apply`, with and without a directory, over loads, checkpoints and restarts. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { parseDefinition } from '../../src/config/parse.ts';
import type { BitloomIndex, OpenOptions } from '../../src/engine/index-api.ts';
import { openIndex } from '../../src/engine/open-index.ts';
import { NaiveOps } from '../../src/ops/naive-ops.ts';
import type { Entity, SlotOp } from '../../src/ops/op.ts';
import { digestOfNaiveOps } from '../ops/naive-digest.ts';
import { entities, where } from '../ops/stream.ts';
import { type Vector, vectors } from '../ops/vectors.ts';
import { temporaryDirectory } from '../temporary.ts';

/** The fields of test/ops/stream.ts. */
const YAML = `
name: streams
fields:
  level: { type: uint32, index: filter }
  kind: { type: string, index: filter }
  flag: { type: boolean, index: filter }
  tags: { type: uint32, index: filter, many: true }
  labels: { type: string, index: filter, many: true }
  score: { type: int32, index: [filter, sort] }
  seenAt: { type: timestamp, index: sort }
tables:
  rows:
    csv: { columns: [id, level, kind, flag, score, seenAt] }
    slot: id
    alive: true
    fields: { level: level, kind: kind, flag: flag, score: score, seenAt: seenAt }
  tags:
    csv: { columns: [tag, id] }
    slot: id
    fields: { tags: tag }
  labels:
    csv: { columns: [label, id] }
    slot: id
    fields: { labels: label }
`;
const temporary = temporaryDirectory();
const file = temporary.write('index.yaml', YAML);
const definition = parseDefinition(YAML, file);
let opened: BitloomIndex[] = [];
let directoryCount = 0;

async function open(options: OpenOptions = {}): Promise<BitloomIndex> {
  const index = await openIndex({ definition: file, inProcess: true, ...options });
  opened.push(index);
  return index;
}

afterEach(async () => {
  for (const index of opened) await index.close();
  opened = [];
});

function newDirectory(): string {
  return `${temporary.path}/index-${++directoryCount}`;
}

async function expectEqual(index: BitloomIndex, model: NaiveOps): Promise<void> {
  const { digest } = await index.stats({ digest: true });
  expect(digest).toEqual(digestOfNaiveOps(model, definition));
}

/** Streams for each setting; BITLOOM_STREAMS=2500 BITLOOM_SEED=1 is the long run of ten thousand. */
const STREAMS = Number(process.env.BITLOOM_STREAMS ?? 12);
const SEED = process.env.BITLOOM_SEED === undefined ? {} : { seed: Number(process.env.BITLOOM_SEED) };

/** Batches in flight together, and what happens after them. */
const step = fc.record({
  batches: fc.array(
    // As they come, or with a stretch delivered again within the batch, from where it does not matter to dedup.
    fc.oneof(
      entities,
      fc.tuple(entities, fc.nat(12)).map(([ops, from]) => [...ops, ...ops.slice(from)]),
    ),
    { maxLength: 3 },
  ),
  isRedelivered: fc.boolean(),
  ending: fc.constantFrom('nothing', 'reopen', 'read'),
  where,
});

test.each([
  { directory: true, checkpointLogBytes: 1, dedup: true },
  { directory: true, checkpointLogBytes: 300, dedup: true },
  { directory: true, checkpointLogBytes: 300, dedup: false },
  { directory: true, checkpointLogBytes: 1e9, dedup: true },
  { directory: false, checkpointLogBytes: 300, dedup: false },
  { directory: false, checkpointLogBytes: 300, dedup: true },
])(
  'any stream leaves what it leaves in the naive model, with %j',
  async ({ directory, checkpointLogBytes, dedup }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 4 }), async (steps) => {
        const options: OpenOptions = {
          checkpointLogBytes,
          dedup,
          ...(directory ? { directory: newDirectory() } : {}),
        };
        const model = new NaiveOps(definition);
        let index = await open(options);
        for (const { batches: given, isRedelivered, ending, where } of steps) {
          const batches = isRedelivered ? [...given, ...given] : given;
          const applied = batches.map((ops) => index.apply({ ops }));
          for (const ops of batches) model.apply(ops);
          for (const { refused } of await Promise.all(applied)) expect(refused).toEqual([]);
          if (where !== null) expect((await index.query({ where })).ids).toEqual(model.matches(where));
          if (ending === 'reopen' && directory) {
            await index.close();
            index = await open(options);
          }
          if (ending !== 'nothing') await expectEqual(index, model);
        }
        await expectEqual(index, model);
        await index.close();
      }),
      { numRuns: STREAMS, ...SEED },
    );
  },
  Math.max(60_000, STREAMS * 1000),
);

test.each([true, false])(
  'what a batch says twice goes to the log once with dedup, in process: %j',
  async (inProcess) => {
    const again = Array.from({ length: 200 }, (_, slot) => ({
      slot,
      alive: true as const,
      ops: [{ op: 'set', field: 'level', value: slot } as SlotOp],
    }));
    const batches = [again, [...again, ...again], [...again, { slot: 1, ops: [{ op: 'delete' }] } as Entity]];
    const logs = [];
    const digests = [];
    for (const dedup of [true, false]) {
      const index = await open({ directory: newDirectory(), dedup, inProcess });
      const bytes = [];
      for (const ops of batches) {
        const before = (await index.stats()).log!.appendedBytes;
        expect(await index.apply({ ops })).toMatchObject({ refused: [] });
        bytes.push((await index.stats()).log!.appendedBytes - before);
      }
      logs.push(bytes);
      digests.push((await index.stats({ digest: true })).digest);
    }
    const [on, off] = logs;
    expect(on[0]).toBe(off[0]);
    // Once instead of twice.
    expect(on[1]).toBe(on[0]);
    expect(off[1]).toBeGreaterThan(1.9 * off[0]);
    // One repeat among many is left alone.
    expect(on[2]).toBe(off[2]);
    expect(digests[0]).toEqual(digests[1]);
  },
);

test('a batch of no more than how far its source is counts and is kept; one that says nothing is not', async () => {
  const directory = newDirectory();
  const index = await open({ directory, checkpointLogBytes: 1e9 });
  const { position } = await index.apply({ ops: [], meta: { source: 'a', cursor: 5, lagRows: 0 } });
  expect(position).toMatchObject({ sequence: 1 });
  expect((await index.apply({ ops: [] })).position).toEqual(position);
  const sources = [{ source: 'a', cursor: 5, maxId: null, lagRows: 0 }];
  expect((await index.stats()).sources).toEqual(sources);
  const reader = await open({ directory, readOnly: true });
  expect((await reader.stats()).sources).toEqual(sources);
});

const ROW_FIELDS = ['level', 'kind', 'flag', 'score', 'seenAt'];
const rowsFile = temporary.write('rows.csv', '1,10,video,t,-5,100\n2,20,image,f,7,200\n3,30,,,,\n');
/** The same as ops. */
const ROWS: Entity[] = [
  { slot: 1, alive: true, ops: rowOps(10, 'video', true, -5, 100) },
  { slot: 2, alive: true, ops: rowOps(20, 'image', false, 7, 200) },
  { slot: 3, alive: true, ops: rowOps(30, null, null, null, null) },
];

function rowOps(...values: (number | string | boolean | null)[]): SlotOp[] {
  return values.map((value, index) => ({ op: 'set', field: ROW_FIELDS[index], value }));
}

function set(slot: number, field: string, value: unknown): Entity {
  return { slot, ops: [{ op: 'set', field, value } as SlotOp] };
}

test.each(['replace', 'merge'] as const)(
  'a %s load takes over what was applied before it, and what comes during it stays on top',
  async (mode) => {
    for (const directory of [undefined, newDirectory()]) {
      const options = directory === undefined ? {} : { directory };
      let index = await open(options);
      const before: Entity[] = [
        { ...set(1, 'level', 99), alive: true },
        { ...set(9, 'kind', 'audio'), alive: true },
        set(9, 'tags', [4, 5]),
      ];
      const during: Entity[] = [set(2, 'level', 77), set(3, 'kind', 'new text'), set(1, 'tags', [8])];
      const query: Entity = {
        slot: 0,
        ops: [{ op: 'queryOpSet', where: { kind: 'video' }, ops: [{ op: 'set', field: 'score', value: 1 }] }],
      };
      await index.apply({ ops: before });
      const applied: Promise<unknown>[] = [];
      const loading = index.load(
        { rows: rowsFile },
        {
          mode,
          threads: 1,
          onProgress: () => {
            if (applied.length === 0) applied.push(index.apply({ ops: [query] }));
          },
        },
      );
      const atOnce = index.apply({ ops: during });
      await Promise.all([loading, atOnce]);
      await Promise.all(applied);

      const model = new NaiveOps(definition);
      if (mode === 'merge') model.apply([before[0], before[1]]);
      model.apply([before[2], ...ROWS, ...during, query]);
      await expectEqual(index, model);
      if (directory === undefined) continue;
      await index.close();
      index = await open(options);
      await expectEqual(index, model);
    }
  },
);

test('a load with another definition takes no ops while it runs, and serves by the new one', async () => {
  const directory = newDirectory();
  let index = await open({ directory });
  await index.apply({ ops: [{ ...set(1, 'level', 5), alive: true }, set(1, 'tags', [1])] });
  await index.close();
  const changed = YAML.replace('level: { type: uint32', 'level: { type: int32');
  index = await open({ directory, definition: temporary.write('changed.yaml', changed) });
  expect(await index.count({ level: 5 })).toBe(1);
  await expect(index.load({ tags: rowsFile }, { maxRejects: Infinity })).rejects.toThrow(/field level/);
  const loading = index.load({ rows: rowsFile });
  await expect(index.apply({ ops: [set(1, 'level', 6)] })).rejects.toMatchObject({ code: 'LOAD_RUNNING' });
  await loading;
  await index.apply({ ops: [set(2, 'level', -6)] });
  expect(await index.query({ where: { level: -6 } })).toMatchObject({ ids: [2] });
  expect(await index.count({ tags: 1 })).toBe(1);
});

async function expectMatches(index: BitloomIndex, name: string, after: Vector['after']): Promise<void> {
  for (const [where, slots] of after) {
    expect((await index.query({ where, take: 2000 })).ids, name).toEqual(slots);
  }
}

test('every vector of conformance holds, in one batch or several, and after a restart', async () => {
  for (const { name, before, ops, after } of vectors) {
    const inMemory = await open();
    await inMemory.apply({ ops: before });
    await inMemory.apply({ ops });
    await expectMatches(inMemory, name, after);
    await inMemory.close();
    const directory = newDirectory();
    let index = await open({ directory });
    await index.apply({ ops: before });
    await Promise.all(ops.map((entity) => index.apply({ ops: [entity] })));
    await expectMatches(index, name, after);
    await index.close();
    index = await open({ directory });
    await expectMatches(index, name, after);
    await index.close();
  }
});

test('after a bulk change every page of a descending order is right, ties by slot', async () => {
  const index = await open();
  const insert = Array.from(
    { length: 9000 },
    (_, slot): Entity => ({ ...set(slot, 'flag', true), alive: true }),
  );
  await index.apply({ ops: insert });
  const ops: SlotOp[] = [{ op: 'set', field: 'score', value: 5 }];
  await index.apply({ ops: [{ slot: 1, ops: [{ op: 'queryOpSet', where: { flag: true }, ops }] }] });
  const ids: number[] = [];
  let cursor: string | null = null;
  do {
    const page = await index.query({ orderBy: { score: 'desc' }, take: 2000, cursor });
    ids.push(...page.ids);
    cursor = page.nextCursor;
  } while (cursor !== null);
  expect(ids).toEqual(Array.from({ length: 9000 }, (_, i) => 8999 - i));
});

test('checkpoints on worker threads keep up with a stream that goes on', async () => {
  const directory = newDirectory();
  const options = { directory, checkpointLogBytes: 150_000 };
  let index = await open(options);
  const model = new NaiveOps(definition);
  const applied: Promise<unknown>[] = [];
  for (let batch = 0; batch < 16; batch++) {
    const ops = Array.from({ length: 4000 }, (_, i): Entity => {
      const slot = (i * 7919 + batch * 1000) % 30_000;
      return {
        slot,
        alive: true,
        ops: [
          { op: 'set', field: 'level', value: (slot + batch) % 900 },
          { op: 'set', field: 'kind', value: `kind ${slot % 40}` },
          { op: 'set', field: 'score', value: batch * i },
          { op: 'add', field: 'tags', value: (batch + i) % 50 },
        ],
      };
    });
    ops.push({
      slot: batch,
      ops: [
        { op: 'queryOpSet', where: { level: batch }, ops: [{ op: 'remove', field: 'tags', value: batch }] },
      ],
    });
    model.apply(ops);
    applied.push(index.apply({ ops }));
    if (batch % 4 === 3) await applied[batch - 2];
  }
  await Promise.all(applied);
  while ((await index.stats()).checkpoints === 0) await sleep(5);
  await expectEqual(index, model);
  await index.close();
  index = await open(options);
  await expectEqual(index, model);
});

test('entities are refused one by one, or the whole batch when strict', async () => {
  const index = await open();
  const ops = [
    { ...set(1, 'level', 1), alive: true },
    set(1, 'nothing', 1),
    set(2 ** 32, 'level', 1),
  ] as Entity[];
  await expect(index.apply({ ops }, { strict: true })).rejects.toMatchObject({
    code: 'BATCH_REFUSED',
    details: { refused: [{ index: 1 }, { index: 2 }] },
  });
  expect(await index.count()).toBe(0);
  const { refused, position } = await index.apply({ ops });
  expect(refused).toMatchObject([
    { index: 1, code: 'OP_UNKNOWN_FIELD' },
    { index: 2, code: 'SLOT_INVALID' },
  ]);
  expect(position).toBeNull();
  expect(await index.count({ level: 1 })).toBe(1);
  await expect(index.apply({ ops }, { stict: true } as object)).rejects.toMatchObject({
    code: 'OPTION_INVALID',
  });
  await index.close();
  await expect(index.apply({ ops })).rejects.toMatchObject({ code: 'INDEX_CLOSED' });
});

test('the engine thread applies in the order of the calls and tells positions', async () => {
  const directory = newDirectory();
  const index = await open({ directory, inProcess: false });
  const reports = await Promise.all(
    Array.from({ length: 20 }, (_, level) =>
      index.apply({ ops: [{ ...set(7, 'level', level), alive: true }] }),
    ),
  );
  expect(reports.map(({ position }) => position!.sequence)).toEqual(
    Array.from({ length: 20 }, (_, i) => i + 1),
  );
  expect((await index.query({ where: { level: 19 } })).ids).toEqual([7]);
  const { position, log } = await index.stats();
  expect(position).toEqual(reports[19].position);
  expect(log!.appends).toBe(20);
  await expect(index.apply({ ops: [{ slot: -1, ops: [] }] }, { strict: true })).rejects.toMatchObject({
    code: 'BATCH_REFUSED',
  });
  await index.close();
  const reader = await open({ directory, readOnly: true });
  expect(await reader.count({ level: 19 })).toBe(1);
  await expect(reader.apply({ ops: [] })).rejects.toMatchObject({ code: 'READ_ONLY' });
});

test('an index whose last version is damaged is opened from the one before and the log', async () => {
  const directory = newDirectory();
  let index = await open({ directory, checkpointLogBytes: 1 });
  const model = new NaiveOps(definition);
  for (let level = 0; level < 6; level++) {
    const ops = [{ ...set(level, 'level', level), alive: true as const }];
    model.apply(ops);
    await index.apply({ ops });
    while ((await index.stats()).checkpoints <= level) await sleep(1);
  }
  const { version } = await index.stats();
  await index.close();
  const [segment] = readdirSync(directory).filter((name) => name.startsWith(`segment-${version}-`));
  writeFileSync(path.join(directory, segment), 'damaged');
  const warnings: string[] = [];
  index = await open({ directory, onWarning: (message) => warnings.push(message) });
  expect(warnings).toHaveLength(1);
  expect((await index.stats()).version).toBe(version - 1);
  await expectEqual(index, model);
});

test('a checkpoint that cannot be stored is tried again, and loses nothing', async () => {
  const directory = newDirectory();
  const warnings: string[] = [];
  const options = {
    directory,
    checkpointLogBytes: 1,
    onWarning: (message: string) => warnings.push(message),
  };
  let index = await open(options);
  const model = new NaiveOps(definition);
  const apply = async (level: number) => {
    const ops = [{ ...set(level, 'level', level), alive: true as const }];
    model.apply(ops);
    await index.apply({ ops });
  };
  const obstacle = path.join(directory, 'manifest-2.json.tmp');
  mkdirSync(path.join(obstacle, 'inside'), { recursive: true });
  for (let level = 0; warnings.length === 0; level++) {
    await apply(level);
    await sleep(5);
  }
  expect(warnings[0]).toMatch(/a checkpoint failed/);
  await expectEqual(index, model);
  rmSync(obstacle, { recursive: true });
  for (let level = 1000; (await index.stats()).checkpoints === 0; level++) {
    await apply(level);
    await sleep(5);
  }
  await expectEqual(index, model);
  await index.close();
  index = await open(options);
  await expectEqual(index, model);
});
