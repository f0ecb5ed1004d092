// Pairs (see sort.ts) to a directory by counting: where keys lie close together, a counter for each of them takes half
// the time of sorting, or less, and the order of the slots is kept.
import { counterOf, countsToAddresses, increment } from './counters';

// The smallest and the largest key of at least one pair, two u32 at `bounds`.
export function pairKeyBounds(pairs: usize, count: u32, bounds: usize): void {
  const end = pairs + ((count as usize) << 3);
  let smallest = v128.load64_splat(pairs);
  let largest = smallest;
  let at = pairs;
  for (; at + 16 <= end; at += 16) {
    const two = v128.load(at);
    smallest = i32x4.min_u(smallest, two);
    largest = i32x4.max_u(largest, two);
  }
  if (at < end) {
    const last = v128.load64_splat(at);
    smallest = i32x4.min_u(smallest, last);
    largest = i32x4.max_u(largest, last);
  }
  store<u32>(bounds, min<u32>(i32x4.extract_lane(smallest, 1), i32x4.extract_lane(smallest, 3)));
  store<u32>(bounds, max<u32>(i32x4.extract_lane(largest, 1), i32x4.extract_lane(largest, 3)), 4);
}

// At least one pair to a directory: distinct keys, for each the index of its first slot, and the slots in the order of the
// pairs. Keys are those of keyMin on, keyRange of them, the last of which is there; `counters` has a u32 for each.
// The keys stand over the pairs and their starts `count` words further. Returns the number of keys; the start after the
// last one is `count`.
export function countPairs(
  pairs: usize, count: u32, keyMin: u32, keyRange: u32, counters: usize, slots: usize,
): u32 {
  const end = pairs + ((count as usize) << 3);
  const countersEnd = counters + ((keyRange as usize) << 2);
  memory.fill(counters, 0, countersEnd - counters);
  for (let at = pairs; at < end; at += 8) increment(counterOf(load<u32>(at, 4), keyMin, counters));
  countsToAddresses(counters, countersEnd, slots as u32, 2);
  for (let at = pairs; at < end; at += 8) {
    const counter = counterOf(load<u32>(at, 4), keyMin, counters);
    const place = load<u32>(counter);
    store<u32>(place as usize, load<u32>(at));
    store<u32>(counter, place + 4);
  }
  // The addresses are now those where the slots of each key end. Without branches: any key may be missing.
  const starts = pairs + ((count as usize) << 2);
  store<u32>(starts, 0);
  let found: usize = 0;
  let before = slots as u32;
  let key = keyMin;
  for (let counter = counters; counter < countersEnd; counter += 4) {
    const slotsEnd = load<u32>(counter);
    store<u32>(pairs + found, key++);
    store<u32>(starts + found, (slotsEnd - (slots as u32)) >> 2, 4);
    found += (slotsEnd != before ? 4 : 0) as usize;
    before = slotsEnd;
  }
  return (found >> 2) as u32;
}
