/**
 * The slots of the open page that have a value of one field. As long as no row is null these are the touched
 * slots of the page, which someone else keeps; bits of its own are set only from the first batch with nulls
 * on.
 */
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BITSET_BYTES } from '../kernels/page-kernels.ts';

export class PageBits {
  readonly #kernels: Kernels;
  readonly #touched: Pointer;
  readonly #own: Pointer;
  #isOwn = false;

  /** `touched`: the bitset of the page, to which rows are added after each field has seen them. */
  constructor(kernels: Kernels, touched: Pointer) {
    this.#kernels = kernels;
    this.#touched = touched;
    this.#own = kernels.memory.allocate(BITSET_BYTES);
  }

  /** Leaves out the rows that the page has already. */
  skipTouched(): void {
    this.#kernels.memory.u8.fill(0, this.#own, this.#own + BITSET_BYTES);
    this.#isOwn = true;
  }

  /** Rows of the page, before they are added to the touched ones. */
  add(slots: Pointer, nulls: Pointer, from: number, to: number): void {
    if (nulls !== 0 && !this.#isOwn) {
      this.#kernels.memory.u8.copyWithin(this.#own, this.#touched, this.#touched + BITSET_BYTES);
      this.#isOwn = true;
    }
    if (this.#isOwn) this.#kernels.setSlotBits(slots, nulls, from, to, this.#own);
  }

  /** The bitset of the page, valid until the touched slots are cleared; the next page begins. */
  close(): Pointer {
    const bitset = this.#isOwn ? this.#own : this.#touched;
    this.#isOwn = false;
    return bitset;
  }
}
