/**
 * One run of the bench: generates the dumps, measures part by part, one thing at a time, compares with the targets and
 * writes the results and the chart. What it generates is removed again.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BitloomError } from '../src/errors.ts';
import { drawLoadChart } from './chart.ts';
import { COMMIT_SETTINGS, type CommitResults, measureCommit } from './commit.ts';
import { DuckdbProcess } from './duckdb-process.ts';
import { type BenchDump, filesOf, prepareDump } from './dump.ts';
import { type KernelResult, measureKernels } from './kernels.ts';
import { describeCase, LOAD_CASES, type LoadResult, measureLoad, perSecond } from './load.ts';
import { describeMachine } from './machine.ts';
import { summarise } from './measure.ts';
import { type MemoryResult, measureMemory } from './memory.ts';
import { measureOps, type OpsResult } from './ops.ts';
import { DuckdbPeer, loadNaively } from './peers.ts';
import { measureQueries, type QueryResult } from './query.ts';
import { BENCH_PARTS, type BenchPart, type BenchReport, type OtherResult, reportOfRows } from './results.ts';
import { compareWithTargets } from './targets.ts';

export interface BenchOptions {
  /** Sizes of the dumps, as rows of images.csv. */
  rows: readonly number[];
  /** Worker threads of a load; memory and queries are measured with the most. */
  threads: readonly number[];
  /** Measured cold loads of each kind; of warm ones there are several times as many. */
  repeats: number;
  /** Directory of the results, created when missing; `<rows>.json` and `load.svg` in it are replaced. */
  out: string;
  /** Where dumps and durable indexes are written; default: the system's temporary directory. */
  dataDirectory?: string;
  /** Default: everything. `peers` stands for DuckDB and csv-parse beside the other parts. */
  only?: readonly BenchPart[];
  onProgress?: (step: string) => void;
  /** Aborting ends the run before its next step, and what it generated is removed. */
  signal?: AbortSignal;
}

/** Dumps of so many times the rows show whether memory grows with the files. */
const MEMORY_FACTORS = [2, 8];

/** Errors: BENCH_OPTIONS, BENCH_DIFFERENCE (wrong rows or answers), BENCH_CHILD, and those of loading. */
export async function runBench(options: BenchOptions): Promise<BenchReport> {
  if (options.rows.length === 0 || options.threads.length === 0 || !(options.repeats >= 1)) {
    throw new BitloomError('BENCH_OPTIONS', 'there is nothing to measure', {
      hint: 'give at least one size, one number of threads and one repeat',
    });
  }
  const startedAt = new Date().toISOString();
  const startMs = performance.now();
  const machine = await describeMachine();
  const parent = options.dataDirectory ?? tmpdir();
  await mkdir(parent, { recursive: true });
  const directory = await mkdtemp(join(parent, 'bitloom-bench-'));
  let results: Measured;
  try {
    const bench = new BenchRun(options, directory);
    await bench.measure();
    results = bench.results;
  } finally {
    await rm(directory, { recursive: true });
  }
  const { rows, threads, repeats, only = BENCH_PARTS } = options;
  const report: BenchReport = {
    machine,
    startedAt,
    durationMs: performance.now() - startMs,
    options: { rows, threads, repeats, only },
    targets: compareWithTargets(results),
    ...results,
  };
  await writeResults(report, options.out);
  return report;
}

/** `BenchResults` while they are collected. */
interface Measured {
  kernels: KernelResult[];
  loads: { rows: number; load: LoadResult }[];
  others: OtherResult[];
  memory: MemoryResult[];
  queries: { rows: number; queries: QueryResult[] }[];
  ops: { rows: number; ops: OpsResult }[];
  commit: CommitResults | null;
}

class BenchRun {
  readonly results: Measured = {
    kernels: [],
    loads: [],
    others: [],
    memory: [],
    queries: [],
    ops: [],
    commit: null,
  };
  readonly #options: BenchOptions;
  readonly #directory: string;
  readonly #parts: ReadonlySet<BenchPart>;
  readonly #threadsMost: number;

  constructor(options: BenchOptions, directory: string) {
    this.#options = options;
    this.#directory = directory;
    this.#parts = new Set(options.only ?? BENCH_PARTS);
    this.#threadsMost = Math.max(...options.threads);
  }

