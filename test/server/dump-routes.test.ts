import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BitloomServer, startServer } from '../../src/server/server.ts';
import { temporaryDirectory } from '../temporary.ts';
import { type Answer, ask, eventually, smallDump, withServer } from './harness.ts';

const temporary = temporaryDirectory();
const dumps = join(temporary.path, 'dumps');
const outside = join(temporary.path, 'outside');
const dumpDirectories = [dumps];
let definition: string;
/** For requests that are refused. */
let shared: BitloomServer;
let directories = 0;

beforeAll(async () => {
  mkdirSync(dumps);
  mkdirSync(outside);
  definition = (await smallDump(dumps, 500)).definition;
  await smallDump(join(dumps, 'large'), 60_000);
  for (const folder of [outside, join(temporary.path, 'dumps-too')]) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'secret.csv'), 'secret');
  }
  symlinkSync(outside, join(dumps, 'link'));
  symlinkSync(join(outside, 'secret.csv'), join(dumps, 'link.csv'));
  symlinkSync(join(dumps, 'images.csv'), join(outside, 'inward.csv'));
  symlinkSync(join(dumps, 'images.csv'), join(dumps, 'latest.csv'));
  symlinkSync(join(dumps, 'gone.csv'), join(dumps, 'dangling.csv'));
  const logger = pino({ level: 'silent' });
  shared = await startServer({
    index: { definition },
    port: 0,
    authentication: false,
    dumpDirectories,
    logger,
  });
  await shared.opened;
});
afterAll(() => shared.close());

const onDisk = () => ({
  index: { definition, directory: join(temporary.path, `data-${directories++}`) },
  dumpDirectories,
});

const put = (server: BitloomServer, name: string, body: unknown) =>
  ask(server.url, 'PUT', `/v1/dumps/${name}`, { body });
const get = (server: BitloomServer, name: string) => ask(server.url, 'GET', `/v1/dumps/${name}`);
const isEnded = ({ body }: Answer): boolean => ['complete', 'failed', 'cancelled'].includes(body.status);
const ended = (server: BitloomServer, name: string) => eventually(() => get(server, name), isEnded);

