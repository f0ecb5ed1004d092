/**
 * A server under concurrent load, in a process of its own: queries alone, batches alone, and both at once, each beside a
 * plain server with the same content, asked by the same client.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BitloomClient } from '../src/client/client.ts';
import { BitloomError } from '../src/errors.ts';
import { type Batch, openIndex, type Query } from '../src/index.ts';
import { answerOf } from './child-answer.ts';
import { childFile } from './child-file.ts';
import { assertAgree } from './difference.ts';
import { perSecond } from './load.ts';
import { roundSamples, type Summary, summarise } from './measure.ts';
import { type OpsSettings, STEADY_ENTITIES_MAX } from './ops-intake.ts';
import { mixedQueries } from './ops-queries.ts';
import { batchesOf, exchanged, imageEntities } from './ops-wire.ts';

export interface HttpResult {
  readonly load: 'queries' | 'batches' | 'both';
  readonly queries: PeeredResult | null;
  readonly batches: (PeeredResult & { readonly entitiesPerSecond: number }) | null;
}

export interface RequestResult {
  /** Requests under way at a time. */
  readonly concurrency: number;
  readonly requestMs: Summary;
  readonly requestsPerSecond: number;
  readonly samples: readonly number[];
}

/** Beside the plain server under the same load, right after it. */
export interface PeeredResult extends RequestResult {
  readonly peer: RequestResult & { readonly name: string };
  /** How many times as many requests it answers. */
  readonly ratio: number;
}

interface ServerProcess {
  readonly client: BitloomClient;
  close(): Promise<void>;
}

/** What both servers are asked for. */
interface Requests {
  readonly queries: readonly Query[];
  readonly batches: readonly Batch[];
  readonly runTimeMs: number;
}

const QUERIES_AT_A_TIME = 32;
const BATCHES_AT_A_TIME = 8;
const BATCH_ENTITIES = 500;
/** Queries whose answers are compared before anything is measured: each case a few times. */
const QUERIES_COMPARED = 44;
const CALL_TIMEOUT_MS = 600_000;
const PEER_NAME = 'plain: node:http, JSON lines flushed per batch, a bitmap call per op';

export async function measureHttp(settings: OpsSettings): Promise<HttpResult[]> {
  const { dump, definition, directory, runTimeMs } = settings;
  const data = join(directory, 'http');
  const log = join(directory, 'http-plain.jsonl');
  const files = Object.fromEntries(dump.files.map(({ table, path }) => [table, path]));
  const entities = await imageEntities(dump, definition, Math.min(dump.rows, STEADY_ENTITIES_MAX));
  const batches = [entities, exchanged(entities)].flatMap((part) => batchesOf(part, BATCH_ENTITIES));
  const requests = { queries: await mixedQueries(settings), batches, runTimeMs };
  const index = await openIndex({ definition: definition.normalised as object, directory: data });
  try {
    await index.load(files);
  } finally {
    await index.close();
  }
  const servers: ServerProcess[] = [];
  try {
    servers.push(await startServer('own', data));
    servers.push(
      await startServer('plain', JSON.stringify({ definition: definition.normalised, files, log })),
    );
    const [own, plain] = servers.map(({ client }) => client);
    await assertSameAnswers(own, plain, requests.queries);
    return await measureInTurn(own, plain, requests);
  } finally {
    for (const server of servers) await server.close();
    await rm(data, { recursive: true });
    await rm(log, { force: true });
  }
}

async function assertSameAnswers(
  own: BitloomClient,
  plain: BitloomClient,
  queries: readonly Query[],
): Promise<void> {
  for (const query of queries.slice(0, QUERIES_COMPARED)) {
    const [{ ids, total }, expected] = await Promise.all([own.query(query), plain.query(query)]);
    assertAgree(
      `the plain server's ${JSON.stringify(query)}`,
      { ids, total },
      {
        ids: expected.ids,
        total: expected.total,
      },
    );
  }
}

async function measureInTurn(
  own: BitloomClient,
  plain: BitloomClient,
  requests: Requests,
): Promise<HttpResult[]> {
  for (const client of [own, plain]) await Promise.all([askFor(client, requests), sendFor(client, requests)]);
  const asked = beside(await askFor(own, requests), await askFor(plain, requests));
  const sent = beside(await sendFor(own, requests), await sendFor(plain, requests));
  const [ownAsked, ownSent] = await Promise.all([askFor(own, requests), sendFor(own, requests)]);
  const [plainAsked, plainSent] = await Promise.all([askFor(plain, requests), sendFor(plain, requests)]);
  const ofBatches = (result: PeeredResult) => ({
    ...result,
    entitiesPerSecond: result.requestsPerSecond * BATCH_ENTITIES,
  });
  return [
    { load: 'queries', queries: asked, batches: null },
    { load: 'batches', queries: null, batches: ofBatches(sent) },
    { load: 'both', queries: beside(ownAsked, plainAsked), batches: ofBatches(beside(ownSent, plainSent)) },
  ];
}

function beside(own: RequestResult, peer: RequestResult): PeeredResult {
  const ratio = own.requestsPerSecond / peer.requestsPerSecond;
  return { ...own, peer: { name: PEER_NAME, ...peer }, ratio };
}

async function startServer(kind: 'own' | 'plain', given: string): Promise<ServerProcess> {
  const child = fork(childFile('server-child'), [kind, given], { execArgv: [] });
  // The plain one takes its time where many wait.
  const client = new BitloomClient({ url: await urlOf(child), timeoutMs: CALL_TIMEOUT_MS });
  return {
    client,
    close: async () => {
      const closed = once(child, 'close');
      if (child.connected) child.send('close');
      await closed;
    },
  };
}

async function urlOf(child: ChildProcess): Promise<string> {
  const { url } = await answerOf<{ url: string }>(
    child,
    (code) =>
      new BitloomError('BENCH_CHILD', `the server to measure ended with code ${code}`, {
        hint: 'its error is above',
      }),
  );
  return url;
}

function askFor(client: BitloomClient, { queries, runTimeMs }: Requests): Promise<RequestResult> {
  return requestFor(runTimeMs, QUERIES_AT_A_TIME, (number) => client.query(queries[number % queries.length]));
}

function sendFor(client: BitloomClient, { batches, runTimeMs }: Requests): Promise<RequestResult> {
  return requestFor(runTimeMs, BATCHES_AT_A_TIME, (number) =>
    client.apply(batches[number % batches.length], { strict: true }),
  );
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
