/**
 * Signatures of the kernels that turn columns of keys into bitsets, containers, pages and sorted pairs
 * (workers/kernels: bits, container, sort, count, unite, order, gather, transpose). Pointers are byte addresses in the
 * memory of the instance. `nulls` is u8 per row (1 = no value), or 0 when no row is null; rows are [from, to). Boolean
 * results are 0 or 1.
 */
import type { Pointer } from './kernel-memory.ts';

/** Bytes of a bitset over one page, and of one bit layer of a page. */
export const BITSET_BYTES = 8192;
/** Bytes `encodeRuns` needs for a page that is smaller as runs, with what it may write beyond them. */
export const ENCODED_RUNS_BYTES = BITSET_BYTES + 16;
/** Keys below this can have a code in the column of a page (`setKeyCodes`). */
export const SMALL_KEYS = 4096;
/** Entry of the `setKeyCodes` lookup for a key without code, and of the column where there is no value. */
export const CODE_NONE = 255;
/** Bytes `radixSortPairs` needs for its counters. */
export const HISTOGRAM_BYTES = 3 * 2048 * 4;
/** Bytes from one layer of `transposePage` to the next. */
export const LAYER_STRIDE_BYTES = BITSET_BYTES + 64;
/** One u64: key in the high half, slot in the low half. */
export const PAIR_BYTES = 8;

export interface PageKernels {
  isStrictlyAscending(slots: Pointer, count: number): number;
  /** Equal neighbours allowed. */
  isAscending(slots: Pointer, count: number): number;
  /** The row after the last one in the page of row `from`; slots ascend. */
  pageEnd(slots: Pointer, from: number, to: number): number;
  /**
   * The first row, `from` or later, that begins a page of at least `rowsMin` rows, else `to`; slots ascend.
   */
  nextDensePage(slots: Pointer, from: number, to: number, rowsMin: number): number;
  /** ORs the rows into a bitset of one page; slots lie in one page. */
  setSlotBits(slots: Pointer, nulls: Pointer, from: number, to: number, bitset: Pointer): void;
  /**
   * ORs rows of any page into `pages[slot >>> 16]`, the pointer of its bitset. Returns the first row whose
   * page has none, else `to`.
   */
  setPagedSlotBits(slots: Pointer, nulls: Pointer, from: number, to: number, pages: Pointer): number;
  /**
   * Code of each row's key, `lookup[key]`, into the code column of a page (u8[65536]); slots lie in one page.
   * Returns the first row whose key has no code, else `to`.
   */
  setKeyCodes(
    slots: Pointer,
    keys: Pointer,
    nulls: Pointer,
    from: number,
    to: number,
    lookup: Pointer,
    codes: Pointer,
  ): number;
  /** The bitset of the positions that hold the code; returns the number of its bits. */
  codeBitset(codes: Pointer, code: number, bitset: Pointer): number;

  countBits(bitset: Pointer): number;
  /** Stretches of set bits. */
  countRuns(bitset: Pointer): number;
  /** Positions of the set bits, u16 each, in order. */
  encodeArray(bitset: Pointer, out: Pointer): void;
  /**
   * Stretches of set bits: first position and length − 1, u16 each, in order. Returns their number. Writes up to 12 bytes
   * beyond.
   */
  encodeRuns(bitset: Pointer, out: Pointer): number;
  /** Sets the bits at the positions, u16 each. */
  orArray(positions: Pointer, count: number, bitset: Pointer): void;
  orBitset(other: Pointer, bitset: Pointer): void;
  /** Sets the bits of stretches as `encodeRuns` writes them. */
  orRuns(runs: Pointer, count: number, bitset: Pointer): void;

