/**
 * A small client of the HTTP interface. A call either gives what the server answered or throws a ClientError: no failure of
 * the network, of a proxy or of the server can be taken for an empty page or a count of zero.
 */
import { BitloomError, type BitloomErrorOptions } from '../errors.ts';
import type { Batch } from '../ops/op.ts';
import type { Page, Query } from '../query/query.ts';
import type { Where } from '../query/where.ts';
import type {
  AppliedBatch,
  DumpRequestBody,
  DumpState,
  ErrorBody,
  Readiness,
  SourceProgress,
} from '../server/wire.ts';

export type { Batch, Entity, Op, SlotOp } from '../ops/op.ts';
export type { Page, Query } from '../query/query.ts';
export type { Where } from '../query/where.ts';
export type { AppliedBatch, DumpRequestBody, DumpState, Readiness, SourceProgress } from '../server/wire.ts';

export interface ClientOptions {
  /** Of the server, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** The read or the write token of the server. */
  readonly token?: string;
  /** Milliseconds for one call; default 60,000. */
  readonly timeoutMs?: number;
}

export interface CallOptions {
  /** Ends the call with CLIENT_ABORTED. */
  readonly signal?: AbortSignal;
}

export interface ReadOptions extends CallOptions {
  /** `position` of a batch that the answer must reflect. */
  readonly after?: number | null;
  /** Milliseconds to wait for it. */
  readonly waitMs?: number;
}

/** How a call failed. */
export interface ClientFailure {
  /** HTTP status; null when there was no answer. */
  readonly status: number | null;
  /** The same call may succeed later. */
  readonly retryable: boolean;
  /** The server may have done what was asked all the same: there was no answer, or it came too late. */
  readonly outcomeUnknown: boolean;
  /** Seconds that the server asks to wait. */
  readonly retryAfterSeconds: number | null;
}

/**
 * `code` is that of the server where it answered; else CLIENT_UNREACHABLE, CLIENT_TIMEOUT, CLIENT_ABORTED, or
 * CLIENT_PROTOCOL when the answer is not one of this server's, as that of a proxy.
 */
export class ClientError extends BitloomError implements ClientFailure {
  readonly status: number | null;
  readonly retryable: boolean;
  readonly outcomeUnknown: boolean;
  readonly retryAfterSeconds: number | null;

  constructor(code: string, message: string, failure: ClientFailure, options: BitloomErrorOptions = {}) {
    super(code, message, options);
    this.name = 'ClientError';
    this.status = failure.status;
    this.retryable = failure.retryable;
    this.outcomeUnknown = failure.outcomeUnknown;
    this.retryAfterSeconds = failure.retryAfterSeconds;
  }
}

const TIMEOUT_MS_DEFAULT = 60_000;

/** Every method throws ClientError. */
export class BitloomClient {
  readonly #url: string;
  readonly #token: string | null;
  readonly #timeoutMs: number;

