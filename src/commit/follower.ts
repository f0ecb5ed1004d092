/**
 * The waiting side of a node. A submitted request ends in exactly one of these ways: a reply arrives; the backstop
 * finds its outcome, for the reply was lost; or its deadline passes and it is withdrawn, which either ends it for good
 * or finds out how it has ended. Only when the database cannot be asked for some time after the deadline is its end
 * unknown; by then its expiry has passed, so nothing can happen to it any more.
 */
import { bytesToHex } from './byte-order.ts';
import type { Clock } from './clock.ts';
import { CommitError } from './commit-error.ts';
import { WAITING_BYTES_MAX, WAITING_COUNT_MAX } from './commit-limits.ts';
import type { CommitMeter } from './commit-meter.ts';
import type { CommitStorage, Outcome } from './commit-storage.ts';
import { type CommitTimings, retryDelayMs } from './commit-timings.ts';
import type { DatabaseTime } from './database-time.ts';
import { Enqueuer, type Submission } from './enqueuer.ts';
import type { NodeHub } from './node-hub.ts';
import { parseReply } from './reply.ts';
import { sleep, within } from './wakeup.ts';

export interface FollowerOptions {
  readonly storage: CommitStorage;
  readonly clock: Clock;
  readonly timings: CommitTimings;
  readonly random: () => number;
  /** Eight bytes that no other process has; commit ids begin with them. */
  readonly identity: Uint8Array;
  readonly node: string;
  readonly hub: NodeHub;
  readonly databaseTime: DatabaseTime;
  readonly meter: CommitMeter;
}

interface Waiter extends Submission {
  readonly key: string;
  /** A durable version known before the request was sent. */
  readonly bornVersion: number;
  readonly submittedAtMs: number;
  isWithdrawing: boolean;
  readonly settle: (outcome: Outcome | 'unknown') => void;
}

const ID_PREFIX_BYTES = 8;

export class Follower {
  readonly #options: FollowerOptions;
  readonly #enqueuer: Enqueuer;
  readonly #waiters = new Map<string, Waiter>();
  #waitingBytes = 0;
  #idCount = 0n;
  #cancelTick: (() => void) | null = null;
  #isAsking = false;
  /** Withdrawals and backstop questions under way. */
  readonly #running = new Set<Promise<void>>();
  #unlisten: (() => Promise<void>) | null = null;
  #isClosed = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
    const unanswered = () => Array.from(this.#waiters.values()).filter(({ isSent }) => isSent);
    this.#enqueuer = new Enqueuer({ ...options, unanswered });
    options.hub.onOutcome = (outcome) => this.#settle(bytesToHex(outcome.id), outcome);
  }

  /** Requests without an answer. */
  get waitingCount(): number {
    return this.#waiters.size;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Why requests cannot be sent at the moment, if so. */
  get lastError(): unknown {
    return this.#enqueuer.lastError;
  }

  async start(): Promise<void> {
    const { storage, node } = this.#options;
    this.#unlisten = await storage.listen(
      { kind: 'reply', node },
      (payload) => this.#onReplies(payload),
      () => this.#onGap(),
    );
  }

