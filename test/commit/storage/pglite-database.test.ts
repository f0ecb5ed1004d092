/** What is special about a database in the process: its directory, and that it ends with the process. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openPgliteDatabase } from '../../../src/commit/storage/pglite-database.ts';
import { openSqlStorage } from '../../../src/commit/storage/sql-storage.ts';
import { temporaryDirectory } from '../../temporary.ts';
import { batchOf, bytes, LEASE_MS, pairs, requestOf } from './batches.ts';

const temporary = temporaryDirectory();
const CHILD = new URL('./fixtures/pglite-child.ts', import.meta.url);

const open = async (name: string) =>
  await openSqlStorage(
    await openPgliteDatabase({ directory: path.join(temporary.path, name, 'inner'), schema: 'commits' }),
  );

test('a directory keeps what was committed, and is held by one at a time', async () => {
  const first = await open('kept');
  const lease = (await first.acquireLease('a', LEASE_MS))!;
  await first.apply(batchOf(lease, { upserts: pairs({ a: '1' }) }));
  await expect(open('kept')).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED' });
  await Promise.all([first.close(), first.close()]);
  await expect(first.now()).rejects.toMatchObject({ code: 'STORE_CLOSED' });

  const second = await open('kept');
  expect(await second.get([bytes('a')], undefined)).toEqual({ version: 1, values: [bytes('1')] });
  expect(await second.acquireLease('b', LEASE_MS)).toBeUndefined();
  await second.close();
});

test('a killed process loses nothing that was applied, and its directory can be opened', async () => {
  const directory = path.join(temporary.path, 'killed');
  const child = fork(CHILD, [directory], { execArgv: ['--import', 'tsx'], stdio: 'inherit' });
  try {
    const [applied] = await once(child, 'message');
    expect(applied).toBe('applied');
    await expect(openPgliteDatabase({ directory, schema: 'commits' })).rejects.toMatchObject({
      code: 'DIRECTORY_LOCKED',
    });
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  const storage = await openSqlStorage(await openPgliteDatabase({ directory, schema: 'commits' }));
  try {
    expect(await storage.get([bytes('k')], undefined)).toEqual({ version: 20, values: [bytes('20')] });
    expect(await storage.get([bytes('k')], 7)).toEqual({ version: 7, values: [bytes('7')] });
    // The queue promises nothing, but works.
    await storage.enqueue([requestOf(9)], true);
    const claim = await storage.claim({ countMax: 9, bytesMax: 1e6 });
    expect(claim.requests.at(-1)).toEqual(requestOf(9));
  } finally {
    await storage.close();
  }
});

test('without a directory everything ends with the database', async () => {
  const storage = await openSqlStorage(await openPgliteDatabase({ schema: 'commits' }));
  const lease = (await storage.acquireLease('a', LEASE_MS))!;
  expect(await storage.apply(batchOf(lease, { upserts: pairs({ a: '1' }) }))).toBe('applied');
  await storage.close();
});
