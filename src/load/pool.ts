/**
 * The worker threads of the loader: a Piscina pool behind one typed call. A worker that dies fails its task with
 * WORKER_CRASHED and is replaced for the next one; nothing is retried.
 */
import { Piscina } from 'piscina';
import { BitloomError, errorFromData } from '../errors.ts';
import { WORKER_IDLE_MS, WORKER_YOUNG_GENERATION_MB } from '../limits.ts';
import { threadEntry } from '../thread-entry.ts';
import type { Outcome, PoolResults, PoolTask } from './chunk-messages.ts';
import { SpareBlocks } from './message-blocks.ts';

export class LoadPool {
  readonly threads: number;
  /** Memory of chunk messages that goes from load to load. */
  readonly spareBlocks = new SpareBlocks();
  readonly #piscina: Piscina;
  /** Tasks that a thread may be busy with, even if they have failed for us: how to fail each of them. */
  readonly #running = new Map<Promise<void>, (cause: unknown) => void>();

  constructor(threads: number, entry: URL = threadEntry('chunk')) {
    this.threads = threads;
    this.#piscina = new Piscina({
      filename: entry.href,
      name: 'default',
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: WORKER_IDLE_MS,
      recordTiming: false,
      resourceLimits: { maxYoungGenerationSizeMb: WORKER_YOUNG_GENERATION_MB },
    });
    // A thread that cannot even start belongs to no task: the pool only says so here, and its task would wait for ever.
    this.#piscina.on('error', (cause) => {
      for (const fail of this.#running.values()) fail(cause);
    });
  }

  /** Errors: those of the task, and WORKER_CRASHED. */
  async run<Kind extends PoolTask['kind']>(
    task: Extract<PoolTask, { kind: Kind }>,
  ): Promise<PoolResults[Kind]> {
    let outcome: Outcome<PoolResults[Kind]>;
    try {
      outcome = await this.#runTask(task);
    } catch (cause) {
      throw new BitloomError('WORKER_CRASHED', `a worker thread ended during a ${task.kind} task`, {
        hint: 'see the cause; if it ran out of memory, lower threads or chunkLines',
        cause,
      });
    }
    if (outcome.ok) return outcome.value;
    throw errorFromData(outcome.error);
  }

  #runTask<T>(task: PoolTask): Promise<Outcome<T>> {
    return new Promise((resolve, reject) => {
      const running: Promise<void> = this.#piscina
        .run(task)
        .then(resolve, reject)
        .finally(() => this.#running.delete(running));
      this.#running.set(running, reject);
    });
  }

  /** Resolves when no thread works on any of the tasks given so far, which after a failure may be never. */
  async idle(): Promise<void> {
    await Promise.all(this.#running.keys());
  }

  /** Ends every thread. Tasks still running are lost. */
  async close(): Promise<void> {
    await this.#piscina.destroy();
  }
}
