/** What a server is started with, and what of it is refused: nothing is open to the network by omission. */
import type { Logger } from 'pino';
import type { OpenOptions } from '../engine/index-api.ts';
import { BitloomError } from '../errors.ts';
import { BATCH_BYTES_MAX, REQUEST_TIMEOUT_MS_DEFAULT, TOKEN_CHARACTERS_MIN } from '../limits.ts';
import { isLoopbackHost } from './loopback.ts';

export interface ServerOptions {
  /** The index to serve; see `openIndex`. */
  readonly index: Pick<OpenOptions, 'definition' | 'directory'>;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 8080; 0 takes a free one. */
  readonly port?: number;
  /** Tokens that give access, at least 16 characters each. The write token allows reading too. */
  readonly readToken?: string;
  readonly writeToken?: string;
  /** False serves without tokens: only on a loopback address. */
  readonly authentication?: boolean;
  /** Directories whose files dumps may name. None: dumps cannot be loaded over HTTP. */
  readonly dumpDirectories?: readonly string[];
  /** Bytes of a batch of ops; default and maximum 64 MiB. */
  readonly bodyBytesMax?: number;
  /** Milliseconds to answer a request in; default 30,000. */
  readonly requestTimeoutMs?: number;
  readonly logger: Logger;
}

/** With every default filled in; `tokens` is null where none are needed. */
export interface ServerSettings {
  readonly index: ServerOptions['index'];
  readonly host: string;
  readonly port: number;
  readonly tokens: { readonly read: string; readonly write: string } | null;
  readonly dumpDirectories: readonly string[];
  readonly bodyBytesMax: number;
  readonly requestTimeoutMs: number;
  readonly logger: Logger;
}

/** Error OPTION_INVALID. */
export function resolveServerOptions(options: ServerOptions): ServerSettings {
  const host = options.host ?? '127.0.0.1';
  return {
    index: options.index,
    host,
    port: integer('port', options.port ?? 8080, 0, 65_535),
    tokens: resolveTokens(options, host),
    dumpDirectories: options.dumpDirectories ?? [],
    bodyBytesMax: integer('bodyBytesMax', options.bodyBytesMax ?? BATCH_BYTES_MAX, 1, BATCH_BYTES_MAX),
    requestTimeoutMs: integer(
      'requestTimeoutMs',
      options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT,
      1,
      24 * 3600 * 1000,
    ),
    logger: options.logger,
  };
}

function resolveTokens(options: ServerOptions, host: string): ServerSettings['tokens'] {
  const { readToken, writeToken } = options;
  if (options.authentication === false) {
    if (readToken !== undefined || writeToken !== undefined) {
      throw invalid('tokens are given together with --no-auth', 'leave one of them out');
    }
    if (!isLoopbackHost(host)) {
      throw invalid(
        `${host} is not a loopback address, so it is not served without tokens`,
        'give --read-token and --write-token, or bind to 127.0.0.1',
      );
    }
    return null;
  }
  if (readToken === undefined || writeToken === undefined) {
    const missing = readToken === undefined ? 'read' : 'write';
    throw invalid(
      `there is no ${missing} token`,
      `give --${missing}-token or BITLOOM_${missing.toUpperCase()}_TOKEN; on a loopback address --no-auth serves without`,
    );
  }
  if (readToken === writeToken) throw invalid('read and write token are the same', 'take two');
  assertToken('read', readToken);
  assertToken('write', writeToken);
  return { read: readToken, write: writeToken };
}

function assertToken(kind: string, token: string): void {
  if (token.length >= TOKEN_CHARACTERS_MIN && /^[\x21-\x7e]+$/.test(token)) return;
  throw invalid(
    `the ${kind} token is too short or has characters that a header cannot carry`,
    `take at least ${TOKEN_CHARACTERS_MIN} visible ASCII characters, such as: openssl rand -hex 32`,
  );
}

function integer(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw invalid(`${name} is ${String(value)}`, `${name} takes a whole number from ${min} to ${max}`);
}

function invalid(message: string, hint: string): BitloomError {
  return new BitloomError('OPTION_INVALID', message, { hint });
}
