/** The plain index behind the HTTP server of Node.js: the peer of the server, for what the bench asks. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { normaliseDefinition } from '../src/config/parse.ts';
import { loadKernels } from '../src/kernels/kernels.ts';
import { csvOps } from '../src/validate/csv-ops.ts';
import { entityOf } from './ops-wire.ts';
import { PlainIndex } from './plain-ops.ts';

export interface PlainServerOptions {
  readonly definition: object;
  /** Table → CSV file. */
  readonly files: Readonly<Record<string, string>>;
  /** Of the JSON lines. */
  readonly log: string;
}

/** Listens once everything in the files is in the index. */
export async function startPlainServer({
  definition: given,
  files,
  log,
}: PlainServerOptions): Promise<{ url: string; close(): Promise<void> }> {
  const definition = normaliseDefinition(given);
  const index = await PlainIndex.open(definition, log);
  for await (const batch of csvOps(definition, files, loadKernels()).batches) {
    index.fill(Array.from({ length: batch.entityCount }, (_, entity) => entityOf(batch, entity)));
  }
  // One batch after the other.
  let tail: Promise<unknown> = Promise.resolve();
  const answer = async (request: IncomingMessage): Promise<object> => {
    const body = JSON.parse(await textOf(request));
    if (request.url === '/v1/query') return index.query(body);
    const applied = tail.then(() => index.apply(body));
    tail = applied;
    await applied;
    return { accepted: body.ops.length, refused: [], position: null };
  };
  const server = createServer((request, response) => {
    answer(request).then(
      (body) => response.setHeader('content-type', 'application/json').end(JSON.stringify(body)),
      (error) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await index.close();
    },
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}
