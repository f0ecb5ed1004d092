/** What a node counts and times. Latencies are kept as histograms; a metrics registry can listen to each of them. */
import { BucketCounts } from '../bucket-counts.ts';
import type { Verdict } from './commit-storage.ts';

/** The parts of a leader's batch. */
export const PHASES = ['claim', 'resolve', 'base', 'fold', 'apply', 'notify'] as const;
export type Phase = (typeof PHASES)[number];

export interface LatencyHistogram {
  readonly count: number;
  readonly sumSeconds: number;
  /** Cumulative; what took longer than the last bound is in `count` alone. */
  readonly buckets: readonly { readonly upToSeconds: number; readonly count: number }[];
}

export const LATENCY_BOUNDS_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
];

export class CommitMeter {
  batches = 0;
  /** Requests that the leader of this process decided, by how. */
  readonly decided: Record<Verdict, number> = {
    committed: 0,
    conflict: 0,
    too_old: 0,
    expired: 0,
    withdrawn: 0,
    rejected: 0,
  };
  /** Answers that the backstop found before a notification told them. */
  recoveredReplies = 0;
  malformedReplies = 0;
  /** Transactions tried again after an error that allows it. */
  retries = 0;
  /** Terms of this process, and those that ended by an error. */
  terms = 0;
  failedTerms = 0;
  /** How long the oldest pending request had waited at the last claim. */
  queueAgeMs = 0;
  /** What was left of the lease when it was last extended, and the least so far; null before the first time. */
  leaseMarginMs: number | null = null;
  leaseMarginMsMin: number | null = null;
  /** Called for each latency. */
  onPhase: (phase: Phase, seconds: number) => void = () => {};
  readonly #phases = new Map(PHASES.map((phase) => [phase, new BucketCounts(LATENCY_BOUNDS_SECONDS)]));

  time(phase: Phase, milliseconds: number): void {
    const seconds = milliseconds / 1000;
    this.#phases.get(phase)!.add(seconds);
    this.onPhase(phase, seconds);
  }

  leaseExtended(marginMs: number): void {
    this.leaseMarginMs = marginMs;
    this.leaseMarginMsMin = Math.min(marginMs, this.leaseMarginMsMin ?? marginMs);
  }

  phases(): Record<Phase, LatencyHistogram> {
    const entries = PHASES.map((phase) => [phase, histogramOf(this.#phases.get(phase)!)] as const);
    return Object.fromEntries(entries) as Record<Phase, LatencyHistogram>;
  }
}

function histogramOf(latencies: BucketCounts): LatencyHistogram {
  const counts = latencies.cumulative();
  const buckets = LATENCY_BOUNDS_SECONDS.map((upToSeconds, i) => ({ upToSeconds, count: counts[i] }));
  return { count: latencies.count, sumSeconds: latencies.sum, buckets };
}
