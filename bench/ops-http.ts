/** A server under concurrent load, in a process of its own: queries alone, batches alone, and both at once. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BitloomClient } from '../src/client/client.ts';
import { BitloomError } from '../src/errors.ts';
import { type Batch, openIndex, type Query } from '../src/index.ts';
import { childFile } from './child-file.ts';
import { perSecond } from './load.ts';
import { roundSamples, type Summary, summarise } from './measure.ts';
import { type OpsSettings, STEADY_ENTITIES_MAX } from './ops-intake.ts';
import { mixedQueries } from './ops-queries.ts';
import { batchesOf, exchanged, imageEntities } from './ops-wire.ts';

export interface HttpResult {
  readonly load: 'queries' | 'batches' | 'both';
  readonly queries: RequestResult | null;
  readonly batches: (RequestResult & { readonly entitiesPerSecond: number }) | null;
}

export interface RequestResult {
  /** Requests under way at a time. */
  readonly concurrency: number;
  readonly requestMs: Summary;
  readonly requestsPerSecond: number;
  readonly samples: readonly number[];
}

const QUERIES_AT_A_TIME = 32;
const BATCHES_AT_A_TIME = 8;
const BATCH_ENTITIES = 500;

export async function measureHttp(settings: OpsSettings): Promise<HttpResult[]> {
  const { dump, definition, directory, runTimeMs } = settings;
  const data = join(directory, 'http');
  const entities = await imageEntities(dump, definition, Math.min(dump.rows, STEADY_ENTITIES_MAX));
  const batches = [entities, exchanged(entities)].flatMap((part) => batchesOf(part, BATCH_ENTITIES));
  const queries = await mixedQueries(settings);
  const index = await openIndex({ definition: definition.normalised as object, directory: data });
  try {
    await index.load(Object.fromEntries(dump.files.map(({ table, path }) => [table, path])));
  } finally {
    await index.close();
  }
  const child = fork(childFile('server-child'), [data], { execArgv: [] });
  try {
    const client = new BitloomClient({ url: await urlOf(child) });
    await Promise.all([askFor(client, queries, runTimeMs), sendFor(client, batches, runTimeMs)]);
    const asked = await askFor(client, queries, runTimeMs);
    const sent = await sendFor(client, batches, runTimeMs);
    const [bothAsked, bothSent] = await Promise.all([
      askFor(client, queries, runTimeMs),
      sendFor(client, batches, runTimeMs),
    ]);
    return [
      { load: 'queries', queries: asked, batches: null },
      { load: 'batches', queries: null, batches: sent },
      { load: 'both', queries: bothAsked, batches: bothSent },
    ];
  } finally {
    const closed = once(child, 'close');
    if (child.connected) child.send('close');
    await closed;
    await rm(data, { recursive: true });
  }
}

async function urlOf(child: ChildProcess): Promise<string> {
  const ended = once(child, 'close').then(([code]) => {
    throw new BitloomError('BENCH_CHILD', `the server to measure ended with code ${code}`, {
      hint: 'its error is above',
    });
  });
  // Once it has an address its end is expected.
  ended.catch(() => {});
  const [{ url }] = await Promise.race([once(child, 'message'), ended]);
  return url;
}

function askFor(client: BitloomClient, queries: readonly Query[], runTimeMs: number): Promise<RequestResult> {
  return requestFor(runTimeMs, QUERIES_AT_A_TIME, (number) => client.query(queries[number % queries.length]));
}

async function sendFor(
  client: BitloomClient,
  batches: readonly Batch[],
  runTimeMs: number,
): Promise<NonNullable<HttpResult['batches']>> {
  const result = await requestFor(runTimeMs, BATCHES_AT_A_TIME, (number) =>
    client.apply(batches[number % batches.length], { strict: true }),
  );
  return { ...result, entitiesPerSecond: result.requestsPerSecond * batches[0].ops.length };
}

async function requestFor(
  runTimeMs: number,
  concurrency: number,
  request: (number: number) => Promise<unknown>,
): Promise<RequestResult> {
  const startMs = performance.now();
  const samples: number[] = [];
  let next = 0;
  const repeat = async (): Promise<void> => {
    do {
      const sentMs = performance.now();
      await request(next++);
      samples.push(performance.now() - sentMs);
    } while (performance.now() - startMs < runTimeMs);
  };
  await Promise.all(Array.from({ length: concurrency }, repeat));
  return {
    concurrency,
    requestMs: summarise(samples),
    requestsPerSecond: perSecond(samples.length, performance.now() - startMs),
    samples: roundSamples(samples),
  };
}
