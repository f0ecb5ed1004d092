/**
 * How fast ops come in: a dump through the op log into accumulators, and the steady state, in which batches are durable
 * and visible one after the other, with slots that are new and with values that change, beside a plain index in turn.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { IndexDefinition } from '../src/config/definition.ts';
import { type Batch, type BitloomIndex, type Entity, openIndex } from '../src/index.ts';
import { BATCH_ENTITIES } from '../src/validate/csv-ops.ts';
import { fillIndex } from '../src/validate/modes.ts';
import { assertAgree } from './difference.ts';
import { type BenchDump, filesOf } from './dump.ts';
import { perSecond } from './load.ts';
import { compareInTurn, type Ratio, roundSamples, type Summary, summarise } from './measure.ts';
import { batchesOf, exchanged, imageEntities } from './ops-wire.ts';
import { PlainIndex } from './plain-ops.ts';

export interface IntakeResult {
  readonly name: string;
  readonly kind: 'log' | 'insert' | 'update';
  readonly entities: number;
  /** Those of the entities. */
  readonly ops: number;
  readonly wallMs: Summary;
  readonly entitiesPerSecond: number;
  readonly peer: { readonly name: string; readonly wallMs: Summary; readonly ratio: Ratio } | null;
  readonly samples: readonly number[];
}

export interface OpsSettings {
  readonly dump: BenchDump;
  readonly definition: IndexDefinition;
  readonly repeats: number;
  /** Of what is measured for a time. */
  readonly runTimeMs: number;
  /** Scratch space. */
  readonly directory: string;
}

interface SteadyStream {
  /** Not measured: makes every thread ready, and an index that is not empty. */
  readonly before: readonly Batch[];
  readonly inserts: readonly Batch[];
  readonly updates: readonly Batch[];
  /** Slots at the end. */
  readonly alive: number;
}

/** As objects of JSON, more would measure the garbage collector. */
export const STEADY_ENTITIES_MAX = 100_000;
/** Batches that the sender has under way. */
const BATCHES_IN_FLIGHT = 4;
const LOG_SUBJECTS = [['images'], ['images', 'tags', 'tools']] as const;

export async function measureIntake(settings: OpsSettings): Promise<IntakeResult[]> {
  const results: IntakeResult[] = [];
  for (const tables of LOG_SUBJECTS) results.push(await measureLogDump(tables, settings));
  const { dump, definition } = settings;
  const entities = await imageEntities(dump, definition, Math.min(dump.rows, STEADY_ENTITIES_MAX));
  results.push(...(await measureSteady(entities, settings)));
  return results;
}

/** CSV → ops → op log, read back → AccumulatorSink → published and open. */
async function measureLogDump(tables: readonly string[], settings: OpsSettings): Promise<IntakeResult> {
  const { dump, definition, repeats } = settings;
  const chosen = filesOf(dump, tables);
  const files = Object.fromEntries(chosen.map(({ table, path }) => [table, path]));
  const entities = chosen.reduce((sum, { rows }) => sum + rows, 0);
  const samples: number[] = [];
  // The first one warms up.
  for (let run = 0; run <= repeats; run++) {
    const folder = join(settings.directory, 'log-dump');
    await mkdir(folder);
    const { index, loadMs } = await fillIndex('log', { definition, files, folder, loadOptions: {} });
    assertAgree('alive slots of a dump of ops', (await index.stats()).alive, dump.rows);
    await index.close();
    await rm(folder, { recursive: true });
    if (run > 0) samples.push(loadMs);
  }
  const subject = tables.length === 1 ? tables[0] : 'dump';
  const ops = chosen.reduce((sum, { table, rows }) => sum + rows * opsOfRow(definition, table), 0);
  return resultOf(`${subject}: CSV to op log to accumulators`, 'log', entities, ops, samples, null);
}

