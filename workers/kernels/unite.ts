// The lists of many directories to those of one. An entry is a key with a list of slots, slots[starts[entry] …
// ends[entry]).
import { counterOf, countsToAddresses, increment } from './counters';

// Entries in the order of their keys, in the given order where keys are equal. Keys are those of keyMin on, keyRange of
// them; `counters` has a u32 for each.
export function orderEntries(
  keys: usize, count: u32, keyMin: u32, keyRange: u32, counters: usize, order: usize,
): void {
  const end = keys + ((count as usize) << 2);
  const countersEnd = counters + ((keyRange as usize) << 2);
  memory.fill(counters, 0, countersEnd - counters);
  for (let at = keys; at < end; at += 4) increment(counterOf(load<u32>(at), keyMin, counters));
  countsToAddresses(counters, countersEnd, order as u32, 2);
  for (let at = keys; at < end; at += 4) {
    const counter = counterOf(load<u32>(at), keyMin, counters);
    const place = load<u32>(counter);
    store<u32>(place as usize, ((at - keys) >> 2) as u32);
    store<u32>(counter, place + 4);
  }
}

// Puts the lists of entries with the same key one behind the other. Writes up to 12 bytes beyond the last slot. Returns the
// number of keys that have slots; the start behind their last one is the number of slots. `disorder` becomes 1 if a list
// does not begin above the end of the one before it, else 0.
export function uniteEntries(
  keys: usize, starts: usize, ends: usize, slots: usize, order: usize, count: u32,
  keysOut: usize, startsOut: usize, slotsOut: usize, disorder: usize,
): u32 {
  const orderEnd = order + ((count as usize) << 2);
  let found: usize = 0;
  let keyBefore: u64 = U64.MAX_VALUE;
  let isDisordered: u32 = 0;
  let out = slotsOut;
  for (let at = order; at < orderEnd; at += 4) {
    const entry = (load<u32>(at) as usize) << 2;
    let from = slots + ((load<u32>(starts + entry) as usize) << 2);
    const to = slots + ((load<u32>(ends + entry) as usize) << 2);
    if (from == to) continue;
    const key = load<u32>(keys + entry);
    if ((key as u64) != keyBefore) {
      store<u32>(keysOut + found, key);
      store<u32>(startsOut + found, ((out - slotsOut) >> 2) as u32);
      found += 4;
      keyBefore = key as u64;
    } else if (load<u32>(from) <= load<u32>(out - 4)) isDisordered = 1;
    const outEnd = out + (to - from);
    do {
      v128.store(out, v128.load(from));
      out += 16;
      from += 16;
    } while (from < to);
    out = outEnd;
  }
  store<u32>(startsOut + found, ((out - slotsOut) >> 2) as u32);
  store<u32>(disorder, isDisordered);
  return (found >> 2) as u32;
}
