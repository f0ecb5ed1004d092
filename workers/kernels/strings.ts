// The string dictionary of one column: bytes to codes 0, 1, … in the order in which strings are first seen. The caller
// owns all memory and grows it; a kernel that runs out stops before the row and says so.
//
// State, u32 each: 0 table, 4 table slots - 1, 8 size, 12 size at most, 16 heap, 20 heap bytes used, 24 heap bytes at
// most, 28 offsets, 32 outcome of encodeStrings.
// Table slot, 16 bytes: u64 key, u32 length, u32 code + 1 (0: free). The key of up to eight bytes is the bytes
// themselves, so the slot decides; of more it is a hash, and the heap decides. offsets[code] .. offsets[code + 1] are the
// bytes of a string in the heap. Heap and sources are readable 16 bytes past their end.
import { endOf, FLAGGED, isNullToken, NULL, startOf } from './field';

const ABSENT: i32 = -1;
const MUST_GROW: i32 = -2;

@inline
function mix(key: u64, bytes: usize): u64 {
  let h = key ^ ((bytes as u64) * 0x9e3779b97f4a7c15);
  h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93;
  return h ^ (h >> 32);
}

function hashLong(start: usize, end: usize): u64 {
  let h: u64 = 0;
  for (let p = start; p < end - 8; p += 8) h = rotl<u64>((h ^ load<u64>(p)) * 0x9e3779b97f4a7c15, 29);
  h = (h ^ load<u64>(end - 8)) * 0xd6e8feb86659fd93;
  return h ^ (h >> 32);
}

@inline
function keyOf(start: usize, bytes: usize): u64 {
  if (bytes > 8) return hashLong(start, start + bytes);
  return bytes == 0 ? 0 : load<u64>(start) & ((-1 as u64) >> ((64 - (bytes << 3)) as u64));
}

// Both longer than eight bytes.
function sameBytes(a: usize, b: usize, bytes: usize): bool {
  for (let i: usize = 0; i < bytes - 8; i += 8) {
    if (load<u64>(a + i) != load<u64>(b + i)) return false;
  }
  return load<u64>(a + bytes - 8) == load<u64>(b + bytes - 8);
}

@inline
function find(state: usize, start: usize, bytes: usize, key: u64): usize {
  const table = load<u32>(state) as usize;
  const mask = load<u32>(state, 4) as usize;
  let i = (mix(key, bytes) as usize) & mask;
  while (true) {
    const slot = table + (i << 4);
    i = (i + 1) & mask;
    const code = load<u32>(slot, 12) as usize;
    if (code == 0) return slot;
    if (load<u64>(slot) != key || (load<u32>(slot, 8) as usize) != bytes) continue;
    if (bytes <= 8) return slot;
    const offset = load<u32>((load<u32>(state, 28) as usize) + ((code - 1) << 2)) as usize;
    if (sameBytes((load<u32>(state, 16) as usize) + offset, start, bytes)) return slot;
  }
}

function insert(state: usize, slot: usize, start: usize, bytes: usize, key: u64): i32 {
  const size = load<u32>(state, 8);
  const used = load<u32>(state, 20) as usize;
  if (size == load<u32>(state, 12) || bytes > (load<u32>(state, 24) as usize) - used) return MUST_GROW;
  const target = (load<u32>(state, 16) as usize) + used;
  if (target != start) memory.copy(target, start, bytes);
  store<u32>((load<u32>(state, 28) as usize) + ((size as usize) << 2), (used + bytes) as u32, 4);
  store<u32>(state, (used + bytes) as u32, 20);
  store<u64>(slot, key);
  store<u32>(slot, bytes as u32, 8);
  store<u32>(slot, size + 1, 12);
  store<u32>(state, size + 1, 8);
  return size as i32;
}

// The code of the bytes. When absent: ABSENT (-1) unless add is 1, then a new code, or MUST_GROW (-2).
export function internString(state: usize, start: usize, bytes: usize, add: u32): i32 {
  const key = keyOf(start, bytes);
  const slot = find(state, start, bytes, key);
  const code = load<u32>(slot, 12);
  if (code != 0) return (code - 1) as i32;
  return add != 0 ? insert(state, slot, start, bytes, key) : ABSENT;
}

