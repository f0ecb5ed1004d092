import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resolveServerOptions } from '../../src/server/options.ts';
import { type BitloomServer, startServer } from '../../src/server/server.ts';
import { temporaryDirectory } from '../temporary.ts';
import { ask, READ_TOKEN, smallDump, TOKENS, WRITE_TOKEN, withServer } from './harness.ts';

const temporary = temporaryDirectory();
const logger = pino({ level: 'silent' });
let definition: string;
let server: BitloomServer;

beforeAll(async () => {
  definition = (await smallDump(temporary.path, 10)).definition;
  server = await startServer({ index: { definition }, port: 0, ...TOKENS, logger });
  await server.opened;
});
afterAll(() => server.close());

/** Method, path, body, and which tokens the route lets in. */
const ROUTES: [string, string, unknown, 'open' | 'read' | 'write'][] = [
  ['GET', '/livez', undefined, 'open'],
  ['GET', '/readyz', undefined, 'open'],
  ['GET', '/openapi.json', undefined, 'open'],
  ['GET', '/metrics', undefined, 'read'],
  ['GET', '/v1/stats', undefined, 'read'],
  ['HEAD', '/v1/stats', undefined, 'read'],
  ['GET', '/v1/sync-lag', undefined, 'read'],
  ['POST', '/v1/query', {}, 'read'],
  ['POST', '/v1/count', {}, 'read'],
  ['GET', '/v1/dumps', undefined, 'read'],
  ['GET', '/v1/dumps/none', undefined, 'read'],
  ['POST', '/v1/ops', {}, 'write'],
  ['PUT', '/v1/dumps/none', {}, 'write'],
  ['POST', '/v1/dumps/none/cancel', undefined, 'write'],
  ['DELETE', '/v1/dumps/none', undefined, 'write'],
];

const isLetIn = (status: number): boolean => status !== 401 && status !== 403;

test.each(ROUTES)('%s %s lets in whom it should', async (method, path, body, access) => {
  const status = async (token?: string): Promise<number> =>
    (await ask(server.url, method, path, { body, ...(token === undefined ? {} : { token }) })).status;
  expect(isLetIn(await status(WRITE_TOKEN))).toBe(true);
  expect(isLetIn(await status(READ_TOKEN))).toBe(access !== 'write');
  expect(isLetIn(await status())).toBe(access === 'open');
  if (access === 'open') return;
  expect(await status()).toBe(401);
  expect(await status(`${WRITE_TOKEN}x`)).toBe(401);
  expect(await status(WRITE_TOKEN.slice(0, -1))).toBe(401);
  if (access === 'write') expect(await status(READ_TOKEN)).toBe(403);
});

test('every route that is described is in the matrix', async () => {
  const { body } = await ask(server.url, 'GET', '/openapi.json');
  const described = Object.entries<object>(body.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace('{name}', 'none')}`),
  );
  const known = ROUTES.map(([method, path]) => `${method} ${path}`);
  expect(described.filter((route) => !route.startsWith('HEAD')).toSorted()).toEqual(
    known.filter((route) => !route.startsWith('HEAD')).toSorted(),
  );
});

test('other schemes and malformed headers are no token', async () => {
  for (const authorization of [`Basic ${WRITE_TOKEN}`, WRITE_TOKEN, 'Bearer', `Bearer ${WRITE_TOKEN} x`]) {
    const answer = await ask(server.url, 'GET', '/v1/stats', { headers: { authorization } });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect(answer.body.error.code).toBe('TOKEN_REQUIRED');
  }
  const lowerCase = { authorization: `bearer ${READ_TOKEN}` };
  expect((await ask(server.url, 'GET', '/v1/stats', { headers: lowerCase })).status).toBe(200);
});

test('no token is in an answer or in the log', async () => {
  const lines: string[] = [];
  const debug = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  await withServer({ index: { definition }, ...TOKENS, logger: debug }, async ({ url, opened }) => {
    await opened;
    for (const token of [READ_TOKEN, WRITE_TOKEN]) {
      await ask(url, 'GET', '/v1/stats', { token });
      await ask(url, 'POST', '/v1/ops', { token, text: '{' });
      lines.push(JSON.stringify((await ask(url, 'GET', '/metrics', { token })).body));
    }
  });
  expect(lines.join('')).toContain('request answered');
  expect(lines.join('')).not.toContain('token-of-the-tests');
});

test.each([
  ['without tokens', {}, 'there is no read token'],
  ['without a write token', { readToken: READ_TOKEN }, 'there is no write token'],
  ['without a read token', { writeToken: WRITE_TOKEN }, 'there is no read token'],
  ['with one token for both', { readToken: READ_TOKEN, writeToken: READ_TOKEN }, 'are the same'],
  ['with a short token', { readToken: 'short', writeToken: WRITE_TOKEN }, 'too short'],
  ['with a space in a token', { readToken: `${READ_TOKEN} x`, writeToken: WRITE_TOKEN }, 'a header'],
  ['with tokens and --no-auth', { ...TOKENS, authentication: false }, 'together with --no-auth'],
  ['without tokens on all addresses', { host: '0.0.0.0', authentication: false }, 'not a loopback'],
  ['without tokens on all addresses, IPv6', { host: '::', authentication: false }, 'not a loopback'],
  ['without tokens on a name', { host: 'localhost.example.com', authentication: false }, 'not a loopback'],
  [
    'without tokens on a name like an address',
    { host: '127.0.0.1.example.com', authentication: false },
    'not a',
  ],
])('a server does not start %s', (_what, options, message) => {
  expect(() => resolveServerOptions({ index: {}, logger, ...options })).toThrow(
    expect.objectContaining({ code: 'OPTION_INVALID', message: expect.stringContaining(message) }),
  );
});

test.each(['127.0.0.1', '127.8.9.1', 'localhost', '::1'])('%s may be served without tokens', (host) => {
  expect(resolveServerOptions({ index: {}, logger, host, authentication: false }).tokens).toBeNull();
});

test('without tokens it answers to loopback names alone', async () => {
  const directory = join(temporary.path, 'rebinding');
  await withServer({ index: { definition, directory } }, async ({ url, opened }) => {
    await opened;
    expect((await ask(url, 'GET', '/v1/stats')).status).toBe(200);
    const port = new URL(url).port;
    for (const [host, status] of [
      [`localhost:${port}`, 200],
      [`[::1]:${port}`, 200],
      ['evil.example.com', 403],
      [`127.0.0.1.evil.example.com:${port}`, 403],
    ] as const) {
      expect(await statusWithHost(Number(port), host), host).toBe(status);
    }
  });
});

async function statusWithHost(port: number, host: string): Promise<number> {
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', path: '/v1/stats', headers: { host }, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode!);
    })
      .on('error', reject)
      .end();
  });
}
