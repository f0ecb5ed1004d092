// Decimal digits to integers, eight bytes at a time.
import { endOf, isNullToken, startOf } from './field';

export const INTEGER_NULL: i64 = i64.MIN_VALUE;
export const INTEGER_BAD: i64 = i64.MIN_VALUE + 1;

const ASCII_ZEROS: u64 = 0x3030303030303030;

// Not zero if some byte is not in 0..9.
@inline
export function nonDigits(v: u64): u64 {
  return ((v + 0x7676767676767676) | v) & 0x8080808080808080;
}

// Eight bytes in 0..9, the most significant digit in the lowest byte.
@inline
export function value8(v: u64): u64 {
  v = (v * 2561) >> 8;
  v = ((v & 0x00ff00ff00ff00ff) * 6553601) >> 16;
  return ((v & 0x0000ffff0000ffff) * 42949672960001) >> 32;
}

// The first `bytes` (1..8) bytes as digits, right-aligned with zeros before them. Reads eight bytes.
@inline
export function head8(start: usize, bytes: usize): u64 {
  return (load<u64>(start) ^ ASCII_ZEROS) << ((64 - (bytes << 3)) as u64);
}

// Length up to which plain digits may skip the test for the null token, a power of two or 0: a token that is itself a
// number forbids it.
@inline
export function plainBytesMax(nullToken: usize, nullTokenBytes: u32): usize {
  return nullTokenBytes == 0 || (load<u8>(nullToken) as u32) - 48 > 9 ? 8 : 0;
}

// The integer in the field, INTEGER_NULL or INTEGER_BAD. Never INTEGER_BAD below 2^63 in value unless malformed.
@inline
export function integerOf(
  start: usize, end: usize, plainBytes: usize, quote: u32, nullToken: usize, nullTokenBytes: u32,
): i64 {
  const bytes = end - start;
  if (bytes - 1 < plainBytes) {
    const v = head8(start, bytes);
    if (nonDigits(v) == 0) return value8(v) as i64;
  } else if (bytes - 9 < plainBytes) {
    const high = head8(start, bytes - 8);
    const low = load<u64>(end - 8) ^ ASCII_ZEROS;
    if ((nonDigits(high) | nonDigits(low)) == 0) return (value8(high) * 100000000 + value8(low)) as i64;
  }
  return integerWithQuoteOrSign(start, end, quote, nullToken, nullTokenBytes);
}

// Everything integerOf does not take: null, quotes, signs, more than 16 digits.
export function integerWithQuoteOrSign(
  start: usize, end: usize, quote: u32, nullToken: usize, nullTokenBytes: u32,
): i64 {
  if (isNullToken(start, end - start, nullToken, nullTokenBytes)) return INTEGER_NULL;
  if (end - start >= 2 && (load<u8>(start) as u32) == quote && (load<u8>(end - 1) as u32) == quote) {
    start++;
    end--;
  }
  let negative = false;
  if (start < end) {
    const first = load<u8>(start);
    negative = first == 45;
    if (negative || first == 43) start++;
  }
  if (start == end) return INTEGER_BAD;
  while (end - start > 16 && load<u8>(start) == 48) start++;
  const bytes = end - start;
  let value: u64;
  if (bytes <= 8) {
    const v = head8(start, bytes);
    if (nonDigits(v) != 0) return INTEGER_BAD;
    value = value8(v);
  } else if (bytes <= 16) {
    const high = head8(start, bytes - 8);
    const low = load<u64>(end - 8) ^ ASCII_ZEROS;
    if ((nonDigits(high) | nonDigits(low)) != 0) return INTEGER_BAD;
    value = value8(high) * 100000000 + value8(low);
  } else {
    return INTEGER_BAD; // at least 10^16 in magnitude: outside every type, or not a number
  }
  return negative ? -(value as i64) : (value as i64);
}

// Two numbers as `head8` gives them, digits only, to their values in the lower halves of the lanes.
@inline
function values8(digits: v128): v128 {
  const tens = i16x8.mul(v128.and(digits, i16x8.splat(0xff)), i16x8.splat(10));
  const pairs = i16x8.add(tens, i16x8.shr_u(digits, 8));
  const fours = i32x4.dot_i16x8_s(pairs, i16x8(100, 1, 100, 1, 100, 1, 100, 1));
  const high = i32x4.mul(fours, i32x4(10000, 1, 10000, 1));
  return i64x2.add(high, i64x2.shr_u(high, 32));
}

// Stores the values (u32x4) of four columns of digits as `head8` gives them; false if there is another byte. A result of
// two kinds costs less than a value that stands for failure.
@inline
export function storeFourValues8(a: u64, b: u64, c: u64, d: u64, out: usize): bool {
  const ab = i64x2.replace_lane(i64x2.splat(a as i64), 1, b as i64);
  const cd = i64x2.replace_lane(i64x2.splat(c as i64), 1, d as i64);
  const nine = i8x16.splat(9);
  if (v128.any_true(v128.or(i8x16.gt_u(ab, nine), i8x16.gt_u(cd, nine)))) return false;
  v128.store(out, i8x16.shuffle(values8(ab), values8(cd), 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27));
  return true;
}

// Stores the values (u32x4) of the fields at p and one, two and three steps further; false unless each has one to eight
// plain digits. `plainBytes` as plainBytesMax gives it. Two copies of it, because looking for a CR that cannot be there
// takes a third of the time.
@inline
export function storeFourIntegers(
  p: usize, step: usize, trimCarriageReturn: u32, plainBytes: usize, out: usize,
): bool {
  return trimCarriageReturn == 0
    ? storeFour(p, step, 0, plainBytes, out)
    : storeFour(p, step, 1, plainBytes, out);
}

@inline
function storeFour(p: usize, step: usize, trimCarriageReturn: u32, plainBytes: usize, out: usize): bool {
  const pb = p + step;
  const pc = pb + step;
  const pd = pc + step;
  const startA = startOf(p), startB = startOf(pb), startC = startOf(pc), startD = startOf(pd);
  const a = endOf(p, startA, trimCarriageReturn) - startA;
  const b = endOf(pb, startB, trimCarriageReturn) - startB;
  const c = endOf(pc, startC, trimCarriageReturn) - startC;
  const d = endOf(pd, startD, trimCarriageReturn) - startD;
  if (((a - 1) | (b - 1) | (c - 1) | (d - 1)) >= plainBytes) return false;
  return storeFourValues8(head8(startA, a), head8(startB, b), head8(startC, c), head8(startD, d), out);
}
