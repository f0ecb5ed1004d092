/**
 * A server of one index over HTTP. It listens at once, opens the index behind it, and closes in the order in which nothing
 * acknowledged is lost: no new connections, the requests in flight, the index.
 */
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { openIndex } from '../engine/open-index.ts';
import type { BitloomError } from '../errors.ts';
import { addDumpRoutes } from './dump-routes.ts';
import { createHttpServer } from './http-server.ts';
import { addOpsRoutes } from './ops-routes.ts';
import { resolveServerOptions, type ServerOptions } from './options.ts';
import { addQueryRoutes } from './query-routes.ts';
import { type OpenServedIndex, Service } from './service.ts';
import { addStatusRoutes } from './status-routes.ts';

export interface BitloomServer {
  /** `http://127.0.0.1:8080` */
  readonly url: string;
  /** Resolves when the index is open and /readyz says so; rejects with why it could not be opened. */
  readonly opened: Promise<void>;
  /** Resolves when the engine thread is lost: nothing but closing is left to do. */
  readonly crashed: Promise<BitloomError>;
  /** Ends after every request in flight. Closing twice is fine. */
  close(): Promise<void>;
}

/**
 * Starts listening; see `opened` for the index.
 *
 * @param openServed how the index is opened; for tests of what an index rarely does
 * Errors: OPTION_INVALID, and those of the system such as EADDRINUSE.
 */
export async function startServer(
  options: ServerOptions,
  openServed?: OpenServedIndex,
): Promise<BitloomServer> {
  const settings = resolveServerOptions(options);
  let reportCrash: (error: BitloomError) => void = () => {};
  const crashed = new Promise<BitloomError>((resolve) => {
    reportCrash = resolve;
  });
  const open: OpenServedIndex = openServed ?? ((onWarning) => openIndex({ ...settings.index, onWarning }));
  const service = new Service(settings, open, reportCrash);
  const server = await createHttpServer(
    service,
    createRequire(import.meta.url)('bitloom/package.json').version,
  );
  addOpsRoutes(server, service);
  addQueryRoutes(server, service);
  addDumpRoutes(server, service);
  addStatusRoutes(server, service);
  await server.listen({ host: settings.host, port: settings.port });
  const opened = service.open();
  // Whoever waits for it hears of the failure; nobody has to.
  opened.catch(() => {});
  let closing: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    await Promise.all([service.stopDumps(), server.close()]);
    await service.close();
  };
  return {
    url: urlOf(server.server.address() as AddressInfo),
    opened,
    crashed,
    close: () => (closing ??= close()),
  };
}

function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
