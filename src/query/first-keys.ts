/**
 * The first slots of a small set in the order of a field: reads their keys from the column, selects, sorts. Key and rank
 * within the set are packed into one double (32 + 16 bits, exact), so that selecting and sorting are on plain numbers.
 */
import type { RoaringBitmap32 } from '../index/roaring.ts';
import type { SortField } from '../index/version.ts';
import { PAGE_SLOTS } from '../limits.ts';

/** Slots of a set at most: the rank takes 16 bits. */
const SELECTION_SLOTS_MAX = PAGE_SLOTS;

/** Scratch of this thread; selecting never yields, so nothing else uses it meanwhile. */
let slotsScratch = new Uint32Array(0);
let keysScratch = new Uint32Array(0);
let packedScratch = new Float64Array(0);

/**
 * Copies to `target` the first slots of `set` after the position (afterKey, afterSlot), at most as many as it holds.
 * @param afterKey −1: from the start
 * @returns their number
 */
export function selectFirst(
  field: SortField,
  set: RoaringBitmap32,
  descending: boolean,
  afterKey: number,
  afterSlot: number,
  target: Uint32Array,
): number {
  const { size } = set;
  if (size === 0 || target.length === 0) return 0;
  if (size > SELECTION_SLOTS_MAX) throw new RangeError(`${size} slots are more than ${SELECTION_SLOTS_MAX}`);
  if (slotsScratch.length < size) reserve(size);
  set.toUint32Array(slotsScratch);
  field.gather(slotsScratch, keysScratch, size);
  const packedCount = descending
    ? packDescending(slotsScratch, keysScratch, size, afterKey, afterSlot, packedScratch)
    : packAscending(slotsScratch, keysScratch, size, afterKey, afterSlot, packedScratch);
  const count = Math.min(packedCount, target.length);
  if (count < packedCount) partitionSmallest(packedScratch, packedCount, count);
  packedScratch.subarray(0, count).sort();
  unpackSlots(packedScratch, count, slotsScratch, descending ? size - 1 : -1, target);
  return count;
}

function reserve(size: number): void {
  let length = 1024;
  while (length < size) length *= 2;
  slotsScratch = new Uint32Array(length);
  keysScratch = new Uint32Array(length);
  packedScratch = new Float64Array(length);
}

function packAscending(
  slots: Uint32Array,
  keys: Uint32Array,
  size: number,
  afterKey: number,
  afterSlot: number,
  packed: Float64Array,
): number {
  let count = 0;
  for (let rank = 0; rank < size; rank++) {
    const key = keys[rank];
    if (key < afterKey || (key === afterKey && slots[rank] <= afterSlot)) continue;
    packed[count++] = key * PAGE_SLOTS + rank;
  }
  return count;
}

/** As ascending with the order turned round: keys and ranks count down, so that the first is again the smallest. */
function packDescending(
  slots: Uint32Array,
  keys: Uint32Array,
  size: number,
  afterKey: number,
  afterSlot: number,
  packed: Float64Array,
): number {
  let count = 0;
  for (let rank = 0; rank < size; rank++) {
    const key = keys[rank];
    if (afterKey >= 0 && (key > afterKey || (key === afterKey && slots[rank] >= afterSlot))) continue;
    packed[count++] = (0xffffffff - key) * PAGE_SLOTS + (size - 1 - rank);
  }
  return count;
}

/** @param lastRank of a descending order; −1 for an ascending one */
function unpackSlots(
  packed: Float64Array,
  count: number,
  slots: Uint32Array,
  lastRank: number,
  target: Uint32Array,
): void {
  for (let index = 0; index < count; index++) {
    const rank = packed[index] % PAGE_SLOTS;
    target[index] = slots[lastRank < 0 ? rank : lastRank - rank];
  }
}

/** Moves the `count` smallest of distinct values to the front (Hoare's selection, median of three). */
function partitionSmallest(values: Float64Array, length: number, count: number): void {
  let low = 0;
  let high = length - 1;
  while (low < high) {
    const pivot = medianOfThree(values[low], values[(low + high) >>> 1], values[high]);
    let left = low;
    let right = high;
    while (left <= right) {
      while (values[left] < pivot) left++;
      while (values[right] > pivot) right--;
      if (left > right) break;
      const value = values[left];
      values[left++] = values[right];
      values[right--] = value;
    }
    if (count - 1 <= right) high = right;
    else if (count - 1 >= left) low = left;
    else return;
  }
}

function medianOfThree(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