// Moves all slots to a larger, zeroed table.
export function rehashStrings(from: usize, fromMask: u32, to: usize, toMask: u32): void {
  const mask = toMask as usize;
  for (let p = from, end = from + (((fromMask as usize) + 1) << 4); p < end; p += 16) {
    if (load<u32>(p, 12) == 0) continue;
    let i = (mix(load<u64>(p), load<u32>(p, 8) as usize) as usize) & mask;
    while (load<u32>(to + (i << 4), 12) != 0) i = (i + 1) & mask;
    v128.store(to + (i << 4), v128.load(p));
  }
}

@inline
function findByte(start: usize, end: usize, byte: u32): usize {
  const bytes = i8x16.splat(byte as i8);
  for (let p = start; p < end; p += 16) {
    const mask = i8x16.bitmask(i8x16.eq(v128.load(p), bytes));
    if (mask != 0) {
      const at = p + ctz(mask as u32);
      return at < end ? at : end;
    }
  }
  return end;
}

// Copies with escapes removed; the number of bytes, or -1 when a quote or a last escape stands alone. An escape that is
// not the quote makes any byte after it literal.
function unescape(start: usize, end: usize, quote: u32, escape: u32, target: usize): i32 {
  let out = target;
  for (let p = start; p < end; p++) {
    let byte = load<u8>(p) as u32;
    if (byte == escape) {
      if (++p == end) return -1;
      byte = load<u8>(p) as u32;
      if (escape == quote && byte != quote) return -1;
    } else if (byte == quote) {
      return -1;
    }
    store<u8>(out++, byte as u8);
  }
  return (out - target) as i32;
}

// out: u32 code per row. Rows, nulls and flags as in field.ts, except that escapes inside quoted fields are decoded and
// rows are those in row..rows. Returns the row reached: less than rows when the state must grow before it goes on.
export function encodeStrings(
  base: usize, stride: u32, column: u32, row: u32, rows: u32, quote: u32, escape: u32, trimCarriageReturn: u32,
  nullToken: usize, nullTokenBytes: u32, out: usize, nulls: usize, flags: usize, state: usize,
): u32 {
  const step = (stride as usize) << 2;
  let p = base + ((column as usize) << 2) + (row as usize) * step;
  let outcome: u32 = 0;
  // The string of the last row that had a short one: neighbours are often equal.
  let lastKey: u64 = 0;
  let lastBytes: usize = usize.MAX_VALUE;
  let lastCode: u32 = 0;
  memory.fill(nulls + (row as usize), 0, (rows - row) as usize);
  for (; row < rows; row++, p += step) {
    let start = startOf(p);
    const end = endOf(p, start, trimCarriageReturn);
    let bytes = end - start;
    if ((bytes as u32) == nullTokenBytes && (bytes == 0 || isNullToken(start, bytes, nullToken, nullTokenBytes))) {
      store<u32>(out + ((row as usize) << 2), 0);
      store<u8>(nulls + (row as usize), 1);
      outcome |= NULL;
      continue;
    }
    if (bytes != 0 && (load<u8>(start) as u32) == quote) {
      let inner: i32 = -1;
      start++;
      if (bytes > 1 && (load<u8>(end - 1) as u32) == quote) {
        inner = (bytes as i32) - 2;
        const last = end - 1;
        if (findByte(start, last, quote) != last || (escape != quote && findByte(start, last, escape) != last)) {
          const used = load<u32>(state, 20) as usize;
          if (bytes > (load<u32>(state, 24) as usize) - used) break;
          const target = (load<u32>(state, 16) as usize) + used;
          inner = unescape(start, last, quote, escape, target);
          start = target;
        }
      }
      if (inner < 0) {
        store<u32>(out + ((row as usize) << 2), 0);
        store<u8>(flags + (row as usize), 1);
        outcome |= FLAGGED;
        continue;
      }
      bytes = inner as usize;
    }
    const key = keyOf(start, bytes);
    if (key == lastKey && bytes == lastBytes) {
      store<u32>(out + ((row as usize) << 2), lastCode);
      continue;
    }
    const slot = find(state, start, bytes, key);
    let code = (load<u32>(slot, 12) as i32) - 1;
    if (code < 0) {
      code = insert(state, slot, start, bytes, key);
      if (code < 0) break;
    }
    store<u32>(out + ((row as usize) << 2), code as u32);
    if (bytes <= 8) {
      lastKey = key;
      lastBytes = bytes;
      lastCode = code as u32;
    }
  }
  store<u32>(state, load<u32>(state, 32) | outcome, 32);
  return row;
}
