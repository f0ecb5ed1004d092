/** A report as text: the machine, a table per part, how peers were asked, and the targets. */
import { formatBytes, formatCount, formatDuration, formatTable } from '../src/cli/text-table.ts';
import { formatCommit } from './commit-report.ts';
import { describeCase, type LoadResult, WARM_LOADS_PER_REPEAT } from './load.ts';
import { formatMillions, formatMs, formatRatio, formatTimes, timings } from './number-format.ts';
import { formatOps } from './ops-report.ts';
import { duckdbLoadSql } from './peers.ts';
import type { BenchReport } from './results.ts';

export function formatBenchReport(report: BenchReport): string {
  const sections = [
    formatMachine(report),
    formatLoads(report),
    formatMemory(report),
    ...report.queries.map(({ rows }) => formatQueries(report, rows)),
    ...report.ops.flatMap(({ rows, ops }) => formatOps(rows, ops)),
    ...(report.commit === null ? [] : formatCommit(report.commit)),
    formatKernels(report),
    formatTargets(report),
  ];
  return sections.filter((section) => section !== '').join('\n\n');
}

function formatMachine({ machine, startedAt, durationMs, options }: BenchReport): string {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  const lines = [
    `${machine.processor}, ${machine.cores} cores, ${formatBytes(machine.memoryBytes)}, ${machine.system}`,
    versions.join(', '),
    `${startedAt}, ${formatDuration(durationMs)}; medians of ${WARM_LOADS_PER_REPEAT * options.repeats} warm and ${options.repeats} cold loads, files in the page cache`,
  ];
  if (machine.busy) {
    lines.push(
      `WARNING: the load average was ${machine.loadAverage.toFixed(1)} at the start. Other work disturbs every figure below.`,
    );
  }
  return lines.join('\n');
}

function formatLoads({ loads, others }: BenchReport): string {
  const lines = loads.map(({ rows, load }) => [
    formatCount(rows),
    String(load.threads),
    describeCase(load),
    ...timings(load.wallMs),
    formatMs(load.engineMs.median),
    formatMillions(load.rowsPerSecond),
    formatBytes((load.bytes * 1000) / load.wallMs.median),
    load.peer === null ? '-' : formatMillions(load.peer.rowsPerSecond),
    load.peer === null ? '-' : formatRatio(load.peer.ratio),
  ]);
  for (const { rows, name, threads, wallMs, rowsPerSecond } of others) {
    const [time, rate] = [formatMs(wallMs), formatMillions(rowsPerSecond)];
    lines.push([formatCount(rows), String(threads), `images, ${name}`, time, '-', '-', rate, '-', '-', '-']);
  }
  if (lines.length === 0) return '';
  const header = [
    'images',
    'threads',
    'load',
    'ms',
    'min..max',
    'engine',
    'M rows/s',
    'per s',
    'DuckDB',
    'ratio',
  ];
  const notes = [
    'ms: around the call, with opening the index when cold. engine: the duration in the load report. ratio: of medians, and min..max of pairs taken in turn.',
    ...peerNotes(loads.map(({ load }) => load)),
  ];
  return [`Loads\n${formatTable(header, lines)}`, ...notes].join('\n');
}

function peerNotes(loads: readonly LoadResult[]): string[] {
  if (loads.every(({ peer }) => peer === null)) return [];
  return [
    `DuckDB: in memory, as many threads (in any order: with SET preserve_insertion_order = false), per table for example\n  ${duckdbLoadSql('images', 'images.csv')}`,
  ];
}

function formatMemory({ memory }: BenchReport): string {
  if (memory.length === 0) return '';
  const lines = memory.map((each) => [
    formatCount(each.rows),
    String(each.threads),
    ...[each.fileBytes, each.baselineBytes, each.indexBytes, each.peakBytes, each.loadBytes].map(formatBytes),
  ]);
  const header = ['images', 'threads', 'files', 'before', 'index', 'peak', 'load'];
  return `Memory of loading the whole dump in a fresh process; load = peak - before - index\n${formatTable(header, lines)}`;
}

function formatQueries({ queries: all }: BenchReport, rows: number): string {
  const queries = all.filter((each) => each.rows === rows).flatMap((each) => each.queries);
  const lines = queries.map(({ name, engineMs, threadMs, duckdb }) => [
    name,
    formatMs(engineMs.median),
    formatMs(engineMs.p99),
    formatMs(threadMs.median),
    duckdb === null ? '-' : formatMs(duckdb.idsMs.median),
    duckdb === null ? '-' : formatMs(duckdb.totalMs.median),
    duckdb === null ? '-' : formatTimes(duckdb.ratio),
    duckdb === null ? '-' : formatTimes(duckdb.ratioOfIds),
  ]);
  const header = [
    '50 ids and the total',
    'p50 ms',
    'p99 ms',
    'thread',
    'DuckDB ids',
    'total',
    'ratio',
    'ids only',
  ];
  return `Queries, ${formatCount(rows)} images\n${formatTable(header, lines)}`;
}

function formatKernels({ kernels }: BenchReport): string {
  if (kernels.length === 0) return '';
  const lines = kernels.map(({ name, unit, medianMs, p99Ms, perSecond }) => [
    name,
    formatMs(medianMs),
    formatMs(p99Ms),
    unit === 'bytes' ? `${(perSecond / 1e9).toFixed(2)} GB/s` : `${(perSecond / 1e6).toFixed(0)} M ${unit}/s`,
  ]);
  return `Kernels, one thread\n${formatTable(['kernel', 'p50 ms', 'p99 ms', 'rate'], lines)}`;
}

function formatTargets({ targets }: BenchReport): string {
  const lines = targets.map(({ name, unit, bound, target, measured, met }) => [
    name,
    `${bound} ${target} ${unit}`,
    measured === null ? '-' : measured.toPrecision(3),
    met === null ? 'not measured' : met ? 'met' : 'MISSED',
  ]);
  return `Targets\n${formatTable(['figure', 'target', 'measured', ''], lines)}`;
}
