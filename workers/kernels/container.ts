// Bitsets of one page (8 KiB) to the containers of roaring's portable format, and back.

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

// Writes the stretches of set bits, each as its first position and its length − 1, u16 both. Writes up to 12 bytes beyond.
// Returns their number.
export function encodeRuns(bitset: usize, out: usize): u32 {
  // Bits where the state changes: a start and an end alternate, across words too.
  let at = out;
  let carry: u64 = 0;
  for (let offset: usize = 0; offset < BITSET_BYTES; offset += 8) {
    const word = load<u64>(bitset + offset);
    let changes = word ^ ((word << 1) | carry);
    carry = word >> 63;
    const base = (offset << 3) as u32;
    while (changes != 0) {
      store<u16>(at, (base + (ctz(changes) as u32)) as u16);
      at += 2;
      changes &= changes - 1;
    }
  }
  // The end of the page is 0 in 16 bits.
  if (carry != 0) {
    store<u16>(at, 0);
    at += 2;
  }
  const one = i32x4.splat(1 << 16);
  for (let run = out; run < at; run += 16) {
    const bounds = v128.load(run);
    v128.store(run, i32x4.sub(i32x4.sub(bounds, i32x4.shl(bounds, 16)), one));
  }
  return ((at - out) >> 2) as u32;
}

// Sets the bits at the positions, u16 each.
export function orArray(positions: usize, count: u32, bitset: usize): void {
  const end = positions + ((count as usize) << 1);
  for (; positions < end; positions += 2) {
    const position = load<u16>(positions) as u32;
    const word = bitset + ((position >>> 6) << 3);
    store<u64>(word, load<u64>(word) | ((1 as u64) << (position as u64)));
  }
}

// Sets the bits that another bitset has.
export function orBitset(other: usize, bitset: usize): void {
  for (let at: usize = 0; at < BITSET_BYTES; at += 16) {
    v128.store(bitset + at, v128.or(v128.load(bitset + at), v128.load(other + at)));
  }
}

// Sets the bits of the stretches, each its first position and its length − 1, u16 both.
export function orRuns(runs: usize, count: u32, bitset: usize): void {
  const end = runs + ((count as usize) << 2);
  for (; runs < end; runs += 4) {
    const first = load<u16>(runs) as u32;
    const last = first + (load<u16>(runs, 2) as u32);
    let word = bitset + ((first >>> 6) << 3);
    const lastWord = bitset + ((last >>> 6) << 3);
    let bits = (-1 as u64) << (first as u64);
    for (; word < lastWord; word += 8) {
      store<u64>(word, load<u64>(word) | bits);
      bits = -1;
    }
    store<u64>(word, load<u64>(word) | (bits & ((-1 as u64) >> ((63 - (last & 63)) as u64))));
  }
}
