/**
 * Asks the engine thread for its figures at an interval, one question at a time, and so knows how long ago it last answered.
 * A thread that hangs gives no answer; one that ended, or whose
 * index is broken, will never serve again.
 */

import type { BitloomIndex, IndexStats } from '../engine/index-api.ts';
import { BitloomError } from '../errors.ts';
import { HEARTBEAT_INTERVAL_MS } from '../limits.ts';

export class Heartbeat {
  readonly #index: Pick<BitloomIndex, 'stats'>;
  readonly #onStats: (stats: IndexStats) => void;
  readonly #onCrash: (error: BitloomError) => void;
  readonly #timer: NodeJS.Timeout;
  #isAsking = false;
  #isStopped = false;
  #answeredAtMs = performance.now();
  #failure: BitloomError | null = null;

  constructor(
    index: Pick<BitloomIndex, 'stats'>,
    onStats: (stats: IndexStats) => void,
    onCrash: (error: BitloomError) => void,
  ) {
    this.#index = index;
    this.#onStats = onStats;
    this.#onCrash = onCrash;
    this.#timer = setInterval(() => void this.#ask(), HEARTBEAT_INTERVAL_MS);
    void this.#ask();
  }

  /** Milliseconds since the last answer. */
  get ageMs(): number {
    return performance.now() - this.#answeredAtMs;
  }

  /** Why the last question failed; null if it was answered. */
  get failure(): BitloomError | null {
    return this.#failure;
  }

  /** Only opening the index again can help. */
  get isLost(): boolean {
    return this.#failure?.code === 'ENGINE_CRASHED' || this.#failure?.code === 'INDEX_BROKEN';
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      const stats = await this.#index.stats();
      this.#answeredAtMs = performance.now();
      this.#failure = null;
      this.#onStats(stats);
    } catch (error) {
      if (this.#isStopped) return;
      this.#failure = error instanceof BitloomError ? error : new BitloomError('INTERNAL', String(error));
      if (!this.isLost) return;
      this.stop();
      this.#onCrash(this.#failure);
    } finally {
      this.#isAsking = false;
    }
  }
}
