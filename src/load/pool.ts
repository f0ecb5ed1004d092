/**
 * The worker threads of the loader: a Piscina pool behind one typed call. A worker that dies fails its task with
 * WORKER_CRASHED and is replaced for the next one; nothing is retried.
 */
import { Piscina } from 'piscina';
import { BitloomError, errorFromData } from '../errors.ts';
import { WORKER_IDLE_MS } from '../limits.ts';
import { threadEntry } from '../thread-entry.ts';
import type { Outcome, PoolResults, PoolTask } from './chunk-messages.ts';

export class LoadPool {
  readonly threads: number;
  readonly #piscina: Piscina;

  constructor(threads: number) {
    this.threads = threads;
    this.#piscina = new Piscina({
      filename: threadEntry('chunk').href,
      name: 'default',
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: WORKER_IDLE_MS,
      recordTiming: false,
    });
  }

  /** Errors: those of the task, and WORKER_CRASHED. */
  async run<Kind extends PoolTask['kind']>(
    task: Extract<PoolTask, { kind: Kind }>,
  ): Promise<PoolResults[Kind]> {
    let outcome: Outcome<PoolResults[Kind]>;
    try {
      outcome = await this.#piscina.run(task);
    } catch (cause) {
      throw new BitloomError('WORKER_CRASHED', `a worker thread ended during a ${task.kind} task`, {
        hint: 'see the cause; if it ran out of memory, lower threads or chunkLines',
        cause,
      });
    }
    if (outcome.ok) return outcome.value;
    throw errorFromData(outcome.error);
  }

  /** Ends every thread. Tasks still running are lost. */
  async close(): Promise<void> {
    await this.#piscina.destroy();
  }
}
