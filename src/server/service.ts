/**
 * What stands behind the routes: the index with its dumps, and the server's own state around it. It opens after the server
 * listens, so that a replay is seen as "not ready" and not as a closed port, and it closes after the last request.
 */

import type { BitloomIndex, IndexStats } from '../engine/index-api.ts';
import { BitloomError } from '../errors.ts';
import {
  BATCHES_IN_FLIGHT_BYTES_MAX,
  BATCHES_IN_FLIGHT_MAX,
  HEARTBEAT_LATE_MS,
  HEARTBEAT_LOST_MS,
  QUERIES_IN_FLIGHT_MAX,
} from '../limits.ts';
import { type DumpEntry, type DumpRegistry, openDumpRegistry } from '../load/dump-registry.ts';
import type { LoadReport } from '../load/options.ts';
import { DumpFiles } from './dump-files.ts';
import { DumpRunner } from './dump-runner.ts';
import { Heartbeat } from './heartbeat.ts';
import { ServerMetrics } from './metrics.ts';
import type { ServerSettings } from './options.ts';
import { Permits } from './permits.ts';
import { PositionGate } from './position-gate.ts';
import { SourceProgressTable } from './source-progress.ts';
import type { Readiness } from './wire.ts';

/** Opens the index to serve. */
export type OpenServedIndex = (onWarning: (message: string) => void) => Promise<BitloomIndex>;

/** Everything that is there once the index is open. */
export interface OpenService {
  readonly index: BitloomIndex;
  readonly registry: DumpRegistry;
  readonly runner: DumpRunner;
  readonly files: DumpFiles;
  readonly heartbeat: Heartbeat;
}

export class Service {
  readonly settings: ServerSettings;
  readonly metrics = new ServerMetrics();
  readonly batches = new Permits({
    what: 'batches',
    countMax: BATCHES_IN_FLIGHT_MAX,
    bytesMax: BATCHES_IN_FLIGHT_BYTES_MAX,
  });
  readonly queries = new Permits({ what: 'queries', countMax: QUERIES_IN_FLIGHT_MAX });
  readonly positions = new PositionGate();
  readonly sources = new SourceProgressTable();
  readonly #openIndex: OpenServedIndex;
  readonly #onCrash: (error: BitloomError) => void;
  #opened: OpenService | null = null;
  #opening: Promise<void> | null = null;
  #state: 'opening' | 'open' | 'failed' | 'closing' = 'opening';
  #stats: IndexStats | null = null;

  constructor(settings: ServerSettings, openIndex: OpenServedIndex, onCrash: (error: BitloomError) => void) {
    this.settings = settings;
    this.#openIndex = openIndex;
    this.#onCrash = onCrash;
  }

  /** Errors: those of `openIndex`, OPTION_INVALID, DUMP_REGISTRY_UNREADABLE. */
  open(): Promise<void> {
    this.#opening ??= this.#open().catch((error) => {
      if (this.#state === 'opening') this.#state = 'failed';
      throw error;
    });
    return this.#opening;
  }

  /** Error NOT_READY. */
  requireOpen(): OpenService {
    if (this.#state === 'open' && this.#opened !== null) return this.#opened;
    throw new BitloomError('NOT_READY', `the index is ${this.#state === 'open' ? 'opening' : this.#state}`, {
      hint: 'wait until /readyz answers 200',
      details: { retryable: true },
    });
  }

  get isClosing(): boolean {
    return this.#state === 'closing';
  }

  /** Nothing new begins; a dump that is being loaded ends. */
  async stopDumps(): Promise<void> {
    this.#state = 'closing';
    await this.#opened?.runner.close();
  }

  /** Closes the index, also one that is still opening. */
  async close(): Promise<void> {
    this.#state = 'closing';
    await this.#opening?.catch(() => {});
    this.#opened?.heartbeat.stop();
    await this.#opened?.runner.close();
    await this.#opened?.index.close();
  }

  readiness(): Readiness {
    const index = this.#state === 'open' ? 'ok' : this.#state;
    const heartbeat = this.#opened?.heartbeat;
    let engine: Readiness['checks']['engine'] = 'unknown';
    if (heartbeat !== undefined) {
      if (heartbeat.failure !== null) engine = 'failed';
      else engine = heartbeat.ageMs > HEARTBEAT_LATE_MS ? 'late' : 'ok';
    }
    let log: Readiness['checks']['log'] = 'unknown';
    if (this.#stats !== null) {
      if (this.#stats.log === null) log = 'none';
      else log = this.#stats.log.state === 'writable' ? 'ok' : 'failed';
    }
    const ready = index === 'ok' && engine === 'ok' && (log === 'ok' || log === 'none');
    return { ready, checks: { index, engine, log } };
  }

  /** False when only a new process can help. */
  isLive(): boolean {
    if (this.#state === 'failed') return false;
    const heartbeat = this.#opened?.heartbeat;
    return heartbeat === undefined || (!heartbeat.isLost && heartbeat.ageMs < HEARTBEAT_LOST_MS);
  }

  scrape(): Promise<string> {
    const { heartbeat, registry } = this.#opened ?? {};
    return this.metrics.scrape({
      stats: this.#stats,
      sources: this.sources.list(),
      dumps: registry?.list() ?? [],
      batchesInFlight: this.batches.count,
      batchBytesInFlight: this.batches.bytes,
      queriesInFlight: this.queries.count,
      isReady: this.readiness().ready,
      heartbeatAgeSeconds: heartbeat === undefined ? null : heartbeat.ageMs / 1000,
    });
  }

  async #open(): Promise<void> {
    const {
      logger,
      dumpDirectories,
      index: { directory },
    } = this.settings;
    const onWarning = (message: string): void => logger.warn(message);
    const files = await DumpFiles.open(dumpDirectories);
    const index = await this.#openIndex(onWarning);
    try {
      const stats = await index.stats();
      this.#learn(stats);
      this.sources.restore(stats.sources);
      const registry = await openDumpRegistry({
        directory: directory ?? null,
        lastLoad: stats.lastLoad,
        onWarning,
      });
      const runner = new DumpRunner({
        index,
        registry,
        files,
        onEnd: (entry, report) => this.#dumpEnded(entry, report),
        onError: (error) => logger.error({ err: error }, 'a dump could not be followed'),
      });
      const heartbeat = new Heartbeat(index, (each) => this.#learn(each), this.#onCrash);
      this.#opened = { index, registry, runner, files, heartbeat };
    } catch (error) {
      await index.close();
      throw error;
    }
    // Closing may have been asked for meanwhile, and then wins.
    if (this.#state !== 'opening') return;
    this.#state = 'open';
    this.#opened.runner.start();
  }

  #learn(stats: IndexStats): void {
    this.#stats = stats;
    if (stats.position !== null) this.positions.reached(stats.position.sequence);
  }

  #dumpEnded(entry: DumpEntry, report: LoadReport | null): void {
    this.metrics.dumpsEnded.inc({ status: entry.status });
    this.metrics.rejectedRows.inc(report?.rejectedRows ?? 0);
    const { name, status, reason, counts } = entry;
    this.settings.logger[status === 'failed' ? 'warn' : 'info'](
      { dump: name, reason, counts },
      `dump ${status}`,
    );
  }
}
