/**
 * Ranges and equality on a sort field: which slots of a candidate set have a key in given ranges. Exact, by one of three
 * ways, cheapest first: pages whose smallest and largest key decide alone; reading keys from the column when few slots
 * are left; comparing bit by bit over the layers, from the top, keeping the slots still equal to the bound (O'Neil and
 * Quass, "Improved Query Performance with Variant Indexes", 1997).
 *
 * The candidates may hold slots without a value; the result never does.
 */
import { RoaringBitmap32 } from '../index/roaring.ts';
import type { SortField } from '../index/version.ts';
import { PAGE_SLOTS } from '../limits.ts';
import { borrowed, copySlots, intersect, owned, release, type SlotSet, subtract, unite } from './slot-set.ts';

/** Slots whose keys are read at most, however spread: from here on the layers are always walked first. */
export const GATHER_SLOTS_MAX = 32_768;

/*
 * Reading and sorting a key takes about 10 ns, a step over a layer 1 µs and 0.3 µs for each page that is left, and some
 * eight steps are saved by reading.
 */
const GATHER_SLOTS_BASE = 1024;
const GATHER_SLOTS_PER_PAGE = 256;

/** Slots whose keys are read in the time that one layer of one page takes. */
const SLOTS_PER_LAYER_PAGE = 32;

/** Slots of a page on average from which on bitmaps are bitsets all through. */
const DENSE_PAGE_SLOTS = 8192;

/** Slots, spread over so many pages, up to which reading their keys is cheaper than walking the layers. */
export function gatherSlotsMax(pageCount: number): number {
  return Math.min(GATHER_SLOTS_BASE + GATHER_SLOTS_PER_PAGE * pageCount, GATHER_SLOTS_MAX);
}

/**
 * @param candidates only read; give `field.present` itself for all
 * @param bounds low, high, low, high …: inclusive, disjoint, ascending keys
 */
export function selectRanges(
  field: SortField,
  candidates: RoaringBitmap32,
  bounds: readonly number[],
): SlotSet {
  const clipped = clipRanges(bounds, field.keyMin, field.keyMax);
  if (clipped.length === 0 || candidates.isEmpty || field.present.isEmpty)
    return owned(new RoaringBitmap32());
  if (clipped[0] === field.keyMin && clipped[1] === field.keyMax) return withValue(field, candidates);
  const rangeCount = clipped.length / 2;
  const pageCount = field.pages().pageKeys.length;
  const layerPageCount = rangeCount * field.layerCount * pageCount;
  if (candidates.size <= gatherSlotsMax(pageCount)) return scanColumn(field, candidates, clipped);
  if (rangeCount === 1) return selectRange(field, candidates, clipped[0], clipped[1]);
  if (candidates.size <= layerPageCount * SLOTS_PER_LAYER_PAGE) return scanColumn(field, candidates, clipped);
  const parts: SlotSet[] = [];
  for (let index = 0; index < clipped.length; index += 2) {
    parts.push(selectRange(field, candidates, clipped[index], clipped[index + 1]));
  }
  return unite(parts);
}

/** What the ranges leave of keyMin … keyMax. */
function clipRanges(bounds: readonly number[], keyMin: number, keyMax: number): number[] {
  const clipped: number[] = [];
  for (let index = 0; index < bounds.length; index += 2) {
    const low = Math.max(bounds[index], keyMin);
    const high = Math.min(bounds[index + 1], keyMax);
    if (low <= high) clipped.push(low, high);
  }
  return clipped;
}

function selectRange(field: SortField, candidates: RoaringBitmap32, low: number, high: number): SlotSet {
  if (low === high) return selectKey(field, candidates, low);
  const from = low <= field.keyMin ? withValue(field, candidates) : selectAtLeast(field, candidates, low);
  if (high >= field.keyMax) return from;
  const above = selectAtLeast(field, from.bitmap, high + 1);
  const result = subtract(from, above.bitmap);
  release(above);
  return result;
}

function withValue(field: SortField, candidates: RoaringBitmap32): SlotSet {
  return candidates === field.present ? borrowed(candidates) : intersect(borrowed(candidates), field.present);
}

/** Candidates with a key of at least `key`, which is above the smallest key of the field. */
function selectAtLeast(field: SortField, candidates: RoaringBitmap32, key: number): SlotSet {
  const { pageKeys, keyMins, keyMaxs } = field.pages();
  const inside = new RoaringBitmap32();
  const straddling = new RoaringBitmap32();
  let straddlingCount = 0;
  let low = 0xffffffff;
  let high = 0;
  for (let page = 0; page < pageKeys.length; page++) {
    if (keyMaxs[page] < key) continue;
    const start = pageKeys[page] * PAGE_SLOTS;
    if (keyMins[page] >= key) {
      inside.addRange(start, start + PAGE_SLOTS);
      continue;
    }
    straddling.addRange(start, start + PAGE_SLOTS);
    straddlingCount++;
    low = Math.min(low, keyMins[page]);
    high = Math.max(high, keyMaxs[page]);
  }
  inside.andInPlace(candidates);
  if (candidates !== field.present) inside.andInPlace(field.present);
  straddling.andInPlace(candidates);
  // Every key of the straddling pages and the bound share the bits above the highest in which low and high differ.
  const topBit = highestBit(low ^ high);
  const isDense = straddling.size > straddlingCount * DENSE_PAGE_SLOTS;
  const isEven = field.layer(topBit).size > straddlingCount * DENSE_PAGE_SLOTS;
  if (isDense && isEven && straddlingCount * 2 > pageKeys.length) {
    keepAtLeast(field, straddling, key, topBit);
    return unite([owned(inside), owned(straddling)]);
  }
  const gatherMax = gatherSlotsMax(straddlingCount);
  return unite([owned(inside), compareAtLeast(field, owned(straddling), key, topBit, gatherMax)]);
}

