/**
 * The slots of a generated dump: sparse and increasing, the highest about 1.2 times the row count, as ids of a live
 * table are. Every table replays the same sequence, so join tables name existing slots without keeping them.
 */
import { Random } from './random.ts';

const STREAM = 1;
/** One slot in 16 follows a gap of up to 6, one in 4,096 a gap of up to 101: 0.2 missing ids per row. */
const GAP_ONE_IN = 16;
const GAP_BOUND = 7;
const WIDE_GAP_ONE_IN = 4096;
const WIDE_GAP_BOUND = 102;

export class SlotSequence {
  readonly #random: Random;
  #slot = 0;

  constructor(seed: number) {
    this.#random = new Random(seed, STREAM);
  }

  next(): number {
    const bits = this.#random.next();
    let step = 1;
    if (bits % GAP_ONE_IN === 0) step += this.#random.below(GAP_BOUND);
    if ((bits >>> 8) % WIDE_GAP_ONE_IN === 0) step += this.#random.below(WIDE_GAP_BOUND);
    this.#slot += step;
    return this.#slot;
  }
}
