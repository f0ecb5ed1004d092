// Decode kernels for integers; signature, nulls and flags as in field.ts. Fields come four at a time where they can.
import { INTEGER_NULL, integerOf, plainBytesMax, storeFourIntegers } from './digits';
import { endOf, FLAGGED, NULL, startOf } from './field';

const INTEGER_MAX: i64 = 9007199254740991;

// out: u32 per row.
export function decodeUint32(
  base: usize, stride: u32, column: u32, rows: u32, quote: u32, trimCarriageReturn: u32,
  nullToken: usize, nullTokenBytes: u32, out: usize, nulls: usize, flags: usize,
): u32 {
  const step = (stride as usize) << 2;
  let p = base + ((column as usize) << 2);
  const plainBytes = plainBytesMax(nullToken, nullTokenBytes);
  let outcome: u32 = 0;
  memory.fill(nulls, 0, rows as usize);
  for (let row: usize = 0; row < (rows as usize); ) {
    if (row + 4 <= (rows as usize) && storeFourIntegers(p, step, trimCarriageReturn, plainBytes, out + (row << 2))) {
      row += 4;
      p += 4 * step;
      continue;
    }
    for (const groupEnd = min(row + 4, rows as usize); row < groupEnd; row++, p += step) {
      const start = startOf(p);
      const value = integerOf(start, endOf(p, start, trimCarriageReturn), plainBytes, quote, nullToken, nullTokenBytes);
      store<u32>(out + (row << 2), value as u32);
      if ((value as u64) <= 0xffffffff) continue;
      if (value == INTEGER_NULL) {
        store<u8>(nulls + row, 1);
        outcome |= NULL;
      } else {
        store<u8>(flags + row, 1);
        outcome |= FLAGGED;
      }
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
  let p = base + ((column as usize) << 2);
  const plainBytes = plainBytesMax(nullToken, nullTokenBytes);
  let outcome: u32 = 0;
  memory.fill(nulls, 0, rows as usize);
  for (let row: usize = 0; row < (rows as usize); ) {
    if (row + 4 <= (rows as usize) && storeFourIntegers(p, step, trimCarriageReturn, plainBytes, out + (row << 2))) {
      row += 4;
      p += 4 * step;
      continue;
    }
    for (const groupEnd = min(row + 4, rows as usize); row < groupEnd; row++, p += step) {
      const start = startOf(p);
      const value = integerOf(start, endOf(p, start, trimCarriageReturn), plainBytes, quote, nullToken, nullTokenBytes);
      store<i32>(out + (row << 2), value as i32);
      if (value == ((value as i32) as i64)) continue;
      if (value == INTEGER_NULL) {
        store<u8>(nulls + row, 1);
        outcome |= NULL;
      } else {
        store<u8>(flags + row, 1);
        outcome |= FLAGGED;
      }
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
  let p = base + ((column as usize) << 2);
  const plainBytes = plainBytesMax(nullToken, nullTokenBytes);
  let outcome: u32 = 0;
  memory.fill(nulls, 0, rows as usize);
  for (let row: usize = 0; row < (rows as usize); ) {
    if (row + 4 <= (rows as usize) && storeFourIntegers(p, step, trimCarriageReturn, plainBytes, out + (row << 3))) {
      const doubles = out + (row << 3);
      const four = v128.load(doubles);
      v128.store(doubles, f64x2.convert_low_i32x4_u(four));
      v128.store(doubles, f64x2.convert_low_i32x4_u(i64x2.shuffle(four, four, 1, 1)), 16);
      row += 4;
      p += 4 * step;
      continue;
    }
    for (const groupEnd = min(row + 4, rows as usize); row < groupEnd; row++, p += step) {
      const start = startOf(p);
      const value = integerOf(start, endOf(p, start, trimCarriageReturn), plainBytes, quote, nullToken, nullTokenBytes);
      store<f64>(out + (row << 3), value as f64);
      if (((value + INTEGER_MAX) as u64) <= ((2 * INTEGER_MAX) as u64)) continue;
      if (value == INTEGER_NULL) {
        store<u8>(nulls + row, 1);
        outcome |= NULL;
      } else {
        store<u8>(flags + row, 1);
        outcome |= FLAGGED;
      }
    }
  }
  return outcome;
}
