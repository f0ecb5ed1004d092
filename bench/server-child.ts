/**
 * A server in a process of its own: entry of bench/ops-http.ts, with the directory of an index as argument. Sends its
 * address once it is ready, and closes when it is told to.
 */
import { pino } from 'pino';

const [directory] = process.argv.splice(2);
const { startServer } = await import('../src/server/server.ts');

const server = await startServer({
  index: { directory },
  port: 0,
  authentication: false,
  logger: pino({ level: 'silent' }),
});
await server.opened;
process.once('message', async () => {
  await server.close();
  process.disconnect();
});
process.send?.({ url: server.url });
