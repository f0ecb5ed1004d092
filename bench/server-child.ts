/**
 * A server in a process of its own: entry of bench/ops-http.ts, with `own` and the directory of an index as arguments, or
 * `plain` and the options of the plain server as JSON. Sends its address once it is ready, and closes when it is told to.
 */
import { pino } from 'pino';

const [kind, given] = process.argv.splice(2);

async function startOwn(directory: string): Promise<{ url: string; close(): Promise<void> }> {
  const { startServer } = await import('../src/server/server.ts');
  const logger = pino({ level: 'silent' });
  const server = await startServer({ index: { directory }, port: 0, authentication: false, logger });
  await server.opened;
  return server;
}

async function startPlain(options: string): Promise<{ url: string; close(): Promise<void> }> {
  const { startPlainServer } = await import('./plain-server.ts');
  return startPlainServer(JSON.parse(options));
}

const server = await (kind === 'plain' ? startPlain(given) : startOwn(given));
process.once('message', async () => {
  await server.close();
  process.disconnect();
});
process.send?.({ url: server.url });
