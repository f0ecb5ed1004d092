/**
 * The lock of an index directory: the file `lock` with the identity of the process that holds it.
 *
 * Taking it is one atomic link() of a file that is already complete. A lock whose holder is dead is taken over: by
 * whoever first holds a second lock, named after the content of the dead one, and still finds that content in place;
 * the replacement is one rename(). So of any number of contenders one wins, and the one that looked too early finds
 * another content. The second lock is a lock of the same kind, and a contender that dies holding it is taken over too.
 */
import { createHash, randomUUID } from 'node:crypto';
import { link, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { BitloomError } from '../../errors.ts';
import { LOCK_ATTEMPTS_MAX, LOCK_RETRY_DELAY_MS } from '../../limits.ts';
import { livenessOf, ownIdentity, type ProcessIdentity } from './process-identity.ts';

const LOCK_FILE = 'lock';
/** What taking a lock leaves behind when the process is killed meanwhile. */
const LEFTOVER_PATTERN = /^lock-(takeover-[0-9a-f]{32}|[0-9a-f-]{36}\.tmp)$/;

export interface DirectoryLock {
  /** Gives the lock up; does nothing when it is no longer held. */
  release(): Promise<void>;
}

/**
 * Takes the lock of a directory.
 * @throws BitloomError DIRECTORY_LOCKED, naming the holder, when another holder lives or cannot be seen from here.
 */
export async function acquireLock(directory: string): Promise<DirectoryLock> {
  const nonce = randomUUID();
  const content = JSON.stringify({ ...ownIdentity(), nonce });
  const temporary = path.join(directory, `lock-${nonce}.tmp`);
  const target = path.join(directory, LOCK_FILE);
  await writeFile(temporary, content, { flag: 'wx', flush: true });
  try {
    await acquireFile(directory, target, temporary);
  } finally {
    await rm(temporary, { force: true });
  }
  return { release: () => releaseFile(target, content) };
}

/** Whether a file of this name has to do with locking. */
export function isLockFile(file: string): boolean {
  return file === LOCK_FILE || LEFTOVER_PATTERN.test(file);
}

/** Removes what killed contenders left; those that still try keep their files. Needs the lock. */
export async function removeLockLeftovers(directory: string): Promise<void> {
  for (const file of await readdir(directory)) {
    if (!LEFTOVER_PATTERN.test(file)) continue;
    const target = path.join(directory, file);
    const holder = parseHolder((await readIfExists(target)) ?? '');
    if (holder !== null && livenessOf(holder) === 'dead') await rm(target, { force: true });
  }
}

/** Makes `target` a name of the complete file `temporary`. */
async function acquireFile(directory: string, target: string, temporary: string): Promise<void> {
  for (let attempt = 0; attempt < LOCK_ATTEMPTS_MAX; attempt++) {
    if (await linkUnlessExists(temporary, target)) return;
    const held = await readIfExists(target);
    if (held === null) continue;
    assertDead(directory, held);
    if (await takeOver(directory, target, temporary, held)) return;
    await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_DELAY_MS));
  }
  throw new BitloomError('DIRECTORY_LOCKED', `${directory} is being locked by many processes at once`, {
    hint: 'start one process per index directory',
  });
}

/** Replaces the dead content of `target` under the second lock; false when another came first. */
async function takeOver(
  directory: string,
  target: string,
  temporary: string,
  dead: string,
): Promise<boolean> {
  const second = path.join(directory, `lock-takeover-${tokenOf(dead)}`);
  // Through a file of its own, because link() makes a second name of one file and rename() between two names of one
  // file does nothing.
  const nonce = randomUUID();
  const claim = path.join(directory, `lock-${nonce}.tmp`);
  const content = JSON.stringify({ ...ownIdentity(), nonce });
  await writeFile(claim, content, { flag: 'wx', flush: true });
  try {
    await acquireFile(directory, second, claim);
  } finally {
    await rm(claim, { force: true });
  }
  try {
    if ((await readIfExists(target)) !== dead) return false;
    await rename(temporary, target);
    return true;
  } finally {
    await releaseFile(second, content);
  }
}

async function releaseFile(target: string, content: string): Promise<void> {
  if ((await readIfExists(target)) === content) await rm(target, { force: true });
}

/** A lock that cannot be read comes from a crash of the machine, and nobody holds it. */
function assertDead(directory: string, held: string): void {
  const holder = parseHolder(held);
  if (holder === null) return;
  const liveness = livenessOf(holder);
  if (liveness === 'dead') return;
  const self = liveness === 'alive' && holder.pid === process.pid;
  const who = self ? `this process (${holder.pid})` : `process ${holder.pid} on ${holder.host}`;
  throw new BitloomError('DIRECTORY_LOCKED', `${directory} is in use by ${who}`, {
    hint:
      liveness === 'alive'
        ? 'close the index there, open it with readOnly: true, or use another directory'
        : `that process cannot be seen from here; if it is gone, remove ${path.join(directory, LOCK_FILE)}`,
    details: { pid: holder.pid, host: holder.host },
  });
}

function parseHolder(held: string): ProcessIdentity | null {
  try {
    const holder = JSON.parse(held);
    return typeof holder?.pid === 'number' ? holder : null;
  } catch {
    return null;
  }
}

function tokenOf(content: string): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 32);
}

async function linkUnlessExists(existing: string, target: string): Promise<boolean> {
  try {
    await link(existing, target);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function readIfExists(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
