/**
 * (key, slot) pairs of one filter field: buffered in kernel memory, then counted or sorted by key, grouped and handed
 * over as one part. A key costs two words and no object, so millions of keys with a handful of slots each are
 * no worse than a few large ones.
 */
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { HISTOGRAM_BYTES, PAIR_BYTES } from '../kernels/page-kernels.ts';
import type { MessageWriter } from './accumulator-output.ts';

/** Keys, from the smallest to the largest, up to which there is a counter for each: 1 MiB of them stay in the cache. */
const COUNTED_KEYS_MAX = 1 << 18;

/** Pairs per slot that is below the one before, from which lists are mended one by one instead of sorting all pairs. */
const PAIRS_PER_DESCENT_MIN = 16;

/** Memory for grouping that the pair buffers of one accumulator share. */
export class PairScratch {
  readonly capacity: number;
  readonly pairs: Pointer;
  readonly histogram: Pointer;
  readonly counters: Pointer;

  constructor(kernels: Kernels, capacity: number) {
    this.capacity = capacity;
    this.pairs = kernels.memory.allocate((capacity + 1) * PAIR_BYTES);
    this.histogram = kernels.memory.allocate(HISTOGRAM_BYTES);
    this.counters = kernels.memory.allocate(COUNTED_KEYS_MAX * 4);
  }
}

/** Keys with their slots, see `KIND_PAIRS`; all addresses are in words. */
interface PairDirectory {
  readonly keys: number;
  readonly keyCount: number;
  readonly starts: number;
  /** Odd, for `#writeDirectory`. */
  readonly slots: number;
}

export class PairBuffer {
  readonly #kernels: Kernels;
  readonly #scratch: PairScratch;
  readonly #field: number;
  readonly #isAscending: boolean;
  readonly #pairs: Pointer;
  #end: Pointer;

  /** `isAscending`: the slots of a run are added in strictly ascending order. */
  constructor(kernels: Kernels, scratch: PairScratch, field: number, isAscending: boolean) {
    this.#kernels = kernels;
    this.#scratch = scratch;
    this.#field = field;
    this.#isAscending = isAscending;
    // packPairs writes one pair beyond the last.
    this.#pairs = kernels.memory.allocate((scratch.capacity + 1) * PAIR_BYTES);
    this.#end = this.#pairs;
  }

