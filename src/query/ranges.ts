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
import { borrowed, copySlots, intersect, owned, release, type SlotSet, subtract } from './slot-set.ts';

/** Slots up to which reading their keys is cheaper than another step over the layers. */
export const GATHER_SLOTS_MAX = 4096;

/** Ranges up to which each is compared over the layers; more are looked up key by key in one pass over the column. */
const RANGES_BY_LAYER_MAX = 4;

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
  if (candidates.size <= GATHER_SLOTS_MAX || rangeCount > RANGES_BY_LAYER_MAX) {
    return scanColumn(field, candidates, clipped);
  }
  if (rangeCount === 1) return selectRange(field, candidates, clipped[0], clipped[1]);
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
    low = Math.min(low, keyMins[page]);
    high = Math.max(high, keyMaxs[page]);
  }
  inside.andInPlace(candidates);
  if (candidates !== field.present) inside.andInPlace(field.present);
  straddling.andInPlace(candidates);
  // Every key of the straddling pages and the bound share the bits above the highest in which low and high differ.
  const compared = compareAtLeast(field, owned(straddling), key, highestBit(low ^ high));
  return unite([owned(inside), compared]);
}

/** `equal` are the slots that agree with the key in the bits above `topBit`. */
function compareAtLeast(field: SortField, equal: SlotSet, key: number, topBit: number): SlotSet {
  const greater: SlotSet[] = [];
  // Below the lowest one bit of the key, whatever is still equal is at least the key.
  const bottomBit = highestBit(key & -key);
  for (let bit = topBit; bit >= bottomBit; bit--) {
    if (equal.bitmap.size <= GATHER_SLOTS_MAX) {
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
  let low = 0xffffffff;
  let high = 0;
  for (let page = 0; page < pageKeys.length; page++) {
    if (keyMins[page] > key || keyMaxs[page] < key) continue;
    const start = pageKeys[page] * PAGE_SLOTS;
    equal.addRange(start, start + PAGE_SLOTS);
    low = Math.min(low, keyMins[page]);
    high = Math.max(high, keyMaxs[page]);
  }
  equal.andInPlace(candidates);
  if (candidates !== field.present) equal.andInPlace(field.present);
  for (let bit = highestBit(low ^ high); bit >= 0; bit--) {
    if (equal.size <= GATHER_SLOTS_MAX) {
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

/** The union of sets, all taken over. */
export function unite(sets: readonly SlotSet[]): SlotSet {
  const filled = sets.filter((set) => !set.bitmap.isEmpty);
  for (const set of sets) if (set.bitmap.isEmpty) release(set);
  if (filled.length === 0) return owned(new RoaringBitmap32());
  if (filled.length === 1) return filled[0];
  const result = owned(RoaringBitmap32.orMany(filled.map((set) => set.bitmap)));
  for (const set of filled) release(set);
  return result;
}

/** Number of the highest set bit of a 32-bit word, −1 for zero. */
export function highestBit(word: number): number {
  return 31 - Math.clz32(word);
}
