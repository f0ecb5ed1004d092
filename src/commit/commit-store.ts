/**
 * An ordered key/value store with optimistic transactions for many nodes over one database. This is one node of it: it
 * runs transactions, and leads when the lease falls to it. What it promises rests on the port (commit-storage.ts).
 */
import { randomBytes } from 'node:crypto';
import { bytesToHex } from './byte-order.ts';
import { Candidate } from './candidate.ts';
import { type Clock, systemClock } from './clock.ts';
import { CommitError } from './commit-error.ts';
import { CommitMeter, type LatencyHistogram, type Phase } from './commit-meter.ts';
import type { CommitStorage, Verdict } from './commit-storage.ts';
import { COMMIT_TIMINGS, type CommitTimings } from './commit-timings.ts';
import { ConflictHistory } from './conflict-history.ts';
import { DatabaseTime } from './database-time.ts';
import { Follower } from './follower.ts';
import { GroupedReads } from './grouped-reads.ts';
import type { LeaderTools } from './leader.ts';
import { NodeHub } from './node-hub.ts';
import { resolveBatch } from './resolve.ts';
import { type TransactOptions, type TransactResult, transact } from './transact.ts';
import type { Transaction } from './transaction.ts';
import { Wakeup } from './wakeup.ts';
import { WatchHub, type WatchOptions } from './watch.ts';

export type { Transaction };

/** What a node is made of; the defaults are the real ones. */
export interface CommitStoreParts {
  readonly storage: CommitStorage;
  readonly clock?: Clock;
  readonly timings?: CommitTimings;
  readonly random?: () => number;
  /** Eight bytes that no other process has. */
  readonly identity?: Uint8Array;
  readonly tools?: LeaderTools;
}

export interface CommitStats {
  readonly node: string;
  readonly role: 'leader' | 'follower' | 'closed';
  /** Of the term that this node leads, else null. */
  readonly epoch: number | null;
  /** The highest durable version that this node knows of. */
  readonly durableVersion: number;
  /** What was left of the lease when it was last extended, and the least ever; null before. */
  readonly leaseMarginMs: number | null;
  readonly leaseMarginMsMin: number | null;
  readonly waitingRequests: number;
  readonly waitingBytes: number;
  /** How long the oldest queued request had waited when the leader last looked; 0 on other nodes. */
  readonly queueAgeMs: number;
  readonly historyBoundaries: number;
  readonly historyFloor: number;
  readonly terms: number;
  readonly failedTerms: number;
  readonly batches: number;
  /** Requests that this node decided as the leader. */
  readonly requests: Readonly<Record<Verdict, number>>;
  readonly retries: number;
  /** Answers that a lost notification delayed. */
  readonly recoveredReplies: number;
  readonly malformedReplies: number;
  /** Of the batches of this node. */
  readonly phases: Readonly<Record<Phase, LatencyHistogram>>;
}

export interface CloseOptions {
  /** Wakes another node to lead at once. Default true. */
  readonly handoff?: boolean;
}

const IDENTITY_BYTES = 8;

export class CommitStore {
  readonly meter = new CommitMeter();
  readonly #storage: CommitStorage;
  readonly #reads: GroupedReads;
  readonly #clock: Clock;
  readonly #timings: CommitTimings;
  readonly #random: () => number;
  readonly #node: string;
  readonly #hub = new NodeHub();
  readonly #databaseTime: DatabaseTime;
  readonly #follower: Follower;
  readonly #candidate: Candidate;
  readonly #watches: WatchHub;
  readonly #closing = new AbortController();
  readonly #poll = new Wakeup();
  readonly #transactions = new Set<Promise<unknown>>();
  #polling: Promise<void> | null = null;
  #unlisten: (() => Promise<void>) | null = null;
  #closed: Promise<void> | null = null;

