/**
 * The slots that have a value of a `many` field, whatever order its rows come in: a bitset for every page
 * that a row of the chunk lies in. Setting a bit per row here is much cheaper than finding the distinct slots
 * of the merged pairs later.
 *
 * Slots strewn over more pages than are worth their memory end it for the chunk, and the merge finds the
 * slots out.
 */
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BITSET_BYTES } from '../kernels/page-kernels.ts';
import { PAGE_SLOTS } from '../limits.ts';
import { ContainerStore } from './accumulator-containers.ts';
import { KIND_PRESENT, NO_RUN } from './accumulator-message.ts';
import type { MessageWriter } from './accumulator-output.ts';

/** Slots have as many pages as a page has slots. */
const PAGES = PAGE_SLOTS;
/** Pages with a bitset at most: 8 MiB of address space, touched page by page. */
const BITSETS_MAX = 1024;

export class SlotPages {
  readonly #kernels: Kernels;
  /** Bitset by page key, 0 for none. */
  readonly #pages: Pointer;
  readonly #bitsets: Pointer;
  readonly #pageKeys: number[] = [];
  #isComplete = true;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#pages = kernels.memory.allocate(PAGES * 4);
    this.#bitsets = kernels.memory.allocate(BITSETS_MAX * BITSET_BYTES);
    kernels.memory.u8.fill(0, this.#pages, this.#pages + PAGES * 4);
  }

  add(slots: Pointer, nulls: Pointer, rowCount: number): void {
    let row = 0;
    while (this.#isComplete) {
      row = this.#kernels.setPagedSlotBits(slots, nulls, row, rowCount, this.#pages);
      if (row === rowCount) return;
      this.#addPage(this.#kernels.memory.u32[slots / 4 + row] >>> 16);
    }
  }

  writePart(writer: MessageWriter, field: number): void {
    if (!this.#isComplete) return;
    const store = new ContainerStore(this.#kernels);
    for (const pageKey of this.#pageKeys.sort((a, b) => a - b)) {
      const bitset = this.#kernels.memory.u32[this.#pages / 4 + pageKey];
      store.addBitset(0, pageKey, bitset, this.#kernels.countBits(bitset));
    }
    store.writePart(writer, NO_RUN, field, KIND_PRESENT, [0]);
  }

  #addPage(pageKey: number): void {
    if (this.#pageKeys.length === BITSETS_MAX) {
      this.#isComplete = false;
      return;
    }
    const bitset = this.#bitsets + this.#pageKeys.length * BITSET_BYTES;
    const { u8, u32 } = this.#kernels.memory;
    u8.fill(0, bitset, bitset + BITSET_BYTES);
    u32[this.#pages / 4 + pageKey] = bitset;
    this.#pageKeys.push(pageKey);
  }
}