  /** Adds rows [from, to) that are not null; hands over what it holds whenever it is full. */
  add(
    writer: MessageWriter,
    run: number,
    slots: Pointer,
    keys: Pointer,
    nulls: Pointer,
    from: number,
    to: number,
  ): void {
    let at = from;
    while (at < to) {
      const room = this.#scratch.capacity - (this.#end - this.#pairs) / PAIR_BYTES;
      const end = Math.min(to, at + room);
      this.#end = this.#kernels.packPairs(keys, slots, nulls, at, end, this.#end);
      at = end;
      if (this.#end - this.#pairs === this.#scratch.capacity * PAIR_BYTES) this.writePart(writer, run);
    }
  }

  writePart(writer: MessageWriter, run: number): void {
    const count = (this.#end - this.#pairs) / PAIR_BYTES;
    if (count === 0) return;
    this.#end = this.#pairs;
    this.#writeDirectory(writer, run, this.#directory(count));
  }

  #directory(count: number): PairDirectory {
    if (this.#kernels.arePairsAscending(this.#pairs, count) === 1) return this.#grouped(this.#pairs, count);
    const descents = this.#isAscending ? 0 : this.#kernels.countDescents(this.#pairs, count);
    const counted = descents * PAIRS_PER_DESCENT_MIN <= count ? this.#counted(count) : null;
    return counted ?? this.#grouped(this.#sorted(count, descents === 0), count);
  }

  /** Null where keys lie far apart. */
  #counted(count: number): PairDirectory | null {
    const { memory, pairKeyBounds, countPairs, orderLists } = this.#kernels;
    const { pairs: scratch, histogram: bounds, counters } = this.#scratch;
    const pairs = this.#pairs;
    pairKeyBounds(pairs, count, bounds);
    const keyMin = memory.u32[bounds / 4];
    const keyRange = memory.u32[bounds / 4 + 1] - keyMin + 1;
    // Counters without a pair cost as much as pairs.
    if (keyRange > Math.min(count, COUNTED_KEYS_MAX)) return null;
    const slots = scratch + 4;
    const keyCount = countPairs(pairs, count, keyMin, keyRange, counters, slots);
    const starts = pairs + count * 4;
    // The slots fill half of what was for pairs.
    if (!this.#isAscending) orderLists(starts, keyCount, slots, slots + count * 4);
    return { keys: pairs / 4, keyCount, starts: starts / 4, slots: slots / 4 };
  }

  /** Of sorted pairs, in whichever buffer is free, the slots over them from their second word on. */
  #grouped(sorted: Pointer, count: number): PairDirectory {
    const keys = sorted === this.#pairs ? this.#scratch.pairs : this.#pairs;
    const starts = keys + count * 4;
    const slots = sorted + 4;
    const keyCount = this.#kernels.groupPairs(sorted, count, keys, starts, slots);
    return { keys: keys / 4, keyCount, starts: starts / 4, slots: slots / 4 };
  }

  /**
   * Hands a directory over in parts that fit the writer's blocks: stretches of keys, and of the slots of a key that
   * fills a block alone.
   *
   * `slots` is odd, as is the word of a part from which its slots stand, and parts take an even number of slots where they
   * can: what is copied to shared memory goes byte by byte, at a seventh of the speed, unless source and target are in
   * step in their words of 64 bits.
   */
  #writeDirectory(writer: MessageWriter, run: number, directory: PairDirectory): void {
    const { keys, keyCount, starts, slots } = directory;
    const { u32 } = this.#kernels.memory;
    let key = 0;
    let slot = 0;
    while (key < keyCount) {
      const roomWords = writer.roomWords;
      const end = lastKeyFitting(u32, starts, key, keyCount, slot, roomWords);
      // At least one key, as many of its slots as fit.
      const keysTaken = Math.max(1, end - key);
      const slotsEnd = u32[starts + key + keysTaken];
      const roomEnd = slot + roomWords - 2 * keysTaken - 1;
      const slotEnd = slotsEnd <= roomEnd ? slotsEnd : roomEnd & ~1;
      const part = writer.addPairs(run, this.#field, keysTaken, slotEnd - slot);
      part.set(u32.subarray(keys + key, keys + key + keysTaken), 0);
      part[keysTaken] = 0;
      for (let i = 1; i < keysTaken; i++) part[keysTaken + i] = u32[starts + key + i] - slot;
      part[2 * keysTaken] = slotEnd - slot;
      part.set(u32.subarray(slots + slot, slots + slotEnd), 2 * keysTaken + 1);
      slot = slotEnd;
      key += slot === u32[starts + key + keysTaken] ? keysTaken : keysTaken - 1;
    }
  }

  /** Where the pairs are once they ascend by key, then slot. */
  #sorted(count: number, areSlotsAscending: boolean): Pointer {
    const kernels = this.#kernels;
    const { pairs: scratch, histogram } = this.#scratch;
    const pairs = this.#pairs;
    const source = areSlotsAscending ? pairs : kernels.radixSortPairs(pairs, scratch, count, histogram, 0);
    return kernels.radixSortPairs(source, source === pairs ? scratch : pairs, count, histogram, 32);
  }
}

/**
 * The end of the keys from `key` on that fit in so many words with their slots, of which those before `slot` are gone; if
 * possible with an even number of slots before it.
 */
function lastKeyFitting(
  u32: Uint32Array,
  starts: number,
  key: number,
  keyCount: number,
  slot: number,
  words: number,
): number {
  let low = key;
  let high = keyCount;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (2 * (middle - key) + 1 + u32[starts + middle] - slot <= words) low = middle;
    else high = middle - 1;
  }
  while (low < keyCount && low > key + 1 && u32[starts + low] % 2 === 1) low--;
  return low;
}
