/**
 * What a leader tells after a batch is durable: outcomes to the nodes that wait for them, the new durable version to all.
 * Sent apart from the batches, one statement in flight; what comes meanwhile goes together. Losing it is harmless.
 */
import type { Clock } from './clock.ts';
import type { CommitMeter } from './commit-meter.ts';
import type { CommitStorage, Notification, Outcome } from './commit-storage.ts';
import type { NodeHub } from './node-hub.ts';
import { formatReply, packReplies } from './reply.ts';

export interface OutboxOptions {
  readonly storage: CommitStorage;
  readonly clock: Clock;
  readonly node: string;
  readonly hub: NodeHub;
  readonly meter: CommitMeter;
}

export class Outbox {
  readonly #options: OutboxOptions;
  #linesByNode = new Map<string, string[]>();
  #durableVersion: number | null = null;
  #sending: Promise<void> | null = null;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Delivers to waiters of this process at once, and to others soon. */
  add(outcomes: readonly (Outcome & { readonly node: string })[], durableVersion: number | null): void {
    const { node, hub } = this.#options;
    for (const outcome of outcomes) {
      if (outcome.node === node) hub.onOutcome(outcome);
      else this.#linesOf(outcome.node).push(formatReply(outcome));
    }
    if (durableVersion !== null) {
      hub.advance(durableVersion);
      this.#durableVersion = durableVersion;
    }
    this.#sending ??= this.#send();
  }

  /** Until everything is sent. */
  async flush(): Promise<void> {
    await this.#sending;
  }

  #linesOf(node: string): string[] {
    let lines = this.#linesByNode.get(node);
    if (lines === undefined) this.#linesByNode.set(node, (lines = []));
    return lines;
  }

  async #send(): Promise<void> {
    const { storage, clock, meter } = this.#options;
    await Promise.resolve(); // what is told together is sent together
    for (let notifications = this.#take(); notifications.length > 0; notifications = this.#take()) {
      const startedAtMs = clock.nowMs();
      // Best effort: the backstops find what is lost.
      await storage.notify(notifications).catch(() => {});
      meter.time('notify', clock.nowMs() - startedAtMs);
    }
    this.#sending = null;
  }

  #take(): Notification[] {
    const notifications: Notification[] = [];
    for (const [node, lines] of this.#linesByNode) {
      for (const payload of packReplies(lines))
        notifications.push({ channel: { kind: 'reply', node }, payload });
    }
    if (this.#durableVersion !== null) {
      notifications.push({ channel: { kind: 'watermark' }, payload: String(this.#durableVersion) });
    }
    this.#linesByNode = new Map();
    this.#durableVersion = null;
    return notifications;
  }
}
