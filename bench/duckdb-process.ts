/** DuckDB as the peer of a load, in a child process that idles while the other side is measured. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { BitloomError } from '../src/errors.ts';
import { answerOf } from './child-answer.ts';
import { childFile } from './child-file.ts';
import type { BenchDump } from './dump.ts';
import type { LoadPeer } from './load.ts';

type Answer = { readonly ok: boolean; readonly elapsedMs?: number; readonly message?: string };

export interface DuckdbProcessOptions {
  readonly threads: number;
  /** Rows keep the order of the file, as DuckDB does by default. */
  readonly ordered: boolean;
}

export class DuckdbProcess implements LoadPeer {
  readonly name: string;
  readonly #child: ChildProcess;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
  }

  /** Null where @duckdb/node-api is not installed. */
  static async open({ threads, ordered }: DuckdbProcessOptions): Promise<DuckdbProcess | null> {
    const order = ordered ? 'ordered' : 'any order';
    const child = fork(childFile('duckdb-child'), [String(threads), order], { execArgv: [] });
    const peer = new DuckdbProcess(ordered ? 'DuckDB' : 'DuckDB in any order', child);
    const { ok } = await peer.#answer();
    if (ok) return peer;
    await peer.close();
    return null;
  }

  async load(files: BenchDump['files']): Promise<number> {
    const answer = this.#answer();
    this.#child.send(files);
    const { ok, elapsedMs, message } = await answer;
    if (ok && elapsedMs !== undefined) return elapsedMs;
    throw childError(message ?? 'it gave no time');
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, 'close');
    this.#child.kill();
    await ended;
  }

  #answer(): Promise<Answer> {
    return answerOf(this.#child, (code) => childError(`it ended with code ${code}`));
  }
}

function childError(what: string): BitloomError {
  return new BitloomError('BENCH_CHILD', `the process that loads with DuckDB failed: ${what}`, {
    hint: 'its error is above; leave DuckDB out with --only',
  });
}