  /** Appends a pair per row that is not null; returns the end. Writes up to one pair beyond it. */
  packPairs(keys: Pointer, slots: Pointer, nulls: Pointer, from: number, to: number, out: Pointer): Pointer;
  /** Pairs with the slot in the high half and the row in the low half. */
  packSlotRows(slots: Pointer, count: number, out: Pointer): void;
  /** By key, then slot. */
  arePairsAscending(pairs: Pointer, count: number): number;
  /** How many slots are below the one before. */
  countDescents(pairs: Pointer, count: number): number;
  /**
   * Stable, by the half that starts at bit `shift` (0 or 32). Returns where the result is: pairs or scratch.
   */
  radixSortPairs(pairs: Pointer, scratch: Pointer, count: number, histogram: Pointer, shift: number): Pointer;
  /**
   * Of sorted pairs: distinct keys, first slot of each, distinct slots. Returns the number of keys; starts
   * has one more entry. The slots may overwrite the pairs, from their first or second word on.
   */
  groupPairs(pairs: Pointer, count: number, keys: Pointer, starts: Pointer, slots: Pointer): number;
  /** Smallest and largest key of at least one pair, two u32 at `bounds`. */
  pairKeyBounds(pairs: Pointer, count: number, bounds: Pointer): void;
  /**
   * As sorting by key and `groupPairs`, of at least one pair, but all slots stay, in the order of the pairs. `keyRange` keys
   * from `keyMin` on, the last of which is there, with a u32 of `counters` for each. The keys overwrite the pairs, and
   * the starts stand `count` words further. Returns the number of keys.
   */
  countPairs(
    pairs: Pointer,
    count: number,
    keyMin: number,
    keyRange: number,
    counters: Pointer,
    slots: Pointer,
  ): number;
  /**
   * Entries, each with a key, in the order of their keys, stable. `keyRange` keys from `keyMin` on, with a u32 of
   * `counters` for each.
   */
  orderEntries(
    keys: Pointer,
    count: number,
    keyMin: number,
    keyRange: number,
    counters: Pointer,
    order: Pointer,
  ): void;
  /**
   * Entries in the order of their keys, each with slots[starts[entry] … ends[entry]): those of equal keys one behind the
   * other. Returns the number of keys with slots; startsOut has one more entry. Writes up to 3 slots beyond the last one.
   * The u32 `disorder` becomes 1 if what is put behind something does not begin above its end, else 0.
   */
  uniteEntries(
    keys: Pointer,
    starts: Pointer,
    ends: Pointer,
    slots: Pointer,
    order: Pointer,
    count: number,
    keysOut: Pointer,
    startsOut: Pointer,
    slotsOut: Pointer,
    disorder: Pointer,
  ): number;
  /**
   * Puts the slots of each list in order, slots[starts[i] … starts[i + 1]), drops repetitions and closes the gaps.
   * `scratch` has room for the longest list.
   */
  orderLists(starts: Pointer, count: number, slots: Pointer, scratch: Pointer): void;
  /** Of sorted (slot, row) pairs: each slot with its last row. Returns their number. */
  lastRows(pairs: Pointer, count: number, slots: Pointer, rows: Pointer): number;

  gather32(source: Pointer, rows: Pointer, count: number, out: Pointer): void;
  gather8(source: Pointer, rows: Pointer, count: number, out: Pointer): void;
  /** Rows that are not null. Returns their number. Writes up to one entry beyond. */
  compactValues(
    slots: Pointer,
    keys: Pointer,
    nulls: Pointer,
    from: number,
    to: number,
    slotsOut: Pointer,
    keysOut: Pointer,
  ): number;
  /** Keys that are not null into the column of their page (u32[65536]); slots lie in one page. */
  scatterKeys(slots: Pointer, keys: Pointer, nulls: Pointer, from: number, to: number, column: Pointer): void;
  /**
   * Present slots of a page and their keys, which become 0 in the column. `base` is the first slot of the
   * page.
   */
  takePage(column: Pointer, present: Pointer, base: number, slotsOut: Pointer, keysOut: Pointer): void;

  /**
   * 32 bitsets, LAYER_STRIDE_BYTES apart, one per bit of the keys of a page. Bitsets of bits that no key has
   * are not written. Returns the OR of all keys.
   */
  transposePage(column: Pointer, layers: Pointer): number;
  /** Largest key of a page column, in which absent positions hold 0. As an i32. */
  pageKeyMax(column: Pointer): number;
  /** Smallest key of the present positions. As an i32. */
  pageKeyMin(column: Pointer, presentCount: number): number;
}
