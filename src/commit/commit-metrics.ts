/**
 * The metrics of a commit store for Prometheus: seconds and bytes, totals since the node started. Latencies are counted as
 * they happen; the rest is asked of the store when it is scraped.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { LATENCY_BOUNDS_SECONDS } from './commit-meter.ts';
import type { CommitStats, CommitStore } from './commit-store.ts';

interface Reading {
  readonly name: string;
  readonly help: string;
  /** Null is shown as not a number. */
  readonly value: (stats: CommitStats) => number | null;
}

const GAUGES: readonly Reading[] = [
  { name: 'leader', help: '1 while this node leads', value: ({ role }) => (role === 'leader' ? 1 : 0) },
  { name: 'epoch', help: 'Epoch of the term that this node leads', value: ({ epoch }) => epoch },
  {
    name: 'durable_version',
    help: 'Highest durable version this node knows of',
    value: ({ durableVersion }) => durableVersion,
  },
  {
    name: 'lease_margin_seconds',
    help: 'What was left of the lease when it was last extended',
    value: ({ leaseMarginMs }) => inSeconds(leaseMarginMs),
  },
  {
    name: 'lease_margin_seconds_min',
    help: 'The least that ever was left of the lease when it was extended',
    value: ({ leaseMarginMsMin }) => inSeconds(leaseMarginMsMin),
  },
  {
    name: 'waiting_requests',
    help: 'Commits of this node without an answer',
    value: ({ waitingRequests }) => waitingRequests,
  },
  { name: 'waiting_bytes', help: 'Bytes of these', value: ({ waitingBytes }) => waitingBytes },
  {
    name: 'queue_age_seconds',
    help: 'How long the oldest queued request had waited when the leader last looked',
    value: ({ queueAgeMs }) => queueAgeMs / 1000,
  },
  {
    name: 'history_boundaries',
    help: 'Boundaries of the conflict history',
    value: ({ historyBoundaries }) => historyBoundaries,
  },
  {
    name: 'history_floor_version',
    help: 'What was written up to this version is not known to the leader any more',
    value: ({ historyFloor }) => historyFloor,
  },
];

const COUNTERS: readonly Reading[] = [
  { name: 'terms_total', help: 'Terms that this node has led', value: ({ terms }) => terms },
  {
    name: 'failed_terms_total',
    help: 'Of these, ended by an error',
    value: ({ failedTerms }) => failedTerms,
  },
  { name: 'batches_total', help: 'Batches applied', value: ({ batches }) => batches },
  { name: 'retries_total', help: 'Transactions tried again', value: ({ retries }) => retries },
  {
    name: 'recovered_replies_total',
    help: 'Answers found by asking, for their notification was late or lost',
    value: ({ recoveredReplies }) => recoveredReplies,
  },
  {
    name: 'malformed_replies_total',
    help: 'Notifications that were no replies',
    value: ({ malformedReplies }) => malformedReplies,
  },
];

/** Adds the metrics of a store to a registry, once. */
export function registerCommitMetrics(store: CommitStore, registry: Registry): void {
  for (const { name, help, value } of GAUGES) {
    const metric = new Gauge({
      name: `bitloom_commit_${name}`,
      help,
      registers: [],
      collect() {
        this.set(value(store.stats()) ?? Number.NaN);
      },
    });
    registry.registerMetric(metric);
  }
  for (const { name, help, value } of COUNTERS) {
    const metric = new Counter({
      name: `bitloom_commit_${name}`,
      help,
      registers: [],
      collect() {
        this.reset();
        this.inc(value(store.stats()) ?? 0);
      },
    });
    registry.registerMetric(metric);
  }
  const requests = new Counter({
    name: 'bitloom_commit_requests_total',
    help: 'Requests that this node decided, by how',
    labelNames: ['verdict'],
    registers: [],
    collect() {
      this.reset();
      for (const [verdict, count] of Object.entries(store.stats().requests)) this.inc({ verdict }, count);
    },
  });
  registry.registerMetric(requests);
  const phaseSeconds = new Histogram({
    name: 'bitloom_commit_phase_duration_seconds',
    help: 'Time of a part of a batch',
    labelNames: ['phase'],
    buckets: LATENCY_BOUNDS_SECONDS,
    registers: [registry],
  });
  store.meter.onPhase = (phase, seconds) => phaseSeconds.observe({ phase }, seconds);
}

function inSeconds(milliseconds: number | null): number | null {
  return milliseconds === null ? null : milliseconds / 1000;
}
