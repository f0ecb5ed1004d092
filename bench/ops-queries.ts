/** Queries through the engine thread while nothing else happens, while batches keep coming, and while a dump is loaded. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Random } from '../src/generate/random.ts';
import { type Batch, type BitloomIndex, openIndex, type Query } from '../src/index.ts';
import { BATCH_ENTITIES } from '../src/validate/csv-ops.ts';
import { sampleValues } from './dump.ts';
import { perSecond } from './load.ts';
import { roundSamples, type Summary, summarise } from './measure.ts';
import { type OpsSettings, STEADY_ENTITIES_MAX } from './ops-intake.ts';
import { batchesOf, exchanged, imageEntities } from './ops-wire.ts';
import { QUERY_CASES } from './query-cases.ts';

export interface BusyResult {
  readonly during: 'nothing' | 'batches' | 'load';
  readonly queryMs: Summary;
  readonly queriesPerSecond: number;
  /** Taken meanwhile; 0 when nothing was sent. */
  readonly entitiesPerSecond: number;
  readonly samples: readonly number[];
}

const VARIANTS = 500;
const SEED = 13;
const STREAM = 7;

export async function measureBusyQueries(settings: OpsSettings): Promise<BusyResult[]> {
  const { dump, definition, directory, runTimeMs } = settings;
  const files = Object.fromEntries(dump.files.map(({ table, path }) => [table, path]));
  const entities = await imageEntities(dump, definition, Math.min(dump.rows, STEADY_ENTITIES_MAX));
  const batches = [entities, exchanged(entities)].flatMap((part) => batchesOf(part, BATCH_ENTITIES));
  const queries = await mixedQueries(settings);
  const data = join(directory, 'busy');
  const index = await openIndex({ definition: definition.normalised as object, directory: data });
  try {
    await index.load(files);
    await measureDuring('nothing', index, queries, untilTimeIsUp(runTimeMs), () => Promise.resolve(0));
    const idle = await measureDuring('nothing', index, queries, untilTimeIsUp(runTimeMs), () =>
      Promise.resolve(0),
    );
    const isGoingOn = untilTimeIsUp(runTimeMs);
    const writing = await measureDuring('batches', index, queries, isGoingOn, () =>
      sendUntil(index, batches, isGoingOn),
    );
    let loading = true;
    const load = async (): Promise<number> => {
      await index.load(files);
      loading = false;
      return 0;
    };
    return [idle, writing, await measureDuring('load', index, queries, () => loading, load)];
  } finally {
    await index.close();
    await rm(data, { recursive: true });
  }
}

/** The cases of the queries part in turn, first pages. */
export async function mixedQueries({ dump }: Pick<OpsSettings, 'dump'>): Promise<Query[]> {
  const values = await sampleValues(dump);
  const random = new Random(SEED, STREAM);
  const cases = QUERY_CASES.filter(({ secondPage }) => !secondPage);
  return Array.from({ length: VARIANTS }, (_, at) => cases[at % cases.length].vary(values, random).query);
}

function untilTimeIsUp(runTimeMs: number): () => boolean {
  const deadlineMs = performance.now() + runTimeMs;
  return () => performance.now() < deadlineMs;
}

/** `work` resolves with the entities it sent. */
async function measureDuring(
  during: BusyResult['during'],
  index: BitloomIndex,
  queries: readonly Query[],
  isGoingOn: () => boolean,
  work: () => Promise<number>,
): Promise<BusyResult> {
  const startMs = performance.now();
  const samples: number[] = [];
  const ask = async (): Promise<void> => {
    while (isGoingOn()) {
      const askedMs = performance.now();
      await index.query(queries[samples.length % queries.length]);
      samples.push(performance.now() - askedMs);
    }
  };
  const [entities] = await Promise.all([work(), ask()]);
  const elapsedMs = performance.now() - startMs;
  return {
    during,
    queryMs: summarise(samples),
    queriesPerSecond: perSecond(samples.length, elapsedMs),
    entitiesPerSecond: perSecond(entities, elapsedMs),
    samples: roundSamples(samples),
  };
}

/** One batch after the other, over and over. */
async function sendUntil(
  index: BitloomIndex,
  batches: readonly Batch[],
  isGoingOn: () => boolean,
): Promise<number> {
  let entities = 0;
  for (let next = 0; isGoingOn(); next++) {
    const batch = batches[next % batches.length];
    await index.apply(batch);
    entities += batch.ops.length;
  }
  return entities;
}
