/** Peak memory of loading a whole dump, in a process of its own, threads and all: what other work left behind is not in it. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { BitloomError } from '../src/errors.ts';
import { childFile } from './child-file.ts';
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

export async function measureMemory(dump: BenchDump, threads: number): Promise<MemoryResult> {
  const pairs = dump.files.map(({ table, path }) => `${table}=${path}`);
  const child = fork(childFile('memory-child'), [dump.definition, String(threads), ...pairs], {
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
