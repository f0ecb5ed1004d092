/** A real server on a free loopback port, and the means to ask it. */
import { join } from 'node:path';
import { pino } from 'pino';
import { generateDump } from '../../src/generate/generate.ts';
import type { ServerOptions } from '../../src/server/options.ts';
import { type BitloomServer, startServer } from '../../src/server/server.ts';
import type { OpenServedIndex } from '../../src/server/service.ts';

export const READ_TOKEN = 'read-token-of-the-tests';
export const WRITE_TOKEN = 'write-token-of-the-tests';
export const TOKENS = { readToken: READ_TOKEN, writeToken: WRITE_TOKEN };

/** A small dump with its definition; `files` by table. */
export async function smallDump(
  out: string,
  rows = 500,
): Promise<{ definition: string; files: Record<string, string> }> {
  await generateDump({ rows, out });
  return {
    definition: join(out, 'index.yaml'),
    files: { images: join(out, 'images.csv'), tags: join(out, 'tags.csv'), tools: join(out, 'tools.csv') },
  };
}

/** Runs `use` on a server without tokens, unless the options give some, and closes it. */
export async function withServer(
  options: Partial<ServerOptions> & Pick<ServerOptions, 'index'>,
  use: (server: BitloomServer) => Promise<void>,
  openServed?: OpenServedIndex,
): Promise<void> {
  const authentication = options.readToken !== undefined;
  const server = await startServer(
    { port: 0, authentication, logger: pino({ level: 'silent' }), ...options },
    openServed,
  );
  try {
    await use(server);
  } finally {
    await server.close();
  }
}

export interface Answer {
  status: number;
  headers: Headers;
  body: ReturnType<typeof JSON.parse>;
}

/** A request with a JSON body, or raw text as it is. */
export async function ask(
  url: string,
  method: string,
  path: string,
  given: {
    body?: unknown;
    text?: string | Uint8Array;
    token?: string;
    headers?: Record<string, string>;
  } = {},
): Promise<Answer> {
  const text = given.text ?? (given.body === undefined ? undefined : JSON.stringify(given.body));
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(text === undefined ? {} : { 'content-type': 'application/json' }),
      ...(given.token === undefined ? {} : { authorization: `Bearer ${given.token}` }),
      ...given.headers,
    },
    ...(text === undefined ? {} : { body: text }),
  });
  const answer = await response.text();
  const isJson =
    answer !== '' && response.headers.get('content-type')?.startsWith('application/json') === true;
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(answer) : answer };
}

/** Asks until the answer is as wanted. */
export async function eventually<T>(
  get: () => Promise<T>,
  isWanted: (value: T) => boolean,
  forMs = 20_000,
): Promise<T> {
  const deadlineMs = performance.now() + forMs;
  for (;;) {
    const value = await get();
    if (isWanted(value)) return value;
    if (performance.now() > deadlineMs) throw new Error(`still ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
