/** Limits, timeouts and failures behind the routes: who is refused, what is bounded, what comes free again. */
import { connect } from 'node:net';
import { beforeAll, expect, test } from 'vitest';
import { BitloomError } from '../../src/errors.ts';
import { BATCHES_IN_FLIGHT_MAX, QUERIES_IN_FLIGHT_MAX } from '../../src/limits.ts';
import { temporaryDirectory } from '../temporary.ts';
import { deferred, openFake } from './fake-index.ts';
import { type Answer, ask, eventually, smallDump, withServer } from './harness.ts';

const temporary = temporaryDirectory();
let definition: string;

beforeAll(async () => {
  definition = (await smallDump(temporary.path, 10)).definition;
});

const BATCH = { ops: [{ slot: 1, alive: true, ops: [] }] };
const applied = (sequence: number) => ({ position: { sequence, offset: 0 }, refused: [] });
const post = (url: string, path: string, body: unknown) => ask(url, 'POST', path, { body });

test('batches beyond what the server works on are refused with 429, and taken once it has caught up', async () => {
  const gate = deferred<void>();
  const apply = () => gate.promise.then(() => applied(1));
  await withServer(
    { index: { definition } },
    async ({ url, opened }) => {
      await opened;
      const waiting = Array.from({ length: BATCHES_IN_FLIGHT_MAX }, () => post(url, '/v1/ops', BATCH));
      const refused = await eventually(
        () => post(url, '/v1/ops?strict=maybe', BATCH),
        ({ status }) => status === 429,
      );
      expect(refused.body.error).toMatchObject({ code: 'SERVER_OVERLOADED', details: { retryable: true } });
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await ask(url, 'GET', '/metrics')).body).toContain(
        `bitloom_apply_queue_batches ${BATCHES_IN_FLIGHT_MAX}`,
      );
      gate.resolve();
      for (const { status } of await Promise.all(waiting)) expect(status).toBe(200);
      expect((await post(url, '/v1/ops', BATCH)).status).toBe(200);
      expect((await ask(url, 'GET', '/metrics')).body).toMatch(/^bitloom_apply_queue_bytes 0$/m);
    },
    openFake(definition, () => ({ apply })),
  );
});

test('queries beyond what the server works on are refused with 429', async () => {
  const gate = deferred<number>();
  await withServer(
    { index: { definition } },
    async ({ url, opened }) => {
      await opened;
      const waiting = Array.from({ length: QUERIES_IN_FLIGHT_MAX }, () => post(url, '/v1/count', {}));
      const refused = await eventually(
        () => post(url, '/v1/query', {}),
        ({ status }) => status === 429,
      );
      expect(refused.body.error.code).toBe('SERVER_OVERLOADED');
      gate.resolve(5);
      for (const { body } of await Promise.all(waiting)) expect(body).toEqual({ count: 5 });
      expect((await post(url, '/v1/query', {})).status).toBe(200);
    },
    openFake(definition, () => ({ count: () => gate.promise })),
  );
});

test('a sender that hangs up before its body is whole gives its permit back', () =>
  withServer({ index: { definition } }, async ({ url, opened }) => {
    await opened;
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    socket.write(
      `POST /v1/ops HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"ops":`,
    );
    const queued = async () =>
      (await ask(url, 'GET', '/metrics')).body.match(/^bitloom_apply_queue_bytes (\d+)$/m)[1];
    await eventually(queued, (bytes) => bytes === '1000');
    socket.destroy();
    await eventually(queued, (bytes) => bytes === '0');
  }));

test('a batch over the body limit is refused, told by its length or found by reading', () =>
  withServer({ index: { definition }, bodyBytesMax: 1000 }, async ({ url, opened }) => {
    await opened;
    const text = JSON.stringify({ ops: [], padding: 'x'.repeat(1000) });
    expect(await ask(url, 'POST', '/v1/ops', { text })).toMatchObject({
      status: 413,
      body: { error: { code: 'BODY_TOO_LARGE' } },
    });
    const chunked = await fetch(`${url}/v1/ops`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new Blob([text]).stream(),
      duplex: 'half',
    } as RequestInit);
    expect(chunked.status).toBe(413);
    await chunked.text();
  }));

