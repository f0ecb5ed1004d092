/** Peak memory of loading a whole dump, in a process of its own, threads and all: what other work left behind is not in it. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { BitloomError } from '../src/errors.ts';
import type { BenchDump } from './dump.ts';

export interface MemoryResult {
  /** Of images.csv. */
  readonly rows: number;
  readonly fileBytes: number;
  readonly threads: number;
  /** Resident set with the empty index open. */
  readonly baselineBytes: number;
  readonly peakBytes: number;
  readonly indexBytes: number;
  /** The peak without the baseline and without the index: what loading itself takes. */
  readonly loadBytes: number;
}

interface ChildMessage {
  readonly baselineBytes: number;
  readonly peakBytes: number;
  readonly indexBytes: number;
}

/** From the sources that of the last build: a loader of TypeScript would take part in what is measured. */
const CHILD_FILE = import.meta.url.endsWith('.ts')
  ? new URL('../dist/bench/memory-child.js', import.meta.url)
  : new URL('./memory-child.js', import.meta.url);

export async function measureMemory(dump: BenchDump, threads: number): Promise<MemoryResult> {
  const pairs = dump.files.map(({ table, path }) => `${table}=${path}`);
  const child = fork(fileURLToPath(CHILD_FILE), [dump.definition, String(threads), ...pairs], {
    execArgv: [],
  });
  let message: ChildMessage | null = null;
  child.once('message', (received) => {
    message = received as ChildMessage;
  });
  const [code] = await once(child, 'close');
  return resultOf(message, code as number | null, dump, threads);
}

function resultOf(
  message: ChildMessage | null,
  code: number | null,
  dump: BenchDump,
  threads: number,
): MemoryResult {
  if (message === null) {
    throw new BitloomError('BENCH_CHILD', `the process that measures memory ended with code ${code}`, {
      hint: 'its error is above; it loads the whole dump in memory',
    });
  }
  return {
    rows: dump.rows,
    fileBytes: dump.files.reduce((sum, { bytes }) => sum + bytes, 0),
    threads,
    ...message,
    loadBytes: message.peakBytes - message.baselineBytes - message.indexBytes,
  };
}
