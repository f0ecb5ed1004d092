/** A run on tiny dumps: every figure is there and nothing is left behind. How large the figures are is not tested. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { assertAgree } from '../../bench/difference.ts';
import { LOAD_CASES, WARM_LOADS_PER_REPEAT } from '../../bench/load.ts';
import { DuckdbPeer } from '../../bench/peers.ts';
import { QUERY_CASES } from '../../bench/query-cases.ts';
import { formatBenchReport } from '../../bench/report.ts';
import type { BenchReport } from '../../bench/results.ts';
import { runBench } from '../../bench/run.ts';
import { compareWithTargets } from '../../bench/targets.ts';
import { temporaryDirectory } from '../temporary.ts';

const ROWS = 2000;
const folder = temporaryDirectory();

async function hasDuckdb(): Promise<boolean> {
  const peer = await DuckdbPeer.open(1);
  peer?.close();
  return peer !== null;
}

test('a run measures every part, writes results and chart, and removes its dumps', async () => {
  const duckdb = await hasDuckdb();
  const [out, dataDirectory] = [join(folder.path, 'results'), join(folder.path, 'data')];
  const steps: string[] = [];
  const report = await runBench({
    rows: [ROWS],
    threads: [2],
    repeats: 2,
    out,
    dataDirectory,
    only: ['kernels', 'load', 'query', 'ops', 'peers'],
    onProgress: (step) => steps.push(step),
  });

  expect(report.loads.map(({ load }) => load)).toMatchObject(
    LOAD_CASES.map((which) => {
      const count = which.pool === 'warm' ? 2 * WARM_LOADS_PER_REPEAT : 2;
      return { ...which, threads: 2, wallMs: { count }, engineMs: { count } };
    }),
  );
  const inTurn = report.loads.map(({ load }) => load.peer !== null);
  expect(inTurn).toEqual(LOAD_CASES.map(({ pool, durable }) => duckdb && pool === 'warm' && !durable));
  expect(report.queries[0].queries.map(({ name }) => name)).toEqual(QUERY_CASES.map(({ name }) => name));
  for (const query of report.queries[0].queries) expect(query.duckdb !== null).toBe(duckdb);
  expect(report.memory.map(({ rows }) => rows)).toEqual([ROWS, 2 * ROWS, 8 * ROWS]);
  expect(report.others).toMatchObject([{ rows: ROWS }, { rows: ROWS }]);
  expect(report.kernels.map(({ unit }) => unit)).toEqual(
    expect.arrayContaining(['bytes', 'rows', 'keys', 'pairs']),
  );
  const [{ ops }] = report.ops;
  expect(ops.intake.map(({ kind, peer }) => [kind, peer !== null])).toEqual([
    ['log', false],
    ['log', false],
    ['insert', true],
    ['update', true],
  ]);
  expect(ops.bulk).toMatchObject({ slots: ROWS, matches: ROWS * 0.3 });
  expect(ops.busy.map(({ during }) => during)).toEqual(['nothing', 'batches', 'load']);
  expect(ops.http.map(({ load, queries, batches }) => [load, queries !== null, batches !== null])).toEqual([
    ['queries', true, false],
    ['batches', false, true],
    ['both', true, true],
  ]);
  for (const figure of figuresOf(report)) expect(figure).toBeGreaterThan(0);
  expect(steps).toContain(`${ROWS} rows, 2 threads: load images, warm`);

  expect(JSON.parse(readFileSync(join(out, `${ROWS}.json`), 'utf8'))).toEqual(
    JSON.parse(JSON.stringify(report)),
  );
  const chart = readFileSync(join(out, 'load.svg'), 'utf8');
  for (const table of ['images', 'tags', 'tools']) expect(chart).toContain(`${table}.csv`);
  expect(readdirSync(dataDirectory)).toEqual([]);

  const text = formatBenchReport(report);
  for (const title of ['Loads', 'Memory', 'Queries', 'Ops', 'HTTP', 'Kernels', 'Targets'])
    expect(text).toContain(title);
  expect(text).not.toMatch(/NaN|undefined|Infinity/);
});

test('a part alone measures nothing else', async () => {
  const out = join(folder.path, 'alone');
  const report = await runBench({ rows: [ROWS], threads: [1], repeats: 1, out, only: ['peers'] });
  expect(report).toMatchObject({
    kernels: [],
    loads: [],
    queries: [],
    memory: [],
    ops: [],
    commit: null,
    others: [{ rows: ROWS }, { rows: ROWS }],
  });
  expect(existsSync(join(out, 'load.svg'))).toBe(false);
});

test('an interrupted run ends before its next step and removes its dumps', async () => {
  const dataDirectory = join(folder.path, 'interrupted');
  const cancel = new AbortController();
  const steps: string[] = [];
  const run = runBench({
    rows: [ROWS],
    threads: [1],
    repeats: 1,
    out: join(folder.path, 'none'),
    dataDirectory,
    onProgress: (step) => {
      steps.push(step);
      if (step.includes('load')) cancel.abort();
    },
    signal: cancel.signal,
    only: ['load'],
  });
  await expect(run).rejects.toThrow(/aborted/);
  expect(steps).toEqual([`${ROWS} rows: generate`, `${ROWS} rows, 1 threads: load images, warm`]);
  expect(readdirSync(dataDirectory)).toEqual([]);
});

test('nothing to measure is an error', async () => {
  const run = runBench({ rows: [], threads: [1], repeats: 1, out: folder.path });
  await expect(run).rejects.toMatchObject({ code: 'BENCH_OPTIONS' });
});

test('wrong answers end a run', () => {
  expect(() => assertAgree('ids', [1, 2], [1, 2])).not.toThrow();
  expect(() => assertAgree('ids', [1, 2], [2, 1])).toThrow(
    expect.objectContaining({ code: 'BENCH_DIFFERENCE' }),
  );
});

test('targets are judged at their own size alone', () => {
  const memory = [1_000_000, 2_000_000, 10_000].map((rows) => ({
    rows,
    fileBytes: 1,
    threads: 2,
    baselineBytes: 1,
    peakBytes: 1,
    indexBytes: 1,
    loadBytes: rows * 200,
  }));
  const targets = compareWithTargets({
    kernels: [],
    loads: [],
    others: [],
    memory,
    queries: [],
    ops: [],
    commit: null,
  });
  expect(targets.filter(({ met }) => met !== null)).toMatchObject([
    { name: 'memory of a load, 1M rows', met: true },
    { name: 'memory of a load, 2M rows', met: false },
  ]);
});

function figuresOf({ loads, queries, ops: all, memory, others, kernels }: BenchReport): number[] {
  return [
    ...loads.flatMap(({ load }) => [
      load.rowsPerSecond,
      load.engineMs.median,
      load.peer?.ratio.ofMedians ?? 1,
    ]),
    ...queries.flatMap((each) =>
      each.queries.map(({ engineMs, threadMs }) => engineMs.p99 + threadMs.median),
    ),
    ...queries.flatMap((each) => each.queries.map(({ duckdb }) => duckdb?.ratio ?? 1)),
    ...all.flatMap(({ ops: { intake, bulk, busy, http } }) => [
      ...intake.map(({ entitiesPerSecond, peer }) => entitiesPerSecond * (peer?.ratio.ofMedians ?? 1)),
      bulk.peer.ratio.ofMedians,
      ...busy.map(({ queryMs, queriesPerSecond }) => queryMs.p99 * queriesPerSecond),
      ...http.flatMap(({ queries: asked, batches }) => [
        asked?.requestsPerSecond ?? 1,
        batches?.entitiesPerSecond ?? 1,
      ]),
    ]),
    ...memory.flatMap(({ peakBytes, indexBytes, loadBytes }) => [peakBytes, indexBytes, loadBytes]),
    ...others.map(({ rowsPerSecond }) => rowsPerSecond),
    ...kernels.map(({ perSecond }) => perSecond),
  ];
}
