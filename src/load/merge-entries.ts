/**
 * The order in which the entries of many directories come together: by key, and in the order given where keys are equal. Entries are
 * numbers throughout, since a field can have millions of keys.
 */

/** Keys up to this multiple of the entries are counted directly, in one pass. */
const COUNTED_KEYS_PER_ENTRY = 4;
const COUNTED_KEYS_MIN = 65_536;
const DIGIT_BITS = 11;
const DIGIT_VALUES = 1 << DIGIT_BITS;
const DIGIT_MASK = DIGIT_VALUES - 1;

/** Indexes into `keys` sorted by key, stable; null when the keys ascend as they are. */
export function orderByKey(keys: Uint32Array): Uint32Array | null {
  let isAscending = true;
  let keyMax = 0;
  for (let i = 0; i < keys.length; i++) {
    if (keys[i] < keyMax) isAscending = false;
    else keyMax = keys[i];
  }
  if (isAscending) return null;
  const identity = new Uint32Array(keys.length);
  for (let i = 0; i < identity.length; i++) identity[i] = i;
  const order = new Uint32Array(keys.length);
  if (keyMax < Math.max(COUNTED_KEYS_MIN, keys.length * COUNTED_KEYS_PER_ENTRY)) {
    sortByDigit(keys, identity, order, new Uint32Array(keyMax + 2), 0, 0xffffffff);
    return order;
  }
  let source = identity;
  let target = order;
  for (let shift = 0; shift < 32 && keyMax >>> shift !== 0; shift += DIGIT_BITS) {
    sortByDigit(keys, source, target, new Uint32Array(DIGIT_VALUES + 1), shift, DIGIT_MASK);
    [source, target] = [target, source];
  }
  return source;
}

/** Stable: `target` is `source` in the order of (key >>> shift) & mask. `starts` has one entry more than there are digits, all 0. */
function sortByDigit(
  keys: Uint32Array,
  source: Uint32Array,
  target: Uint32Array,
  starts: Uint32Array,
  shift: number,
  mask: number,
): void {
  for (let i = 0; i < keys.length; i++) starts[((keys[i] >>> shift) & mask) + 1]++;
  for (let digit = 1; digit < starts.length; digit++) starts[digit] += starts[digit - 1];
  for (let i = 0; i < source.length; i++) {
    const entry = source[i];
    target[starts[(keys[entry] >>> shift) & mask]++] = entry;
  }
}
