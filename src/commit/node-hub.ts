/**
 * What the parts of one node tell each other directly: the durable version it knows, whether the leader runs in this
 * process, and outcomes for its own waiters. It saves notifications on the way from a node to itself.
 */
import type { Outcome } from './commit-storage.ts';
import { Wakeup } from './wakeup.ts';

export class NodeHub {
  /** Of the leader in this process. */
  readonly doorbell = new Wakeup();
  /** A leader of this process takes requests; nobody else needs to hear of them. */
  isLeading = false;
  /** Set by the follower. */
  onOutcome: (outcome: Outcome) => void = () => {};
  /** Set by the watches; called whenever the version grows. */
  onAdvance: () => void = () => {};
  #durableVersion = 0;

  /** The highest durable version heard of; the true one may be higher. */
  get durableVersion(): number {
    return this.#durableVersion;
  }

  advance(version: number): void {
    if (version <= this.#durableVersion) return;
    this.#durableVersion = version;
    this.onAdvance();
  }
}
