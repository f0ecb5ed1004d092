// Slots to bitsets. A bitset covers one page: 65,536 bits, 8 KiB, slot & 0xffff is the bit. `nulls` is u8 per
// row (1 = no value), or 0 when no row is null. Rows are [from, to).

const PAGE_BITS: u32 = 16;
const SMALL_KEYS: u32 = 4096;
const CODE_NONE: u32 = 255;

// 1 if every slot is larger than the one before.
export function isStrictlyAscending(slots: usize, count: u32): u32 {
  if (count < 2) return 1;
  const end = slots + ((count as usize) << 2);
  let at = slots;
  for (; at + 80 <= end; at += 64) {
    const a = v128.ge<u32>(v128.load(at), v128.load(at, 4));
    const b = v128.ge<u32>(v128.load(at, 16), v128.load(at, 20));
    const c = v128.ge<u32>(v128.load(at, 32), v128.load(at, 36));
    const d = v128.ge<u32>(v128.load(at, 48), v128.load(at, 52));
    if (v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) return 0;
  }
  for (; at + 8 <= end; at += 4) {
    if (load<u32>(at) >= load<u32>(at, 4)) return 0;
  }
  return 1;
}

// 1 if no slot is smaller than the one before.
export function isAscending(slots: usize, count: u32): u32 {
  if (count < 2) return 1;
  const end = slots + ((count as usize) << 2);
  let at = slots;
  for (; at + 80 <= end; at += 64) {
    const a = v128.gt<u32>(v128.load(at), v128.load(at, 4));
    const b = v128.gt<u32>(v128.load(at, 16), v128.load(at, 20));
    const c = v128.gt<u32>(v128.load(at, 32), v128.load(at, 36));
    const d = v128.gt<u32>(v128.load(at, 48), v128.load(at, 52));
    if (v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) return 0;
  }
  for (; at + 8 <= end; at += 4) {
    if (load<u32>(at) > load<u32>(at, 4)) return 0;
  }
  return 1;
}

// The row after the last one that lies in the page of row `from`. Slots ascend.
export function pageEnd(slots: usize, from: u32, to: u32): u32 {
  const page = load<u32>(slots + ((from as usize) << 2)) >> PAGE_BITS;
  let low = from;
  let step: u32 = 1;
  while (low + step < to && load<u32>(slots + (((low + step) as usize) << 2)) >> PAGE_BITS == page) {
    low += step;
    step <<= 1;
  }
  let high = min(low + step, to);
  while (low + 1 < high) {
    const middle = (low + high) >> 1;
    if (load<u32>(slots + ((middle as usize) << 2)) >> PAGE_BITS == page) low = middle;
    else high = middle;
  }
  return high;
}

// The first row from `from` on with which a page of at least `rowsMin` rows begins, else `to`. Slots ascend
// and row `from` begins a page.
export function nextDensePage(slots: usize, from: u32, to: u32, rowsMin: u32): u32 {
  while (from < to) {
    const last = from + rowsMin - 1;
    if (last >= to) return to;
    const page = load<u32>(slots + ((from as usize) << 2)) >> PAGE_BITS;
    if (load<u32>(slots + ((last as usize) << 2)) >> PAGE_BITS == page) return from;
    from = pageEnd(slots, from, last);
  }
  return to;
}

// Sets the bits of rows whose slots lie in one page. Neighbours often share a word, which is kept back until
// another one is needed.
export function setSlotBits(slots: usize, nulls: usize, from: u32, to: u32, bitset: usize): void {
  let word = bitset;
  let bits: u64 = 0;
  for (let row = from; row < to; row++) {
    const slot = load<u32>(slots + ((row as usize) << 2));
    const next = bitset + (((slot & 0xffff) >> 6) << 3);
    if (next != word) {
      store<u64>(word, load<u64>(word) | bits);
      word = next;
      bits = 0;
    }
    bits |= ((isNull(nulls, row) ^ 1) as u64) << (slot as u64);
  }
  store<u64>(word, load<u64>(word) | bits);
}

@inline
function isNull(nulls: usize, row: u32): u32 {
  return nulls == 0 ? 0 : load<u8>(nulls + (row as usize));
}

