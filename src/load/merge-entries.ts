/**
 * The order in which the entries of many directories come together: by key, and in the order given where keys
 * are equal. Entries are numbers throughout, since a field can have millions of keys.
 */
import { borrowWords, returnWords } from '../index/scratch-memory.ts';

/** Keys up to this multiple of the entries are counted directly, in one pass. */
const COUNTED_KEYS_PER_ENTRY = 4;
const COUNTED_KEYS_MIN = 65_536;
const DIGIT_BITS = 11;
const DIGIT_VALUES = 1 << DIGIT_BITS;
const DIGIT_MASK = DIGIT_VALUES - 1;
const ASCENDING = -1;

/**
 * Indexes into `keys` sorted by key, stable; null when the keys ascend as they are. The array is scratch
 * memory, longer than `keys` perhaps, for the caller to return.
 */
export function orderByKey(keys: Uint32Array): Uint32Array<ArrayBuffer> | null {
  const keyMax = largestIfUnordered(keys);
  if (keyMax === ASCENDING) return null;
  if (keyMax < Math.max(COUNTED_KEYS_MIN, keys.length * COUNTED_KEYS_PER_ENTRY))
    return orderByCounting(keys, keyMax);
  let source = borrowWords(keys.length);
  let target = borrowWords(keys.length);
  for (let i = 0; i < keys.length; i++) source[i] = i;
  for (let shift = 0; shift < 32 && keyMax >>> shift !== 0; shift += DIGIT_BITS) {
    sortByDigit(keys, source, target, new Uint32Array(DIGIT_VALUES + 1), shift);
    [source, target] = [target, source];
  }
  returnWords(target);
  return source;
}

/** The largest key, or ASCENDING. A function of its own: what is optimised while a loop runs does not know what follows. */
function largestIfUnordered(keys: Uint32Array): number {
  let isAscending = true;
  let keyMax = 0;
  for (let i = 0; i < keys.length; i++) {
    if (keys[i] < keyMax) isAscending = false;
    else keyMax = keys[i];
  }
  return isAscending ? ASCENDING : keyMax;
}

function orderByCounting(keys: Uint32Array, keyMax: number): Uint32Array<ArrayBuffer> {
  const order = borrowWords(keys.length);
  const starts = borrowWords(keyMax + 2);
  starts.fill(0, 0, keyMax + 2);
  for (let i = 0; i < keys.length; i++) starts[keys[i] + 1]++;
  for (let key = 1; key <= keyMax; key++) starts[key] += starts[key - 1];
  for (let i = 0; i < keys.length; i++) order[starts[keys[i]]++] = i;
  returnWords(starts);
  return order;
}

/**
 * Stable: `target` is `source` in the order of a digit of the keys. `starts` has one entry more than there
 * are digits, all 0.
 */
function sortByDigit(
  keys: Uint32Array,
  source: Uint32Array,
  target: Uint32Array,
  starts: Uint32Array,
  shift: number,
): void {
  for (let i = 0; i < keys.length; i++) starts[((keys[i] >>> shift) & DIGIT_MASK) + 1]++;
  for (let digit = 1; digit < starts.length; digit++) starts[digit] += starts[digit - 1];
  for (let i = 0; i < keys.length; i++) {
    const entry = source[i];
    target[starts[(keys[entry] >>> shift) & DIGIT_MASK]++] = entry;
  }
}

/** Index of the first of the ascending words[start … end) that is above the value, else `end`. */
export function firstAbove(words: Uint32Array, start: number, end: number, value: number): number {
  if (start === end || words[start] > value) return start;
  let low = start;
  let high = end;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (words[middle] > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
