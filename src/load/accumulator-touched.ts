/**
 * The open page and its touched slots: those of all rows, whatever their values.
 */
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BITSET_BYTES } from '../kernels/page-kernels.ts';

export class TouchedPage {
  readonly #kernels: Kernels;
  readonly bitset: Pointer;
  /** slot >>> 16 of the open page, or −1. */
  key = -1;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.bitset = kernels.memory.allocate(BITSET_BYTES);
    this.clear();
  }

  add(slots: Pointer, from: number, to: number): void {
    this.#kernels.setSlotBits(slots, 0, from, to, this.bitset);
  }

  count(): number {
    return this.#kernels.countBits(this.bitset);
  }

  clear(): void {
    this.#kernels.memory.u8.fill(0, this.bitset, this.bitset + BITSET_BYTES);
    this.key = -1;
  }
}
