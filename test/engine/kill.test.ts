/**
 * Kills a process at any moment of applying and checkpointing: every acknowledged batch is there after opening again, and
 * no batch is half there. `BITLOOM_KILLS` sets how often.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openIndex } from '../../src/engine/open-index.ts';
import { temporaryDirectory } from '../temporary.ts';

const KILLS = Number(process.env.BITLOOM_KILLS ?? 6);
const script = fileURLToPath(new URL('apply-until-killed.mjs', import.meta.url));
const temporary = temporaryDirectory();
const definition = temporary.write(
  'index.yaml',
  `
name: killed
fields:
  level: { type: uint32, index: [filter, sort] }
tables:
  rows: { csv: { columns: [id, level] }, slot: id, alive: true, fields: { level: level } }
`,
);
const directory = `${temporary.path}/index`;

/** Numbers of the batches that were acknowledged before the kill. */
async function applyUntilKilled(first: number, delayMs: number): Promise<number[]> {
  const child = spawn(process.execPath, [script, definition, directory, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const acknowledged: number[] = [];
  let isKilling = false;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line !== 'open') acknowledged.push(Number(line));
    if (!isKilling && acknowledged.length > 0) {
      isKilling = true;
      setTimeout(() => child.kill('SIGKILL'), delayMs);
    }
  }
  return acknowledged;
}

test(`after ${KILLS} kills nothing acknowledged is missing and nothing is half there`, async () => {
  let next = 0;
  const acknowledged: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const batches = await applyUntilKilled(next, (kill * 97) % 400);
    expect(batches.length).toBeGreaterThan(0);
    acknowledged.push(...batches);
    const index = await openIndex({ directory, inProcess: true });
    const there = new Set<number>();
    const { total } = await index.query({ take: 0 });
    for (let batch = next; batch <= next + batches.length + 100; batch++) {
      const { ids } = await index.query({ where: { level: batch } });
      const own = ids.filter((slot) => slot !== 4_000_000_000);
      if (own.length > 0) {
        expect(own).toEqual([3 * batch, 3 * batch + 1, 3 * batch + 2]);
        there.add(batch);
      }
    }
    for (const batch of batches) expect(there).toContain(batch);
    // Every batch gave three slots, and all of them one more.
    expect((total - 1) % 3).toBe(0);
    expect(total - 1).toBeGreaterThanOrEqual(acknowledged.length * 3);
    const { ids } = await index.query({ where: { level: { gte: 0 } }, orderBy: { level: 'desc' }, take: 2 });
    next =
      (ids.map((slot) => (slot === 4_000_000_000 ? 0 : Math.floor(slot / 3))).sort((a, b) => b - a)[0] ?? 0) +
      1;
    await index.close();
  }
});
