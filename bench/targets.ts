/** What the project sets out to reach, and what a run measured of it. A target is met or missed only at its own size. */
import type { CommitResults } from './commit.ts';
import type { CommitSystem } from './commit-node.ts';
import type { WorkloadName } from './commit-workloads.ts';
import type { LoadResult } from './load.ts';
import { summarise } from './measure.ts';
import type { IntakeResult } from './ops-intake.ts';
import type { QueryResult } from './query.ts';
import type { BenchResults } from './results.ts';

export interface Target {
  readonly name: string;
  readonly unit: string;
  readonly bound: 'at least' | 'at most';
  readonly target: number;
  /** Null when the run did not measure it. */
  readonly measured: number | null;
  readonly met: boolean | null;
}

const THOUSAND = 1000;
const MILLION = 1_000_000;
const BYTES_PER_MEBIBYTE = 1024 * 1024;

/** Of the results of all sizes together. */
export function compareWithTargets(results: BenchResults): Target[] {
  const rate = (rows: number, subject: string): number | null => {
    const load = warmLoad(results, rows, subject);
    return load === null ? null : load.rowsPerSecond / MILLION;
  };
  const images = warmLoad(results, MILLION, 'images');
  const sorted = results.queries
    .filter(({ rows }) => rows === MILLION)
    .flatMap(({ queries }) => queries)
    .filter(({ example }) => example.orderBy !== undefined);
  const memory = results.memory.filter(({ rows }) => rows >= MILLION);
  return [
    atLeast('load images, 1M rows', 'M rows/s', 10, rate(MILLION, 'images')),
    atLeast('load images, 1M rows, against DuckDB', '×', 4, images?.peer?.ratio.ofMedians ?? null),
    atLeast('load tags of 1M images', 'M rows/s', 40, rate(MILLION, 'tags')),
    atLeast('load tools of 1M images', 'M rows/s', 40, rate(MILLION, 'tools')),
    atLeast('load images, 100K rows', 'M rows/s', 5, rate(100_000, 'images')),
    atLeast('load images, 10K rows', 'M rows/s', 1, rate(10_000, 'images')),
    ...memory.map(({ rows, loadBytes }) =>
      atMost(`memory of a load, ${rows / MILLION}M rows`, 'MiB', 256, loadBytes / BYTES_PER_MEBIBYTE),
    ),
    ...queryTargets(sorted),
    atLeast('images to op log to accumulators, 1M rows', 'K entities/s', 500, intakeRate(results, 'log')),
    atLeast('steady state, new slots, 1M rows', 'K entities/s', 200, intakeRate(results, 'insert')),
    atLeast('steady state, changed slots, 1M rows', 'K entities/s', 200, intakeRate(results, 'update')),
    ...commitTargets(results.commit),
  ];
}

/** Over the samples of all cases together, and of the slowest case, which no average hides. */
function queryTargets(cases: readonly QueryResult[]): Target[] {
  const all = cases.length === 0 ? null : summarise(cases.flatMap(({ samples }) => samples.engineMs));
  const ratios = cases.flatMap(({ duckdb }) => (duckdb === null ? [] : [duckdb.ratio]));
  const medianRatio = ratios.length === 0 ? null : summarise(ratios).median;
  const what = 'filter and sort, 1M rows';
  return [
    atMost(`${what}, p50`, 'ms', 0.2, all?.median ?? null),
    atMost(`${what}, p50 of the slowest case`, 'ms', 0.2, largest(cases.map((each) => each.engineMs.median))),
    atMost(`${what}, p99`, 'ms', 2, all?.p99 ?? null),
    atMost(`${what}, p99 of the slowest case`, 'ms', 2, largest(cases.map((each) => each.engineMs.p99))),
    atLeast(`${what}, against DuckDB, median case`, '×', 20, medianRatio),
    atLeast(`${what}, against DuckDB, worst case`, '×', 20, smallest(ratios)),
  ];
}

function commitTargets(commit: CommitResults | null): Target[] {
  const rate = (workload: WorkloadName, system: CommitSystem): number | null =>
    commit?.runs.find((run) => run.workload === workload && run.system === system && run.clients === 64)
      ?.commitsPerSecond ?? null;
  const [added, updated] = [rate('add', 'bitloom'), rate('add', 'plain')];
  const ratio = added === null || updated === null ? null : added / updated;
  return [
    atLeast('blind commits, 64 clients', 'commits/s', 5000, rate('blind', 'bitloom')),
    atLeast(
      'read-modify-write over 1,000 keys, 64 clients',
      'commits/s',
      5000,
      rate('modify 1,000', 'bitloom'),
    ),
    atLeast('ADD to one counter, 64 clients, against UPDATE', '×', 5, ratio),
  ];
}

/** The first of the kind, which is the one of images. */
function intakeRate({ ops }: BenchResults, kind: IntakeResult['kind']): number | null {
  const found = ops
    .filter(({ rows }) => rows === MILLION)
    .flatMap(({ ops: { intake } }) => intake)
    .find((each) => each.kind === kind);
  return found === undefined ? null : found.entitiesPerSecond / THOUSAND;
}

/** With most threads. */
function warmLoad({ loads }: BenchResults, rows: number, subject: string): LoadResult | null {
  const found = loads
    .filter((each) => each.rows === rows)
    .map(({ load }) => load)
    .filter((load) => load.subject === subject && load.pool === 'warm' && !load.durable)
    .sort((a, b) => b.threads - a.threads);
  return found[0] ?? null;
}

function atLeast(name: string, unit: string, target: number, measured: number | null): Target {
  return {
    name,
    unit,
    bound: 'at least',
    target,
    measured,
    met: measured === null ? null : measured >= target,
  };
}

function atMost(name: string, unit: string, target: number, measured: number | null): Target {
  return {
    name,
    unit,
    bound: 'at most',
    target,
    measured,
    met: measured === null ? null : measured <= target,
  };
}

function largest(values: readonly number[]): number | null {
  return values.length === 0 ? null : Math.max(...values);
}

function smallest(values: readonly number[]): number | null {
  return values.length === 0 ? null : Math.min(...values);
}
