/** Everything one run found out, raw samples included: what bench/results/<rows>.json holds, for the rows of the file. */
import type { CommitResults } from './commit.ts';
import type { KernelResult } from './kernels.ts';
import type { LoadResult } from './load.ts';
import type { Machine } from './machine.ts';
import type { MemoryResult } from './memory.ts';
import type { OpsResult } from './ops.ts';
import type { QueryResult } from './query.ts';
import type { Target } from './targets.ts';

/** What can be measured by itself; `peers` stands for DuckDB and csv-parse beside the other parts. */
export const BENCH_PARTS = ['kernels', 'load', 'query', 'ops', 'commit', 'peers'] as const;

export type BenchPart = (typeof BENCH_PARTS)[number];

export interface BenchResults {
  readonly kernels: readonly KernelResult[];
  readonly loads: readonly { readonly rows: number; readonly load: LoadResult }[];
  /** Further ways to take in images.csv, measured by themselves. */
  readonly others: readonly OtherResult[];
  readonly memory: readonly MemoryResult[];
  readonly queries: readonly { readonly rows: number; readonly queries: readonly QueryResult[] }[];
  readonly ops: readonly { readonly rows: number; readonly ops: OpsResult }[];
  /** Of no size; null when it was not measured. */
  readonly commit: CommitResults | null;
}

export interface OtherResult {
  readonly rows: number;
  readonly name: string;
  readonly threads: number;
  readonly wallMs: number;
  readonly rowsPerSecond: number;
}

export interface BenchReport extends BenchResults {
  readonly machine: Machine;
  /** ISO 8601, when the run began. */
  readonly startedAt: string;
  readonly durationMs: number;
  readonly options: {
    readonly rows: readonly number[];
    readonly threads: readonly number[];
    readonly repeats: number;
    readonly only: readonly BenchPart[];
  };
  readonly targets: readonly Target[];
}

/** The part of a report that is about one size; kernels, machine and targets stay. */
export function reportOfRows(report: BenchReport, rows: number): BenchReport {
  return {
    ...report,
    loads: report.loads.filter((each) => each.rows === rows),
    others: report.others.filter((each) => each.rows === rows),
    queries: report.queries.filter((each) => each.rows === rows),
    ops: report.ops.filter((each) => each.rows === rows),
  };
}
