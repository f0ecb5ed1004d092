/**
 * The engine as its thread exposes it over Comlink: the same calls, with outcomes as data, because error classes,
 * signals and functions do not cross threads by themselves.
 */
import * as Comlink from 'comlink';
import type { IndexDefinition } from '../config/definition.ts';
import { errorToData } from '../errors.ts';
import type { Outcome } from '../load/chunk-messages.ts';
import type { LoadOptions, LoadProgress, LoadReport } from '../load/options.ts';
import type { LogPosition } from '../log/log-position.ts';
import type { Page, Query } from '../query/query.ts';
import type { Where } from '../query/where.ts';
import { Engine } from './engine.ts';
import type { IndexStats, OpenOptions } from './index-api.ts';

/** Options without what cannot be cloned. */
export type PlainOpenOptions = Omit<OpenOptions, 'onWarning' | 'inProcess'>;
export type PlainLoadOptions = Omit<LoadOptions, 'onProgress' | 'signal'>;

export interface OpenedEngine {
  readonly warnings: readonly string[];
  readonly definition: IndexDefinition;
}

export class ThreadHost {
  #engine: Engine | null = null;
  #cancelling: AbortController | null = null;

  /** Gives the warnings of opening; later ones go to the process. */
  open(options: PlainOpenOptions): Promise<Outcome<OpenedEngine>> {
    return outcomeOf(async () => {
      const warnings: string[] = [];
      let isOpen = false;
      const onWarning = (message: string) => {
        if (isOpen) process.emitWarning(message, 'BitloomWarning');
        else warnings.push(message);
      };
      this.#engine = await Engine.open({ ...options, onWarning });
      isOpen = true;
      return { warnings, definition: this.#engine.definition };
    });
  }

  /** What ops are read by; it changes with a load. */
  definition(): Promise<Outcome<IndexDefinition>> {
    return outcomeOf(async () => this.#opened().definition);
  }

  /** The bytes of an accepted batch. */
  apply(payload: Uint8Array): Promise<Outcome<LogPosition | null>> {
    return outcomeOf(() => this.#opened().applyEncoded(payload));
  }

  load(
    files: Readonly<Record<string, string>>,
    options: PlainLoadOptions,
    onProgress: ((progress: LoadProgress) => void) | null,
  ): Promise<Outcome<LoadReport>> {
    return outcomeOf(async () => {
      const controller = new AbortController();
      this.#cancelling ??= controller;
      try {
        const report = { ...options, signal: controller.signal };
        if (onProgress === null) return await this.#opened().load(files, report);
        return await this.#opened().load(files, { ...report, onProgress });
      } finally {
        if (this.#cancelling === controller) this.#cancelling = null;
        if (onProgress !== null) (onProgress as unknown as Comlink.ProxyMethods)[Comlink.releaseProxy]();
      }
    });
  }

  cancelLoad(): void {
    this.#cancelling?.abort();
  }

  query(query: Query): Promise<Outcome<Page>> {
    return outcomeOf(() => this.#opened().query(query));
  }

  count(where: Where | undefined): Promise<Outcome<number>> {
    return outcomeOf(() => this.#opened().count(where));
  }

  stats(options: { digest?: boolean } | undefined): Promise<Outcome<IndexStats>> {
    return outcomeOf(() => this.#opened().stats(options));
  }

  close(): Promise<Outcome<void>> {
    return outcomeOf(async () => this.#engine?.close());
  }

  #opened(): Engine {
    if (this.#engine === null) throw new Error('the engine is not open');
    return this.#engine;
  }
}

async function outcomeOf<T>(perform: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await perform() };
  } catch (error) {
    return { ok: false, error: errorToData(error) };
  }
}
