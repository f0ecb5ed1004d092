// One page of keys to bit layers: layer b is the bitset (8 KiB) of the positions whose key has bit b. Layers
// stand LAYER_STRIDE bytes apart, one cache line more than their size: at 8 KiB apart, the 32 words written
// together would share one set of the cache.

const PAGE_KEYS: usize = 65536;
const LAYER_BYTES: usize = 8192;
const LAYER_STRIDE: usize = 8192 + 64;

// Layers of bits that no key has are not written. Returns the OR of all keys. 32 keys at a time are split
// into four planes of bytes, from which one instruction takes a bit of 16 keys.
export function transposePage(column: usize, layers: usize): u32 {
  let any = i32x4.splat(0);
  for (let at = column; at < column + (PAGE_KEYS << 2); at += 32) {
    any = v128.or(any, v128.or(v128.load(at), v128.load(at, 16)));
  }
  const bits =
    i32x4.extract_lane(any, 0) | i32x4.extract_lane(any, 1) | i32x4.extract_lane(any, 2) | i32x4.extract_lane(any, 3);
  let source = column;
  for (let out = layers; out < layers + LAYER_BYTES; out += 4) {
    const a = v128.load(source);
    const b = v128.load(source, 16);
    const c = v128.load(source, 32);
    const d = v128.load(source, 48);
    const e = v128.load(source, 64);
    const f = v128.load(source, 80);
    const g = v128.load(source, 96);
    const h = v128.load(source, 112);
    source += 128;
    if (bits & 0xffff) {
      const low1 = evenHalves(a, b);
      const low2 = evenHalves(c, d);
      const low3 = evenHalves(e, f);
      const low4 = evenHalves(g, h);
      if (bits & 0xff) storeBits(evenBytes(low1, low2), evenBytes(low3, low4), out, bits);
      if (bits & 0xff00) storeBits(oddBytes(low1, low2), oddBytes(low3, low4), out + 8 * LAYER_STRIDE, bits >> 8);
    }
    if (bits & 0xffff0000) {
      const high1 = oddHalves(a, b);
      const high2 = oddHalves(c, d);
      const high3 = oddHalves(e, f);
      const high4 = oddHalves(g, h);
      if (bits & 0xff0000) {
        storeBits(evenBytes(high1, high2), evenBytes(high3, high4), out + 16 * LAYER_STRIDE, bits >> 16);
      }
      if (bits & 0xff000000) {
        storeBits(oddBytes(high1, high2), oddBytes(high3, high4), out + 24 * LAYER_STRIDE, bits >>> 24);
      }
    }
  }
  return bits as u32;
}

// The largest key of a page column; absent positions hold 0.
export function pageKeyMax(column: usize): u32 {
  let a = i32x4.splat(0);
  let b = i32x4.splat(0);
  for (let at = column; at < column + (PAGE_KEYS << 2); at += 32) {
    a = v128.max<u32>(a, v128.load(at));
    b = v128.max<u32>(b, v128.load(at, 16));
  }
  a = v128.max<u32>(a, b);
  return max(max(lane(a, 0), lane(a, 1)), max(lane(a, 2), lane(a, 3)));
}

// The smallest key of a page column, of which `presentCount` positions are present; absent ones hold 0. Keys
// are compared less one, which puts 0 last: it counts only when there are more zeros than absent positions.
export function pageKeyMin(column: usize, presentCount: u32): u32 {
  const one = i32x4.splat(1);
  const zero = i32x4.splat(0);
  let smallest = i32x4.splat(-1);
  let zeros = i32x4.splat(0);
  for (let at = column; at < column + (PAGE_KEYS << 2); at += 16) {
    const keys = v128.load(at);
    smallest = v128.min<u32>(smallest, i32x4.sub(keys, one));
    zeros = i32x4.sub(zeros, i32x4.eq(keys, zero));
  }
  const zeroCount = lane(zeros, 0) + lane(zeros, 1) + lane(zeros, 2) + lane(zeros, 3);
  if (zeroCount > (PAGE_KEYS as u32) - presentCount) return 0;
  return min(min(lane(smallest, 0), lane(smallest, 1)), min(lane(smallest, 2), lane(smallest, 3))) + 1;
}

@inline
function lane(vector: v128, index: u8): u32 {
  return (index == 0
    ? i32x4.extract_lane(vector, 0)
    : index == 1
      ? i32x4.extract_lane(vector, 1)
      : index == 2
        ? i32x4.extract_lane(vector, 2)
        : i32x4.extract_lane(vector, 3)) as u32;
}

// Bit n of the first 16 bytes and the second 16 bytes becomes one word of layer n, for the bits set in
// `bits`.
@inline
function storeBits(first: v128, second: v128, out: usize, bits: i32): void {
  if (bits & 128) storeTopBits(first, second, out + 7 * LAYER_STRIDE);
  if (bits & 64) storeTopBits(i16x8.shl(first, 1), i16x8.shl(second, 1), out + 6 * LAYER_STRIDE);
  if (bits & 32) storeTopBits(i16x8.shl(first, 2), i16x8.shl(second, 2), out + 5 * LAYER_STRIDE);
  if (bits & 16) storeTopBits(i16x8.shl(first, 3), i16x8.shl(second, 3), out + 4 * LAYER_STRIDE);
  if (bits & 8) storeTopBits(i16x8.shl(first, 4), i16x8.shl(second, 4), out + 3 * LAYER_STRIDE);
  if (bits & 4) storeTopBits(i16x8.shl(first, 5), i16x8.shl(second, 5), out + 2 * LAYER_STRIDE);
  if (bits & 2) storeTopBits(i16x8.shl(first, 6), i16x8.shl(second, 6), out + LAYER_STRIDE);
  if (bits & 1) storeTopBits(i16x8.shl(first, 7), i16x8.shl(second, 7), out);
}

@inline
function storeTopBits(first: v128, second: v128, out: usize): void {
  store<u32>(out, (i8x16.bitmask(first) as u32) | ((i8x16.bitmask(second) as u32) << 16));
}

@inline
function evenHalves(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
}

@inline
function oddHalves(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
}

@inline
function evenBytes(a: v128, b: v128): v128 {
  return v128.shuffle<u8>(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}

@inline
function oddBytes(a: v128, b: v128): v128 {
  return v128.shuffle<u8>(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}
