// Booleans: the decode kernel for t, f, true, false, 0, 1; signature, nulls and flags as in field.ts. And tests of bits.
import { endOf, FLAGGED, isNullToken, NULL, startOf } from './field';

const TRUE: u32 = 0x65757274; // 'true', 'fals' as little-endian words
const FALS: u32 = 0x736c6166;
const BAD: u32 = 2;

@inline
function booleanOf(start: usize, bytes: usize): u32 {
  if (bytes == 1) {
    const byte = load<u8>(start) as u32;
    if (byte == 116 || byte == 49) return 1;
    return byte == 102 || byte == 48 ? 0 : BAD;
  }
  if (bytes == 4) return load<u32>(start) == TRUE ? 1 : BAD;
  return bytes == 5 && load<u32>(start) == FALS && load<u8>(start + 4) == 101 ? 0 : BAD;
}

// out: u8 per row, 0 or 1.
export function decodeBoolean(
  base: usize, stride: u32, column: u32, rows: u32, quote: u32, trimCarriageReturn: u32,
  nullToken: usize, nullTokenBytes: u32, out: usize, nulls: usize, flags: usize,
): u32 {
  const step = (stride as usize) << 2;
  let p = base + ((column as usize) << 2);
  let outcome: u32 = 0;
  for (let row: usize = 0; row < (rows as usize); row++, p += step) {
    let start = startOf(p);
    let end = endOf(p, start, trimCarriageReturn);
    if (((end - start) as u32) == nullTokenBytes && isNullToken(start, end - start, nullToken, nullTokenBytes)) {
      store<u8>(out + row, 0);
      store<u8>(nulls + row, 1);
      outcome |= NULL;
      continue;
    }
    if (end - start > 2 && (load<u8>(start) as u32) == quote && (load<u8>(end - 1) as u32) == quote) {
      start++;
      end--;
    }
    const value = booleanOf(start, end - start);
    store<u8>(out + row, value as u8);
    store<u8>(nulls + row, 0);
    if (value == BAD) {
      store<u8>(flags + row, 1);
      outcome |= FLAGGED;
    }
  }
  return outcome;
}

// keys: u32 per row, 1 where (value & mask) == wanted, else 0. values: 32 bits per row. Reads and writes up to three rows
// beyond the last.
export function testBits(values: usize, rows: u32, mask: u32, wanted: u32, keys: usize): void {
  const masks = i32x4.splat(mask);
  const pattern = i32x4.splat(wanted);
  const end = values + ((rows as usize) << 2);
  for (; values < end; values += 16, keys += 16) {
    v128.store(keys, i32x4.neg(i32x4.eq(v128.and(v128.load(values), masks), pattern)));
  }
}
