import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { acquireLock } from '../../../src/index/directory/lock.ts';
import { livenessOf, ownIdentity } from '../../../src/index/directory/process-identity.ts';
import { nextLine, startFixture } from './child.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'bitloom-lock-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test('one holder at a time, and the error names it', async () => {
  const lock = await acquireLock(directory);
  await expect(acquireLock(directory)).rejects.toMatchObject({
    code: 'DIRECTORY_LOCKED',
    message: `${directory} is in use by this process (${process.pid})`,
    details: { pid: process.pid },
  });
  await lock.release();
  const again = await acquireLock(directory);
  await lock.release();
  await expect(acquireLock(directory)).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED' });
  await again.release();
  expect(await readdir(directory)).toEqual([]);
});

test('the lock of a killed process is taken over; a living one keeps it', async () => {
  const child = startFixture('hold-lock.ts', directory);
  expect(await nextLine(child)).toBe('locked');
  await expect(acquireLock(directory)).rejects.toMatchObject({
    code: 'DIRECTORY_LOCKED',
    details: { pid: child.process.pid },
  });
  await child.kill();
  const lock = await acquireLock(directory);
  await lock.release();
});

test('of many contenders for the lock of a dead process exactly one wins', async () => {
  const dead = { ...ownIdentity(), startTicks: '1' };
  for (let round = 0; round < 3; round++) {
    await writeFile(path.join(directory, 'lock'), JSON.stringify({ ...dead, nonce: round }));
    const startAtMs = String(Date.now() + 1500);
    const children = Array.from({ length: 4 }, () => startFixture('hold-lock.ts', directory, startAtMs));
    const outcomes = await Promise.all(children.map(nextLine));
    await Promise.all(children.map((child) => child.kill()));
    expect(outcomes.sort()).toEqual(['DIRECTORY_LOCKED', 'DIRECTORY_LOCKED', 'DIRECTORY_LOCKED', 'locked']);
  }
});

test('contenders inside one process exclude each other too', async () => {
  for (let round = 0; round < 20; round++) {
    await writeFile(
      path.join(directory, 'lock'),
      JSON.stringify({ ...ownIdentity(), startTicks: '1', nonce: round }),
    );
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => acquireLock(directory)));
    const won = results.filter((result) => result.status === 'fulfilled');
    expect(won).toHaveLength(1);
    await won[0].value.release();
    expect((await readdir(directory)).filter((file) => !file.includes('takeover'))).toEqual([]);
  }
});

test('a contender that died while taking over does not block the lock', async () => {
  const dead = { ...ownIdentity(), startTicks: '1' };
  const content = JSON.stringify({ ...dead, nonce: 'a' });
  await writeFile(path.join(directory, 'lock'), content);
  const { createHash } = await import('node:crypto');
  const token = createHash('sha256').update(content).digest('hex').slice(0, 32);
  await writeFile(path.join(directory, `lock-takeover-${token}`), JSON.stringify({ ...dead, nonce: 'b' }));
  const lock = await acquireLock(directory);
  await expect(acquireLock(directory)).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED' });
  await lock.release();
  expect(await readdir(directory)).toEqual([]);
});

test('a lock cut off by a crash of the machine is taken over', async () => {
  await writeFile(path.join(directory, 'lock'), '{"pid":12');
  const lock = await acquireLock(directory);
  await lock.release();
});

test('the same process id with another start time or boot is a dead process', () => {
  const own = ownIdentity();
  expect(livenessOf(own)).toBe('alive');
  expect(livenessOf({ ...own, startTicks: '1' })).toBe('dead');
  expect(livenessOf({ ...own, bootId: 'before' })).toBe('dead');
  expect(livenessOf({ ...own, bootId: 'there', host: 'elsewhere' })).toBe('unknown');
  expect(livenessOf({ ...own, pidNamespace: 'container' })).toBe('unknown');
});

test('a holder that cannot be seen from here keeps its lock, and the hint says what to do', async () => {
  await writeFile(
    path.join(directory, 'lock'),
    JSON.stringify({ ...ownIdentity(), pidNamespace: 'container' }),
  );
  await expect(acquireLock(directory)).rejects.toMatchObject({
    code: 'DIRECTORY_LOCKED',
    hint: expect.stringContaining(path.join(directory, 'lock')),
  });
});
