/**
 * kill -9 at random moments under load: every acknowledged append is there after opening again, and no record is half
 * there. BITLOOM_LOG_KILLS sets the number of kills for a longer run.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { LOG_START, type LogPosition } from '../../src/log/log-position.ts';
import { openOpLog } from '../../src/log/op-log.ts';
import { readAll } from './log-content.ts';
import { payloadOf } from './log-payload.ts';

const KILLS = Number(process.env.BITLOOM_LOG_KILLS ?? 15);
const DIRECTORIES = 3;
const CHILD = fileURLToPath(new URL('fixtures/append-until-killed.ts', import.meta.url));

interface Killed {
  /** Ids by sequence number. */
  acknowledged: Map<number, number>;
  cursor: LogPosition;
}

async function appendAndKill(directory: string, firstId: number, cursor: LogPosition): Promise<Killed> {
  const journal = `${directory}.journal`;
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, directory, journal, String(firstId)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.once('data', () => setTimeout(() => child.kill('SIGKILL'), Math.random() * 250));
  const [, signal] = await once(child, 'close');
  expect(signal).toBe('SIGKILL');
  const killed: Killed = { acknowledged: new Map(), cursor };
  for (const line of (await readFile(journal, 'utf8')).split('\n')) {
    const [, id, sequence] = /^acknowledged (\d+) (\d+)$/.exec(line) ?? [];
    if (sequence !== undefined) killed.acknowledged.set(Number(sequence), Number(id));
    if (line.startsWith('cursor ')) killed.cursor = JSON.parse(line.slice('cursor '.length));
  }
  return killed;
}

async function killRepeatedly(directory: string, kills: number): Promise<number> {
  let acknowledgedCount = 0;
  let firstId = 0;
  let cursor = LOG_START;
  for (let kill = 0; kill < kills; kill++) {
    const killed = await appendAndKill(directory, firstId, cursor);
    cursor = killed.cursor;
    acknowledgedCount += killed.acknowledged.size;
    const warnings: string[] = [];
    const log = await openOpLog(directory, {
      fromPosition: cursor,
      onWarning: (message) => warnings.push(message),
    });
    const ids = new Map<number, number>();
    for (const { sequence, payload } of await readAll(log, cursor)) {
      const id = Buffer.from(payload).readUInt32LE(0);
      expect(Buffer.compare(payload, payloadOf(id, payload.length)), `record ${sequence}`).toBe(0);
      ids.set(sequence, id);
      firstId = Math.max(firstId, id + 1);
    }
    for (const [sequence, id] of killed.acknowledged) {
      if (sequence > cursor.sequence) expect(ids.get(sequence), `record ${sequence}`).toBe(id);
    }
    expect([...ids.keys()]).toEqual(Array.from(ids, (_, i) => cursor.sequence + 1 + i));
    expect(warnings).toEqual([]);
    await log.close();
  }
  return acknowledgedCount;
}

test(
  `${KILLS} kills lose no acknowledged record and leave none half there`,
  async () => {
    const root = await mkdtemp(path.join(os.tmpdir(), 'bitloom-log-'));
    try {
      const counts = await Promise.all(
        Array.from({ length: DIRECTORIES }, (_, i) =>
          killRepeatedly(path.join(root, String(i)), Math.ceil(KILLS / DIRECTORIES)),
        ),
      );
      for (const count of counts) expect(count).toBeGreaterThan(10);
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  },
  KILLS * 12_000,
);
