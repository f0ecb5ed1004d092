/**
 * A set of slots with a membership test that costs no native call, for dropping slots from long lists. Pages
 * with many members are bitsets, the others sorted positions, so neither dense nor sparse slots cost memory
 * out of proportion.
 */
import { BITSET_WORDS } from '../index/portable.ts';
import type { RoaringBitmap32 } from '../index/roaring.ts';
import { PAGE_SLOTS } from '../limits.ts';

/** Positions of a page from which the bitset is smaller than the list. */
const BITSET_POSITIONS_MIN = 4096;
const NO_BITSET = -1;

export class SlotSet {
  /** Per page, the first of its positions. */
  readonly #starts = new Uint32Array(PAGE_SLOTS + 1);
  readonly #positions: Uint16Array;
  /** Per page, the first word of its bitset, or NO_BITSET. */
  readonly #bitsetStarts = new Int32Array(PAGE_SLOTS).fill(NO_BITSET);
  readonly #bitsets: Uint32Array;

  constructor(bitmap: RoaringBitmap32) {
    const slots = bitmap.toUint32Array();
    const starts = this.#starts;
    for (let i = 0; i < slots.length; i++) starts[(slots[i] >>> 16) + 1]++;
    let bitsetWords = 0;
    for (let page = 0; page < PAGE_SLOTS; page++) {
      if (starts[page + 1] >= BITSET_POSITIONS_MIN) {
        this.#bitsetStarts[page] = bitsetWords;
        bitsetWords += BITSET_WORDS;
        starts[page + 1] = 0;
      }
      starts[page + 1] += starts[page];
    }
    this.#positions = new Uint16Array(starts[PAGE_SLOTS]);
    this.#bitsets = new Uint32Array(bitsetWords);
    let listed = 0;
    for (let i = 0; i < slots.length; i++) {
      const bitset = this.#bitsetStarts[slots[i] >>> 16];
      const position = slots[i] & 0xffff;
      if (bitset === NO_BITSET) this.#positions[listed++] = position;
      else this.#bitsets[bitset + (position >>> 5)] |= 1 << (position & 31);
    }
  }

  has(slot: number): boolean {
    const page = slot >>> 16;
    const position = slot & 0xffff;
    const bitset = this.#bitsetStarts[page];
    if (bitset !== NO_BITSET)
      return ((this.#bitsets[bitset + (position >>> 5)] >>> (position & 31)) & 1) === 1;
    let low = this.#starts[page];
    let high = this.#starts[page + 1];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#positions[middle] < position) low = middle + 1;
      else high = middle;
    }
    return low < this.#starts[page + 1] && this.#positions[low] === position;
  }
}
