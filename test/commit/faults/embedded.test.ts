/**
 * The embedded store, PGlite in a directory: it outlives its process, also one that is killed in the midst of commits,
 * and one process at a time has it open. PGlite leaves it to the system when its files reach the disk, so this is what it
 * promises when a process ends, not when the machine does.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { CommitStore } from '../../../src/commit/commit-store.ts';
import { COMMIT_TIMINGS } from '../../../src/commit/commit-timings.ts';
import { openPgliteDatabase } from '../../../src/commit/storage/pglite-database.ts';
import { openSqlStorage } from '../../../src/commit/storage/sql-storage.ts';
import { temporaryDirectory } from '../../temporary.ts';
import { NodeProcess } from './fault-cluster.ts';
import { checkHistory, prefixEnd } from './history-checker.ts';
import { readHistory } from './history-file.ts';
import { pairText } from './key-text.ts';
import { ACCOUNTS_TOTAL } from './workload.ts';

const KILLS = Number(process.env.BITLOOM_COMMIT_EMBEDDED_KILLS ?? 3);
const SCHEMA = 'embedded';
/** Who comes after a killed process waits for its lease to end. */
const TIMINGS = { ...COMMIT_TIMINGS, leaseMs: 500, renewMs: 100, electionRetryMs: 50 };

const folder = temporaryDirectory();
const running: NodeProcess[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.kill()));
});

async function openStore(directory: string): Promise<CommitStore> {
  const storage = await openSqlStorage(await openPgliteDatabase({ directory, schema: SCHEMA }));
  return await new CommitStore({ storage, timings: TIMINGS }).start();
}

function startNode(name: string, directory: string): NodeProcess {
  const node = new NodeProcess({
    name,
    at: { directory },
    schema: SCHEMA,
    timings: TIMINGS,
    clients: 6,
    historyFile: join(folder.path, `${name}.jsonl`),
    timeoutMs: 15_000,
    pauseMsMax: 10,
    isMute: false,
  });
  running.push(node);
  return node;
}

async function contentOf(store: CommitStore, from: string): Promise<[string, string][]> {
  const pairs: [string, string][] = [];
  await store.transact(async (tx) => {
    pairs.length = 0;
    for await (const { key, value } of tx.getRange(Buffer.from(from), Buffer.from(prefixEnd('z')))) {
      pairs.push(pairText(key, value));
    }
  });
  return pairs;
}

test('what was committed is there, is watched, and is there again when the directory is opened again', async () => {
  const directory = join(folder.path, 'reopened');
  const store = await openStore(directory);
  const watch = store.watch(Buffer.from('k'), Buffer.from('l'));
  const versions: number[] = [];
  for (let at = 0; at < 5; at++) {
    const { version } = await store.transact(async (tx) => {
      const value = await tx.get(Buffer.from('k'));
      tx.set(Buffer.from('k'), Buffer.from(`${Buffer.from(value ?? []).toString()}${at}`));
    });
    versions.push(version);
    await store.transact((tx) => tx.set(Buffer.from('other'), randomBytes(100)));
    expect(await watch.next()).toEqual({ done: false, value: version });
  }
  await store.close();
  expect(await watch.next()).toEqual({ done: true, value: undefined });

  const again = await openStore(directory);
  expect((await contentOf(again, 'k'))[0]).toEqual(['k', '01234']);
  const { version } = await again.transact((tx) => tx.set(Buffer.from('k'), Buffer.from('5')));
  expect(version).toBeGreaterThan(versions.at(-1)!);
  await again.close();
});

test(
  `${KILLS} kills of its process lose no acknowledged commit and double none`,
  async () => {
    const directory = join(folder.path, 'killed');
    const names: string[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const node = startNode(`e${kill}`, directory);
      if (kill % 3 === 1) {
        // While it opens, and makes good what the last kill left.
        await sleep(1000 + Math.random() * 2000);
      } else {
        await node.ready();
        names.push(node.name);
        await sleep(300 + Math.random() * 700);
      }
      await node.kill();
    }
    const store = await openStore(directory);
    const finalState = await contentOf(store, '!');
    await store.close();
    const attempts = running.flatMap(({ historyFile, name }) =>
      existsSync(historyFile) ? readHistory(historyFile, name) : [],
    );
    expect(checkHistory({ attempts, finalState, total: ACCOUNTS_TOTAL }).slice(0, 20)).toEqual([]);
    const acknowledged = attempts.filter(
      ({ outcome, writes }) => outcome === 'committed' && writes.length > 0,
    );
    for (const name of names) {
      expect(acknowledged.filter((attempt) => attempt.process === name).length, name).toBeGreaterThan(0);
    }
  },
  30_000 + KILLS * 20_000,
);

test('a second process, and the same one, are told that the directory is open already', async () => {
  const directory = join(folder.path, 'locked');
  const node = await startNode('holder', directory).ready();
  await expect(startNode('second', directory).ready()).rejects.toMatchObject({
    code: 'DIRECTORY_LOCKED',
    message: expect.stringContaining(directory),
  });
  await expect(openStore(directory)).rejects.toMatchObject({
    code: 'DIRECTORY_LOCKED',
    hint: expect.stringContaining('one process at a time'),
  });
  await node.kill();

  const store = await openStore(directory);
  await expect(openStore(directory)).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED' });
  await store.close();
});
