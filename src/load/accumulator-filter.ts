/**
 * One filter field of a chunk. While it has few and small keys, the open page is a column of one-byte codes
 * that becomes a bitset per key when it closes; the first key that does not fit ends that for the chunk, and
 * the field goes on as pairs. `many` fields and sparse slots are always pairs.
 *
 * For pairs that come page by page the union of their slots is kept too: nothing to set here, and much to
 * compute from the merged pairs.
 */
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BITSET_BYTES, CODE_NONE, SMALL_KEYS } from '../kernels/page-kernels.ts';
import { PAGE_SLOTS } from '../limits.ts';
import { ContainerStore } from './accumulator-containers.ts';
import { KIND_BITMAPS, KIND_PRESENT, NO_RUN } from './accumulator-message.ts';
import type { MessageWriter } from './accumulator-output.ts';
import { PageBits } from './accumulator-page-bits.ts';
import { PairBuffer, type PairScratch } from './accumulator-pairs.ts';
import { SlotPages } from './accumulator-slot-pages.ts';

/** Distinct keys of a dense field: each costs a pass over 64 KiB per page, and pairs are faster beyond. */
const CODES_MAX = 64;
/** Bytes of bitmaps from which they are handed over, so that they do not grow with the chunk; they fit a block. */
const BITMAPS_BYTES_MAX = 256 * 1024;

export class FilterAccumulator {
  readonly #kernels: Kernels;
  readonly #field: number;
  readonly #pairs: PairBuffer;
  /** Code by key, and code by position in the open page. */
  readonly #lookup: Pointer;
  readonly #codes: Pointer;
  /** Key by code. */
  readonly #keys: number[] = [];
  readonly #bitset: Pointer;
  readonly #containers: ContainerStore;
  #isDense: boolean;
  /** The open page has codes. */
  #hasCodes = false;
  readonly #presentBits: PageBits;
  readonly #present: ContainerStore;
  /** The open page has pairs. */
  #hasPairs = false;
  /** Only of a `many` field. */
  readonly #slotPages: SlotPages | null;
  /** Every pair of the run is in `#present`. */
  #isPresentComplete = true;

  /** `touched`: see PageBits. */
  constructor(kernels: Kernels, scratch: PairScratch, touched: Pointer, field: number, many: boolean) {
    const { memory } = kernels;
    this.#kernels = kernels;
    this.#field = field;
    this.#pairs = new PairBuffer(kernels, scratch, field, !many);
    this.#containers = new ContainerStore(kernels);
    this.#presentBits = new PageBits(kernels, touched);
    this.#present = new ContainerStore(kernels);
    this.#isDense = !many;
    this.#slotPages = many ? new SlotPages(kernels) : null;
    this.#bitset = memory.allocate(BITSET_BYTES);
    this.#lookup = memory.allocate(SMALL_KEYS);
    this.#codes = memory.allocate(PAGE_SLOTS);
    memory.u8.fill(CODE_NONE, this.#lookup, this.#lookup + SMALL_KEYS);
    memory.u8.fill(CODE_NONE, this.#codes, this.#codes + PAGE_SLOTS);
  }

  /** Rows of a `many` field, in any order. */
  addMany(writer: MessageWriter, slots: Pointer, keys: Pointer, nulls: Pointer, rowCount: number): void {
    this.#slotPages?.add(slots, nulls, rowCount);
    this.#pairs.add(writer, NO_RUN, slots, keys, nulls, 0, rowCount);
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
    const first = this.#isDense ? this.#setCodes(slots, keys, nulls, from, to) : from;
    if (first === to) return;
    this.#pairs.add(writer, run, slots, keys, nulls, first, to);
    // The rows before are in the bitsets of their keys, or null.
    if (this.#hasCodes && !this.#hasPairs) this.#presentBits.skipTouched();
    this.#presentBits.add(slots, nulls, first, to);
    this.#hasPairs = true;
  }

  /** `touchedCount`: bits of the touched slots of the page. */
  closePage(writer: MessageWriter, run: number, pageKey: number, touchedCount: number): void {
    const { codeBitset, memory } = this.#kernels;
    if (this.#hasCodes) {
      let left = touchedCount;
      for (let code = 0; code < this.#keys.length && left > 0; code++) {
        const count = codeBitset(this.#codes, code, this.#bitset);
        this.#containers.addBitset(code, pageKey, this.#bitset, count);
        left -= count;
      }
      memory.u8.fill(CODE_NONE, this.#codes, this.#codes + PAGE_SLOTS);
      this.#hasCodes = false;
      if (this.#containers.byteLength >= BITMAPS_BYTES_MAX) this.#writeBitmaps(writer, run);
    }
    if (!this.#hasPairs) return;
    const present = this.#presentBits.close();
    if (this.#isPresentComplete) {
      this.#present.addBitset(0, pageKey, present, this.#kernels.countBits(present));
    }
    this.#hasPairs = false;
  }

  /** The page is closed. */
  closeRun(writer: MessageWriter, run: number): void {
    this.#writeBitmaps(writer, run);
    this.#pairs.writePart(writer, run);
    if (this.#slotPages !== null) this.#slotPages.writePart(writer, this.#field);
    else if (this.#isPresentComplete) this.#present.writePart(writer, run, this.#field, KIND_PRESENT, [0]);
    else this.#present.clear();
    this.#isPresentComplete = true;
  }

  #writeBitmaps(writer: MessageWriter, run: number): void {
    this.#containers.writePart(writer, run, this.#field, KIND_BITMAPS, this.#keys);
  }

  /** Returns the row from which on the rows have to be pairs. */
  #setCodes(slots: Pointer, keys: Pointer, nulls: Pointer, from: number, to: number): number {
    const { memory } = this.#kernels;
    let at = from;
    while (at < to) {
      at = this.#kernels.setKeyCodes(slots, keys, nulls, at, to, this.#lookup, this.#codes);
      if (at === to || this.#assignCode(memory.u32[keys / 4 + at])) continue;
      this.#isDense = false;
      // A field that overflows at once keeps no trace of the attempt, so all of it merges as pairs.
      if (!this.#hasCodes && this.#containers.isEmpty) return from;
      break;
    }
    this.#hasCodes = true;
    return at;
  }

  #assignCode(key: number): boolean {
    if (key >= SMALL_KEYS || this.#keys.length === CODES_MAX) return false;
    this.#kernels.memory.u8[this.#lookup + key] = this.#keys.length;
    this.#keys.push(key);
    return true;
  }
}
