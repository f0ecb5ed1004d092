/**
 * One filter field of a chunk. While it has few and small keys, rows set bits in one page bitset per key; the first key that does
 * not fit ends that for the chunk, and the field goes on as pairs. `many` fields and sparse slots are always pairs.
 */
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BITSET_BYTES, CODE_NONE, SMALL_KEYS } from '../kernels/page-kernels.ts';
import { ContainerStore } from './accumulator-containers.ts';
import type { MessageWriter } from './accumulator-output.ts';
import { PairBuffer, type PairScratch } from './accumulator-pairs.ts';

/** Distinct keys of a field with a bitset each: 512 KiB, so that they stay in the second-level cache. */
const BITSET_KEYS_MAX = 64;

export class FilterAccumulator {
  readonly #kernels: Kernels;
  readonly #field: number;
  readonly #pairs: PairBuffer;
  readonly #containers: ContainerStore | null;
  readonly #lookup: Pointer;
  readonly #bitsets: Pointer;
  /** Key of each bitset. */
  readonly #keys: number[] = [];
  #isDense: boolean;
  /** The bitsets hold bits of the open page. */
  #isPageOpen = false;

  constructor(kernels: Kernels, scratch: PairScratch, field: number, mayBeDense: boolean) {
    this.#kernels = kernels;
    this.#field = field;
    this.#pairs = new PairBuffer(kernels, scratch, field);
    this.#isDense = mayBeDense;
    this.#containers = mayBeDense ? new ContainerStore(kernels) : null;
    this.#lookup = mayBeDense ? kernels.memory.allocate(SMALL_KEYS) : 0;
    this.#bitsets = mayBeDense ? kernels.memory.allocate(BITSET_KEYS_MAX * BITSET_BYTES) : 0;
    if (!mayBeDense) return;
    kernels.memory.u8.fill(CODE_NONE, this.#lookup, this.#lookup + SMALL_KEYS);
    kernels.memory.u8.fill(0, this.#bitsets, this.#bitsets + BITSET_KEYS_MAX * BITSET_BYTES);
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
    if (!this.#isDense) {
      this.#pairs.add(writer, run, slots, keys, nulls, from, to);
      return;
    }
    const lookup = this.#lookup;
    let at = from;
    while (at < to) {
      at = this.#kernels.setKeyBits(slots, keys, nulls, at, to, lookup, this.#bitsets);
      if (at < to && !this.#assignBitset(this.#kernels.memory.u32[keys / 4 + at])) {
        // A field that overflows at once keeps no trace of the attempt, so all of it merges as pairs.
        if (!this.#isPageOpen && this.#containers!.isEmpty) {
          this.#kernels.memory.u8.fill(0, this.#bitsets, this.#bitsets + this.#keys.length * BITSET_BYTES);
          at = from;
        } else {
          this.#isPageOpen = true;
        }
        this.#isDense = false;
        this.#pairs.add(writer, run, slots, keys, nulls, at, to);
        return;
      }
    }
    this.#isPageOpen = true;
  }

  closePage(pageKey: number): void {
    if (!this.#isPageOpen) return;
    this.#isPageOpen = false;
    for (let code = 0; code < this.#keys.length; code++) {
      this.#containers!.takeBitset(code, pageKey, this.#bitsets + code * BITSET_BYTES);
    }
  }

  closeRun(writer: MessageWriter, run: number): void {
    this.#containers?.writePart(writer, run, this.#field, this.#keys);
    this.#pairs.writePart(writer, run);
  }

  #assignBitset(key: number): boolean {
    if (key >= SMALL_KEYS || this.#keys.length === BITSET_KEYS_MAX) return false;
    this.#kernels.memory.u8[this.#lookup + key] = this.#keys.length;
    this.#keys.push(key);
    return true;
  }
}
