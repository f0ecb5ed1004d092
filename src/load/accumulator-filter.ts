/**
 * One filter field of a chunk. While it has few and small keys, rows set bits in one page bitset per key; the first key that does
 * not fit ends that for the chunk, and the field goes on as pairs. `many` fields and sparse slots are always pairs.
 *
 * For pairs that come page by page the union of their slots is kept too: nothing to set here, and much to compute from the merged
 * pairs.
 */
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BITSET_BYTES, CODE_NONE, SMALL_KEYS } from '../kernels/page-kernels.ts';
import { ContainerStore } from './accumulator-containers.ts';
import { KIND_BITMAPS, KIND_PRESENT } from './accumulator-message.ts';
import type { MessageWriter } from './accumulator-output.ts';
import { PairBuffer, type PairScratch } from './accumulator-pairs.ts';

/** Distinct keys of a field with a bitset each: 512 KiB, so that they stay in the second-level cache. */
const BITSET_KEYS_MAX = 64;

export class FilterAccumulator {
  readonly #kernels: Kernels;
  readonly #field: number;
  readonly #pairs: PairBuffer;
  readonly #containers: ContainerStore;
  readonly #lookup: Pointer;
  readonly #bitsets: Pointer;
  /** Key of each bitset. */
  readonly #keys: number[] = [];
  #isDense: boolean;
  /** The bitsets hold bits of the open page. */
  #isPageOpen = false;
  readonly #present: ContainerStore;
  readonly #presentBits: Pointer;
  #isPresentOpen = false;
  /** Every pair of the run is in `#present`. */
  #isPresentComplete = true;

  constructor(kernels: Kernels, scratch: PairScratch, field: number, many: boolean) {
    const { memory } = kernels;
    this.#kernels = kernels;
    this.#field = field;
    this.#pairs = new PairBuffer(kernels, scratch, field);
    this.#containers = new ContainerStore(kernels);
    this.#present = new ContainerStore(kernels);
    this.#isDense = !many;
    const bitsetCount = many ? 0 : BITSET_KEYS_MAX;
    this.#lookup = memory.allocate(SMALL_KEYS);
    this.#bitsets = memory.allocate(bitsetCount * BITSET_BYTES);
    this.#presentBits = memory.allocate(BITSET_BYTES);
    memory.u8.fill(CODE_NONE, this.#lookup, this.#lookup + SMALL_KEYS);
    memory.u8.fill(0, this.#bitsets, this.#bitsets + bitsetCount * BITSET_BYTES);
    memory.u8.fill(0, this.#presentBits, this.#presentBits + BITSET_BYTES);
  }

  /** Rows of many pages. */
  addSparse(
    writer: MessageWriter,
    run: number,
    slots: Pointer,
    keys: Pointer,
    nulls: Pointer,
    from: number,
    to: number,
  ): void {
    this.#isPresentComplete = false;
    this.#pairs.add(writer, run, slots, keys, nulls, from, to);
  }

  /** Rows of one page, which stays open until `closePage`. */
  addPageRows(
    writer: MessageWriter,
    run: number,
    slots: Pointer,
    keys: Pointer,
    nulls: Pointer,
    from: number,
    to: number,
  ): void {
    const first = this.#isDense ? this.#setBits(slots, keys, nulls, from, to) : from;
    if (first === to) return;
    this.#pairs.add(writer, run, slots, keys, nulls, first, to);
    if (!this.#isPresentComplete) return;
    this.#kernels.setSlotBits(slots, nulls, first, to, this.#presentBits);
    this.#isPresentOpen = true;
  }

  closePage(pageKey: number): void {
    if (this.#isPageOpen) {
      for (let code = 0; code < this.#keys.length; code++) {
        this.#containers.takeBitset(code, pageKey, this.#bitsets + code * BITSET_BYTES);
      }
      this.#isPageOpen = false;
    }
    if (this.#isPresentOpen) {
      this.#present.takeBitset(0, pageKey, this.#presentBits);
      this.#isPresentOpen = false;
    }
  }

  /** The page is closed. */
  closeRun(writer: MessageWriter, run: number): void {
    this.#containers.writePart(writer, run, this.#field, KIND_BITMAPS, this.#keys);
    this.#pairs.writePart(writer, run);
    if (this.#isPresentComplete) this.#present.writePart(writer, run, this.#field, KIND_PRESENT, [0]);
    else this.#present.clear();
    this.#isPresentComplete = true;
  }

  /** Returns the row from which on the rows have to be pairs. */
  #setBits(slots: Pointer, keys: Pointer, nulls: Pointer, from: number, to: number): number {
    const { memory } = this.#kernels;
    let at = from;
    while (at < to) {
      at = this.#kernels.setKeyBits(slots, keys, nulls, at, to, this.#lookup, this.#bitsets);
      if (at === to || this.#assignBitset(memory.u32[keys / 4 + at])) continue;
      this.#isDense = false;
      // A field that overflows at once keeps no trace of the attempt, so all of it merges as pairs.
      if (!this.#isPageOpen && this.#containers.isEmpty) {
        memory.u8.fill(0, this.#bitsets, this.#bitsets + this.#keys.length * BITSET_BYTES);
        return from;
      }
      break;
    }
    this.#isPageOpen = true;
    return at;
  }

  #assignBitset(key: number): boolean {
    if (key >= SMALL_KEYS || this.#keys.length === BITSET_KEYS_MAX) return false;
    this.#kernels.memory.u8[this.#lookup + key] = this.#keys.length;
    this.#keys.push(key);
    return true;
  }
}