async function measureSteady(entities: readonly Entity[], settings: OpsSettings): Promise<IntakeResult[]> {
  const stream: SteadyStream = {
    before: batchesOf(moved(entities), BATCH_ENTITIES),
    inserts: batchesOf(entities, BATCH_ENTITIES),
    updates: batchesOf(exchanged(entities), BATCH_ENTITIES),
    alive: new Set(entities.map(({ slot }) => slot)).size * 2,
  };
  const own = { insert: [] as number[], update: [] as number[] };
  const plain = { insert: [] as number[], update: [] as number[] };
  for (let run = 0; run <= settings.repeats; run++) {
    const [ownInsert, ownUpdate] = await runOwn(stream, settings);
    const [plainInsert, plainUpdate] = await runPlain(stream, settings);
    if (run === 0) continue;
    own.insert.push(ownInsert);
    own.update.push(ownUpdate);
    plain.insert.push(plainInsert);
    plain.update.push(plainUpdate);
  }
  const ops = entities.reduce((sum, entity) => sum + entity.ops.length, 0);
  const name = (what: string) => `images, batches of ${BATCH_ENTITIES}: ${what}`;
  return [
    resultOf(name('new slots'), 'insert', entities.length, ops, own.insert, plain.insert),
    resultOf(name('changed slots'), 'update', entities.length, ops, own.update, plain.update),
  ];
}

/** Through the engine thread, given as JSON values; milliseconds until everything is visible. */
async function runOwn(
  { before, inserts, updates, alive }: SteadyStream,
  { definition, directory }: OpsSettings,
): Promise<[number, number]> {
  const data = join(directory, 'steady');
  const index = await openIndex({ definition: definition.normalised as object, directory: data });
  try {
    await applyAll(index, before);
    const insertMs = await applyAll(index, inserts);
    const updateMs = await applyAll(index, updates);
    assertAgree('alive slots of the steady state', await index.count(), alive);
    return [insertMs, updateMs];
  } finally {
    await index.close();
    await rm(data, { recursive: true });
  }
}

async function applyAll(index: BitloomIndex, batches: readonly Batch[]): Promise<number> {
  const startMs = performance.now();
  let next = 0;
  const send = async (): Promise<void> => {
    while (next < batches.length) {
      const { refused } = await index.apply(batches[next++]);
      assertAgree('refused entities', refused, []);
    }
  };
  await Promise.all(Array.from({ length: BATCHES_IN_FLIGHT }, send));
  await index.count();
  return performance.now() - startMs;
}

async function runPlain(
  { before, inserts, updates, alive }: SteadyStream,
  { definition, directory }: OpsSettings,
): Promise<[number, number]> {
  const path = join(directory, 'plain.jsonl');
  const index = await PlainIndex.open(definition, path);
  try {
    for (const batch of before) await index.apply(batch);
    const times: number[] = [];
    for (const batches of [inserts, updates]) {
      const startMs = performance.now();
      for (const batch of batches) await index.apply(batch);
      times.push(performance.now() - startMs);
    }
    assertAgree('alive slots of the plain index', index.alive.size, alive);
    return [times[0], times[1]];
  } finally {
    await index.close();
    await rm(path);
  }
}

/** The same about slots that no dump reaches. */
function moved(entities: readonly Entity[]): Entity[] {
  return entities.map((entity) => ({ ...entity, slot: entity.slot + 2 ** 31 }));
}

function opsOfRow(definition: IndexDefinition, table: string): number {
  return definition.tables.find(({ name }) => name === table)!.fields.length;
}

function resultOf(
  name: string,
  kind: IntakeResult['kind'],
  entities: number,
  ops: number,
  samples: readonly number[],
  plain: readonly number[] | null,
): IntakeResult {
  const wallMs = summarise(samples);
  return {
    name,
    kind,
    entities,
    ops,
    wallMs,
    entitiesPerSecond: perSecond(entities, wallMs.median),
    peer:
      plain === null
        ? null
        : {
            name: 'JSON lines, a bitmap call per op',
            wallMs: summarise(plain),
            ratio: compareInTurn(samples, plain),
          },
    samples: roundSamples(samples),
  };
}
