import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openIndex } from '../../src/index.ts';
import { type BitloomServer, startServer } from '../../src/server/server.ts';
import { temporaryDirectory } from '../temporary.ts';
import { ask, smallDump } from './harness.ts';

const ROWS = 300;
const temporary = temporaryDirectory();
const directory = join(temporary.path, 'data');
let server: BitloomServer;

beforeAll(async () => {
  const { definition, files } = await smallDump(temporary.path, ROWS);
  const index = await openIndex({ definition, directory, inProcess: true });
  await index.load(files, { threads: 1 });
  await index.close();
  server = await startServer({
    index: { directory },
    port: 0,
    authentication: false,
    logger: pino({ level: 'silent' }),
  });
  await server.opened;
});
afterAll(() => server.close());

const query = (body: unknown, path = '/v1/query') => ask(server.url, 'POST', path, { body });

test('a query gives pages that follow each other to the end', async () => {
  const ids: number[] = [];
  let cursor: string | null = null;
  do {
    const { status, body } = await query({ where: {}, orderBy: { existedAt: 'desc' }, take: 120, cursor });
    expect(status).toBe(200);
    expect(body.total).toBe(ROWS);
    ids.push(...body.ids);
    cursor = body.nextCursor;
  } while (cursor !== null);
  expect(new Set(ids).size).toBe(ROWS);
});

test('a count counts, of everything without a where', async () => {
  const { body } = await query({ where: { hasMeta: true } }, '/v1/count');
  const page = await query({ where: { hasMeta: true }, take: 0 });
  expect(body).toEqual({ count: page.body.total });
  expect((await query({}, '/v1/count')).body).toEqual({ count: ROWS });
});

test('no match is an empty page and a status of 200', async () => {
  const { status, body } = await query({ where: { nsfwLevel: 4_000_000_000 } });
  expect({ status, body }).toEqual({ status: 200, body: { ids: [], total: 0, nextCursor: null } });
});

test('stats and sync lag', async () => {
  const stats = await ask(server.url, 'GET', '/v1/stats');
  expect(stats.body).toMatchObject({ version: 1, alive: ROWS, fields: { nsfwLevel: { present: ROWS } } });
  const lag = await ask(server.url, 'GET', '/v1/sync-lag');
  expect(lag).toMatchObject({ status: 200, body: { sources: [] } });
});

const nested = (depth: number): unknown =>
  Array.from({ length: depth }).reduce((where) => ({ AND: [where] }), {});

test.each([
  ['an unknown field', { where: { nsfwLeve: 1 } }, 400, 'QUERY_UNKNOWN_FIELD'],
  ['an unknown operator', { where: { nsfwLevel: { eq: 1 } } }, 400, 'QUERY_UNKNOWN_OPERATOR'],
  ['a value of another type', { where: { nsfwLevel: 'x' } }, 400, 'QUERY_TYPE'],
  ['a number that JSON cannot hold', { where: { nsfwLevel: 2 ** 53 } }, 400, 'QUERY_TYPE'],
  ['a range without sort', { where: { userId: { gt: 1 } } }, 400, 'QUERY_RANGE_WITHOUT_SORT'],
  ['an order without sort', { orderBy: { userId: 'asc' } }, 400, 'QUERY_ORDER_WITHOUT_SORT'],
  ['an unknown key', { filter: {} }, 400, 'QUERY_INVALID'],
  ['too large a page', { take: 10_001 }, 400, 'TAKE_TOO_LARGE'],
  ['a negative page', { take: -1 }, 400, 'TAKE_INVALID'],
  ['a page that is text', { take: '5' }, 400, 'TAKE_INVALID'],
  ['a foreign cursor', { cursor: 'abc' }, 400, 'CURSOR_INVALID'],
  ['a where too deep', { where: nested(40) }, 400, 'WHERE_TOO_DEEP'],
  ['JSON too deep', { where: nested(200) }, 400, 'REQUEST_INVALID'],
  ['too many clauses', { where: { nsfwLevel: { in: Array(10_001).fill(1) } } }, 400, 'WHERE_TOO_LARGE'],
  ['a list', [], 400, 'QUERY_INVALID'],
  ['null', null, 400, 'QUERY_INVALID'],
])('%s is an error that says so', async (_what, body, status, code) => {
  const answer = await query(body);
  expect(answer.status).toBe(status);
  expect(answer.body.error).toMatchObject({ code, message: expect.any(String), hint: expect.any(String) });
});

