/**
 * The database's clock as a node knows it: always behind the true one, never ahead. A deadline converted to it comes
 * earlier there than here, so once a deadline has passed here it has passed for the leader too.
 */
import type { Clock } from './clock.ts';

export class DatabaseTime {
  readonly #clock: Clock;
  #offsetMs: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isKnown(): boolean {
    return this.#offsetMs !== null;
  }

  /** Takes the database time of an answer that has just been received. The newest counts, for the clock may be set. */
  sample(databaseTimeMs: number): void {
    this.#offsetMs = databaseTimeMs - this.#clock.nowMs();
  }

  /** @param deadlineMs by the local clock. @returns a database time that is not later. */
  expiryOf(deadlineMs: number): number {
    return Math.floor(deadlineMs + (this.#offsetMs ?? 0));
  }
}
