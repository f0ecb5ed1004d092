/**
 * The metrics of one server, for Prometheus. Seconds and bytes; totals since the process started. What the engine knows is
 * asked of it once per scrape.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { IndexStats } from '../engine/index-api.ts';
import type { DumpEntry, DumpStatus } from '../load/dump-registry.ts';
import type { FlushSeconds } from '../log/flush-times.ts';
import type { SourceProgress } from './wire.ts';

/** What a scrape shows of the moment; null where there is no index yet. */
export interface MetricsMoment {
  readonly stats: IndexStats | null;
  readonly sources: readonly SourceProgress[];
  readonly dumps: readonly DumpEntry[];
  readonly batchesInFlight: number;
  readonly batchBytesInFlight: number;
  readonly queriesInFlight: number;
  readonly isReady: boolean;
  readonly heartbeatAgeSeconds: number | null;
}

/** Of the op log; an index in memory has none, and so no such metrics. */
interface LogGauges {
  readonly bytes: Gauge;
  readonly segments: Gauge;
  readonly queuedBytes: Gauge;
  readonly writable: Gauge;
  readonly position: Gauge;
  readonly quarantined: Gauge;
}

const DUMP_STATUSES: readonly DumpStatus[] = [
  'registered',
  'loading',
  'publishing',
  'complete',
  'failed',
  'cancelled',
];
const QUERY_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
];
const APPLY_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const BATCH_ENTITIES = [1, 10, 100, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000];

