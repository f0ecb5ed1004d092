/**
 * Ascending lists of slots in typed arrays: what a merge does to them, without an object per slot or list.
 */
import { borrowWords, returnWords } from '../index/scratch-memory.ts';

/** The words with room for so many, what was in them kept. At least doubles, so that appending is linear in all. */
export function withRoom(words: Uint32Array<ArrayBuffer>, count: number): Uint32Array<ArrayBuffer> {
  if (count <= words.length) return words;
  const larger = borrowWords(Math.max(count, 2 * words.length));
  larger.set(words);
  returnWords(words);
  return larger;
}

/** Index of the first of the ascending slots[start … end) that is above the slot, else `end`. */
export function firstAbove(slots: Uint32Array, start: number, end: number, slot: number): number {
  if (start === end || slots[start] > slot) return start;
  let low = start;
  let high = end;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (slots[middle] > slot) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Two ascending lists without repetitions into one; returns its length. */
export function mergeAscending(
  a: Uint32Array,
  aCount: number,
  b: Uint32Array,
  bCount: number,
  target: Uint32Array,
): number {
  let i = 0;
  let count = 0;
  for (let j = 0; j < bCount; j++) {
    const slot = b[j];
    while (i < aCount && a[i] < slot) target[count++] = a[i++];
    if (i < aCount && a[i] === slot) i++;
    target[count++] = slot;
  }
  while (i < aCount) target[count++] = a[i++];
  return count;
}

/** Sorts the first `count` slots and drops repetitions; returns how many remain. */
export function sortUnique(slots: Uint32Array, count: number): number {
  slots.subarray(0, count).sort();
  let kept = 0;
  for (let i = 0; i < count; i++) if (kept === 0 || slots[i] !== slots[kept - 1]) slots[kept++] = slots[i];
  return kept;
}
