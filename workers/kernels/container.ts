// Bitsets of one page (8 KiB) to the containers of roaring's portable format.

const BITSET_BYTES: usize = 8192;

export function countBits(bitset: usize): u32 {
  let count: u64 = 0;
  for (let at = bitset; at < bitset + BITSET_BYTES; at += 32) {
    count += popcnt(load<u64>(at)) + popcnt(load<u64>(at, 8)) + popcnt(load<u64>(at, 16)) + popcnt(load<u64>(at, 24));
  }
  return count as u32;
}

// Writes the positions of the set bits, u16 each.
export function encodeArray(bitset: usize, out: usize): void {
  for (let at: usize = 0; at < BITSET_BYTES; at += 8) {
    let word = load<u64>(bitset + at);
    const base = (at << 3) as u32;
    while (word != 0) {
      store<u16>(out, (base + (ctz(word) as u32)) as u16);
      out += 2;
      word &= word - 1;
    }
  }
}

// Stretches of set bits. One starts at a bit whose lower neighbour is clear.
export function countRuns(bitset: usize): u32 {
  let count: u64 = 0;
  let carry: u64 = 0;
  for (let at = bitset; at < bitset + BITSET_BYTES; at += 8) {
    const word = load<u64>(at);
    count += popcnt(word & ~((word << 1) | carry));
    carry = word >> 63;
  }
  return count as u32;
}