  /**
   * Sends an encoded request and waits for its end. Takes possession of `payload`.
   * @param bornVersion a durable version known already.
   * @param deadlineMs by the local clock.
   * @param signal withdraws the request at once.
   * @throws CommitError THROTTLED when too much is waiting, STORE_CLOSED; then nothing was sent.
   */
  submit(
    payload: Uint8Array,
    bornVersion: number,
    deadlineMs: number,
    signal?: AbortSignal,
  ): Promise<Outcome | 'unknown'> {
    const refusal = this.#refusalOf(payload);
    if (refusal !== null) return Promise.reject(refusal);
    const { clock, timings } = this.#options;
    const id = this.#mintId();
    const { promise, resolve } = promiseWithResolver<Outcome | 'unknown'>();
    const onAbort = () => this.#withdraw([waiter]);
    const waiter: Waiter = {
      id,
      key: bytesToHex(id),
      payload,
      bornVersion,
      deadlineMs,
      submittedAtMs: clock.nowMs(),
      isSent: false,
      isAnswered: false,
      isWithdrawing: false,
      settle: (outcome) => {
        signal?.removeEventListener('abort', onAbort);
        resolve(outcome);
      },
    };
    this.#waiters.set(waiter.key, waiter);
    this.#waitingBytes += payload.length;
    this.#enqueuer.add(waiter);
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted) onAbort();
    this.#cancelTick ??= clock.after(timings.backstopMs, () => this.#tick());
    return promise;
  }

  /** Withdraws what waits and ends once all of it has an answer. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#withdraw(Array.from(this.#waiters.values()));
    while (this.#running.size > 0) await Promise.all(this.#running);
    this.#cancelTick?.();
    this.#cancelTick = null;
    await this.#enqueuer.close();
    await this.#unlisten?.();
    this.#unlisten = null;
  }

  #refusalOf(payload: Uint8Array): CommitError | null {
    if (this.#isClosed) return new CommitError('STORE_CLOSED', 'the commit store is closed');
    if (this.#waiters.size < WAITING_COUNT_MAX && this.#waitingBytes + payload.length <= WAITING_BYTES_MAX) {
      return null;
    }
    return new CommitError(
      'THROTTLED',
      `${this.#waiters.size} commits of ${this.#waitingBytes} bytes wait on this node already`,
      { hint: 'wait for commits to end before starting more', cause: this.#enqueuer.lastError },
    );
  }

  #mintId(): Uint8Array {
    const id = new Uint8Array(ID_PREFIX_BYTES + 8);
    id.set(this.#options.identity);
    new DataView(id.buffer).setBigUint64(ID_PREFIX_BYTES, this.#idCount++);
    return id;
  }

  #settle(key: string, outcome: Outcome | 'unknown'): boolean {
    const waiter = this.#waiters.get(key);
    if (waiter === undefined) return false;
    this.#waiters.delete(key);
    this.#waitingBytes -= waiter.payload.length;
    waiter.isAnswered = true;
    waiter.settle(outcome);
    return true;
  }

  #onReplies(payload: string): void {
    let needsReason = false;
    for (const line of payload.split('\n')) {
      const reply = parseReply(line);
      const waiter = reply && this.#waiters.get(reply.key);
      if (reply === undefined) this.#options.meter.malformedReplies++;
      else if (reply.verdict === 'rejected') needsReason ||= waiter !== undefined;
      else if (waiter !== undefined) {
        this.#settle(reply.key, { id: waiter.id, verdict: reply.verdict, version: reply.version });
      }
    }
    if (needsReason) this.#ask(Array.from(this.#waiters.values()), false);
  }

  /** Replies may have been missed, and the queue may have been lost with the database's memory. */
  #onGap(): void {
    this.#ask(Array.from(this.#waiters.values()), true);
    this.#enqueuer.resend();
  }

  /** At a fixed cadence while anyone waits: nothing that happens meanwhile puts it off. */
  #tick(): void {
    const { clock, timings } = this.#options;
    this.#cancelTick = null;
    if (this.#waiters.size === 0) return;
    this.#cancelTick = clock.after(timings.backstopMs, () => this.#tick());
    const nowMs = clock.nowMs();
    const waiters = Array.from(this.#waiters.values());
    this.#withdraw(waiters.filter(({ deadlineMs }) => deadlineMs <= nowMs));
    this.#ask(
      waiters.filter(({ submittedAtMs }) => submittedAtMs + timings.backstopMs <= nowMs),
      true,
    );
  }

  /** Looks for recorded outcomes, one question at a time. */
  #ask(waiters: readonly Waiter[], isRecovery: boolean): void {
    const ids = waiters.filter(({ isSent, isAnswered }) => isSent && !isAnswered).map(({ id }) => id);
    if (ids.length === 0 || this.#isAsking) return;
    this.#isAsking = true;
    this.#track(async () => {
      try {
        for (const outcome of await this.#options.storage.outcomes(ids)) {
          const isNew = this.#settle(bytesToHex(outcome.id), outcome);
          if (isNew && isRecovery) this.#options.meter.recoveredReplies++;
        }
      } catch {
        // The next tick asks again.
      }
      this.#isAsking = false;
    });
  }

  #withdraw(waiters: readonly Waiter[]): void {
    const { sent, unsent } = splitBySent(
      waiters.filter((waiter) => !waiter.isWithdrawing && !waiter.isAnswered),
    );
    for (const { key, id, bornVersion } of unsent) {
      this.#settle(key, { id, verdict: 'withdrawn', version: bornVersion });
    }
    if (sent.length > 0) this.#track(() => this.#withdrawSent(sent));
  }

  async #withdrawSent(waiters: readonly Waiter[]): Promise<void> {
    const { storage, clock, timings, random } = this.#options;
    for (const waiter of waiters) waiter.isWithdrawing = true;
    const startedAtMs = clock.nowMs();
    const giveUpAtMs = (waiter: Waiter) => Math.max(waiter.deadlineMs, startedAtMs) + timings.withdrawGraceMs;
    for (let failures = 1; ; failures++) {
      const open = waiters.filter(({ isAnswered }) => !isAnswered);
      if (open.length === 0) return;
      const limitMs = Math.min(...open.map(giveUpAtMs)) - clock.nowMs();
      try {
        const outcomes = await within(clock, limitMs, storage.withdraw(open));
        for (const [i, outcome] of outcomes?.entries() ?? []) this.#settle(open[i].key, outcome ?? 'unknown');
      } catch {
        await sleep(clock, Math.min(limitMs, retryDelayMs(timings, failures, random)));
      }
      for (const waiter of open) {
        if (clock.nowMs() >= giveUpAtMs(waiter)) this.#settle(waiter.key, 'unknown');
      }
    }
  }

  #track(act: () => Promise<void>): void {
    const running = act().finally(() => this.#running.delete(running));
    this.#running.add(running);
  }
}

function splitBySent(waiters: readonly Waiter[]): { sent: Waiter[]; unsent: Waiter[] } {
  return { sent: waiters.filter(({ isSent }) => isSent), unsent: waiters.filter(({ isSent }) => !isSent) };
}

function promiseWithResolver<Value>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
