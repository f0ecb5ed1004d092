// Finds the delimiters and line feeds of CSV that are outside quotes, 64 bytes a step.

@inline
function bits64(a: v128, b: v128, c: v128, d: v128): u64 {
  const low = (i8x16.bitmask(a) as u32) | ((i8x16.bitmask(b) as u32) << 16);
  const high = (i8x16.bitmask(c) as u32) | ((i8x16.bitmask(d) as u32) << 16);
  return (low as u64) | ((high as u64) << 32);
}

// Bit i of the result is the exclusive or of bits 0..i.
@inline
function prefixXor(x: u64): u64 {
  x ^= x << 1;
  x ^= x << 2;
  x ^= x << 4;
  x ^= x << 8;
  x ^= x << 16;
  x ^= x << 32;
  return x;
}

// Whether the byte at the place of a set bit, counted from p, is neither at the end or beyond nor the CR of a line end.
function hasOtherThanReturn(bits: u64, p: usize, end: usize): bool {
  for (; bits != 0; bits &= bits - 1) {
    const at = p + (ctz(bits) as usize);
    if (at >= end) return false;
    if (load<u8>(at) != 13 || (at + 1 < end && load<u8>(at + 1) != 10)) return true;
  }
  return false;
}

// Stores p plus the places of the two lowest set bits, rubbish for bits that are not there, and gives the bits above.
@inline
function storeTwo(p: usize, bits: u64, target: usize): u64 {
  store<u32>(target, (p as u32) + (ctz(bits) as u32));
  bits &= bits - 1;
  store<u32>(target, (p as u32) + (ctz(bits) as u32), 4);
  return bits & (bits - 1);
}

// Writes the address of every delimiter and LF outside quotes in source..end to positions (u32 each), in order, and
// returns how many. Up to 8 entries beyond the last are overwritten with rubbish. 64 bytes from `end` on are read and ignored.
//
// stats, four u32: 0 LFs outside quotes; 1 all LFs; 2 is 1 when a quote stands where the simple rule "every quote
// toggles" and the grammar may differ: an opening quote not after delimiter, LF, quote or start, or a closing one not
// before delimiter, LF, CR and LF, quote or end; 3 is 1 when the range ends inside quotes.
export function scan(source: usize, end: usize, delimiter: u32, quote: u32, positions: usize, stats: usize): u32 {
  const delimiters = i8x16.splat(delimiter as i8);
  const quotes = i8x16.splat(quote as i8);
  const lineFeeds = i8x16.splat(10);
  let out = positions;
  let inside: u64 = 0; // all ones while inside quotes
  let allLines: u64 = 0;
  let edgeBefore: u64 = 1; // an opening quote may follow the byte before the step
  let closeBefore: u64 = 0; // the byte before the step is a closing quote
  // What is rare is counted in memory: the loop has more variables than there are registers.
  store<u64>(stats, 0);
  store<u64>(stats, 0, 8);
  for (let p = source; p < end; p += 64) {
    const a = v128.load(p), b = v128.load(p, 16), c = v128.load(p, 32), d = v128.load(p, 48);
    const la = i8x16.eq(a, lineFeeds), lb = i8x16.eq(b, lineFeeds), lc = i8x16.eq(c, lineFeeds), ld = i8x16.eq(d, lineFeeds);
    let q = bits64(i8x16.eq(a, quotes), i8x16.eq(b, quotes), i8x16.eq(c, quotes), i8x16.eq(d, quotes));
    let lines = bits64(la, lb, lc, ld);
    let marks = bits64(
      v128.or(i8x16.eq(a, delimiters), la),
      v128.or(i8x16.eq(b, delimiters), lb),
      v128.or(i8x16.eq(c, delimiters), lc),
      v128.or(i8x16.eq(d, delimiters), ld),
    );
    if (end - p < 64) {
      const valid = ((1 as u64) << ((end - p) as u64)) - 1;
      q &= valid;
      lines &= valid;
      marks &= valid;
    }
    allLines += popcnt(lines);
    if ((q | inside | closeBefore) != 0) {
      const state = prefixXor(q) ^ inside; // bit i: inside after byte i
      const edges = marks | q;
      const closes = q & ~state;
      const unclearOpens = q & state & ~((edges << 1) | edgeBefore);
      const unclearCloses = ((closes << 1) | closeBefore) & ~edges; // after the quote
      inside = ((state as i64) >> 63) as u64;
      edgeBefore = edges >>> 63;
      closeBefore = closes >>> 63;
      if ((unclearOpens | unclearCloses | (lines & state)) != 0) {
        store<u32>(stats, load<u32>(stats, 4) + (popcnt(lines & state) as u32), 4);
        if (unclearOpens != 0 || hasOtherThanReturn(unclearCloses, p, end)) store<u32>(stats, 1, 8);
      }
      marks &= ~state;
    } else {
      edgeBefore = marks >>> 63;
    }
    // Six at once, whether there are as many or not, and then four at a time: a branch less that may be mispredicted.
    const next = out + ((popcnt(marks) as usize) << 2);
    marks = storeTwo(p, marks, out);
    marks = storeTwo(p, marks, out + 8);
    marks = storeTwo(p, marks, out + 16);
    for (out += 24; out < next; out += 16) {
      marks = storeTwo(p, marks, out);
      marks = storeTwo(p, marks, out + 8);
    }
    out = next;
  }
  store<u32>(stats, (allLines as u32) - load<u32>(stats, 4));
  store<u32>(stats, allLines as u32, 4);
  store<u32>(stats, (inside != 0) as u32, 12);
  return ((out - positions) >> 2) as u32;
}
