/**
 * Loads, from the call to the published version. Warm: the worker threads have done several loads before. Cold: a new
 * index and new threads each time, opening included. The peer takes its turn after every measured load.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BitloomIndex, openIndex } from '../src/index.ts';
import { assertAgree } from './difference.ts';
import { type BenchDump, filesOf } from './dump.ts';
import { compareInTurn, type Ratio, roundSamples, type Summary, summarise } from './measure.ts';

export interface LoadCase {
  readonly subject: 'images' | 'tags' | 'tools' | 'dump';
  readonly pool: 'warm' | 'cold';
  /** Into a directory, written through to the disk before it is published; otherwise memory only. */
  readonly durable: boolean;
}

export interface LoadResult extends LoadCase {
  readonly threads: number;
  readonly loadedRows: number;
  readonly bytes: number;
  /** As the report of the load says. */
  readonly engineMs: Summary;
  /** Around the call; when cold, from opening the index. */
  readonly wallMs: Summary;
  /** Of the median of wallMs. */
  readonly rowsPerSecond: number;
  readonly samples: { readonly engineMs: readonly number[]; readonly wallMs: readonly number[] };
  readonly peer: LoadPeerResult | null;
}

export interface LoadPeerResult {
  readonly name: string;
  readonly wallMs: Summary;
  readonly rowsPerSecond: number;
  readonly ratio: Ratio;
  readonly samples: readonly number[];
}

/** Loads files into tables of its own and says how long it took. */
export interface LoadPeer {
  readonly name: string;
  load(files: BenchDump['files']): Promise<number>;
}

export interface LoadSettings {
  readonly dump: BenchDump;
  readonly threads: number;
  /** Cold loads, see WARM_LOADS_PER_REPEAT. */
  readonly repeats: number;
  readonly peer: LoadPeer | null;
  /** Scratch space for durable loads. */
  readonly directory: string;
}

export const LOAD_CASES: readonly LoadCase[] = [
  { subject: 'images', pool: 'warm', durable: false },
  { subject: 'tags', pool: 'warm', durable: false },
  { subject: 'tools', pool: 'warm', durable: false },
  { subject: 'dump', pool: 'warm', durable: false },
  { subject: 'dump', pool: 'warm', durable: true },
  { subject: 'images', pool: 'cold', durable: false },
  { subject: 'dump', pool: 'cold', durable: false },
];

/** Unmeasured loads before the warm ones: the compilers of the worker threads need some. */
const WARM_LOADS = 25;
/** Measured warm loads for each repeat: they are short, and the median of a few moves with the machine. */
export const WARM_LOADS_PER_REPEAT = 3;
const TABLES = ['images', 'tags', 'tools'];

export async function measureLoad(which: LoadCase, settings: LoadSettings): Promise<LoadResult> {
  const { dump, threads } = settings;
  const files = filesOf(dump, which.subject === 'dump' ? TABLES : [which.subject]);
  const loadedRows = files.reduce((sum, file) => sum + file.rows, 0);
  const run = new LoadRun(files, loadedRows, threads);
  // Only a warm load in memory does what the peer does.
  const peer = which.pool === 'warm' && !which.durable ? settings.peer : null;
  const peerMs: number[] = [];
  const takeTurn = async (): Promise<void> => {
    if (peer !== null) peerMs.push(await peer.load(files));
  };
  if (which.pool === 'cold') await measureCold(run, settings);
  else await measureWarm(run, which, settings, takeTurn);

  const wallMs = summarise(run.wallMs);
  return {
    ...which,
    threads,
    loadedRows,
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    engineMs: summarise(run.engineMs),
    wallMs,
    rowsPerSecond: perSecond(loadedRows, wallMs.median),
    samples: { engineMs: roundSamples(run.engineMs), wallMs: roundSamples(run.wallMs) },
    peer: peer === null ? null : peerResult(peer.name, loadedRows, run.wallMs, peerMs),
  };
}

export function describeCase({ subject, pool, durable }: LoadCase): string {
  return `${subject}, ${pool}${durable ? ', durable' : ''}`;
}

export function perSecond(count: number, ms: number): number {
  return (count * 1000) / ms;
}

async function measureWarm(
  run: LoadRun,
  { durable }: LoadCase,
  { dump, repeats, directory }: LoadSettings,
  takeTurn: () => Promise<void>,
): Promise<void> {
  const data = join(directory, 'data');
  const { definition } = dump;
  const index = await openIndex({ definition, inProcess: true, ...(durable ? { directory: data } : {}) });
  try {
    for (let load = 0; load < WARM_LOADS; load++) await run.load(index);
    run.forget();
    for (let load = 0; load < WARM_LOADS_PER_REPEAT * repeats; load++) {
      await run.load(index);
      await takeTurn();
    }
  } finally {
    await index.close();
    if (durable) await rm(data, { recursive: true });
  }
}

async function measureCold(run: LoadRun, { dump, repeats }: LoadSettings): Promise<void> {
  for (let load = 0; load < repeats; load++) {
    const startMs = performance.now();
    const index = await openIndex({ definition: dump.definition, inProcess: true });
    try {
      await run.load(index, startMs);
    } finally {
      await index.close();
    }
  }
}

/** The samples of one case, and a check that every load took every row. */
class LoadRun {
  readonly engineMs: number[] = [];
  readonly wallMs: number[] = [];
  readonly #files: Record<string, string>;
  readonly #rows: number;
  readonly #threads: number;

  constructor(files: BenchDump['files'], rows: number, threads: number) {
    this.#files = Object.fromEntries(files.map(({ table, path }) => [table, path]));
    this.#rows = rows;
    this.#threads = threads;
  }

  async load(index: BitloomIndex, startMs: number = performance.now()): Promise<void> {
    const report = await index.load(this.#files, { threads: this.#threads });
    this.wallMs.push(performance.now() - startMs);
    this.engineMs.push(report.durationMs);
    assertAgree('rows loaded', report.rows, this.#rows);
  }

  forget(): void {
    this.engineMs.length = 0;
    this.wallMs.length = 0;
  }
}

function peerResult(name: string, rows: number, ownMs: number[], samples: number[]): LoadPeerResult {
  const wallMs = summarise(samples);
  return {
    name,
    wallMs,
    rowsPerSecond: perSecond(rows, wallMs.median),
    ratio: compareInTurn(ownMs, samples),
    samples: roundSamples(samples),
  };
}
