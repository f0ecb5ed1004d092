// A u32 per key or digit, from the smallest on: what is sorted by counting has in common.

@inline
export function counterOf(key: u32, keyMin: u32, counters: usize): usize {
  return counters + (((key - keyMin) as usize) << 2);
}

@inline
export function increment(counter: usize): void {
  store<u32>(counter, load<u32>(counter) + 1);
}

// Counts become the addresses where the next item of each goes, items of 1 << shift bytes from `address` on.
@inline
export function countsToAddresses(counters: usize, end: usize, address: u32, shift: u32): void {
  for (let counter = counters; counter < end; counter += 4) {
    const bytes = load<u32>(counter) << shift;
    store<u32>(counter, address);
    address += bytes;
  }
}
