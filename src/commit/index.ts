/** The public API of `bitloom/commit`. */

export { CommitError } from './commit-error.ts';
export type { LatencyHistogram, Phase } from './commit-meter.ts';
export { registerCommitMetrics } from './commit-metrics.ts';
export type { KeyRange, KeyValue, Verdict } from './commit-storage.ts';
export type { CloseOptions, CommitStats, CommitStore } from './commit-store.ts';
export {
  type CommitStoreLocation,
  type OpenCommitStoreOptions,
  openCommitStore,
} from './open-commit-store.ts';
export type { Atomic } from './operation.ts';
export type { TransactOptions, TransactResult } from './transact.ts';
export type { KeySelector, RangeOptions, ReadOptions, Transaction } from './transaction.ts';
export type { WatchOptions } from './watch.ts';
