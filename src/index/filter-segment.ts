/**
 * Reads the segment of a filter field. Values with up to SMALL_VALUE_SLOTS_MAX slots are *runs*: stretches of one slot
 * array. Larger values are portable roaring bitmaps, viewed in place.
 *
 * Sections: run keys u32[n], ascending; run starts u32[n + 1]; run slots u32, ascending within a run; bitmap keys
 * u32[m], ascending; bitmap offsets f64[m + 1] within the bitmaps section; bitmap cardinalities f64[m]; bitmaps (each
 * padded to 8 bytes); the bitmap of all slots. A key is in one of the two directories.
 */
import { LARGE_BITMAPS_CACHED_MAX, SMALL_BITMAPS_CACHED_MAX } from '../limits.ts';
import { BitmapCache } from './bitmap-cache.ts';
import { frozenView } from './portable.ts';
import { EMPTY_BITMAP, RoaringBitmap32 } from './roaring.ts';
import { Segment, type SegmentBytes } from './segment.ts';
import type { FilterField, KeyCardinality } from './version.ts';

export const FILTER_SECTIONS = {
  runKeys: 0,
  runStarts: 1,
  runSlots: 2,
  bitmapKeys: 3,
  bitmapOffsets: 4,
  bitmapCardinalities: 5,
  bitmaps: 6,
  present: 7,
} as const;
export const FILTER_SECTION_COUNT = 8;

export class FilterSegment implements FilterField {
  readonly content: SegmentBytes;
  /** Keys of the runs, ascending. Slots of runKeys[i]: runSlots[runStarts[i] … runStarts[i + 1]). Read-only. */
  readonly runKeys: Uint32Array;
  readonly runStarts: Uint32Array;
  readonly runSlots: Uint32Array;
  /** Keys that own a bitmap, ascending. Read-only. */
  readonly bitmapKeys: Uint32Array;
  readonly present: RoaringBitmap32;
  /** Portable bytes of `present`. Read-only. */
  readonly presentBytes: Uint8Array;
  readonly #bitmapOffsets: Float64Array;
  readonly #bitmapCardinalities: Float64Array;
  readonly #bitmaps: Uint8Array;
  readonly #largeViews = new BitmapCache(LARGE_BITMAPS_CACHED_MAX);
  readonly #smallBitmaps = new BitmapCache(SMALL_BITMAPS_CACHED_MAX);

  constructor(content: SegmentBytes) {
    const segment = Segment.open(content, 'filter', FILTER_SECTION_COUNT);
    this.content = content;
    this.runKeys = segment.words(FILTER_SECTIONS.runKeys);
    this.runStarts = segment.words(FILTER_SECTIONS.runStarts);
    this.runSlots = segment.words(FILTER_SECTIONS.runSlots);
    this.bitmapKeys = segment.words(FILTER_SECTIONS.bitmapKeys);
    this.#bitmapOffsets = segment.doubles(FILTER_SECTIONS.bitmapOffsets);
    this.#bitmapCardinalities = segment.doubles(FILTER_SECTIONS.bitmapCardinalities);
    this.#bitmaps = segment.bytes(FILTER_SECTIONS.bitmaps);
    this.presentBytes = segment.bytes(FILTER_SECTIONS.present);
    this.present = frozenView(this.presentBytes);
  }

  get valueCount(): number {
    return this.runKeys.length + this.bitmapKeys.length;
  }

  get valueCountMax(): number {
    return this.valueCount;
  }

  get presentCountMax(): number {
    return this.present.size;
  }

  cardinality(key: number): number {
    const large = indexOfKey(this.bitmapKeys, key);
    if (large >= 0) return this.#bitmapCardinalities[large];
    const small = indexOfKey(this.runKeys, key);
    return small < 0 ? 0 : this.runStarts[small + 1] - this.runStarts[small];
  }

  bitmap(key: number): RoaringBitmap32 {
    const large = indexOfKey(this.bitmapKeys, key);
    if (large >= 0) return this.#largeView(large);
    const small = indexOfKey(this.runKeys, key);
    if (small < 0) return EMPTY_BITMAP;
    let bitmap = this.#smallBitmaps.get(small);
    if (bitmap === undefined) {
      bitmap = new RoaringBitmap32(this.#runAt(small));
      this.#smallBitmaps.set(small, bitmap);
    }
    return bitmap;
  }

  /** Portable bytes of the bitmap of bitmapKeys[position]. */
  bitmapBytes(position: number): Uint8Array {
    return this.#bitmaps.subarray(this.#bitmapOffsets[position], this.#bitmapOffsets[position + 1]);
  }

  slots(key: number): Uint32Array {
    const small = indexOfKey(this.runKeys, key);
    if (small >= 0) return this.#runAt(small);
    const large = indexOfKey(this.bitmapKeys, key);
    return large < 0 ? new Uint32Array(0) : this.#largeView(large).toUint32Array();
  }

  *keys(): Generator<KeyCardinality> {
    const { runKeys, runStarts, bitmapKeys } = this;
    let large = 0;
    for (let small = 0; small < runKeys.length; small++) {
      for (; large < bitmapKeys.length && bitmapKeys[large] < runKeys[small]; large++) {
        yield { key: bitmapKeys[large], cardinality: this.#bitmapCardinalities[large] };
      }
      yield { key: runKeys[small], cardinality: runStarts[small + 1] - runStarts[small] };
    }
    for (; large < bitmapKeys.length; large++) {
      yield { key: bitmapKeys[large], cardinality: this.#bitmapCardinalities[large] };
    }
  }

  #runAt(small: number): Uint32Array {
    return this.runSlots.subarray(this.runStarts[small], this.runStarts[small + 1]);
  }

  #largeView(large: number): RoaringBitmap32 {
    let view = this.#largeViews.get(large);
    if (view === undefined) {
      view = frozenView(this.bitmapBytes(large));
      this.#largeViews.set(large, view);
    }
    return view;
  }
}

/** Position of a key in an ascending array, or −1. */
export function indexOfKey(keys: Uint32Array, key: number): number {
  let low = 0;
  let high = keys.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const found = keys[middle];
    if (found === key) return middle;
    if (found < key) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
