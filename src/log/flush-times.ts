/** How long flushes took, as a cumulative histogram in the shape that metrics want. */

const UPPER_BOUNDS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export interface FlushSeconds {
  readonly count: number;
  readonly sum: number;
  /** Flushes that took at most so many seconds; the ones slower than the last bound are in `count` alone. */
  readonly buckets: readonly { readonly upTo: number; readonly count: number }[];
}

export class FlushTimes {
  readonly #counts = UPPER_BOUNDS_SECONDS.map(() => 0);
  #count = 0;
  #sum = 0;

  add(seconds: number): void {
    this.#count++;
    this.#sum += seconds;
    const bucket = UPPER_BOUNDS_SECONDS.findIndex((upTo) => seconds <= upTo);
    if (bucket >= 0) this.#counts[bucket]++;
  }

  snapshot(): FlushSeconds {
    let count = 0;
    const buckets = UPPER_BOUNDS_SECONDS.map((upTo, i) => ({ upTo, count: (count += this.#counts[i]) }));
    return { count: this.#count, sum: this.#sum, buckets };
  }
}