/**
 * Keeps in `slots` those with a key of at least `key`: from the lowest bit of it up, over whole layers, one operation
 * in place each. Faster than from the top where slots and layers are dense, since no array containers are made and
 * united. The slots agree with the key in the bits above `topBit`.
 */
function keepAtLeast(field: SortField, slots: RoaringBitmap32, key: number, topBit: number): void {
  const bottomBit = highestBit(key & -key);
  const result = RoaringBitmap32.and(slots, field.layer(bottomBit));
  for (let bit = bottomBit + 1; bit <= topBit; bit++) {
    if ((key >>> bit) & 1) result.andInPlace(field.layer(bit));
    else result.orInPlace(field.layer(bit));
  }
  slots.andInPlace(result);
  result.dispose();
}

/** From the top bit down. `equal` are the slots that agree with the key in the bits above `topBit`. */
function compareAtLeast(
  field: SortField,
  equal: SlotSet,
  key: number,
  topBit: number,
  gatherMax: number,
): SlotSet {
  const greater: SlotSet[] = [];
  // Below the lowest one bit of the key, whatever is still equal is at least the key.
  const bottomBit = highestBit(key & -key);
  for (let bit = topBit; bit >= bottomBit; bit--) {
    if (equal.bitmap.size <= gatherMax) {
      greater.push(scanColumn(field, equal.bitmap, [key, field.keyMax]));
      release(equal);
      return unite(greater);
    }
    const layer = field.layer(bit);
    if ((key >>> bit) & 1) {
      equal.bitmap.andInPlace(layer);
      continue;
    }
    const above = RoaringBitmap32.and(equal.bitmap, layer);
    if (above.isEmpty) {
      above.dispose();
    } else {
      greater.push(owned(above));
      equal.bitmap.andNotInPlace(above);
    }
  }
  greater.push(equal);
  return unite(greater);
}

/** Candidates with exactly this key. */
function selectKey(field: SortField, candidates: RoaringBitmap32, key: number): SlotSet {
  const { pageKeys, keyMins, keyMaxs } = field.pages();
  const equal = new RoaringBitmap32();
  let pageCount = 0;
  let low = 0xffffffff;
  let high = 0;
  for (let page = 0; page < pageKeys.length; page++) {
    if (keyMins[page] > key || keyMaxs[page] < key) continue;
    const start = pageKeys[page] * PAGE_SLOTS;
    equal.addRange(start, start + PAGE_SLOTS);
    pageCount++;
    low = Math.min(low, keyMins[page]);
    high = Math.max(high, keyMaxs[page]);
  }
  equal.andInPlace(candidates);
  if (candidates !== field.present) equal.andInPlace(field.present);
  const gatherMax = gatherSlotsMax(pageCount);
  for (let bit = highestBit(low ^ high); bit >= 0; bit--) {
    if (equal.size <= gatherMax) {
      const result = scanColumn(field, equal, [key, key]);
      equal.dispose();
      return result;
    }
    if ((key >>> bit) & 1) equal.andInPlace(field.layer(bit));
    else equal.andNotInPlace(field.layer(bit));
  }
  return owned(equal);
}

/** Reads the key of every candidate with a value. */
function scanColumn(field: SortField, candidates: RoaringBitmap32, bounds: readonly number[]): SlotSet {
  const valued = withValue(field, candidates);
  const { size } = valued.bitmap;
  const slots = new Uint32Array(Math.min(size, PAGE_SLOTS));
  const keys = new Uint32Array(slots.length);
  const result = new RoaringBitmap32();
  const sortedBounds = Float64Array.from(bounds);
  for (let from = 0; from < size; from += PAGE_SLOTS) {
    const count = Math.min(PAGE_SLOTS, size - from);
    copySlots(valued.bitmap, from, from + count, slots);
    field.gather(slots, keys, count);
    const kept = keepInRanges(slots, keys, count, sortedBounds);
    if (kept > 0) result.addMany(slots.subarray(0, kept));
  }
  release(valued);
  return owned(result);
}

/** Moves the slots whose key is in a range to the front; returns their number. */
function keepInRanges(slots: Uint32Array, keys: Uint32Array, count: number, bounds: Float64Array): number {
  let kept = 0;
  for (let index = 0; index < count; index++) {
    const key = keys[index];
    // The first range that ends at or above the key is the only one that can hold it.
    let low = 0;
    let high = bounds.length >>> 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (bounds[2 * middle + 1] < key) low = middle + 1;
      else high = middle;
    }
    if (2 * low < bounds.length && bounds[2 * low] <= key) slots[kept++] = slots[index];
  }
  return kept;
}

/** Number of the highest set bit of a 32-bit word, −1 for zero. */
export function highestBit(word: number): number {
  return 31 - Math.clz32(word);
}
