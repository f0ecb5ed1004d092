/**
 * The retry loop of a transaction. One deadline covers everything: reads, the caller's function, the commit, the pauses
 * and all attempts. A new attempt begins only after the end of the last one is known for certain.
 */
import { setMaxListeners } from 'node:events';
import type { Clock } from './clock.ts';
import { CommitError } from './commit-error.ts';
import type { CommitMeter } from './commit-meter.ts';
import type { Outcome } from './commit-storage.ts';
import { type CommitTimings, retryDelayMs } from './commit-timings.ts';
import type { Follower } from './follower.ts';
import type { NodeHub } from './node-hub.ts';
import { encodeRequest } from './request-codec.ts';
import { Transaction, type TransactionReader } from './transaction.ts';
import { versionstampOf } from './versionstamp.ts';

export interface TransactOptions {
  /** For everything, all attempts included. */
  readonly timeoutMs?: number;
  /** Attempts after the first one. */
  readonly retryLimit?: number;
  /** Ends the transaction; its commit is withdrawn. */
  readonly signal?: AbortSignal;
}

export interface TransactResult {
  /** The commit version; of a transaction that only read, the version it read at. */
  readonly version: number;
  /** What the stamped operations of the transaction got; undefined when it only read. */
  readonly versionstamp: Uint8Array | undefined;
  readonly attempts: number;
}

export interface TransactContext {
  readonly reader: TransactionReader;
  readonly follower: Follower;
  readonly hub: NodeHub;
  readonly clock: Clock;
  readonly timings: CommitTimings;
  readonly random: () => number;
  readonly meter: CommitMeter;
  /** Aborted when the store closes. */
  readonly closing: AbortSignal;
}

const TIMEOUT_MS = 15_000;
const RETRY_LIMIT = 100;

export async function transact(
  context: TransactContext,
  act: (transaction: Transaction) => unknown,
  options: TransactOptions,
): Promise<TransactResult> {
  const { clock, timings, random, meter } = context;
  const { timeoutMs = TIMEOUT_MS, retryLimit = RETRY_LIMIT } = options;
  checkOptions(timeoutMs, retryLimit, timings);
  const budget = new Budget(clock, clock.nowMs() + timeoutMs, context.closing, options.signal);
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return { ...(await attemptOnce(context, act, budget)), attempts: attempt };
      } catch (error) {
        if (!(error instanceof CommitError) || !error.retryable) throw error;
        if (attempt > retryLimit) throw exhausted(attempt, error);
        budget.lastError = error;
        meter.retries++;
        await budget.pause(retryDelayMs(timings, attempt, random));
      }
    }
  } finally {
    budget.end();
  }
}

async function attemptOnce(
  context: TransactContext,
  act: (transaction: Transaction) => unknown,
  budget: Budget,
): Promise<Omit<TransactResult, 'attempts'>> {
  const { reader, follower, hub } = context;
  const transaction = new Transaction(reader);
  try {
    await budget.race(async () => act(transaction));
  } catch (error) {
    // What the caller's function left behind finds the transaction ended.
    transaction.seal().catch(() => {});
    throw error;
  }
  const { readOnly, request, version } = await budget.race(() => transaction.seal());
  if (version !== undefined) hub.advance(version);
  if (readOnly) return { version: version ?? hub.durableVersion, versionstamp: undefined };
  budget.check();
  const payload = encodeRequest({ ...request, expiresAtMs: 0 });
  const outcome = await follower.submit(payload, hub.durableVersion, budget.deadlineMs, budget.signal);
  if (outcome === 'unknown') throw unknownResult(follower.lastError);
  hub.advance(outcome.version);
  if (outcome.verdict !== 'committed') throw budget.errorOf(outcome);
  return { version: outcome.version, versionstamp: versionstampOf(outcome.version) };
}

/** What is left of a transaction's time, and what may end it early. */
class Budget {
  readonly deadlineMs: number;
  /** Aborted by the caller's signal or the closing of the store. */
  readonly signal: AbortSignal;
  lastError: CommitError | undefined;
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  readonly #closing: AbortSignal;
  readonly #user: AbortSignal | undefined;
  readonly #abort = new AbortController();
  readonly #onAbort = () => this.#abort.abort();

