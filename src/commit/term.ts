/**
 * One term of a leader: from the lease it got to the lease it gave back. Loops of their own take batches from the
 * queue, renew the lease when no batch does, and prune, so that a long batch starves no renewal. The first two ending
 * either way ends the term; the batch in flight is finished, then the lease is released.
 * Nothing here is needed for safety but the fence of `apply`: a term that has ended without noticing changes nothing.
 */
import type { Clock } from './clock.ts';
import { CommitError } from './commit-error.ts';
import type { CommitMeter } from './commit-meter.ts';
import type { CommitStorage, Lease } from './commit-storage.ts';
import type { CommitTimings } from './commit-timings.ts';
import { Leader, type LeaderTools } from './leader.ts';
import type { NodeHub } from './node-hub.ts';
import { Outbox } from './outbox.ts';
import { PruneSchedule } from './prune-schedule.ts';
import { Wakeup, within } from './wakeup.ts';

export interface TermOptions {
  readonly storage: CommitStorage;
  readonly clock: Clock;
  readonly timings: CommitTimings;
  readonly node: string;
  readonly hub: NodeHub;
  readonly meter: CommitMeter;
  readonly tools: LeaderTools;
}

/** Why a term ended. */
export type TermEnd =
  | { readonly kind: 'stopped' }
  /** Another epoch has begun. */
  | { readonly kind: 'fenced' }
  | { readonly kind: 'failed'; readonly error: unknown };

export class Term {
  readonly lease: Lease;
  readonly #options: TermOptions;
  readonly #leader: Leader;
  readonly #outbox: Outbox;
  readonly #pruneSchedule: PruneSchedule;
  readonly #renewal = new Wakeup();
  readonly #pruning = new Wakeup();
  #end: TermEnd | null = null;
  /** By the local clock: the lease cannot have ended before. */
  #leaseUntilMs: number;

  /** @param askedAtMs when the lease was asked for. */
  constructor(options: TermOptions, lease: Lease, askedAtMs: number) {
    const { clock, timings } = options;
    this.#options = options;
    this.lease = lease;
    this.#leaseUntilMs = askedAtMs + timings.leaseMs;
    this.#outbox = new Outbox(options);
    this.#pruneSchedule = new PruneSchedule(Math.max(timings.historyWindowMs, timings.outcomeRetentionMs));
    this.#pruneSchedule.note(clock.nowMs(), lease.durableVersion);
    const onApplied = (sentAtMs: number) => this.#extended(sentAtMs);
    this.#leader = new Leader({
      ...options,
      leaseMs: timings.leaseMs,
      lease,
      outbox: this.#outbox,
      onApplied,
    });
  }

  get history(): { readonly floor: number; readonly boundaryCount: number } {
    return this.#leader.history;
  }

  /** Leads until something ends the term. Never rejects. */
  async run(): Promise<TermEnd> {
    const { storage, hub, meter } = this.#options;
    hub.isLeading = true;
    hub.doorbell.ring();
    hub.advance(this.lease.durableVersion);
    meter.terms++;
    const loops = [this.#drain(), this.#renew(), this.#prune()].map((loop) =>
      loop.catch((error: unknown) => this.#finish({ kind: 'failed', error })),
    );
    await Promise.all(loops);
    hub.isLeading = false;
    await this.#outbox.flush();
    await storage.releaseLease(this.lease.epoch).catch(() => false);
    const end = this.#end ?? { kind: 'stopped' };
    if (end.kind === 'failed') meter.failedTerms++;
    return end;
  }

  stop(): void {
    this.#finish({ kind: 'stopped' });
  }

  #finish(end: TermEnd): void {
    this.#end ??= end;
    this.#options.hub.doorbell.ring();
    this.#renewal.ring();
    this.#pruning.ring();
  }

  async #drain(): Promise<void> {
    const { storage, clock, timings, hub } = this.#options;
    const ring = () => hub.doorbell.ring();
    const unlisten = await storage.listen({ kind: 'doorbell' }, ring, ring);
    try {
      while (this.#end === null) {
        hub.doorbell.clear();
        const result = await this.#leader.batch();
        if (result === 'fenced') this.#finish({ kind: 'fenced' });
        else if (result === 'idle' && this.#end === null)
          await hub.doorbell.wait(clock, timings.doorbellPollMs);
      }
    } finally {
      await unlisten().catch(() => {});
    }
  }

  async #renew(): Promise<void> {
    const { storage, clock, timings } = this.#options;
    while (this.#end === null) {
      const nowMs = clock.nowMs();
      const dueAtMs = this.#leaseUntilMs - timings.leaseMs + timings.renewMs;
      if (nowMs < dueAtMs) {
        await this.#renewal.wait(clock, dueAtMs - nowMs);
        continue;
      }
      const renewing = storage.renewLease(this.lease.epoch, timings.leaseMs);
      const isHeld = await within(clock, this.#leaseUntilMs - nowMs, renewing).catch(() => undefined);
      if (isHeld === true) this.#extended(nowMs);
      else if (isHeld === false) this.#finish({ kind: 'fenced' });
      else if (clock.nowMs() >= this.#leaseUntilMs) {
        this.#finish({ kind: 'failed', error: new CommitError('DATABASE_UNREACHABLE', 'the lease ran out') });
      } else await this.#renewal.wait(clock, timings.renewMs / 4);
    }
  }

  /** Apart from the renewal, which it must not hold up. */
  async #prune(): Promise<void> {
    const { storage, clock, timings } = this.#options;
    for (;;) {
      await this.#pruning.wait(clock, timings.pruneMs);
      if (this.#end !== null) return;
      const nowMs = clock.nowMs();
      this.#pruneSchedule.note(nowMs, this.#leader.durableVersion);
      const readableVersion = this.#pruneSchedule.floor(nowMs, timings.historyWindowMs);
      const outcomeVersion = this.#pruneSchedule.floor(nowMs, timings.outcomeRetentionMs);
      if (readableVersion === 0) continue;
      this.#leader.history.prune(readableVersion);
      // What fails now is pruned the next time.
      await storage.prune(this.lease.epoch, { readableVersion, outcomeVersion }).catch(() => {});
    }
  }

  /** A statement sent at `sentAtMs` has extended the lease. */
  #extended(sentAtMs: number): void {
    const { clock, timings, meter } = this.#options;
    meter.leaseExtended(this.#leaseUntilMs - clock.nowMs());
    this.#leaseUntilMs = Math.max(this.#leaseUntilMs, sentAtMs + timings.leaseMs);
  }
}
