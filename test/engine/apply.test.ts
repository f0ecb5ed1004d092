/** Ops through `index.apply`, with and without a directory, over loads, checkpoints and restarts. */
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { parseDefinition } from '../../src/config/parse.ts';
import type { BitloomIndex, OpenOptions } from '../../src/engine/index-api.ts';
import { openIndex } from '../../src/engine/open-index.ts';
import { NaiveOps } from '../../src/ops/naive-ops.ts';
import { temporaryDirectory } from '../load/temporary.ts';
import { digestOfNaiveOps } from '../ops/naive-digest.ts';
import { entities, where } from '../ops/stream.ts';

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

/** What happens between two batches: the engine stores a version, is closed, or ends as in a crash. */
const step = fc.record({
  batches: fc.array(entities, { maxLength: 3 }),
  then: fc.constantFrom('nothing', 'reopen', 'read'),
  where,
});

test.each([
  { directory: true, checkpointLogBytes: 1 },
  { directory: true, checkpointLogBytes: 300 },
  { directory: true, checkpointLogBytes: 1e9 },
  { directory: false, checkpointLogBytes: 300 },
])(
  'any stream leaves what it leaves in the naive model, with %j',
  async ({ directory, checkpointLogBytes }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 4 }), async (steps) => {
        const options: OpenOptions = {
          checkpointLogBytes,
          ...(directory ? { directory: newDirectory() } : {}),
        };
        const model = new NaiveOps(definition);
        let index = await open(options);
        for (const { batches, then, where } of steps) {
          const applied = batches.map((ops) => index.apply({ ops }));
          for (const ops of batches) model.apply(ops);
          for (const { refused } of await Promise.all(applied)) expect(refused).toEqual([]);
          if (where !== null) expect((await index.query({ where })).ids).toEqual(model.matches(where));
          if (then === 'reopen' && directory) {
            await index.close();
            index = await open(options);
          }
          if (then !== 'nothing') await expectEqual(index, model);
        }
        await expectEqual(index, model);
        await index.close();
      }),
      { numRuns: 12 },
    );
  },
);
