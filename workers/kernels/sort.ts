// Pairs are u64: key in the high half, slot in the low half. So are (slot, row) pairs. Radix sort, stable,
// least significant digit first, with as many digits of up to 11 bits as the bits that differ between the
// numbers need.
import { counterOf, countsToAddresses, increment } from './counters';

const DIGIT_BITS_MAX: u32 = 11;
const DIGITS_MAX: u32 = 3;
const HISTOGRAM_WORDS: u32 = 2048;

// Appends a pair per row of [from, to) that is not null and returns the end.
export function packPairs(keys: usize, slots: usize, nulls: usize, from: u32, to: u32, out: usize): usize {
  if (nulls == 0) {
    for (let row = from; row < to; row++) {
      const key = load<u32>(keys + ((row as usize) << 2)) as u64;
      store<u64>(out, (key << 32) | (load<u32>(slots + ((row as usize) << 2)) as u64));
      out += 8;
    }
    return out;
  }
  for (let row = from; row < to; row++) {
    const key = load<u32>(keys + ((row as usize) << 2)) as u64;
    store<u64>(out, (key << 32) | (load<u32>(slots + ((row as usize) << 2)) as u64));
    out += load<u8>(nulls + (row as usize)) == 0 ? 8 : 0;
  }
  return out;
}

// Writes (slot, row) for every row.
export function packSlotRows(slots: usize, count: u32, out: usize): void {
  for (let row: u32 = 0; row < count; row++) {
    store<u64>(out, ((load<u32>(slots + ((row as usize) << 2)) as u64) << 32) | (row as u64));
    out += 8;
  }
}

// 1 if the pairs ascend by key, then slot (equal pairs allowed).
export function arePairsAscending(pairs: usize, count: u32): u32 {
  let previous: u64 = 0;
  const end = pairs + ((count as usize) << 3);
  for (let at = pairs; at < end; at += 8) {
    const pair = load<u64>(at);
    if (pair < previous) return 0;
    previous = pair;
  }
  return 1;
}

