// Decode kernels for integers; signature, nulls and flags as in field.ts.
import { INTEGER_NULL, integerOf, plainBytesMax } from './digits';
import { FLAGGED, NULL, trimmedEnd } from './field';

const INTEGER_MAX: i64 = 9007199254740991;

// out: u32 per row.
export function decodeUint32(
  base: usize, stride: u32, column: u32, rows: u32, quote: u32, trimCarriageReturn: u32,
  nullToken: usize, nullTokenBytes: u32, out: usize, nulls: usize, flags: usize,
): u32 {
  const step = (stride as usize) << 2;
  const plainBytes = plainBytesMax(nullToken, nullTokenBytes);
  let p = base + ((column as usize) << 2);
  let outcome: u32 = 0;
  for (let row: usize = 0; row < (rows as usize); row++, p += step) {
    const start = (load<u32>(p) as usize) + 1;
    const end = trimmedEnd(start, load<u32>(p, 4) as usize, trimCarriageReturn);
    const value = integerOf(start, end, plainBytes, quote, nullToken, nullTokenBytes);
    store<u32>(out + (row << 2), value as u32);
    if ((value as u64) <= 0xffffffff) {
      store<u8>(nulls + row, 0);
    } else if (value == INTEGER_NULL) {
      store<u8>(nulls + row, 1);
      outcome |= NULL;
    } else {
      store<u8>(nulls + row, 0);
      store<u8>(flags + row, 1);
      outcome |= FLAGGED;
    }
  }
  return outcome;
}

// out: i32 per row.
export function decodeInt32(
  base: usize, stride: u32, column: u32, rows: u32, quote: u32, trimCarriageReturn: u32,
  nullToken: usize, nullTokenBytes: u32, out: usize, nulls: usize, flags: usize,
): u32 {
  const step = (stride as usize) << 2;
  const plainBytes = plainBytesMax(nullToken, nullTokenBytes);
  let p = base + ((column as usize) << 2);
  let outcome: u32 = 0;
  for (let row: usize = 0; row < (rows as usize); row++, p += step) {
    const start = (load<u32>(p) as usize) + 1;
    const end = trimmedEnd(start, load<u32>(p, 4) as usize, trimCarriageReturn);
    const value = integerOf(start, end, plainBytes, quote, nullToken, nullTokenBytes);
    store<i32>(out + (row << 2), value as i32);
    if (value == ((value as i32) as i64)) {
      store<u8>(nulls + row, 0);
    } else if (value == INTEGER_NULL) {
      store<u8>(nulls + row, 1);
      outcome |= NULL;
    } else {
      store<u8>(nulls + row, 0);
      store<u8>(flags + row, 1);
      outcome |= FLAGGED;
    }
  }
  return outcome;
}

// out: f64 per row, exact within ±(2^53 − 1), flagged beyond.
export function decodeInteger(
  base: usize, stride: u32, column: u32, rows: u32, quote: u32, trimCarriageReturn: u32,
  nullToken: usize, nullTokenBytes: u32, out: usize, nulls: usize, flags: usize,
): u32 {
  const step = (stride as usize) << 2;
  const plainBytes = plainBytesMax(nullToken, nullTokenBytes);
  let p = base + ((column as usize) << 2);
  let outcome: u32 = 0;
  for (let row: usize = 0; row < (rows as usize); row++, p += step) {
    const start = (load<u32>(p) as usize) + 1;
    const end = trimmedEnd(start, load<u32>(p, 4) as usize, trimCarriageReturn);
    const value = integerOf(start, end, plainBytes, quote, nullToken, nullTokenBytes);
    store<f64>(out + (row << 3), value as f64);
    if (((value + INTEGER_MAX) as u64) <= ((2 * INTEGER_MAX) as u64)) {
      store<u8>(nulls + row, 0);
    } else if (value == INTEGER_NULL) {
      store<u8>(nulls + row, 1);
      outcome |= NULL;
    } else {
      store<u8>(nulls + row, 0);
      store<u8>(flags + row, 1);
      outcome |= FLAGGED;
    }
  }
  return outcome;
}