  constructor({ url, token, timeoutMs = TIMEOUT_MS_DEFAULT }: ClientOptions) {
    this.#url = url.replace(/\/+$/, '');
    this.#token = token ?? null;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Applies a batch; resolves once it is durable and visible. After `outcomeUnknown`, sending it again before the next one
   * is harmless, unless it has a queryOpSet.
   */
  apply(batch: Batch, options: CallOptions & { readonly strict?: boolean } = {}): Promise<AppliedBatch> {
    const strict = options.strict === undefined ? '' : `?strict=${options.strict}`;
    return this.#call('POST', `/v1/ops${strict}`, isApplied, options, batch);
  }

  query(query: Query, options: ReadOptions = {}): Promise<Page> {
    return this.#call('POST', `/v1/query${afterOf(options)}`, isPage, options, query);
  }

  async count(where?: Where, options: ReadOptions = {}): Promise<number> {
    const body = where === undefined ? {} : { where };
    return (await this.#call('POST', `/v1/count${afterOf(options)}`, isCount, options, body)).count;
  }

  stats(options: CallOptions = {}): Promise<{ version: number; alive: number; [figure: string]: unknown }> {
    return this.#call('GET', '/v1/stats', isStats, options);
  }

  async syncLag(options: CallOptions = {}): Promise<SourceProgress[]> {
    return (await this.#call('GET', '/v1/sync-lag', isSyncLag, options)).sources;
  }

  /** Registers a dump, which starts as soon as no other is being loaded; the same request again changes nothing. */
  registerDump(name: string, dump: DumpRequestBody, options: CallOptions = {}): Promise<DumpState> {
    return this.#call('PUT', dumpPath(name), isDump, options, dump);
  }

  dump(name: string, options: CallOptions = {}): Promise<DumpState> {
    return this.#call('GET', dumpPath(name), isDump, options);
  }

  async dumps(options: CallOptions = {}): Promise<DumpState[]> {
    return (await this.#call('GET', '/v1/dumps', isDumpList, options)).dumps;
  }

  /** Resolves once the dump has ended as cancelled. */
  cancelDump(name: string, options: CallOptions = {}): Promise<DumpState> {
    return this.#call('POST', `${dumpPath(name)}/cancel`, isDump, options);
  }

  /** Forgets a dump that has ended. */
  deleteDump(name: string, options: CallOptions = {}): Promise<DumpState> {
    return this.#call('DELETE', dumpPath(name), isDump, options);
  }

  /** Also resolves when the server is not ready: the checks say why. */
  readiness(options: CallOptions = {}): Promise<Readiness> {
    return this.#call('GET', '/readyz', isReadiness, options);
  }

  async #call<Answer>(
    method: string,
    path: string,
    isAnswer: (body: unknown) => body is Answer,
    { signal }: CallOptions,
    body?: unknown,
  ): Promise<Answer> {
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    const headers: Record<string, string> = { accept: 'application/json' };
    if (this.#token !== null) headers.authorization = `Bearer ${this.#token}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${this.#url}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        // A token goes to no other server.
        redirect: 'error',
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
      text = await response.text();
    } catch (cause) {
      throw withoutAnswer(`${method} ${this.#url}${path}`, cause, timeout, signal);
    }
    const answer = parseOrUndefined(text);
    // A server that is not ready says so with the status too.
    const isGiven = response.ok || (response.status === 503 && isReadiness(answer));
    if (isGiven && isAnswer(answer)) return answer;
    throw failureOf(`${method} ${this.#url}${path}`, response, answer);
  }
}

function withoutAnswer(
  call: string,
  cause: unknown,
  timeout: AbortSignal,
  signal: AbortSignal | undefined,
): ClientError {
  const failure = { status: null, retryable: true, outcomeUnknown: true, retryAfterSeconds: null };
  if (signal?.aborted === true) {
    return new ClientError(
      'CLIENT_ABORTED',
      `${call} was aborted`,
      { ...failure, retryable: false },
      { cause },
    );
  }
  if (timeout.aborted) {
    return new ClientError('CLIENT_TIMEOUT', `${call} was not answered in time`, failure, {
      hint: 'raise timeoutMs, or send less at a time',
      cause,
    });
  }
  const systemCode = (cause as { cause?: NodeJS.ErrnoException }).cause?.code;
  const isRefused = systemCode === 'ECONNREFUSED' || systemCode === 'ENOTFOUND';
  return new ClientError(
    'CLIENT_UNREACHABLE',
    `${call} failed: ${systemCode ?? (cause as Error).message}`,
    { ...failure, outcomeUnknown: !isRefused },
    { hint: 'check that the server runs, and its address', cause },
  );
}

function failureOf(call: string, response: Response, answer: unknown): ClientError {
  const { status } = response;
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
  const failure: ClientFailure = {
    status,
    retryable: status === 429 || status === 503 || status === 504,
    outcomeUnknown: status >= 500 && status !== 503,
    retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : null,
  };
  if (!response.ok && isErrorBody(answer)) {
    const { code, message, hint, at, details } = answer.error;
    return new ClientError(code, message, failure, {
      ...(hint === undefined ? {} : { hint }),
      ...(at === undefined ? {} : { at }),
      ...(details === undefined ? {} : { details }),
    });
  }
  return new ClientError(
    'CLIENT_PROTOCOL',
    `${call} got an answer that is not of this interface (status ${status})`,
    { ...failure, outcomeUnknown: true },
    { hint: 'check the address, and what stands between client and server' },
  );
}

function afterOf({ after, waitMs }: ReadOptions): string {
  const parameters = new URLSearchParams();
  if (after !== undefined && after !== null) parameters.set('after', String(after));
  if (waitMs !== undefined) parameters.set('waitMs', String(waitMs));
  return parameters.size === 0 ? '' : `?${parameters}`;
}

function dumpPath(name: string): string {
  return `/v1/dumps/${encodeURIComponent(name)}`;
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// What an answer must be for the caller to rely on it; servers may add to it.

type Fields = Record<string, unknown>;

function isFields(body: unknown): body is Fields {
  return typeof body === 'object' && body !== null && !Array.isArray(body);
}

function isPage(body: unknown): body is Page {
  return (
    isFields(body) &&
    Array.isArray(body.ids) &&
    typeof body.total === 'number' &&
    (body.nextCursor === null || typeof body.nextCursor === 'string')
  );
}

function isCount(body: unknown): body is { count: number } {
  return isFields(body) && typeof body.count === 'number';
}

function isApplied(body: unknown): body is AppliedBatch {
  return isFields(body) && typeof body.accepted === 'number' && Array.isArray(body.refused);
}

function isStats(body: unknown): body is { version: number; alive: number } {
  return isFields(body) && typeof body.version === 'number' && typeof body.alive === 'number';
}

function isSyncLag(body: unknown): body is { sources: SourceProgress[] } {
  return isFields(body) && Array.isArray(body.sources);
}

function isDump(body: unknown): body is DumpState {
  return isFields(body) && typeof body.name === 'string' && typeof body.status === 'string';
}

function isDumpList(body: unknown): body is { dumps: DumpState[] } {
  return isFields(body) && Array.isArray(body.dumps);
}

function isReadiness(body: unknown): body is Readiness {
  return isFields(body) && typeof body.ready === 'boolean' && isFields(body.checks);
}

function isErrorBody(body: unknown): body is ErrorBody {
  return isFields(body) && isFields(body.error) && typeof body.error.code === 'string';
}