export class ServerMetrics {
  readonly #registry = new Registry();
  readonly querySeconds = this.#histogram(
    'query_duration_seconds',
    'Time to answer, by kind',
    QUERY_SECONDS,
    'kind',
  );
  readonly applySeconds = this.#histogram(
    'apply_duration_seconds',
    'Time from a parsed batch to durable and visible',
    APPLY_SECONDS,
  );
  readonly batchEntities = this.#histogram('batch_entities', 'Entities of a batch', BATCH_ENTITIES);
  readonly ops = this.#counter('ops_total', 'Entities accepted, by source', 'source');
  readonly refusedEntities = this.#counter('refused_entities_total', 'Entities refused in accepted batches');
  readonly requests = this.#counter('http_requests_total', 'Requests answered', 'method', 'route', 'status');
  readonly errors = this.#counter('http_errors_total', 'Error answers, by code', 'code');
  readonly dumpsEnded = this.#counter('dumps_ended_total', 'Dumps that ended, by how', 'status');
  readonly rejectedRows = this.#counter('rejected_rows_total', 'Rows rejected by published dumps');

  readonly #sourceCursor = this.#gauge(
    'source_cursor',
    'Position in the source up to which all is applied',
    'source',
  );
  readonly #sourceMaxId = this.#gauge('source_max_id', 'Newest position in the source', 'source');
  readonly #sourceLagRows = this.#gauge('source_lag_rows', 'Rows that a source has yet to send', 'source');
  readonly #batchesInFlight = this.#gauge('apply_queue_batches', 'Batches being applied or waiting for it');
  readonly #batchBytesInFlight = this.#gauge('apply_queue_bytes', 'Bytes of these batches');
  readonly #queriesInFlight = this.#gauge('queries_in_flight', 'Queries and counts not yet answered');
  readonly #ready = this.#gauge('ready', '1 when /readyz says so');
  readonly #heartbeatAge = this.#gauge(
    'engine_heartbeat_age_seconds',
    'Time since the engine thread answered',
  );
  readonly #version = this.#gauge('version', 'Number of the published version being served');
  readonly #checkpoints = this.#counter('checkpoints_total', 'Versions stored to shorten the op log');
  readonly #alive = this.#gauge('alive_slots', 'Slots that exist');
  readonly #indexBytes = this.#gauge('index_bytes', 'Bytes of bitmaps and columns of the version');
  readonly #fieldBytes = this.#gauge('field_bytes', 'Of these, bytes by field', 'field');
  readonly #fieldValues = this.#gauge('field_values', 'Distinct values of a filter field', 'field');
  readonly #dumps = this.#gauge('dumps', 'Registered dumps, by status', 'status');
  #log: LogGauges | null = null;

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text of a scrape. */
  async scrape(moment: MetricsMoment): Promise<string> {
    this.#ready.set(moment.isReady ? 1 : 0);
    if (moment.heartbeatAgeSeconds !== null) this.#heartbeatAge.set(moment.heartbeatAgeSeconds);
    this.#batchesInFlight.set(moment.batchesInFlight);
    this.#batchBytesInFlight.set(moment.batchBytesInFlight);
    this.#queriesInFlight.set(moment.queriesInFlight);
    for (const { source, cursor, maxId, lagRows } of moment.sources) {
      if (cursor !== null) this.#sourceCursor.set({ source }, cursor);
      if (maxId !== null) this.#sourceMaxId.set({ source }, maxId);
      if (lagRows !== null) this.#sourceLagRows.set({ source }, lagRows);
    }
    for (const status of DUMP_STATUSES) {
      this.#dumps.set({ status }, moment.dumps.filter((dump) => dump.status === status).length);
    }
    if (moment.stats !== null) this.#setIndex(moment.stats);
    // The text format knows NaN; prom-client writes Nan, for a mean of nothing and other values that there are not.
    const text = (await this.#registry.metrics()).replaceAll(/ Nan$/gm, ' NaN');
    const log = moment.stats?.log ?? null;
    return log === null ? text : text + flushHistogram(log.flushSeconds);
  }

  #setIndex(stats: IndexStats): void {
    this.#version.set(stats.version);
    this.#checkpoints.reset();
    this.#checkpoints.inc(stats.checkpoints);
    this.#alive.set(stats.alive);
    this.#indexBytes.set(stats.memory.indexBytes);
    for (const [field, { bytes, values }] of Object.entries(stats.fields)) {
      this.#fieldBytes.set({ field }, bytes);
      if (values !== undefined) this.#fieldValues.set({ field }, values);
    }
    const { log } = stats;
    if (log === null) return;
    this.#log ??= {
      bytes: this.#gauge('log_bytes', 'Bytes of op log segments on disk'),
      segments: this.#gauge('log_segments', 'Op log segments on disk'),
      queuedBytes: this.#gauge('log_queued_bytes', 'Bytes waiting for the disk of the op log'),
      writable: this.#gauge('log_writable', '1 while the op log takes appends'),
      position: this.#gauge('log_position', 'Sequence number of the last durable batch'),
      quarantined: this.#gauge('log_quarantined_records', 'Damaged op log records set aside'),
    };
    this.#log.bytes.set(log.bytes);
    this.#log.segments.set(log.segments);
    this.#log.queuedBytes.set(log.queuedBytes);
    this.#log.writable.set(log.state === 'writable' ? 1 : 0);
    this.#log.position.set(log.end.sequence);
    this.#log.quarantined.set(log.quarantinedRecords);
  }

  #counter(name: string, help: string, ...labelNames: string[]): Counter {
    return new Counter({ name: `bitloom_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, ...labelNames: string[]): Gauge {
    return new Gauge({ name: `bitloom_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #histogram(name: string, help: string, buckets: number[], ...labelNames: string[]): Histogram {
    return new Histogram({ name: `bitloom_${name}`, help, buckets, labelNames, registers: [this.#registry] });
  }
}

/** The flushes are counted in the engine thread, and a histogram of prom-client cannot be set, so this one is written out. */
function flushHistogram({ count, sum, buckets }: FlushSeconds): string {
  const name = 'bitloom_log_flush_duration_seconds';
  const lines = [`# HELP ${name} Time of a flush of the op log to disk`, `# TYPE ${name} histogram`];
  for (const { upTo, count } of buckets) lines.push(`${name}_bucket{le="${upTo}"} ${count}`);
  lines.push(`${name}_bucket{le="+Inf"} ${count}`, `${name}_sum ${sum}`, `${name}_count ${count}`, '');
  return lines.join('\n');
}