test.each([
  ['LOG_OVERLOADED', 429],
  ['LOG_UNWRITABLE', 503],
  ['BATCH_INVALID', 400],
  ['BATCH_TOO_LARGE', 413],
  ['BATCH_REFUSED', 422],
  ['INDEX_CLOSED', 503],
])('%s of the index is status %i', async (code, status) => {
  const apply = () =>
    Promise.reject(new BitloomError(code, 'said the index', { hint: 'a hint', details: { a: 1 } }));
  await withServer(
    { index: { definition } },
    async ({ url, opened }) => {
      await opened;
      const answer = await post(url, '/v1/ops', BATCH);
      expect(answer.status).toBe(status);
      expect(answer.body).toEqual({
        error: { code, message: 'said the index', hint: 'a hint', details: { a: 1 } },
      });
      expect(answer.headers.has('retry-after')).toBe(status === 429 || status === 503);
      expect((await ask(url, 'GET', '/metrics')).body).toContain(
        `bitloom_http_errors_total{code="${code}"} 1`,
      );
    },
    openFake(definition, () => ({ apply })),
  );
});

test('a fault inside is status 500 and tells nothing of the inside', async () => {
  const query = () => Promise.reject(new TypeError('cannot read /secret/path'));
  await withServer(
    { index: { definition } },
    async ({ url, opened }) => {
      await opened;
      const { status, body } = await post(url, '/v1/query', {});
      expect(status).toBe(500);
      expect(body.error.code).toBe('INTERNAL');
      expect(JSON.stringify(body)).not.toContain('secret');
    },
    openFake(definition, () => ({ query })),
  );
});

test('a request that is not answered in time gets 504, and counts until the engine is done with it', async () => {
  const gate = deferred<number>();
  await withServer(
    { index: { definition }, requestTimeoutMs: 200 },
    async ({ url, opened }) => {
      await opened;
      expect(await post(url, '/v1/count', {})).toMatchObject({
        status: 504,
        body: { error: { code: 'REQUEST_TIMEOUT' } },
      });
      const inFlight = async () =>
        (await ask(url, 'GET', '/metrics')).body.match(/^bitloom_queries_in_flight (\d+)$/m)[1];
      expect(await inFlight()).toBe('1');
      gate.resolve(1);
      await eventually(inFlight, (count) => count === '0');
    },
    openFake(definition, () => ({ count: () => gate.promise })),
  );
});

test('a read waits for the position of a write, but not for ever', async () => {
  const first = deferred<ReturnType<typeof applied>>();
  const results = [first.promise, Promise.resolve(applied(7))];
  await withServer(
    { index: { definition } },
    async ({ url, opened }) => {
      await opened;
      expect(await post(url, '/v1/count?after=5&waitMs=50', {})).toMatchObject({
        status: 503,
        body: { error: { code: 'POSITION_NOT_REACHED' } },
      });
      const write = post(url, '/v1/ops', BATCH);
      let isAnswered = false;
      const read = post(url, '/v1/query?after=5', {}).finally(() => {
        isAnswered = true;
      });
      await post(url, '/v1/query?after=0', {});
      expect(isAnswered).toBe(false);
      first.resolve(applied(5));
      expect((await write).body).toEqual({ accepted: 1, refused: [], position: 5 });
      expect((await read).status).toBe(200);
      expect((await post(url, '/v1/ops', BATCH)).body.position).toBe(7);
      expect((await post(url, '/v1/count?after=7&waitMs=0', {})).status).toBe(200);
    },
    openFake(definition, () => ({ apply: () => results.shift()! })),
  );
});