test('a dump is registered, loaded, told, and forgotten', () =>
  withServer(onDisk(), async (server) => {
    await server.opened;
    const files = { images: 'images.csv', tags: join(dumps, 'tags.csv') };
    const registered = await put(server, 'first', { files });
    expect(registered).toMatchObject({
      status: 202,
      body: { name: 'first', mode: 'replace', maxRejects: 0, reason: null, counts: null },
    });
    expect(registered.body.tables.images).toEqual({
      file: join(dumps, 'images.csv'),
      definitionHash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const { body } = await ended(server, 'first');
    expect(body).toMatchObject({
      status: 'complete',
      counts: { alive: 500, rejectedRows: 0, version: 1 },
      progress: null,
    });
    expect(Date.parse(body.registeredAt)).toBeLessThanOrEqual(Date.parse(body.startedAt));
    expect(Date.parse(body.startedAt)).toBeLessThanOrEqual(Date.parse(body.endedAt));
    expect((await ask(server.url, 'POST', '/v1/count', { body: {} })).body.count).toBe(500);

    // The same again changes nothing, another of the name is refused.
    expect(await put(server, 'first', { files })).toMatchObject({ status: 200, body: { id: body.id } });
    expect(await put(server, 'first', { files: { images: 'images.csv' } })).toMatchObject({
      status: 409,
      body: { error: { code: 'DUMP_EXISTS' } },
    });
    expect((await ask(server.url, 'GET', '/v1/dumps')).body.dumps).toEqual([body]);
    expect(await ask(server.url, 'POST', '/v1/dumps/first/cancel')).toMatchObject({
      status: 409,
      body: { error: { code: 'DUMP_STATE' } },
    });
    expect((await ask(server.url, 'DELETE', '/v1/dumps/first')).status).toBe(200);
    expect(await get(server, 'first')).toMatchObject({
      status: 404,
      body: { error: { code: 'DUMP_UNKNOWN' } },
    });
    expect((await ask(server.url, 'POST', '/v1/count', { body: {} })).body.count).toBe(500);
  }));

test('dumps run one after the other, in the order of registration', () =>
  withServer(onDisk(), async (server) => {
    await server.opened;
    const names = ['c', 'a', 'b'];
    for (const name of names) await put(server, name, { files: { images: 'images.csv' } });
    const versions = [];
    for (const name of names) versions.push((await ended(server, name)).body.counts.version);
    expect(versions).toEqual([1, 2, 3]);
  }));

test('a dump that fails says why and leaves the index; then it may be tried again', () =>
  withServer(onDisk(), async (server) => {
    await server.opened;
    writeFileSync(join(dumps, 'broken.csv'), 'tagId,imageId\n1,2\n1,x\n');
    const files = { tags: 'broken.csv' };
    await put(server, 'broken', { files });
    const { body } = await ended(server, 'broken');
    expect(body).toMatchObject({ status: 'failed', reason: { code: 'TOO_MANY_REJECTS' }, counts: null });
    expect((await ask(server.url, 'GET', '/v1/stats')).body.version).toBe(0);
    expect((await put(server, 'broken', { files, maxRejects: null })).status).toBe(202);
    expect((await ended(server, 'broken')).body).toMatchObject({
      status: 'complete',
      maxRejects: null,
      counts: { rejectedRows: expect.any(Number) },
    });
  }));

test('cancelling ends what is being loaded and what waits, and publishes nothing', () =>
  withServer(onDisk(), async (server) => {
    await server.opened;
    const files = { images: 'large/images.csv', tags: 'large/tags.csv', tools: 'large/tools.csv' };
    await put(server, 'running', { files });
    await put(server, 'waiting', { files });
    const cancel = (name: string) => ask(server.url, 'POST', `/v1/dumps/${name}/cancel`);
    expect(await cancel('waiting')).toMatchObject({
      status: 200,
      body: { status: 'cancelled', startedAt: null },
    });
    expect(await cancel('running')).toMatchObject({
      status: 200,
      body: { status: 'cancelled', reason: { code: 'DUMP_CANCELLED' }, counts: null },
    });
    expect((await ask(server.url, 'GET', '/v1/stats')).body).toMatchObject({ version: 0, alive: 0 });
    // The server goes on.
    await put(server, 'next', { files: { images: 'images.csv' } });
    expect((await ended(server, 'next')).body.status).toBe('complete');
  }));

test('progress is told while a dump is being loaded, which cannot be deleted then', () =>
  withServer(onDisk(), async (server) => {
    await server.opened;
    await put(server, 'large', { files: { images: 'large/images.csv', tags: 'large/tags.csv' } });
    const running = await eventually(
      () => get(server, 'large'),
      (answer) => answer.body.progress !== null || isEnded(answer),
    );
    expect(running.body.progress).toMatchObject({
      phase: expect.any(String),
      bytesTotal: expect.any(Number),
    });
    expect(await ask(server.url, 'DELETE', '/v1/dumps/large')).toMatchObject({
      status: 409,
      body: { error: { code: 'DUMP_STATE' } },
    });
    expect((await ended(server, 'large')).body.status).toBe('complete');
  }));

test.each([
  ['a path upwards', '../outside/secret.csv'],
  ['a path up and down', 'large/../../outside/secret.csv'],
  ['an absolute path', () => join(outside, 'secret.csv')],
  ['an absolute path through the directory', () => join(dumps, '..', 'outside', 'secret.csv')],
  ['a link to a file outside', 'link.csv'],
  ['a link to a folder outside', 'link/secret.csv'],
  ['a folder whose name begins like the directory', () => join(temporary.path, 'dumps-too', 'secret.csv')],
  ['what is not there, outside', '/nonexistent/secret.csv'],
  ['what is not there, upwards', '../nonexistent.csv'],
  ['what is not there, behind a link outside', 'link/nonexistent.csv'],
  ['the directory itself', '.'],
  ['a file of the system', '/etc/passwd'],
  ['a NUL', 'images.csv\0.csv'],
])('%s is forbidden', async (_what, given) => {
  const file = typeof given === 'string' ? given : given();
  expect(await put(shared, 'x', { files: { images: file } })).toMatchObject({
    status: 403,
    body: { error: { code: 'DUMP_FILE_FORBIDDEN' } },
  });
  expect((await ask(shared.url, 'GET', '/v1/dumps')).body.dumps).toEqual([]);
});

test('what is inside may be named in any way that ends there', () =>
  withServer({ index: { definition }, dumpDirectories }, async (server) => {
    await server.opened;
    const file = join(dumps, 'images.csv');
    for (const given of [
      'images.csv',
      './large/../images.csv',
      'latest.csv',
      join(outside, 'inward.csv'),
      file,
    ]) {
      const answer = await put(server, 'same', { files: { images: given } });
      expect(answer.body.tables?.images.file, given).toBe(file);
    }
    for (const missing of [
      'missing.csv',
      'large/missing/too.csv',
      'dangling.csv',
      join(dumps, 'missing.csv'),
    ]) {
      expect((await put(server, 'x', { files: { images: missing } })).body.error?.code, missing).toBe(
        'SOURCE_NOT_FOUND',
      );
    }
  }));

test('without a dump directory no file may be named', () =>
  withServer({ index: { definition } }, async (server) => {
    await server.opened;
    const answer = await put(server, 'x', { files: { images: join(dumps, 'images.csv') } });
    expect(answer).toMatchObject({
      status: 403,
      body: { error: { hint: expect.stringContaining('--dump-directory') } },
    });
  }));

test('a link that is turned outwards after registration is not followed', () =>
  withServer({ index: { definition }, dumpDirectories }, async (server) => {
    await server.opened;
    cpSync(join(dumps, 'images.csv'), join(dumps, 'turned.csv'));
    await put(server, 'first', { files: { images: 'large/images.csv', tags: 'large/tags.csv' } });
    await put(server, 'turned', { files: { images: 'turned.csv' } });
    rmSync(join(dumps, 'turned.csv'));
    symlinkSync(join(outside, 'secret.csv'), join(dumps, 'turned.csv'));
    expect((await ended(server, 'turned')).body).toMatchObject({
      status: 'failed',
      reason: { code: 'DUMP_FILE_FORBIDDEN' },
    });
    rmSync(join(dumps, 'turned.csv'));
  }));

test.each([
  ['no files', {}, 400, 'REQUEST_INVALID'],
  ['files that are a list', { files: ['images.csv'] }, 400, 'REQUEST_INVALID'],
  ['a file that is no text', { files: { images: 5 } }, 400, 'REQUEST_INVALID'],
  ['an unknown key', { files: { images: 'images.csv' }, rejectsFile: '/tmp/x' }, 400, 'REQUEST_INVALID'],
  ['an unknown mode', { files: { images: 'images.csv' }, mode: 'add' }, 400, 'REQUEST_INVALID'],
  ['a negative budget', { files: { images: 'images.csv' }, maxRejects: -1 }, 400, 'REQUEST_INVALID'],
  ['no table', { files: {} }, 400, 'DUMP_EMPTY'],
  ['an unknown table', { files: { image: 'images.csv' } }, 400, 'TABLE_UNKNOWN'],
  ['a table named like a method', { files: { constructor: 'images.csv' } }, 400, 'TABLE_UNKNOWN'],
])('a request with %s is refused', async (_what, body, status, code) => {
  expect(await put(shared, 'x', body)).toMatchObject({ status, body: { error: { code } } });
  expect((await ask(shared.url, 'GET', '/v1/dumps')).body.dumps).toEqual([]);
});

test('a name that is none is refused', async () => {
  for (const name of ['a%2Fb', '..%2Fx', '%20', 'x'.repeat(129)]) {
    const answer = await put(shared, name, { files: { images: 'images.csv' } });
    expect(answer.status, name).toBeGreaterThanOrEqual(400);
    expect(answer.body.error.code).toMatch(/DUMP_NAME_INVALID|REQUEST_INVALID|ROUTE_UNKNOWN/);
  }
});

test('what has ended and what waits survives a restart, and what waits is then loaded', async () => {
  const options = onDisk();
  await withServer(options, async (server) => {
    await server.opened;
    await put(server, 'done', { files: { images: 'images.csv' } });
    await ended(server, 'done');
    await put(server, 'running', { files: { images: 'large/images.csv', tags: 'large/tags.csv' } });
    await put(server, 'waiting', { files: { tags: 'tags.csv' } });
  });
  await withServer(options, async (server) => {
    await server.opened;
    expect((await get(server, 'done')).body.status).toBe('complete');
    expect((await get(server, 'running')).body).toMatchObject({
      status: 'failed',
      reason: { code: 'DUMP_INTERRUPTED' },
    });
    expect((await ended(server, 'waiting')).body.status).toBe('complete');
    expect((await ask(server.url, 'GET', '/v1/stats')).body).toMatchObject({ version: 2, alive: 500 });
  });
});

/** A directory in which the dump `waiting`, of the table tools, is registered and has not begun. */
async function withWaitingDump(): Promise<ReturnType<typeof onDisk>> {
  const options = onDisk();
  await withServer(options, async (server) => {
    await server.opened;
    await put(server, 'running', { files: { images: 'large/images.csv', tags: 'large/tags.csv' } });
    await put(server, 'waiting', { files: { tools: 'tools.csv' } });
  });
  return options;
}

test('a server that is closed while it is opening leaves what waits alone', async () => {
  const options = await withWaitingDump();
  await withServer(options, () => Promise.resolve());
  const { dumps: entries } = JSON.parse(readFileSync(join(options.index.directory, 'dumps.json'), 'utf8'));
  expect(entries.at(-1)).toMatchObject({ name: 'waiting', status: 'registered' });
});

test('what waits while the definition of its table changes fails', async () => {
  const options = await withWaitingDump();
  const changed = join(temporary.path, 'changed.yaml');
  writeFileSync(
    changed,
    readFileSync(definition, 'utf8').replace(/^( +)tools:\n/m, '$&$1  where: toolId > 0\n'),
  );
  await withServer({ ...options, index: { ...options.index, definition: changed } }, async (server) => {
    await server.opened;
    expect((await ended(server, 'waiting')).body).toMatchObject({
      status: 'failed',
      reason: { code: 'DEFINITION_CHANGED' },
    });
  });
});
