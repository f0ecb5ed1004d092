/** How long flushes took, as a cumulative histogram in the shape that metrics want. */
import { BucketCounts } from '../bucket-counts.ts';

const UPPER_BOUNDS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export interface FlushSeconds {
  readonly count: number;
  readonly sum: number;
  /** Flushes that took at most so many seconds; the ones slower than the last bound are in `count` alone. */
  readonly buckets: readonly { readonly upTo: number; readonly count: number }[];
}

export class FlushTimes {
  readonly #seconds = new BucketCounts(UPPER_BOUNDS_SECONDS);

  add(seconds: number): void {
    this.#seconds.add(seconds);
  }

  snapshot(): FlushSeconds {
    const { count, sum } = this.#seconds;
    const counts = this.#seconds.cumulative();
    return { count, sum, buckets: UPPER_BOUNDS_SECONDS.map((upTo, i) => ({ upTo, count: counts[i] })) };
  }
}
