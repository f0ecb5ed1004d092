/** No failure may look like an answer: what the client throws, for everything that can come back or not come back. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { BitloomClient, ClientError } from '../../src/client/client.ts';
import { BitloomError } from '../../src/errors.ts';
import { eventually, READ_TOKEN, smallDump, TOKENS, WRITE_TOKEN, withServer } from '../server/harness.ts';
import { temporaryDirectory } from '../temporary.ts';

const temporary = temporaryDirectory();
let definition: string;
beforeAll(async () => {
  definition = (await smallDump(temporary.path, 100)).definition;
});

test('every call against a server', () =>
  withServer(
    {
      index: { definition, directory: join(temporary.path, 'data') },
      ...TOKENS,
      dumpDirectories: [temporary.path],
    },
    async ({ url, opened }) => {
      const client = new BitloomClient({ url: `${url}/`, token: WRITE_TOKEN });
      expect(await client.readiness()).toMatchObject({ ready: expect.any(Boolean), checks: {} });
      await opened;
      const registered = await client.registerDump('first', { files: { images: 'images.csv' } });
      expect(registered.status).toBe('registered');
      await eventually(
        () => client.dump('first'),
        ({ status }) => status === 'complete',
      );
      expect(await client.dumps()).toHaveLength(1);
      await expect(client.cancelDump('first')).rejects.toMatchObject({ code: 'DUMP_STATE', status: 409 });
      expect((await client.deleteDump('first')).name).toBe('first');
      const page = await client.query({ orderBy: { existedAt: 'desc' }, take: 3 });
      expect(page).toMatchObject({ total: 100, nextCursor: expect.any(String) });
      expect(await client.query({ where: { nsfwLevel: 77 } })).toEqual({
        ids: [],
        total: 0,
        nextCursor: null,
      });
      const { accepted, refused, position } = await client.apply({
        ops: [
          { slot: 5_000_000, alive: true, ops: [{ op: 'set', field: 'nsfwLevel', value: 77 }] },
          { slot: 1, ops: [{ op: 'set', field: 'no such field', value: 1 }] },
        ],
        meta: { source: 'tests', cursor: 4, maxId: 9, lagRows: 5 },
      });
      expect({ accepted, refused }).toMatchObject({
        accepted: 1,
        refused: [{ index: 1, code: 'OP_UNKNOWN_FIELD', field: 'no such field' }],
      });
      expect(await client.count({ nsfwLevel: 77 }, { after: position! })).toBe(1);
      expect((await client.query({ where: { nsfwLevel: 77 } }, { after: position! })).ids).toEqual([
        5_000_000,
      ]);
      expect(await client.count()).toBe(101);
      expect(await client.stats()).toMatchObject({ alive: 101 });
      expect(await client.syncLag()).toMatchObject([
        { source: 'tests', cursor: 4, maxId: 9, lagRows: 5, entities: 1 },
      ]);
      const strict = client.apply({ ops: [{ slot: -1, ops: [] }] }, { strict: true });
      await expect(strict).rejects.toMatchObject({
        code: 'BATCH_REFUSED',
        status: 422,
        outcomeUnknown: false,
      });
      await expect(client.count(undefined, { after: position! + 1, waitMs: 10 })).rejects.toMatchObject({
        code: 'POSITION_NOT_REACHED',
        retryable: true,
        retryAfterSeconds: 1,
      });
    },
  ));

test('errors of the server keep their code, hint and details', () =>
  withServer({ index: { definition }, ...TOKENS }, async ({ url, opened }) => {
    await opened;
    const reader = new BitloomClient({ url, token: READ_TOKEN });
    const unknown = await reader.count({ nope: 1 }).catch((error) => error);
    expect(unknown).toBeInstanceOf(ClientError);
    expect(unknown).toBeInstanceOf(BitloomError);
    expect(unknown).toMatchObject({
      code: 'QUERY_UNKNOWN_FIELD',
      status: 400,
      retryable: false,
      outcomeUnknown: false,
      retryAfterSeconds: null,
      hint: expect.any(String),
      details: { field: 'nope' },
    });
    await expect(reader.apply({ ops: [] })).rejects.toMatchObject({ code: 'TOKEN_FORBIDDEN', status: 403 });
    await expect(new BitloomClient({ url }).count()).rejects.toMatchObject({
      code: 'TOKEN_REQUIRED',
      status: 401,
    });
  }));

let server: Server | null = null;
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server === null ? resolve(null) : server.close(resolve)));
  server = null;
});

/** A server that is not this one: what a proxy, or a wrong address, may answer. */
async function answering(
  status: number,
  body: string,
  headers: Record<string, string> = {},
): Promise<string> {
  server = createServer((_request, response) => {
    response.writeHead(status, headers).end(body);
  });
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const CALLS: [string, (client: BitloomClient) => Promise<unknown>][] = [
  ['apply', (client) => client.apply({ ops: [] })],
  ['query', (client) => client.query({})],
  ['count', (client) => client.count()],
  ['stats', (client) => client.stats()],
  ['syncLag', (client) => client.syncLag()],
  ['registerDump', (client) => client.registerDump('x', { files: {} })],
  ['dump', (client) => client.dump('x')],
  ['dumps', (client) => client.dumps()],
  ['cancelDump', (client) => client.cancelDump('x')],
  ['deleteDump', (client) => client.deleteDump('x')],
  ['readiness', (client) => client.readiness()],
];

const FOREIGN: [string, number, string][] = [
  ['a page of HTML', 200, '<html>sign in</html>'],
  ['nothing', 200, ''],
  ['nothing, and says so', 204, ''],
  ['an empty object', 200, '{}'],
  ['null', 200, 'null'],
  ['a list', 200, '[]'],
  ['a bare number', 200, '0'],
  ['a gateway error', 502, '<html>bad gateway</html>'],
  ['a JSON error of another kind', 500, '{"message":"oops"}'],
  [
    'what would be an answer, as a failure',
    500,
    '{"ids":[],"total":0,"nextCursor":null,"count":0,"ready":true,"checks":{}}',
  ],
];

test.each(FOREIGN)('%s is no answer to any call (status %i)', async (_what, status, body) => {
  const client = new BitloomClient({ url: await answering(status, body) });
  for (const [name, call] of CALLS) {
    await expect(call(client), name).rejects.toMatchObject({ code: 'CLIENT_PROTOCOL', outcomeUnknown: true });
  }
});

test('a redirection is not followed, so that the token stays where it was sent', async () => {
  const paths: (string | undefined)[] = [];
  const url = await answering(307, '', { location: '/elsewhere' });
  server!.on('request', (request) => paths.push(request.url));
  const client = new BitloomClient({ url, token: WRITE_TOKEN });
  for (const [name, call] of CALLS) {
    await expect(call(client), name).rejects.toMatchObject({ code: 'CLIENT_UNREACHABLE' });
  }
  expect(paths).toHaveLength(CALLS.length);
  expect(paths).not.toContain('/elsewhere');
});

test('a server that is not there', async () => {
  const url = await answering(200, '');
  await new Promise((resolve) => server!.close(resolve));
  server = null;
  for (const [name, call] of CALLS) {
    await expect(call(new BitloomClient({ url })), name).rejects.toMatchObject({
      code: 'CLIENT_UNREACHABLE',
      status: null,
      retryable: true,
      outcomeUnknown: false,
    });
  }
});

test('a connection that is cut while the answer is awaited leaves the outcome unknown', async () => {
  const url = await answering(200, '');
  server!.removeAllListeners('request').on('request', (request) => request.socket.destroy());
  await expect(new BitloomClient({ url }).apply({ ops: [] })).rejects.toMatchObject({
    code: 'CLIENT_UNREACHABLE',
    retryable: true,
    outcomeUnknown: true,
  });
});

test('an answer that is cut is none', async () => {
  const url = await answering(200, '');
  server!.removeAllListeners('request').on('request', (request, response) => {
    response.writeHead(200, { 'content-length': 1000 }).write('{"ids":[],"total":0,"nextCursor":null}');
    setTimeout(() => request.socket.destroy(), 20);
  });
  await expect(new BitloomClient({ url }).query({})).rejects.toMatchObject({ code: 'CLIENT_UNREACHABLE' });
});

test('no answer in time, and a call that is aborted', async () => {
  const url = await answering(200, '');
  server!.removeAllListeners('request');
  await expect(new BitloomClient({ url, timeoutMs: 50 }).count()).rejects.toMatchObject({
    code: 'CLIENT_TIMEOUT',
    outcomeUnknown: true,
    retryable: true,
  });
  const controller = new AbortController();
  const call = new BitloomClient({ url }).count(undefined, { signal: controller.signal });
  controller.abort();
  await expect(call).rejects.toMatchObject({ code: 'CLIENT_ABORTED', retryable: false });
});