test('sources are told by what their batches say, as far as they were accepted', async () => {
  const refused = [{ index: 0, code: 'SLOT_INVALID', message: 'no' }];
  const results = [
    () => Promise.resolve(applied(1)),
    () => Promise.resolve({ ...applied(2), refused }),
    () => Promise.reject(new BitloomError('LOG_UNWRITABLE', 'full')),
    () => Promise.resolve(applied(3)),
  ];
  const meta = { source: 'images', cursor: 10, maxId: 15, lagRows: 5 };
  await withServer(
    { index: { definition } },
    async ({ url, opened }) => {
      await opened;
      await post(url, '/v1/ops', { ...BATCH, meta });
      const entities = [BATCH.ops[0], BATCH.ops[0], BATCH.ops[0]];
      const partly = await post(url, '/v1/ops', { ops: entities, meta: { source: 'images', cursor: 13 } });
      expect(partly.body).toEqual({ accepted: 2, refused, position: 2 });
      await post(url, '/v1/ops', { ...BATCH, meta: { ...meta, cursor: 99 } });
      await post(url, '/v1/ops', BATCH);
      const { body } = await ask(url, 'GET', '/v1/sync-lag');
      const appliedAt = expect.any(String);
      expect(body.sources).toEqual([
        { source: 'images', cursor: 13, maxId: 15, lagRows: 5, entities: 3, appliedAt },
        { source: '', cursor: null, maxId: null, lagRows: null, entities: 1, appliedAt },
      ]);
      const metrics = (await ask(url, 'GET', '/metrics')).body;
      for (const line of [
        'bitloom_source_cursor{source="images"} 13',
        'bitloom_source_max_id{source="images"} 15',
        'bitloom_source_lag_rows{source="images"} 5',
        'bitloom_ops_total{source="images"} 3',
        'bitloom_ops_total{source=""} 1',
        'bitloom_refused_entities_total 1',
        'bitloom_batch_entities_sum 5',
        'bitloom_apply_duration_seconds_count 3',
      ]) {
        expect(metrics).toContain(`${line}\n`);
      }
    },
    openFake(definition, () => ({ apply: () => results.shift()!() })),
  );
});

const LOG = {
  state: 'writable',
  failure: null,
  end: { sequence: 3, offset: 0 },
  segments: 2,
  bytes: 100,
  queuedBytes: 0,
  appends: 3,
  appendedBytes: 90,
  flushSeconds: { count: 3, sum: 0.5, buckets: [{ upTo: 0.1, count: 2 }] },
  quarantinedRecords: 1,
  tornBytes: 0,
} as const;

test('readiness: opening, ready, a log that fails and recovers, an engine that is late, closing', async () => {
  const opening = deferred<void>();
  let state: 'writable' | 'failed' = 'writable';
  let isHanging = false;
  const open = openFake(definition, () => ({
    stats: async (real) => {
      if (isHanging) await new Promise(() => {});
      return { ...(await real), log: { ...LOG, state }, position: null };
    },
  }));
  await withServer(
    { index: { definition } },
    async ({ url, opened }) => {
      const ready = () => ask(url, 'GET', '/readyz');
      expect(await ready()).toMatchObject({
        status: 503,
        body: { ready: false, checks: { index: 'opening' } },
      });
      expect((await ask(url, 'GET', '/livez')).status).toBe(200);
      expect(await post(url, '/v1/query', {})).toMatchObject({
        status: 503,
        body: { error: { code: 'NOT_READY' } },
      });
      expect((await post(url, '/v1/ops', BATCH)).body.error.code).toBe('NOT_READY');
      expect((await ask(url, 'GET', '/metrics')).body).toMatch(/^bitloom_ready 0$/m);
      opening.resolve();
      await opened;
      expect(await ready()).toMatchObject({
        status: 200,
        body: { ready: true, checks: { index: 'ok', engine: 'ok', log: 'ok' } },
      });
      const metrics = (await ask(url, 'GET', '/metrics')).body;
      expect(metrics).toContain('bitloom_log_bytes 100\n');
      expect(metrics).toContain('bitloom_log_quarantined_records 1\n');
      expect(metrics).toContain('bitloom_log_flush_duration_seconds_bucket{le="+Inf"} 3\n');
      state = 'failed';
      const failed = await eventually(ready, ({ status }) => status === 503);
      expect(failed.body.checks).toEqual({ index: 'ok', engine: 'ok', log: 'failed' });
      state = 'writable';
      await eventually(ready, ({ status }) => status === 200);
      isHanging = true;
      const late = await eventually(ready, ({ status }) => status === 503);
      expect(late.body.checks.engine).toBe('late');
      expect((await ask(url, 'GET', '/livez')).status).toBe(200);
    },
    async (onWarning) => {
      await opening.promise;
      return open(onWarning);
    },
  );
});