// How many low halves are below the one before.
export function countDescents(pairs: usize, count: u32): u32 {
  if (count < 2) return 0;
  const last = pairs + ((count as usize) << 3) - 8;
  let descents = i32x4.splat(0);
  let at = pairs;
  for (; at + 32 <= last; at += 32) {
    const slots = i8x16.shuffle(v128.load(at), v128.load(at, 16), 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    const next = i8x16.shuffle(v128.load(at, 8), v128.load(at, 24), 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    descents = i32x4.sub(descents, i32x4.gt_u(slots, next));
  }
  let sum = i32x4.extract_lane(descents, 0) + i32x4.extract_lane(descents, 1);
  sum += i32x4.extract_lane(descents, 2) + i32x4.extract_lane(descents, 3);
  for (; at < last; at += 8) sum += load<u32>(at) > load<u32>(at, 8) ? 1 : 0;
  return sum as u32;
}

// Sorts by the 32 bits from bit `shift` (0 or 32) on. `histogram` is 3 * 2048 u32. Returns where the result
// is: pairs or scratch.
export function radixSortPairs(pairs: usize, scratch: usize, count: u32, histogram: usize, shift: u32): usize {
  if (count < 2) return pairs;
  const end = pairs + ((count as usize) << 3);
  const half = (shift >> 3) as usize;
  const differing = differingBits(pairs, end, shift);
  if (differing == 0) return pairs;
  const lowest: u32 = ctz(differing);
  const width: u32 = 32 - clz(differing) - lowest;
  const digits: u32 = (width + DIGIT_BITS_MAX - 1) / DIGIT_BITS_MAX;
  const digitBits: u32 = (width + digits - 1) / digits;
  const mask: u32 = (1 << digitBits) - 1;

  memory.fill(histogram, 0, ((DIGITS_MAX * HISTOGRAM_WORDS) as usize) << 2);
  const histogram2 = histogram + ((HISTOGRAM_WORDS as usize) << 2);
  const histogram3 = histogram2 + ((HISTOGRAM_WORDS as usize) << 2);
  if (digits == 1) {
    for (let at = pairs + half; at < end; at += 8) increment(counterOf((load<u32>(at) >> lowest) & mask, 0, histogram));
  } else if (digits == 2) {
    for (let at = pairs + half; at < end; at += 8) {
      const bits = load<u32>(at) >> lowest;
      increment(counterOf(bits & mask, 0, histogram));
      increment(counterOf((bits >> digitBits) & mask, 0, histogram2));
    }
  } else {
    for (let at = pairs + half; at < end; at += 8) {
      const bits = load<u32>(at) >> lowest;
      increment(counterOf(bits & mask, 0, histogram));
      increment(counterOf((bits >> digitBits) & mask, 0, histogram2));
      increment(counterOf((bits >> (digitBits << 1)) & mask, 0, histogram3));
    }
  }

  let source = pairs;
  let target = scratch;
  for (let digit: u32 = 0; digit < digits; digit++) {
    const counts = histogram + (((digit * HISTOGRAM_WORDS) as usize) << 2);
    countsToAddresses(counts, counts + (((mask + 1) as usize) << 2), target as u32, 3);
    const digitShift = lowest + digit * digitBits;
    const sourceEnd = source + ((count as usize) << 3);
    for (let at = source; at < sourceEnd; at += 8) {
      const counter = counts + (((load<u32>(at + half) >> digitShift) & mask) << 2);
      const place = load<u32>(counter);
      store<u64>(place as usize, load<u64>(at));
      store<u32>(counter, place + 8);
    }
    const swap = source;
    source = target;
    target = swap;
  }
  return source;
}

// The bits of the 32 from bit `shift` on in which some pairs differ from others.
function differingBits(pairs: usize, end: usize, shift: u32): u32 {
  const first = load<u64>(pairs);
  const firsts = i64x2.splat(first);
  let differing = i64x2.splat(0);
  let at = pairs;
  for (; at + 64 <= end; at += 64) {
    const a = v128.or(v128.xor(v128.load(at), firsts), v128.xor(v128.load(at, 16), firsts));
    const b = v128.or(v128.xor(v128.load(at, 32), firsts), v128.xor(v128.load(at, 48), firsts));
    differing = v128.or(differing, v128.or(a, b));
  }
  let bits = i64x2.extract_lane(differing, 0) | i64x2.extract_lane(differing, 1);
  for (; at < end; at += 8) bits |= load<u64>(at) ^ first;
  return ((bits as u64) >> (shift as u64)) as u32;
}

// Sorted pairs to a directory: distinct keys, for each the index of its first slot, and the slots with equal
// pairs dropped. The slots may overwrite the pairs, from their first or second word on. Returns the number of keys;
// starts[that number] is the number of slots.
export function groupPairs(pairs: usize, count: u32, keys: usize, starts: usize, slots: usize): u32 {
  store<u32>(starts, 0);
  if (count == 0) return 0;
  let previous = load<u64>(pairs);
  let keyAt = keys;
  let endAt = starts + 4;
  let slotCount: u32 = 1;
  store<u32>(keyAt, (previous >> 32) as u32);
  store<u32>(endAt, 1);
  store<u32>(slots, previous as u32);
  const end = pairs + ((count as usize) << 3);
  // Without branches: where keys have a few slots each, every other one would be mispredicted.
  for (let at = pairs + 8; at < end; at += 8) {
    const pair = load<u64>(at);
    const step = ((pair >> 32) != (previous >> 32) ? 4 : 0) as usize;
    slotCount += pair != previous ? 1 : 0;
    keyAt += step;
    endAt += step;
    store<u32>(keyAt, (pair >> 32) as u32);
    store<u32>(endAt, slotCount);
    store<u32>(slots + (((slotCount - 1) as usize) << 2), pair as u32);
    previous = pair;
  }
  return ((endAt - starts) >> 2) as u32;
}

// Sorted (slot, row) pairs to the last row of each slot: slots and rows, in slot order. Returns their number.
export function lastRows(pairs: usize, count: u32, slots: usize, rows: usize): u32 {
  let kept: usize = 0;
  for (let index: u32 = 0; index < count; index++) {
    const pair = load<u64>(pairs + ((index as usize) << 3));
    store<u32>(slots + (kept << 2), (pair >> 32) as u32);
    store<u32>(rows + (kept << 2), pair as u32);
    const isLast = index + 1 == count || load<u32>(pairs + ((index as usize) << 3), 12) != ((pair >> 32) as u32);
    kept += isLast ? 1 : 0;
  }
  return kept as u32;
}
