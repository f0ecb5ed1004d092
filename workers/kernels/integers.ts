// Decode kernels for integers; signature, nulls and flags as in field.ts. Fields come four at a time where they can.
import { INTEGER_NULL, integerOf, plainBytesMax, storeFourIntegers } from './digits';
import { endOf, noteNoValue, startOf } from './field';

const INTEGER_MAX: i64 = 9007199254740991;

// out: u32 per row.
export function decodeUint32(
  base: usize, stride: u32, column: u32, rows: u32, quote: u32, trimCarriageReturn: u32,
  nullToken: usize, nullTokenBytes: u32, out: usize, nulls: usize, flags: usize,
): u32 {
  return decodeAs<u32>(
    base, stride, column, rows, quote, trimCarriageReturn, nullToken, nullTokenBytes, out, nulls, flags,
  );
}

// out: i32 per row.
export function decodeInt32(
  base: usize, stride: u32, column: u32, rows: u32, quote: u32, trimCarriageReturn: u32,
  nullToken: usize, nullTokenBytes: u32, out: usize, nulls: usize, flags: usize,
): u32 {
  return decodeAs<i32>(
    base, stride, column, rows, quote, trimCarriageReturn, nullToken, nullTokenBytes, out, nulls, flags,
  );
}

// out: f64 per row, exact within ±(2^53 − 1), flagged beyond.
export function decodeInteger(
  base: usize, stride: u32, column: u32, rows: u32, quote: u32, trimCarriageReturn: u32,
  nullToken: usize, nullTokenBytes: u32, out: usize, nulls: usize, flags: usize,
): u32 {
  return decodeAs<f64>(
    base, stride, column, rows, quote, trimCarriageReturn, nullToken, nullTokenBytes, out, nulls, flags,
  );
}

function decodeAs<T>(
  base: usize, stride: u32, column: u32, rows: u32, quote: u32, trimCarriageReturn: u32,
  nullToken: usize, nullTokenBytes: u32, out: usize, nulls: usize, flags: usize,
): u32 {
  const step = (stride as usize) << 2;
  let p = base + ((column as usize) << 2);
  const plainBytes = plainBytesMax(nullToken, nullTokenBytes);
  let outcome: u32 = 0;
  memory.fill(nulls, 0, rows as usize);
  for (let row: usize = 0; row < (rows as usize); ) {
    const target = out + (row << alignof<T>());
    if (row + 4 <= (rows as usize) && storeFourIntegers(p, step, trimCarriageReturn, plainBytes, target)) {
      if (isFloat<T>()) widenFour(target);
      row += 4;
      p += 4 * step;
      continue;
    }
    for (const groupEnd = min(row + 4, rows as usize); row < groupEnd; row++, p += step) {
      const start = startOf(p);
      const value = integerOf(start, endOf(p, start, trimCarriageReturn), plainBytes, quote, nullToken, nullTokenBytes);
      store<T>(out + (row << alignof<T>()), value as T);
      if (!fits<T>(value)) outcome |= noteNoValue(value == INTEGER_NULL, row, nulls, flags);
    }
  }
  return outcome;
}

// INTEGER_NULL and INTEGER_BAD fit nowhere.
@inline
function fits<T>(value: i64): bool {
  if (isFloat<T>()) return ((value + INTEGER_MAX) as u64) <= ((2 * INTEGER_MAX) as u64);
  return ((value as T) as i64) == value;
}

// Four u32 to four f64 in place.
@inline
function widenFour(at: usize): void {
  const four = v128.load(at);
  v128.store(at, f64x2.convert_low_i32x4_u(four));
  v128.store(at, f64x2.convert_low_i32x4_u(i64x2.shuffle(four, four, 1, 1)), 16);
}