test.each(['ENGINE_CRASHED', 'INDEX_BROKEN'])(
  '%s is told at once, and ends the life of the server',
  async (code) => {
    let crash: BitloomError | null = null;
    const open = openFake(definition, () => ({
      stats: (real) => (crash === null ? real : Promise.reject(crash)),
    }));
    await withServer(
      { index: { definition } },
      async ({ url, opened, crashed }) => {
        await opened;
        crash = new BitloomError(code, 'nothing but a new process can help');
        await expect(crashed).resolves.toMatchObject({ code });
        expect(await ask(url, 'GET', '/livez')).toMatchObject({ status: 503, body: { live: false } });
        expect(await ask(url, 'GET', '/readyz')).toMatchObject({
          status: 503,
          body: { checks: { engine: 'failed' } },
        });
      },
      open,
    );
  },
);

test('an index that cannot be opened is told, and the server is not live', async () => {
  await withServer(
    { index: { definition } },
    async ({ url, opened }) => {
      await expect(opened).rejects.toMatchObject({ code: 'SNAPSHOT_CORRUPT' });
      expect((await ask(url, 'GET', '/livez')).status).toBe(503);
      expect((await ask(url, 'GET', '/readyz')).body.checks.index).toBe('failed');
    },
    () => Promise.reject(new BitloomError('SNAPSHOT_CORRUPT', 'no stored version is whole')),
  );
});

test('closing answers what is in flight, takes nothing new, and closes the index last', async () => {
  const gate = deferred<ReturnType<typeof applied>>();
  const events: string[] = [];
  const inFlight: Promise<Answer>[] = [];
  await withServer(
    { index: { definition } },
    async (server) => {
      await server.opened;
      inFlight.push(post(server.url, '/v1/ops', BATCH));
      await eventually(
        async () => (await ask(server.url, 'GET', '/metrics')).body,
        (metrics) => metrics.includes('bitloom_apply_queue_batches 1'),
      );
      const closing = server.close().then(() => events.push('closed'));
      await eventually(
        () => fetch(`${server.url}/livez`).then(String, () => 'refused'),
        (answer) => answer === 'refused',
      );
      expect(events).toEqual([]);
      gate.resolve(applied(1));
      await closing;
    },
    openFake(definition, (real) => ({
      apply: () => gate.promise.finally(() => events.push('applied')),
      close: () => {
        events.push('index closed');
        return real.close();
      },
    })),
  );
  expect(await Promise.all(inFlight)).toMatchObject([{ status: 200, body: { accepted: 1 } }]);
  expect(events).toEqual(['applied', 'index closed', 'closed']);
});

test('a server that is closed while its index is opening closes the index', async () => {
  const opening = deferred<void>();
  const events: string[] = [];
  const open = openFake(definition, (real) => ({
    close: () => {
      events.push('index closed');
      return real.close();
    },
  }));
  await withServer(
    { index: { definition } },
    async (server) => {
      const closing = server.close();
      opening.resolve();
      await closing;
    },
    async (onWarning) => {
      await opening.promise;
      return open(onWarning);
    },
  );
  expect(events).toEqual(['index closed']);
});

/** What the server says to these bytes before it closes the connection. */
function answerTo(url: string, text: string, end: boolean): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(Number(port), hostname)
      .on('data', (piece) => {
        answer += piece.toString();
      })
      .on('close', () => resolve(answer))
      .on('error', reject);
    if (end) socket.end(text);
    else socket.write(text);
  });
}

test('what is not HTTP gets an answer that says so, and a request that does not arrive is cut off', () =>
  withServer({ index: { definition }, requestTimeoutMs: 300 }, async ({ url, opened }) => {
    await opened;
    expect(await answerTo(url, 'hello\r\n\r\n', true)).toMatch(/^HTTP\/1.1 400 .*REQUEST_INVALID/s);
    expect(await answerTo(url, 'GET /livez HTTP/1.1\r\nHost: loc', false)).toMatch(/^HTTP\/1.1 408 /);
  }));
