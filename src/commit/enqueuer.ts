/**
 * Puts the requests of a node into the queue: one statement in flight, and what comes meanwhile shares the next one.
 * A failed statement may or may not have taken effect, and so may everything before it on that connection, so all
 * requests without an answer are sent again: their ids make that harmless.
 */
import type { Clock } from './clock.ts';
import { CLAIM_BYTES_MAX, CLAIM_COUNT_MAX } from './commit-limits.ts';
import type { CommitStorage } from './commit-storage.ts';
import { type CommitTimings, retryDelayMs } from './commit-timings.ts';
import type { DatabaseTime } from './database-time.ts';
import type { NodeHub } from './node-hub.ts';
import { setExpiry } from './request-codec.ts';
import { Wakeup } from './wakeup.ts';

/** A request on its way to the leader. */
export interface Submission {
  readonly id: Uint8Array;
  readonly payload: Uint8Array;
  /** By the local clock. */
  readonly deadlineMs: number;
  /** From here on the request may be committed. */
  isSent: boolean;
  isAnswered: boolean;
}

export interface EnqueuerOptions {
  readonly storage: CommitStorage;
  readonly clock: Clock;
  readonly timings: CommitTimings;
  readonly random: () => number;
  readonly node: string;
  readonly hub: NodeHub;
  readonly databaseTime: DatabaseTime;
  /** What has been sent and not been answered. */
  readonly unanswered: () => Iterable<Submission>;
}

export class Enqueuer {
  readonly #options: EnqueuerOptions;
  #queue: Submission[] = [];
  #sending: Promise<void> | null = null;
  readonly #stop = new Wakeup();
  #isClosed = false;
  #failures = 0;
  #lastError: unknown;

  constructor(options: EnqueuerOptions) {
    this.#options = options;
  }

  /** Why the last statement failed; undefined when it did not. */
  get lastError(): unknown {
    return this.#lastError;
  }

  add(submission: Submission): void {
    this.#queue.push(submission);
    this.#sending ??= this.#send();
  }

  /** Sends everything without an answer again. */
  resend(): void {
    const waiting = new Set(this.#queue);
    const sent = Array.from(this.#options.unanswered()).filter((submission) => !waiting.has(submission));
    this.#queue = [...sent, ...this.#queue];
    if (this.#queue.length > 0) this.#sending ??= this.#send();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#queue = [];
    this.#stop.ring();
    await this.#sending;
  }

  /** Until the queue is empty. */
  async #send(): Promise<void> {
    await Promise.resolve(); // requests made together are sent together
    while (this.#queue.length > 0) {
      try {
        await this.#sendGroup();
        this.#failures = 0;
        this.#lastError = undefined;
      } catch (error) {
        this.#lastError = error;
        this.resend();
        if (!this.#isClosed) {
          const { clock, timings, random } = this.#options;
          await this.#stop.wait(clock, retryDelayMs(timings, ++this.#failures, random));
        }
      }
      if (this.#isClosed) this.#queue = [];
    }
    this.#sending = null;
  }

  async #sendGroup(): Promise<void> {
    const { storage, hub, node, databaseTime } = this.#options;
    if (!databaseTime.isKnown) {
      const { version, databaseTimeMs } = await storage.now();
      databaseTime.sample(databaseTimeMs);
      hub.advance(version);
    }
    const group = this.#takeGroup();
    if (group.length === 0) return;
    const requests = group.map((submission) => {
      setExpiry(submission.payload, databaseTime.expiryOf(submission.deadlineMs));
      submission.isSent = true;
      return { id: submission.id, node, payload: submission.payload };
    });
    const { databaseTimeMs } = await storage.enqueue(requests, !hub.isLeading);
    databaseTime.sample(databaseTimeMs);
    if (hub.isLeading) hub.doorbell.ring();
  }

  #takeGroup(): Submission[] {
    const group: Submission[] = [];
    let bytes = 0;
    let taken = 0;
    for (const submission of this.#queue) {
      if (group.length === CLAIM_COUNT_MAX) break;
      if (group.length > 0 && bytes + submission.payload.length > CLAIM_BYTES_MAX) break;
      taken++;
      if (submission.isAnswered) continue;
      group.push(submission);
      bytes += submission.payload.length;
    }
    this.#queue = this.#queue.slice(taken);
    return group;
  }
}
