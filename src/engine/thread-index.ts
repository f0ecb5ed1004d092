/**
 * An index whose engine lives in a thread of its own, so that neither loads nor queries stop the caller's event loop.
 * The caller's thread holds only this proxy. When the thread dies, every call fails with ENGINE_CRASHED and its cause.
 */
import { Worker } from 'node:worker_threads';
import * as Comlink from 'comlink';
import type { IndexDefinition } from '../config/definition.ts';
import { BitloomError, errorFromData } from '../errors.ts';
import type { Outcome } from '../load/chunk-messages.ts';
import type { LoadOptions, LoadReport } from '../load/options.ts';
import type { LogPosition } from '../log/log-position.ts';
import type { Batch } from '../ops/op.ts';
import { encodeBatch } from '../ops/op-codec.ts';
import type { Page, Query } from '../query/query.ts';
import type { Where } from '../query/where.ts';
import { threadEntry } from '../thread-entry.ts';
import { acceptBatch } from './accept-batch.ts';
import { nodeEndpoint } from './comlink-endpoint.ts';
import type { ApplyOptions, ApplyReport, BitloomIndex, IndexStats, OpenOptions } from './index-api.ts';
import type { OpenedEngine, ThreadHost } from './thread-host.ts';

export class ThreadIndex implements BitloomIndex {
  readonly #worker: Worker;
  /** Strong reference: Comlink drops calls in flight when a proxy is collected. */
  readonly #host: Comlink.Remote<ThreadHost>;
  /** Calls in flight: how to fail each of them when the thread ends. */
  readonly #pending = new Set<(error: BitloomError) => void>();
  /** What ops are read by. */
  #definition: IndexDefinition | null = null;
  readonly #dedups: boolean;
  #closing: Promise<void> | null = null;
  /** Set when the thread has ended without being asked to. */
  #crash: BitloomError | null = null;

  private constructor(worker: Worker, dedups: boolean) {
    this.#dedups = dedups;
    this.#worker = worker;
    this.#host = Comlink.wrap<ThreadHost>(nodeEndpoint(worker));
    worker.once('error', (cause) => this.#crashed(cause));
    worker.once('exit', () => {
      if (this.#closing === null) this.#crashed();
      else this.#failPending(closed());
    });
  }

  static async open(options: OpenOptions): Promise<ThreadIndex> {
    const { onWarning, inProcess: _inProcess, ...plain } = options;
    const worker = new Worker(threadEntry('engine'), { name: 'bitloom engine' });
    const index = new ThreadIndex(worker, options.dedup ?? true);
    try {
      const { warnings, definition } = await index.#call<OpenedEngine>(() => index.#host.open(plain));
      index.#definition = definition;
      for (const warning of warnings) (onWarning ?? emitWarning)(warning);
      return index;
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  async load(files: Readonly<Record<string, string>>, options: LoadOptions = {}): Promise<LoadReport> {
    const { onProgress, signal, ...plain } = options;
    if (signal?.aborted === true) {
      throw new BitloomError('LOAD_CANCELLED', 'the load was cancelled before it began', {
        cause: signal.reason,
      });
    }
    const cancel = (): void => void this.#host.cancelLoad();
    signal?.addEventListener('abort', cancel);
    try {
      const listener = onProgress === undefined ? null : Comlink.proxy(onProgress);
      const report = await this.#call<LoadReport>(() => this.#host.load(files, plain, listener));
      this.#definition = await this.#call<IndexDefinition>(() => this.#host.definition());
      return report;
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  /** Checks and encodes the batch here, so that what crosses to the engine is what its log stores, without a copy. */
  async apply(batch: Batch, options: ApplyOptions = {}): Promise<ApplyReport> {
    if (this.#closing !== null) throw closed();
    const accepted = acceptBatch(batch, this.#definition!, options, this.#dedups);
    const payload = encodeBatch(accepted.batch);
    const position = await this.#call<LogPosition | null>(() =>
      this.#host.apply(Comlink.transfer(payload, [payload.buffer as ArrayBuffer])),
    );
    return { position, refused: accepted.refused };
  }

  query(query: Query): Promise<Page> {
    return this.#call(() => this.#host.query(query));
  }

  count(where?: Where): Promise<number> {
    return this.#call(() => this.#host.count(where));
  }

  stats(options?: { digest?: boolean }): Promise<IndexStats> {
    return this.#call(() => this.#host.stats(options));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      if (this.#crash === null) await this.#send<void>(() => this.#host.close());
    } finally {
      await this.#worker.terminate();
    }
  }

  async #call<T>(perform: () => Promise<unknown>): Promise<T> {
    if (this.#closing !== null) throw closed();
    if (this.#crash !== null) throw this.#crash;
    return this.#send(perform);
  }

  /** Comlink leaves a call unanswered for ever when the thread is gone, so the end of the thread answers it. */
  async #send<T>(perform: () => Promise<unknown>): Promise<T> {
    const outcome = await new Promise<Outcome<T>>((resolve, reject) => {
      this.#pending.add(reject);
      perform()
        .then((value) => resolve(value as Outcome<T>), reject)
        .finally(() => this.#pending.delete(reject));
    });
    if (outcome.ok) return outcome.value;
    throw errorFromData(outcome.error);
  }

  #crashed(cause?: unknown): void {
    this.#crash ??= new BitloomError('ENGINE_CRASHED', 'the engine thread ended unexpectedly', {
      hint: 'open the index again; what was published with a directory is safe',
      cause,
    });
    this.#failPending(this.#crash);
  }

  #failPending(error: BitloomError): void {
    for (const reject of this.#pending) reject(error);
    this.#pending.clear();
  }
}

function emitWarning(message: string): void {
  process.emitWarning(message, 'BitloomWarning');
}

function closed(): BitloomError {
  return new BitloomError('INDEX_CLOSED', 'the index is closed', { hint: 'open it again with openIndex' });
}
