/** The server beside a plain one: both answer alike, and both are measured. How large the figures are is not tested. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { BenchDump } from '../../bench/dump.ts';
import { measureHttp } from '../../bench/ops-http.ts';
import { startPlainServer } from '../../bench/plain-server.ts';
import { BitloomClient } from '../../src/client/client.ts';
import { readDefinition } from '../../src/config/parse.ts';
import { openIndex, type Query } from '../../src/index.ts';
import { smallDump } from '../server/harness.ts';
import { temporaryDirectory } from '../temporary.ts';

const ROWS = 1000;
const folder = temporaryDirectory();

test('every load of requests is measured on both servers, with a ratio', async () => {
  const { definition, files } = await smallDump(join(folder.path, 'measured'), ROWS);
  const dump = {
    rows: ROWS,
    definition,
    files: Object.entries(files).map(([table, path]) => ({ table, path, rows: ROWS, bytes: 1 })),
  } as unknown as BenchDump;
  const results = await measureHttp({
    dump,
    definition: await readDefinition(definition),
    repeats: 1,
    runTimeMs: 50,
    directory: folder.path,
  });
  expect(results.map(({ load }) => load)).toEqual(['queries', 'batches', 'both']);
  const measured = results
    .flatMap(({ queries, batches }) => [queries, batches])
    .filter((each) => each !== null);
  expect(measured).toHaveLength(4);
  for (const { requestsPerSecond, requestMs, peer, ratio } of measured) {
    expect(peer.requestMs.median).toBeGreaterThan(0);
    expect(requestMs.median).toBeGreaterThan(0);
    expect(ratio).toBeCloseTo(requestsPerSecond / peer.requestsPerSecond, 6);
  }
}, 60_000);

test('the plain server answers as the index does, before and after batches', async () => {
  const { definition: file, files } = await smallDump(join(folder.path, 'same'), ROWS);
  const definition = (await readDefinition(file)).normalised as object;
  const index = await openIndex({ definition, inProcess: true });
  await index.load(files);
  const plain = await startPlainServer({ definition, files, log: join(folder.path, 'plain.jsonl') });
  const client = new BitloomClient({ url: plain.url });
  const queries: Query[] = [
    {},
    { where: { nsfwLevel: 1 }, orderBy: { existedAt: 'desc' } },
    { where: { nsfwLevel: { in: [1, 2] }, type: 'image' }, orderBy: { existedAt: 'asc' }, take: 500 },
    { where: { OR: [{ nsfwLevel: 4 }, { hasMeta: true }], NOT: { type: 'video' } }, take: 1000 },
    { where: { existedAt: { gte: 1_650_000_000, lt: 1_750_000_000 } }, orderBy: { existedAt: 'desc' } },
    { where: { nsfwLevel: 99 } },
  ];
  try {
    for (let round = 0; round < 2; round++) {
      for (const query of queries) {
        const { ids, total } = await index.query(query);
        expect(await client.query(query), JSON.stringify(query)).toMatchObject({ ids, total });
      }
      const batch = {
        ops: Array.from({ length: 50 }, (_, slot) => ({
          slot: slot * 10,
          alive: true as const,
          ops: [
            { op: 'set' as const, field: 'nsfwLevel', value: slot % 2 === 0 ? 99 : null },
            { op: 'set' as const, field: 'existedAt', value: slot % 3 === 0 ? null : 1_700_000_000 },
          ],
        })),
      };
      expect(await client.apply(batch)).toMatchObject({ accepted: 50, refused: [] });
      await index.apply(batch);
    }
  } finally {
    await plain.close();
    await index.close();
  }
});
