/**
 * Queries over a loaded dump: in the engine, through its thread, and in DuckDB with prepared statements. Every variant
 * that DuckDB runs must give the same ids and the same total. The values vary from run to run, so no side can answer from
 * what it did just before.
 */
import type { DuckDBPreparedStatement } from '@duckdb/node-api';
import { Random } from '../src/generate/random.ts';
import { type BitloomIndex, openIndex, type Query } from '../src/index.ts';
import { TAKE_DEFAULT } from '../src/limits.ts';
import { assertAgree } from './difference.ts';
import { type BenchDump, sampleValues } from './dump.ts';
import { roundSamples, type Summary, summarise } from './measure.ts';
import type { DuckdbPeer } from './peers.ts';
import { QUERY_CASES, type QueryCase } from './query-cases.ts';

export interface QueryResult {
  readonly name: string;
  /** One of the queries that were run. */
  readonly example: Query;
  /** Milliseconds to the page: ids and total. */
  readonly engineMs: Summary;
  /** The same through the engine thread, both ways. */
  readonly threadMs: Summary;
  readonly duckdb: DuckdbQueryResult | null;
  readonly samples: { readonly engineMs: readonly number[]; readonly threadMs: readonly number[] };
}

export interface DuckdbQueryResult {
  readonly sql: { readonly ids: string; readonly total: string };
  readonly idsMs: Summary;
  readonly totalMs: Summary;
  /** Both statements against the engine, medians. */
  readonly ratio: number;
  /** The ids alone against the whole answer of the engine. */
  readonly ratioOfIds: number;
  readonly samples: { readonly idsMs: readonly number[]; readonly totalMs: readonly number[] };
}

interface Variant {
  readonly query: Query;
  readonly parameters: readonly number[];
  /** Last id of the first page, where the measured page is the second. */
  readonly afterId: number | null;
}

const RUNS = 2000;
const UNMEASURED_RUNS = 200;
const RUN_TIME_MS_MAX = 2000;
const THREAD_RUNS = 300;
const DUCKDB_RUNS = 30;
const SEED = 7;
const STREAM = 5;

/** The peer, where given, must be loaded with the tables of the dump. */
export async function measureQueries(
  dump: BenchDump,
  threads: number,
  peer: DuckdbPeer | null,
  onCase: (name: string) => void,
): Promise<QueryResult[]> {
  const values = await sampleValues(dump);
  const random = new Random(SEED, STREAM);
  return withLoadedIndexes(dump, threads, async (engine, thread) => {
    const results: QueryResult[] = [];
    for (const which of QUERY_CASES) {
      onCase(which.name);
      const variants: Variant[] = [];
      for (let run = 0; run < RUNS + UNMEASURED_RUNS; run++) {
        variants.push(await prepareVariant(engine, which.vary(values, random), which.secondPage));
      }
      results.push(await measureCase(which, variants, engine, thread, peer));
    }
    return results;
  });
}

async function withLoadedIndexes<Result>(
  dump: BenchDump,
  threads: number,
  use: (engine: BitloomIndex, thread: BitloomIndex) => Promise<Result>,
): Promise<Result> {
  const files = Object.fromEntries(dump.files.map(({ table, path }) => [table, path]));
  const engine = await openIndex({ definition: dump.definition, inProcess: true });
  try {
    await engine.load(files, { threads });
    const thread = await openIndex({ definition: dump.definition });
    try {
      await thread.load(files, { threads });
      return await use(engine, thread);
    } finally {
      await thread.close();
    }
  } finally {
    await engine.close();
  }
}

/** A variant whose match is at most one page has no second one: its first is measured. */
async function prepareVariant(
  engine: BitloomIndex,
  { query, parameters }: ReturnType<QueryCase['vary']>,
  secondPage: boolean,
): Promise<Variant> {
  if (!secondPage) return { query, parameters, afterId: null };
  const first = await engine.query(query);
  if (first.nextCursor === null) return { query, parameters, afterId: null };
  return { query: { ...query, cursor: first.nextCursor }, parameters, afterId: first.ids.at(-1)! };
}