// Sets the bits of rows whose slots lie anywhere: pages[slot >>> 16] is the bitset of the page, 0 where there
// is none yet. Stops at the first row of a page without bitset and returns it; returns `to` when it got
// through.
export function setPagedSlotBits(slots: usize, nulls: usize, from: u32, to: u32, pages: usize): u32 {
  for (let row = from; row < to; row++) {
    if (nulls != 0 && load<u8>(nulls + (row as usize)) != 0) continue;
    const slot = load<u32>(slots + ((row as usize) << 2));
    const bitset = load<u32>(pages + ((slot >>> 16) << 2)) as usize;
    if (bitset == 0) return row;
    const word = bitset + (((slot & 0xffff) >> 5) << 2);
    store<u32>(word, load<u32>(word) | (1 << (slot & 31)));
  }
  return to;
}

// Puts the code of each row's key, lookup[key], into the code column (u8[65536], CODE_NONE where absent) of
// the page; slots lie in one page. Stops at the first row whose key has no code (4096 or larger, or CODE_NONE
// in the lookup) and returns it; returns `to` when it got through. Plain stores, because a bit at a time each
// row would wait for the one before.
export function setKeyCodes(
  slots: usize,
  keys: usize,
  nulls: usize,
  from: u32,
  to: u32,
  lookup: usize,
  codes: usize,
): u32 {
  return nulls == 0
    ? setCodes(slots, keys, 0, from, to, lookup, codes)
    : setCodes(slots, keys, nulls, from, to, lookup, codes);
}

// Once for columns without nulls and once for those with: four rows at a time with one test, and from the first four on
// that fail it row by row. The test may fail for nothing, when the bits of several codes together are those of CODE_NONE.
@inline
function setCodes(
  slots: usize,
  keys: usize,
  nulls: usize,
  from: u32,
  to: u32,
  lookup: usize,
  codes: usize,
): u32 {
  let row = from;
  for (; row + 4 <= to; row += 4) {
    const at = (row as usize) << 2;
    // All ones for a null.
    const nullA = 0 - isNull(nulls, row);
    const nullB = 0 - isNull(nulls, row + 1);
    const nullC = 0 - isNull(nulls, row + 2);
    const nullD = 0 - isNull(nulls, row + 3);
    const keyA = load<u32>(keys + at);
    const keyB = load<u32>(keys + at, 4);
    const keyC = load<u32>(keys + at, 8);
    const keyD = load<u32>(keys + at, 12);
    const a = codeOf(lookup, keyA);
    const b = codeOf(lookup, keyB);
    const c = codeOf(lookup, keyC);
    const d = codeOf(lookup, keyD);
    if (((keyA & ~nullA) | (keyB & ~nullB) | (keyC & ~nullC) | (keyD & ~nullD)) >= SMALL_KEYS) break;
    if (((a & ~nullA) | (b & ~nullB) | (c & ~nullC) | (d & ~nullD)) == CODE_NONE) break;
    storeCode(codes, load<u32>(slots + at), a | nullA);
    storeCode(codes, load<u32>(slots + at, 4), b | nullB);
    storeCode(codes, load<u32>(slots + at, 8), c | nullC);
    storeCode(codes, load<u32>(slots + at, 12), d | nullD);
  }
  for (; row < to; row++) {
    const key = load<u32>(keys + ((row as usize) << 2));
    const code = codeOf(lookup, key);
    const rowIsNull = isNull(nulls, row);
    if ((key >= SMALL_KEYS || code == CODE_NONE) && rowIsNull == 0) return row;
    storeCode(codes, load<u32>(slots + ((row as usize) << 2)), code | (0 - rowIsNull));
  }
  return to;
}

@inline
function codeOf(lookup: usize, key: u32): u32 {
  return load<u8>(lookup + ((key & (SMALL_KEYS - 1)) as usize));
}

@inline
function storeCode(codes: usize, slot: u32, code: u32): void {
  store<u8>(codes + ((slot & 0xffff) as usize), code as u8);
}

// The bitset of the positions of a page that hold the code. Returns the number of its bits.
export function codeBitset(codes: usize, code: u32, bitset: usize): u32 {
  const wanted = i8x16.splat(code as i8);
  let count: u64 = 0;
  for (let at = codes; at < codes + 65536; at += 64) {
    const low =
      (i8x16.bitmask(i8x16.eq(v128.load(at), wanted)) as u32) |
      ((i8x16.bitmask(i8x16.eq(v128.load(at, 16), wanted)) as u32) << 16);
    const high =
      (i8x16.bitmask(i8x16.eq(v128.load(at, 32), wanted)) as u32) |
      ((i8x16.bitmask(i8x16.eq(v128.load(at, 48), wanted)) as u32) << 16);
    const bits = (low as u64) | ((high as u64) << 32);
    store<u64>(bitset, bits);
    count += popcnt(bits);
    bitset += 8;
  }
  return count as u32;
}