  constructor(parts: CommitStoreParts) {
    const { storage, clock = systemClock, timings = COMMIT_TIMINGS, random = Math.random } = parts;
    const identity = parts.identity ?? randomBytes(IDENTITY_BYTES);
    const tools = parts.tools ?? {
      resolve: resolveBatch,
      createHistory: (floor) => new ConflictHistory(floor),
    };
    this.#storage = storage;
    this.#reads = new GroupedReads(storage, clock);
    this.#clock = clock;
    this.#timings = timings;
    this.#random = random;
    this.#node = bytesToHex(identity);
    this.#databaseTime = new DatabaseTime(clock);
    const shared = { storage, clock, timings, random, node: this.#node, hub: this.#hub, meter: this.meter };
    this.#follower = new Follower({ ...shared, identity, databaseTime: this.#databaseTime });
    this.#candidate = new Candidate({ ...shared, tools });
    this.#watches = new WatchHub(shared);
  }

  /** @throws CommitError when the database cannot be reached; the store is closed then. */
  async start(): Promise<this> {
    try {
      const { version, databaseTimeMs } = await this.#storage.now();
      this.#databaseTime.sample(databaseTimeMs);
      this.#hub.advance(version);
      await this.#follower.start();
      this.#unlisten = await this.#storage.listen(
        { kind: 'watermark' },
        (payload) => this.#onWatermark(payload),
        () => this.#poll.ring(),
      );
      await this.#candidate.start();
      this.#polling = this.#pollVersion();
      return this;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /**
   * Runs `act` and commits what it did, again and again while others get in the way. `act` may run several times and must
   * have no other effects.
   * @throws what `act` throws; CommitError with the code of what went wrong. Only COMMIT_UNKNOWN_RESULT leaves open
   * whether anything was committed.
   */
  async transact(
    act: (transaction: Transaction) => unknown,
    options: TransactOptions = {},
  ): Promise<TransactResult> {
    if (this.#closed !== null) throw new CommitError('STORE_CLOSED', 'the commit store is closed');
    const running = transact(
      {
        reader: this.#reads,
        follower: this.#follower,
        hub: this.#hub,
        clock: this.#clock,
        timings: this.#timings,
        random: this.#random,
        meter: this.meter,
        closing: this.#closing.signal,
      },
      act,
      options,
    );
    this.#transactions.add(running);
    try {
      return await running;
    } finally {
      this.#transactions.delete(running);
    }
  }

  /**
   * Versions of commits that wrote into [begin, end), ascending, each once. Without `after` it starts where this node
   * stands now: no commit that it has heard of, all that come later.
   * @throws CommitError WATCH_TOO_OLD from `next` when the commits after its position are not known any more.
   */
  watch(begin: Uint8Array, end: Uint8Array, options: WatchOptions = {}): AsyncIterableIterator<number> {
    return this.#watches.watch(begin, end, options);
  }

  stats(): CommitStats {
    const { meter } = this;
    const term = this.#candidate.term;
    return {
      node: this.#node,
      role: this.#closed !== null ? 'closed' : term === null ? 'follower' : 'leader',
      epoch: term?.lease.epoch ?? null,
      durableVersion: this.#hub.durableVersion,
      leaseMarginMs: meter.leaseMarginMs,
      leaseMarginMsMin: meter.leaseMarginMsMin,
      waitingRequests: this.#follower.waitingCount,
      waitingBytes: this.#follower.waitingBytes,
      queueAgeMs: term === null ? 0 : meter.queueAgeMs,
      historyBoundaries: term?.history.boundaryCount ?? 0,
      historyFloor: term?.history.floor ?? 0,
      terms: meter.terms,
      failedTerms: meter.failedTerms,
      batches: meter.batches,
      requests: { ...meter.decided },
      retries: meter.retries,
      recoveredReplies: meter.recoveredReplies,
      malformedReplies: meter.malformedReplies,
      phases: meter.phases(),
    };
  }

  /**
   * Ends everything: commits under way are withdrawn, and fail with STORE_CLOSED once they cannot take effect any more;
   * the batch in flight is finished and the lease released. Ends when nothing is left running.
   */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closed ??= this.#close(options.handoff ?? true);
    return this.#closed;
  }

  async #close(handoff: boolean): Promise<void> {
    this.#closing.abort();
    this.#poll.ring();
    await this.#watches.close();
    await this.#follower.close();
    await Promise.allSettled(this.#transactions);
    await this.#candidate.close(handoff);
    await this.#polling;
    await this.#unlisten?.().catch(() => {});
    await this.#storage.close();
  }

  #onWatermark(payload: string): void {
    const version = /^\d{1,16}$/.test(payload) ? Number(payload) : Number.NaN;
    if (Number.isSafeInteger(version)) this.#hub.advance(version);
    else this.meter.malformedReplies++;
  }

  /** The backstop of lost watermarks. */
  async #pollVersion(): Promise<void> {
    while (this.#closed === null) {
      await this.#poll.wait(this.#clock, this.#timings.versionPollMs);
      if (this.#closed !== null) return;
      try {
        const { version, databaseTimeMs } = await this.#storage.now();
        this.#databaseTime.sample(databaseTimeMs);
        this.#hub.advance(version);
      } catch {
        // The next poll asks again.
      }
    }
  }
}
