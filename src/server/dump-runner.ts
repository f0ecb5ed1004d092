/**
 * Loads the registered dumps, one after the other in the order of registration, and tells the registry what becomes of
 * each. Whatever ends a load, its entry ends too.
 */
import type { BitloomIndex } from '../engine/index-api.ts';
import { BitloomError } from '../errors.ts';
import type { DumpEntry, DumpRegistry, DumpRequest } from '../load/dump-registry.ts';
import type { LoadProgress, LoadReport } from '../load/options.ts';
import type { DumpFiles } from './dump-files.ts';

export interface DumpRunnerOptions {
  readonly index: Pick<BitloomIndex, 'load' | 'stats'>;
  readonly registry: DumpRegistry;
  readonly files: DumpFiles;
  readonly onEnd: (entry: DumpEntry, report: LoadReport | null) => void;
  /** What should not happen, such as a registry that cannot be written. */
  readonly onError: (error: unknown) => void;
}

interface Running {
  readonly name: string;
  readonly cancel: AbortController;
  progress: LoadProgress | null;
  ended: Promise<void>;
}

export class DumpRunner {
  readonly #options: DumpRunnerOptions;
  #running: Running | null = null;
  #isClosed = false;

  constructor(options: DumpRunnerOptions) {
    this.#options = options;
  }

  /** Starts what is registered, as far as nothing is running. */
  start(): void {
    if (this.#running !== null || this.#isClosed) return;
    const next = this.#options.registry.list().find(({ status }) => status === 'registered');
    if (next === undefined) return;
    const running: Running = {
      name: next.name,
      cancel: new AbortController(),
      progress: null,
      ended: Promise.resolve(),
    };
    this.#running = running;
    running.ended = this.#run(next, running)
      .catch(this.#options.onError)
      .finally(() => {
        this.#running = null;
        this.start();
      });
  }

  /** How far a dump has come; null unless it is being loaded. */
  progressOf(name: string): LoadProgress | null {
    return this.#running?.name === name ? this.#running.progress : null;
  }

  /**
   * Ends a dump that is not yet published; gives its entry once it has ended.
   * Errors: DUMP_UNKNOWN; DUMP_STATE when it had ended, or was published before the cancellation reached it.
   */
  async cancel(name: string): Promise<DumpEntry> {
    const { registry } = this.#options;
    const running = this.#running;
    if (running?.name !== name) return registry.begin(name, 'cancelled', { reason: cancelledReason() });
    running.cancel.abort();
    await running.ended;
    const entry = registry.get(name);
    if (entry.status === 'cancelled') return entry;
    throw new BitloomError(
      'DUMP_STATE',
      `dump ${name} is ${entry.status}: it ended before it could be cancelled`,
      {
        hint: 'see its entry for what became of it',
        details: { status: entry.status },
      },
    );
  }

  /** Ends what is running as failed, and starts nothing more. What is registered stays so. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#running?.cancel.abort();
    await this.#running?.ended;
  }

  async #run({ name, id, tables, mode, maxRejects }: DumpEntry, running: Running): Promise<void> {
    const { index, registry, onEnd } = this.#options;
    const steps: { publishing: Promise<unknown> | null } = { publishing: null };
    const publish = (): Promise<unknown> => (steps.publishing ??= registry.record(name, 'publishing'));
    try {
      const files = await this.#checkedFiles(tables);
      await registry.begin(name, 'loading');
      const report = await index.load(files, {
        mode,
        maxRejects: maxRejects ?? Number.POSITIVE_INFINITY,
        label: id,
        signal: running.cancel.signal,
        onProgress: (progress) => {
          running.progress = progress;
          if (progress.phase === 'publish') publish().catch(this.#options.onError);
        },
      });
      // Progress comes by another way than the report and may be late.
      await publish();
      const { rows, rejectedRows, alive, version } = report;
      onEnd(
        await registry.record(name, 'complete', { counts: { rows, rejectedRows, alive, version } }),
        report,
      );
    } catch (error) {
      await steps.publishing;
      onEnd(await this.#recordFailure(name, error, running), null);
    }
  }

  #recordFailure(name: string, error: unknown, running: Running): Promise<DumpEntry> {
    const { registry } = this.#options;
    if (this.#isClosed) {
      const message = 'interrupted: the server was stopped, and nothing was published';
      return registry.record(name, 'failed', { reason: { code: 'DUMP_INTERRUPTED', message } });
    }
    if (running.cancel.signal.aborted)
      return registry.record(name, 'cancelled', { reason: cancelledReason() });
    const { code, message } =
      error instanceof BitloomError ? error : { code: 'INTERNAL', message: String(error) };
    return registry.record(name, 'failed', { reason: { code, message } });
  }

  /** Time has passed since the dump was registered: its files must still be allowed, its tables still the same. */
  async #checkedFiles(tables: DumpRequest['tables']): Promise<Record<string, string>> {
    const { definition } = await this.#options.index.stats();
    const files: Record<string, string> = {};
    for (const [table, { file, definitionHash }] of Object.entries(tables)) {
      if (definition.tables[table] !== definitionHash) {
        throw new BitloomError(
          'DEFINITION_CHANGED',
          `table ${table} is not what it was when the dump was registered`,
          {
            hint: 'register the dump again',
          },
        );
      }
      files[table] = await this.#options.files.resolve(file);
    }
    return files;
  }
}

function cancelledReason(): NonNullable<DumpEntry['reason']> {
  return { code: 'DUMP_CANCELLED', message: 'cancelled on request; nothing was published' };
}
