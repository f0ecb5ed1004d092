/** `bitloom serve`: an index directory over HTTP, until SIGINT or SIGTERM. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { formatError } from '../errors.ts';
import { BATCH_BYTES_MAX, REQUEST_TIMEOUT_MS_DEFAULT } from '../limits.ts';
import type { ServerOptions } from '../server/options.ts';
import type { BitloomServer } from '../server/server.ts';
import { parseByteSize, parseCount } from './arguments.ts';
import { EXIT_DONE, EXIT_FAILED } from './exit-code.ts';

interface ServeArguments {
  directory: string;
  definition?: string;
  host: string;
  port: number;
  readToken?: string;
  writeToken?: string;
  auth: boolean;
  dumpDirectory: string[];
  bodyLimit: number;
  requestTimeout: number;
  logLevel: string;
}

export function addServeCommand(program: Command): void {
  program
    .command('serve')
    .summary('serve an index over HTTP')
    .description(
      'Serves queries, ops and dumps of an index directory over HTTP until SIGINT or SIGTERM. What it has acknowledged ' +
        'survives its end, whatever ends it. /openapi.json describes the interface, docs/operations.md how to run it.',
    )
    .requiredOption('-d, --directory <path>', 'index directory, created when missing')
    .option('--definition <path>', 'index definition (default: the one of the last load)')
    .option('--host <address>', 'address to listen at', '127.0.0.1')
    .option('--port <number>', 'port to listen at; 0 takes a free one', parsePort, 8080)
    .addOption(new Option('--read-token <token>', 'token that allows reading').env('BITLOOM_READ_TOKEN'))
    .addOption(new Option('--write-token <token>', 'token that allows everything').env('BITLOOM_WRITE_TOKEN'))
    .option('--no-auth', 'serve without tokens; on a loopback address only')
    .addOption(
      new Option(
        '--dump-directory <path>',
        'directory whose files dumps may name; may be given several times',
      )
        .argParser((path: string, before: string[]) => [...before, path])
        .default([], 'none'),
    )
    .addOption(
      new Option('--body-limit <size>', 'size of a batch of ops, at most the default')
        .argParser(parseByteSize)
        .default(BATCH_BYTES_MAX, '64MiB'),
    )
    .option(
      '--request-timeout <seconds>',
      'time in which a request is answered',
      parseSeconds,
      REQUEST_TIMEOUT_MS_DEFAULT / 1000,
    )
    .addOption(
      new Option('--log-level <level>', 'what to log, as JSON lines on standard error')
        .choices(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info'),
    )
    .addHelpText(
      'after',
      `
Tokens are better given in the environment, where other users of the machine do not see them.

Exit code: 0 stopped by a signal, 1 failed.

Examples:
  $ BITLOOM_READ_TOKEN=… BITLOOM_WRITE_TOKEN=… bitloom serve -d data --host 0.0.0.0 --dump-directory /dumps
  $ bitloom serve -d data --no-auth`,
    )
    .action(runServe);
}

async function runServe(given: ServeArguments): Promise<void> {
  // Loaded here, so that no other command pays for it.
  const [{ pino, destination }, { startServer }] = await Promise.all([
    import('pino'),
    import('../server/server.ts'),
  ]);
  const logger = pino({ level: given.logLevel }, destination({ dest: 2, sync: true }));
  const server = await startServer({ ...serverOptions(given), logger });
  const stopped = nextSignal();
  try {
    const first = await Promise.race([server.opened.then(() => null), server.crashed, stopped]);
    if (first === null) logger.info({ url: server.url }, 'ready');
    const end = first ?? (await Promise.race([server.crashed, stopped]));
    if (end instanceof Error) throw end;
    logger.info({ signal: end }, 'stopping: finishing what is in flight');
    await server.close();
    logger.info('stopped');
    process.exitCode = EXIT_DONE;
  } catch (error) {
    logger.fatal({ err: error }, formatError(error));
    await closeQuietly(server);
    process.exitCode = EXIT_FAILED;
  }
}

function serverOptions(given: ServeArguments): Omit<ServerOptions, 'logger'> {
  return {
    index: {
      directory: given.directory,
      ...(given.definition === undefined ? {} : { definition: given.definition }),
    },
    host: given.host,
    port: given.port,
    authentication: given.auth,
    // An empty variable is one that is not set.
    ...(given.readToken ? { readToken: given.readToken } : {}),
    ...(given.writeToken ? { writeToken: given.writeToken } : {}),
    dumpDirectories: given.dumpDirectory,
    bodyBytesMax: given.bodyLimit,
    requestTimeoutMs: Math.round(given.requestTimeout * 1000),
  };
}

/** The first signal asks to stop; from the second on, the process ends at once. */
function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const stop = (signal: NodeJS.Signals): void => {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
      resolve(signal);
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
  });
}

async function closeQuietly(server: BitloomServer): Promise<void> {
  await server.close().catch(() => {});
}

function parsePort(text: string): number {
  const port = parseCount(text);
  if (port <= 65_535) return port;
  throw new InvalidArgumentError('Expected a port, 0 to 65535.');
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && Number.isFinite(seconds)) return seconds;
  throw new InvalidArgumentError('Expected seconds, such as 30 or 0.5.');
}