  async measure(): Promise<void> {
    const { rows } = this.#options;
    const rowsMost = Math.max(...rows);
    for (const size of rows) {
      await this.#withDump(size, async (dump) => {
        if (size === rowsMost && this.#parts.has('kernels')) await this.#measureKernels(dump);
        if (this.#parts.has('load')) await this.#measureLoads(dump);
        if (this.#parts.has('peers')) await this.#measureOthers(dump);
        if (this.#parts.has('query')) await this.#measureQueries(dump);
        if (this.#parts.has('ops')) await this.#measureOps(dump);
        if (this.#parts.has('load')) await this.#measureMemory(dump);
      });
    }
    if (this.#parts.has('commit')) {
      this.results.commit = await measureCommit(COMMIT_SETTINGS, this.#directory, (step) =>
        this.#say(`commits: ${step}`),
      );
    }
    for (const factor of this.#parts.has('load') ? MEMORY_FACTORS : []) {
      await this.#withDump(factor * rowsMost, (dump) => this.#measureMemory(dump));
    }
  }

  async #withDump(rows: number, use: (dump: BenchDump) => Promise<void>): Promise<void> {
    this.#say(`${rows} rows: generate`);
    const dump = await prepareDump(rows, this.#directory);
    try {
      await use(dump);
    } finally {
      await rm(join(this.#directory, String(rows)), { recursive: true });
    }
  }

  async #measureKernels(dump: BenchDump): Promise<void> {
    this.#say('kernels');
    this.results.kernels = await measureKernels(dump);
  }

  async #measureLoads(dump: BenchDump): Promise<void> {
    const { threads, repeats } = this.#options;
    for (const threadCount of threads) {
      const peer = this.#parts.has('peers')
        ? await DuckdbProcess.open({ threads: threadCount, ordered: true })
        : null;
      try {
        for (const which of LOAD_CASES) {
          this.#say(`${dump.rows} rows, ${threadCount} threads: load ${describeCase(which)}`);
          const settings = { dump, threads: threadCount, repeats, peer, directory: this.#directory };
          this.results.loads.push({ rows: dump.rows, load: await measureLoad(which, settings) });
        }
      } finally {
        await peer?.close();
      }
    }
  }

  async #measureOthers(dump: BenchDump): Promise<void> {
    const [images] = filesOf(dump, ['images']);
    this.#say(`${dump.rows} rows: csv-parse`);
    this.#addOther(dump, 'csv-parse, Maps of Sets', 1, await loadNaively(images));
    this.#say(`${dump.rows} rows: DuckDB in any order`);
    const peer = await DuckdbProcess.open({ threads: this.#threadsMost, ordered: false });
    if (peer === null) return;
    try {
      const samples: number[] = [];
      for (let load = 0; load <= this.#options.repeats; load++) samples.push(await peer.load([images]));
      // The first one warms up.
      this.#addOther(dump, peer.name, this.#threadsMost, summarise(samples.slice(1)).median);
    } finally {
      await peer.close();
    }
  }

  #addOther({ rows }: BenchDump, name: string, threads: number, wallMs: number): void {
    this.results.others.push({ rows, name, threads, wallMs, rowsPerSecond: perSecond(rows, wallMs) });
  }

  async #measureMemory(dump: BenchDump): Promise<void> {
    this.#say(`${dump.rows} rows: memory`);
    this.results.memory.push(await measureMemory(dump, this.#threadsMost));
  }

  async #measureQueries(dump: BenchDump): Promise<void> {
    const peer = this.#parts.has('peers') ? await DuckdbPeer.open(this.#threadsMost) : null;
    try {
      this.#say(`${dump.rows} rows: load for the queries`);
      await peer?.load(dump.files);
      const queries = await measureQueries(dump, this.#threadsMost, peer, (name) =>
        this.#say(`${dump.rows} rows: query ${name}`),
      );
      this.results.queries.push({ rows: dump.rows, queries });
    } finally {
      peer?.close();
    }
  }

  async #measureOps(dump: BenchDump): Promise<void> {
    const ops = await measureOps(dump, this.#options.repeats, this.#directory, (step) =>
      this.#say(`${dump.rows} rows: ${step}`),
    );
    this.results.ops.push({ rows: dump.rows, ops });
  }

  #say(step: string): void {
    this.#options.signal?.throwIfAborted();
    this.#options.onProgress?.(step);
  }
}

async function writeResults(report: BenchReport, out: string): Promise<void> {
  await mkdir(out, { recursive: true });
  for (const rows of report.options.rows) {
    await writeFile(join(out, `${rows}.json`), `${JSON.stringify(reportOfRows(report, rows))}\n`);
  }
  const chart = drawLoadChart(report);
  if (chart !== null) await writeFile(join(out, 'load.svg'), chart);
}
