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
  const carriageReturns = i8x16.splat(13);
  let out = positions;
  let inside: u64 = 0; // all ones while inside quotes
  let structuralLines: u64 = 0;
  let quotedLines: u64 = 0;
  let irregular: u64 = 0;
  let edgeBefore: u64 = -1; // bit 63: an opening quote may follow the byte before the step
  let closeBefore: u64 = 0; // bit 0: the byte before the step is a closing quote
  let returnBefore: u64 = 0; // bit 0: it is a CR after a closing quote
  for (let p = source; p < end; p += 64) {
    const a = v128.load(p), b = v128.load(p, 16), c = v128.load(p, 32), d = v128.load(p, 48);
    const la = i8x16.eq(a, lineFeeds), lb = i8x16.eq(b, lineFeeds), lc = i8x16.eq(c, lineFeeds), ld = i8x16.eq(d, lineFeeds);
    const qa = i8x16.eq(a, quotes), qb = i8x16.eq(b, quotes), qc = i8x16.eq(c, quotes), qd = i8x16.eq(d, quotes);
    const rest = end - p;
    const valid: u64 = rest < 64 ? ((1 as u64) << (rest as u64)) - 1 : -1;
    let lines = bits64(la, lb, lc, ld) & valid;
    let marks = bits64(
      v128.or(i8x16.eq(a, delimiters), la),
      v128.or(i8x16.eq(b, delimiters), lb),
      v128.or(i8x16.eq(c, delimiters), lc),
      v128.or(i8x16.eq(d, delimiters), ld),
    ) & valid;
    if (v128.any_true(v128.or(v128.or(qa, qb), v128.or(qc, qd))) || (inside | closeBefore | returnBefore) != 0) {
      const q = bits64(qa, qb, qc, qd) & valid;
      const state = prefixXor(q) ^ inside; // bit i: inside after byte i
      const edges = marks | q;
      const opens = q & state;
      const closes = q & ~state;
      const before = (edges << 1) | (edgeBefore >>> 63);
      const returns = bits64(
        i8x16.eq(a, carriageReturns),
        i8x16.eq(b, carriageReturns),
        i8x16.eq(c, carriageReturns),
        i8x16.eq(d, carriageReturns),
      );
      const afterClose = (closes << 1) | closeBefore;
      const closeReturn = afterClose & returns & valid;
      irregular |= opens & ~before;
      irregular |= afterClose & ~(edges | returns | ~valid);
      irregular |= ((closeReturn << 1) | returnBefore) & ~(lines | ~valid);
      closeBefore = closes >>> 63;
      returnBefore = closeReturn >>> 63;
      edgeBefore = edges;
      inside = ((state as i64) >> 63) as u64;
      quotedLines += popcnt(lines & state);
      lines &= ~state;
      marks &= ~state;
    } else {
      edgeBefore = marks;
    }
    structuralLines += popcnt(lines);
    const count = popcnt(marks) as usize;
    let target = out;
    while (marks != 0) {
      store<u32>(target, (p as u32) + (ctz(marks) as u32));
      marks &= marks - 1;
      store<u32>(target, (p as u32) + (ctz(marks) as u32), 4);
      marks &= marks - 1;
      store<u32>(target, (p as u32) + (ctz(marks) as u32), 8);
      marks &= marks - 1;
      store<u32>(target, (p as u32) + (ctz(marks) as u32), 12);
      marks &= marks - 1;
      target += 16;
    }
    out += count << 2;
  }
  store<u32>(stats, structuralLines as u32);
  store<u32>(stats, (structuralLines + quotedLines) as u32, 4);
  store<u32>(stats, (irregular != 0) as u32, 8);
  store<u32>(stats, (inside != 0) as u32, 12);
  return ((out - positions) >> 2) as u32;
}
