/** How often values fell at or below each of some ascending bounds: what a histogram of metrics is made of. */
export class BucketCounts {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #count = 0;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  get count(): number {
    return this.#count;
  }

  get sum(): number {
    return this.#sum;
  }

  add(value: number): void {
    this.#count++;
    this.#sum += value;
    const bucket = this.#bounds.findIndex((bound) => value <= bound);
    if (bucket >= 0) this.#counts[bucket]++;
  }

  /** For each bound the values up to it; those above the last one are in `count` alone. */
  cumulative(): number[] {
    let count = 0;
    return this.#counts.map((each) => (count += each));
  }
}
