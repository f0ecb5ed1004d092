/** Queries, counts and figures. Their bodies go to the index as they are: its own checks are the strict ones. */

import type { BitloomIndex } from '../engine/index-api.ts';
import { BitloomError } from '../errors.ts';
import { POSITION_WAIT_MS_DEFAULT } from '../limits.ts';
import type { Query } from '../query/query.ts';
import type { Where } from '../query/where.ts';
import { checkedByIndex, type HttpServer } from './http-server.ts';
import {
  AfterSchema,
  CountRequestSchema,
  CountSchema,
  documented,
  ErrorSchema,
  NoParametersSchema,
  PageSchema,
  QuerySchema,
  StatsSchema,
  SyncLagSchema,
} from './schemas.ts';
import type { Service } from './service.ts';

export function addQueryRoutes(server: HttpServer, service: Service): void {
  server.post(
    '/v1/query',
    {
      config: { access: 'read' },
      schema: {
        ...documented('read', 'One page of the matching slots'),
        querystring: AfterSchema,
        body: QuerySchema,
        response: { 200: PageSchema, default: ErrorSchema },
      },
      validatorCompiler: checkedByIndex,
    },
    ({ query, body }) => read(service, 'query', query, (index) => index.query(body as Query)),
  );

  server.post(
    '/v1/count',
    {
      config: { access: 'read' },
      schema: {
        ...documented('read', 'How many alive slots match'),
        querystring: AfterSchema,
        body: CountRequestSchema,
        response: { 200: CountSchema, default: ErrorSchema },
      },
      validatorCompiler: checkedByIndex,
    },
    ({ query, body }) => {
      const where = whereOf(body);
      return read(service, 'count', query, async (index) => ({ count: await index.count(where) }));
    },
  );

  server.get(
    '/v1/stats',
    {
      config: { access: 'read' },
      schema: {
        ...documented('read', 'What the index holds'),
        querystring: NoParametersSchema,
        response: { 200: StatsSchema, default: ErrorSchema },
      },
    },
    () => service.requireOpen().index.stats(),
  );

  server.get(
    '/v1/sync-lag',
    {
      config: { access: 'read' },
      schema: {
        ...documented('read', 'How far each source of ops has come'),
        querystring: NoParametersSchema,
        response: { 200: SyncLagSchema, default: ErrorSchema },
      },
    },
    async () => {
      service.requireOpen();
      return { sources: service.sources.list() };
    },
  );
}

/** Waits for what the caller has written, then asks the index. */
async function read<Answer>(
  service: Service,
  kind: 'query' | 'count',
  { after, waitMs }: { after?: string; waitMs?: string },
  ask: (index: BitloomIndex) => Promise<Answer>,
): Promise<Answer> {
  const { index } = service.requireOpen();
  const release = service.queries.take();
  try {
    if (after !== undefined) {
      const longestMs = service.settings.requestTimeoutMs;
      const givenMs = waitMs === undefined ? POSITION_WAIT_MS_DEFAULT : Number(waitMs);
      await service.positions.wait(Number(after), Math.min(givenMs, longestMs));
    }
    const finish = service.metrics.querySeconds.startTimer({ kind });
    const answer = await ask(index);
    finish();
    return answer;
  } finally {
    release();
  }
}

function whereOf(body: unknown): Where | undefined {
  const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
  const unknown = isObject ? Object.keys(body).find((key) => key !== 'where') : undefined;
  if (!isObject || unknown !== undefined) {
    const got = isObject ? `the key ${JSON.stringify(unknown)}` : JSON.stringify(body)?.slice(0, 100);
    throw new BitloomError('REQUEST_INVALID', `expected { where? }, got ${got}`, {
      hint: 'put conditions on fields in where',
    });
  }
  return (body as { where?: Where }).where;
}
