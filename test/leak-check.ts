/**
 * Runs around every test file: a thread, a child process or an open file that a test leaves behind fails the file.
 * Its hooks are registered first, so that they run after the hooks of the file itself.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect } from 'vitest';

/** What has just been closed may need a moment to be gone. */
const GRACE_MS = 3000;

/**
 * Devices, and program files: Node.js leaves open what a thread was loading when it was terminated, be it a module, the
 * cache of tsx or, from the addon loader, the executable itself.
 */
const NOT_OURS = new RegExp(`^/(dev|proc)/|/tsx-\\d+/|/node_modules/|/dist/|^${process.execPath}$`);

const workers = new Set<Worker>();
process.on('worker', (worker) => {
  workers.add(worker);
  worker.once('exit', () => workers.delete(worker));
});

let filesBefore: ReadonlySet<string>;

beforeAll(() => {
  filesBefore = new Set(openFiles());
});

afterAll(async () => {
  const deadlineMs = performance.now() + GRACE_MS;
  while (leaks().length > 0 && performance.now() < deadlineMs) await sleep(20);
  expect(leaks(), 'left behind by this test file').toEqual([]);
});

function leaks(): string[] {
  return [
    ...Array.from(workers, (worker) => `worker thread ${worker.threadId}`),
    ...process.getActiveResourcesInfo().filter((resource) => resource === 'ProcessWrap'),
    ...openFiles().filter((file) => !filesBefore.has(file)),
  ];
}

/** Paths of the open regular files, where the system tells (Linux); pipes, sockets and devices are not of interest. */
function openFiles(): string[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`);
      return path.startsWith('/') && !NOT_OURS.test(path) ? [path] : [];
    } catch {
      return []; // closed since the directory was listed, as is the one of the listing itself
    }
  });
}