async function measureCase(
  which: QueryCase,
  variants: readonly Variant[],
  engine: BitloomIndex,
  thread: BitloomIndex,
  peer: DuckdbPeer | null,
): Promise<QueryResult> {
  const engineMs = await timeQueries(engine, variants, RUNS);
  const threadMs = await timeQueries(thread, variants, THREAD_RUNS);
  const summary = summarise(engineMs);
  return {
    name: which.name,
    example: variants[0].query,
    engineMs: summary,
    threadMs: summarise(threadMs),
    duckdb:
      peer === null
        ? null
        : await measureDuckdb(which, variants.slice(0, DUCKDB_RUNS), engine, peer, summary.median),
    samples: { engineMs: roundSamples(engineMs), threadMs: roundSamples(threadMs) },
  };
}

/** At most `runs`, and no more than RUN_TIME_MS_MAX in all. The unmeasured runs come from the end of the list. */
async function timeQueries(
  index: BitloomIndex,
  variants: readonly Variant[],
  runs: number,
): Promise<number[]> {
  for (const { query } of variants.slice(-UNMEASURED_RUNS)) await index.query(query);
  const samples: number[] = [];
  const deadlineMs = performance.now() + RUN_TIME_MS_MAX;
  for (let run = 0; run < runs && performance.now() < deadlineMs; run++) {
    const startMs = performance.now();
    await index.query(variants[run].query);
    samples.push(performance.now() - startMs);
  }
  return samples;
}

async function measureDuckdb(
  which: QueryCase,
  variants: readonly Variant[],
  engine: BitloomIndex,
  peer: DuckdbPeer,
  engineMedianMs: number,
): Promise<DuckdbQueryResult> {
  const sql = statementsOf(which);
  const firstPage = await peer.prepare(sql.ids);
  const nextPage = which.secondPage ? await peer.prepare(sql.idsAfter) : null;
  const total = await peer.prepare(sql.total);
  const existedAtOf = await peer.prepare('SELECT existedAt FROM images WHERE id = ?');
  const idsMs: number[] = [];
  const totalMs: number[] = [];
  for (const { query, parameters, afterId } of variants) {
    let statement = firstPage;
    let pageParameters = parameters;
    if (nextPage !== null && afterId !== null) {
      const [existedAt] = (await firstColumn(existedAtOf, [afterId])) as number[];
      statement = nextPage;
      pageParameters = [...parameters, existedAt, existedAt, afterId];
    }
    const startMs = performance.now();
    const ids = await firstColumn(statement, pageParameters);
    const idsDoneMs = performance.now();
    const [count] = await firstColumn(total, parameters);
    totalMs.push(performance.now() - idsDoneMs);
    idsMs.push(idsDoneMs - startMs);
    const page = await engine.query(query);
    assertAgree(
      `"${which.name}", ${JSON.stringify(query)}`,
      { ids: page.ids, total: page.total },
      { ids, total: Number(count) },
    );
  }
  for (const statement of [firstPage, nextPage, total, existedAtOf]) statement?.destroySync();
  const [ids, counts] = [summarise(idsMs), summarise(totalMs)];
  const whole = summarise(idsMs.map((ms, run) => ms + totalMs[run]));
  return {
    sql: { ids: nextPage === null ? sql.ids : sql.idsAfter, total: sql.total },
    idsMs: ids,
    totalMs: counts,
    ratio: whole.median / engineMedianMs,
    ratioOfIds: ids.median / engineMedianMs,
    samples: { idsMs: roundSamples(idsMs), totalMs: roundSamples(totalMs) },
  };
}

/** `idsAfter` takes existedAt, again, and id of the last row of the page before, after the parameters of the condition. */
function statementsOf({ condition, order }: QueryCase): { ids: string; idsAfter: string; total: string } {
  const direction = order === 'asc' ? 'ASC' : 'DESC';
  const by = order === null ? 'id' : `existedAt ${direction}, id ${direction}`;
  const from = `FROM images WHERE (${condition})`;
  return {
    ids: `SELECT id ${from} ORDER BY ${by} LIMIT ${TAKE_DEFAULT}`,
    idsAfter:
      `SELECT id ${from} AND (existedAt < ? OR existedAt = ? AND id < ?) ` +
      `ORDER BY ${by} LIMIT ${TAKE_DEFAULT}`,
    total: `SELECT count(*)::INTEGER ${from}`,
  };
}

async function firstColumn(
  statement: DuckDBPreparedStatement,
  parameters: readonly number[],
): Promise<unknown[]> {
  for (const [at, parameter] of parameters.entries()) statement.bindUInteger(at + 1, parameter);
  const reader = await statement.runAndReadAll();
  return reader.getColumns()[0] ?? [];
}