test.each([
  ['no body at all', { text: '' }, 400, 'REQUEST_INVALID'],
  ['no JSON', { text: '{"where":' }, 400, 'REQUEST_INVALID'],
  ['no UTF-8', { text: Buffer.from('{"cursor":"\xff"}', 'latin1') }, 400, 'REQUEST_INVALID'],
  ['another media type', { text: '{}', headers: { 'content-type': 'text/plain' } }, 415, 'MEDIA_TYPE'],
  [
    'a form',
    { text: 'a=1', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    415,
    'MEDIA_TYPE',
  ],
  ['a body over the limit', { text: `{"where":{},"x":"${'x'.repeat(1024 * 1024)}"}` }, 413, 'BODY_TOO_LARGE'],
])('%s is refused', async (_what, given, status, code) => {
  const answer = await ask(server.url, 'POST', '/v1/query', given);
  expect(answer.status).toBe(status);
  expect(answer.body.error.code).toBe(code);
});

test.each([
  ['POST', '/v1/query?take=5'],
  ['POST', '/v1/query?after=x'],
  ['POST', '/v1/query?after=-1'],
  ['POST', '/v1/count?waitMs=1.5'],
  ['GET', '/v1/stats?digest=true'],
])('%s %s has a parameter that is refused', async (method, path) => {
  const answer = await ask(server.url, method, path, method === 'POST' ? { body: {} } : {});
  expect(answer).toMatchObject({ status: 400, body: { error: { code: 'REQUEST_INVALID' } } });
});

test('a count takes where and nothing else', async () => {
  for (const body of [{ where: {}, take: 1 }, [], 5, null]) {
    expect(await query(body, '/v1/count')).toMatchObject({
      status: 400,
      body: { error: { code: 'REQUEST_INVALID' } },
    });
  }
});

test('an unknown route, a method that a route has not, and a malformed path', async () => {
  const code = async (method: string, path: string) => {
    const { status, body } = await ask(server.url, method, path);
    return [status, body.error.code];
  };
  expect(await code('GET', '/v1/nothing')).toEqual([404, 'ROUTE_UNKNOWN']);
  expect(await code('DELETE', '/v1/query')).toEqual([404, 'ROUTE_UNKNOWN']);
  expect(await code('GET', '/v1/dumps/%ff')).toEqual([400, 'REQUEST_INVALID']);
});

interface Answered {
  summary: string;
  responses: Record<string, { content?: object }>;
}

test('the interface is described as OpenAPI, with the shapes of requests, answers and errors', async () => {
  const { body } = await ask(server.url, 'GET', '/openapi.json');
  expect(body.openapi).toBe('3.1.0');
  const operation = body.paths['/v1/query'].post;
  expect(Object.keys(operation.requestBody.content['application/json'].schema.properties)).toEqual([
    'where',
    'orderBy',
    'take',
    'cursor',
  ]);
  expect(operation.responses['200'].content['application/json'].schema.required).toContain('total');
  expect(operation.responses.default.content['application/json'].schema.required).toEqual(['error']);
  expect(operation.security).toEqual([{ readToken: [] }]);
  const stats = body.paths['/v1/stats'].get.responses['200'].content['application/json'].schema;
  expect(Object.keys(stats.properties)).toEqual(['version', 'alive', 'position', 'sources', 'checkpoints']);
  expect(body.paths['/metrics'].get.responses['200'].content).toHaveProperty(['text/plain']);
  for (const [path, operations] of Object.entries<Record<string, Answered>>(body.paths)) {
    for (const { responses, summary } of Object.values(operations)) {
      expect(summary, path).not.toBe('');
      expect(responses['200'].content, path).toBeDefined();
      if (path !== '/openapi.json') expect(responses.default?.content, path).toBeDefined();
    }
  }
});