  constructor(clock: Clock, deadlineMs: number, closing: AbortSignal, user: AbortSignal | undefined) {
    this.#clock = clock;
    this.#startedAtMs = clock.nowMs();
    this.deadlineMs = deadlineMs;
    this.#closing = closing;
    this.#user = user;
    this.signal = this.#abort.signal;
    for (const signal of [closing, user]) {
      if (signal === undefined) continue;
      // Any number of transactions may share one, and each of them takes its listener away again.
      setMaxListeners(0, signal);
      signal.addEventListener('abort', this.#onAbort);
      if (signal.aborted) this.#onAbort();
    }
  }

  end(): void {
    this.#closing.removeEventListener('abort', this.#onAbort);
    this.#user?.removeEventListener('abort', this.#onAbort);
  }

  /** @throws what ended the transaction, if anything has. */
  check(): void {
    if (this.signal.aborted) throw this.#abortError();
    if (this.#clock.nowMs() >= this.deadlineMs) throw this.#timedOut();
  }

  /** What `act` gives, unless the time or the caller's patience ends first. */
  async race<Value>(act: () => Promise<Value>): Promise<Value> {
    this.check();
    let cancel = () => {};
    let onAbort = () => {};
    const ended = new Promise<never>((_, reject) => {
      onAbort = () => reject(this.#abortError());
      this.signal.addEventListener('abort', onAbort);
      cancel = this.#clock.after(this.deadlineMs - this.#clock.nowMs(), () => reject(this.#timedOut()));
    });
    try {
      return await Promise.race([act(), ended]);
    } finally {
      cancel();
      this.signal.removeEventListener('abort', onAbort);
    }
  }

  /** Waits before the next attempt. A pause that would outlast the deadline is not begun. */
  async pause(delayMs: number): Promise<void> {
    if (this.#clock.nowMs() + delayMs >= this.deadlineMs) throw this.#timedOut();
    let cancel = () => {};
    try {
      await this.race(
        () => new Promise<void>((resolve) => void (cancel = this.#clock.after(delayMs, resolve))),
      );
    } finally {
      cancel();
    }
  }

  /** The error of a request that ended without being committed. */
  errorOf({ verdict, version, reason }: Outcome): unknown {
    switch (verdict) {
      case 'conflict':
        return new CommitError(
          'NOT_COMMITTED',
          `another transaction wrote what this one read, by version ${version}`,
        );
      case 'too_old':
        return new CommitError(
          'TRANSACTION_TOO_OLD',
          `what this transaction read is too long ago, at version ${version}`,
        );
      case 'rejected':
        return rejection(reason ?? 'COMMIT_REJECTED: the database refused the transaction');
      default:
        return this.#endOf();
    }
  }

  /** Withdrawn or expired: by whom tells why. */
  #endOf(): unknown {
    if (this.signal.aborted) return this.#abortError();
    if (this.#clock.nowMs() >= this.deadlineMs) return this.#timedOut();
    // The database's clock was ahead of what this node knew of it.
    return new CommitError('NOT_COMMITTED', 'the request expired before the leader took it');
  }

  #abortError(): unknown {
    if (this.#user?.aborted) return this.#user.reason;
    return new CommitError(
      'STORE_CLOSED',
      'the commit store was closed before the transaction was committed',
    );
  }

  #timedOut(): CommitError {
    const elapsedMs = Math.round(this.#clock.nowMs() - this.#startedAtMs);
    return new CommitError('TRANSACTION_TIMED_OUT', `not committed after ${elapsedMs} ms`, {
      hint: 'timeoutMs: allow more time, or do less in one transaction',
      cause: this.lastError,
    });
  }
}

/**
 * A request must expire long before its outcome is forgotten: a copy of it that comes late would be committed again, and
 * a withdrawal at its deadline could not find out.
 */
function checkOptions(timeoutMs: number, retryLimit: number, { outcomeRetentionMs }: CommitTimings): void {
  const timeoutMsMax = outcomeRetentionMs / 2;
  if (!(timeoutMs > 0 && timeoutMs <= timeoutMsMax)) {
    throw new CommitError('OPTION_INVALID', `${timeoutMs} ms cannot be the time of a transaction`, {
      hint: `timeoutMs: more than 0, at most ${timeoutMsMax}`,
    });
  }
  if (retryLimit >= 0) return;
  throw new CommitError('OPTION_INVALID', `${retryLimit} cannot be the retries of a transaction`, {
    hint: 'retryLimit: attempts after the first one, 0 or more',
  });
}

function exhausted(attempts: number, cause: CommitError): CommitError {
  return new CommitError('RETRY_LIMIT_REACHED', `not committed in ${attempts} attempts`, {
    hint: 'retryLimit: allow more attempts, or let fewer transactions write what this one reads',
    cause,
  });
}

function unknownResult(cause: unknown): CommitError {
  return new CommitError(
    'COMMIT_UNKNOWN_RESULT',
    'the database could not be asked whether the transaction was committed; that will not change any more',
    { hint: 'read what it would have written before doing it again', cause },
  );
}

/** A rejection carries the error of the check that failed as `CODE: message`. */
function rejection(reason: string): CommitError {
  const [, code, message] = /^([A-Z][A-Z_]+): (.*)$/s.exec(reason) ?? [undefined, 'COMMIT_REJECTED', reason];
  return new CommitError(code, message, {
    hint: 'the transaction itself is at fault; trying again cannot help',
  });
}
