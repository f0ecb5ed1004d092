// Decode kernel for timestamps: digits are epoch seconds, else
//   YYYY-MM-DD[( |T)HH:MM[:SS[.fraction]][Z|±HH[:MM]|±HHMM]]
// (ISO 8601 and the text of Postgres), without a zone UTC, on the proleptic Gregorian calendar, fraction dropped.
// Signature, nulls and flags as in field.ts.
import { head8, INTEGER_BAD, INTEGER_NULL, integerOf, plainBytesMax, storeFourValues8 } from './digits';
import { endOf, noteNoValue, NULL, startOf } from './field';

const BAD: i32 = -1;

// Two digits, or BAD.
@inline
function two(p: usize): i32 {
  const tens = (load<u8>(p) as u32) - 48;
  const ones = (load<u8>(p, 1) as u32) - 48;
  return tens > 9 || ones > 9 ? BAD : ((tens * 10 + ones) as i32);
}

@inline
function daysInMonth(year: i32, month: i32): i32 {
  if (month == 2) return (year & 3) == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return 30 + ((month + (month >> 3)) & 1);
}

// Days from 1970-01-01, years from 0 on; the year is counted from March so that the leap day is its last.
@inline
function daysFromEpoch(year: i32, month: i32, day: i32): i32 {
  const y = month <= 2 ? year - 1 : year;
  const monthFromMarch = month > 2 ? month - 3 : month + 9;
  const dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1;
  // + 400 years keeps the divisions away from negative numbers (year 0 before March).
  const z = y + 400;
  return z * 365 + z / 4 - z / 100 + z / 400 + dayOfYear - 719468 - 146097;
}

// Seconds east of UTC in the zone at p..end, or i32.MIN_VALUE.
function zoneSeconds(p: usize, end: usize): i32 {
  const sign = load<u8>(p);
  if (sign == 90) return end - p == 1 ? 0 : i32.MIN_VALUE;
  if (sign != 43 && sign != 45) return i32.MIN_VALUE;
  const bytes = end - p;
  const hours = bytes >= 3 ? two(p + 1) : BAD;
  let minutes: i32 = BAD;
  if (bytes == 3) minutes = 0;
  else if (bytes == 5) minutes = two(p + 3);
  else if (bytes == 6 && load<u8>(p + 3) == 58) minutes = two(p + 4);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return i32.MIN_VALUE;
  const seconds = hours * 3600 + minutes * 60;
  return sign == 45 ? -seconds : seconds;
}

// Epoch seconds or INTEGER_BAD. Reads up to 20 bytes from p.
function calendarSeconds(p: usize, end: usize): i64 {
  const bytes = end - p;
  if (bytes < 10 || load<u8>(p, 4) != 45 || load<u8>(p, 7) != 45) return INTEGER_BAD;
  const century = two(p), yearOfCentury = two(p + 2), month = two(p + 5), day = two(p + 8);
  if ((century | yearOfCentury | month | day) < 0) return INTEGER_BAD;
  const year = century * 100 + yearOfCentury;
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return INTEGER_BAD;
  let seconds = (daysFromEpoch(year, month, day) as i64) * 86400;
  if (bytes == 10) return seconds;
  const separator = load<u8>(p, 10);
  if (bytes < 16 || (separator != 32 && separator != 84) || load<u8>(p, 13) != 58) return INTEGER_BAD;
  const hour = two(p + 11), minute = two(p + 14);
  if ((hour | minute) < 0 || hour > 23 || minute > 59) return INTEGER_BAD;
  seconds += hour * 3600 + minute * 60;
  p += 16;
  if (end - p >= 3 && load<u8>(p) == 58) {
    const second = two(p + 1);
    if (second < 0 || second > 59) return INTEGER_BAD;
    seconds += second;
    p += 3;
    if (p < end && load<u8>(p) == 46) {
      const fraction = ++p;
      while (p < end && (load<u8>(p) as u32) - 48 <= 9) p++;
      if (p == fraction) return INTEGER_BAD;
    }
  }
  if (p == end) return seconds;
  const zone = zoneSeconds(p, end);
  return zone == i32.MIN_VALUE ? INTEGER_BAD : seconds - zone;
}

// Stores the epoch seconds (u32x4) of the fields at p and one, two and three steps further, and their nulls; false unless
// each has ten plain digits, as those of our days, or none. Empty fields are null or, with `emptyNullBits` 0, for the
// caller. They take no branch: where one in ten is, every third group of four has one. Two copies, as of storeFourIntegers.
@inline
function storeFourEpochSeconds(
  p: usize, step: usize, trimCarriageReturn: u32, emptyNullBits: u32, out: usize, nulls: usize,
): bool {
  return trimCarriageReturn == 0
    ? storeFour(p, step, 0, emptyNullBits, out, nulls)
    : storeFour(p, step, 1, emptyNullBits, out, nulls);
}

@inline
function storeFour(
  p: usize, step: usize, trimCarriageReturn: u32, emptyNullBits: u32, out: usize, nulls: usize,
): bool {
  const pb = p + step;
  const pc = pb + step;
  const pd = pc + step;
  const startA = startOf(p), startB = startOf(pb), startC = startOf(pc), startD = startOf(pd);
  const a = endOf(p, startA, trimCarriageReturn) - startA;
  const b = endOf(pb, startB, trimCarriageReturn) - startB;
  const c = endOf(pc, startC, trimCarriageReturn) - startC;
  const d = endOf(pd, startD, trimCarriageReturn) - startD;
  const keepA = maskOf(a), keepB = maskOf(b), keepC = maskOf(c), keepD = maskOf(d);
  const other = ((a ^ 10) & (keepA as usize)) | ((b ^ 10) & (keepB as usize)) |
    ((c ^ 10) & (keepC as usize)) | ((d ^ 10) & (keepD as usize));
  const present = ((keepA as u32) & 1) | ((keepB as u32) & 0x100) | ((keepC as u32) & 0x10000) | ((keepD as u32) & 0x1000000);
  const nullBits = present ^ 0x01010101;
  if ((other | (nullBits & ~emptyNullBits)) != 0) return false;
  let high = i32x4.splat(head2(startA) & (keepA as u32));
  high = i32x4.replace_lane(high, 1, head2(startB) & (keepB as u32));
  high = i32x4.replace_lane(high, 2, head2(startC) & (keepC as u32));
  high = i32x4.replace_lane(high, 3, head2(startD) & (keepD as u32));
  const tens = v128.and(high, i32x4.splat(0xff));
  const ones = i32x4.shr_u(high, 8);
  const hundredMillions = i32x4.add(i16x8.mul(tens, i32x4.splat(10)), ones);
  // From 42 × 10^8 on they may pass 32 bits.
  if (v128.any_true(v128.or(i8x16.gt_u(high, i8x16.splat(9)), i32x4.gt_s(hundredMillions, i32x4.splat(41))))) return false;
  if (!storeFourValues8(
    head8(startA + 2, 8) & keepA, head8(startB + 2, 8) & keepB, head8(startC + 2, 8) & keepC, head8(startD + 2, 8) & keepD, out,
  )) return false;
  v128.store(out, i32x4.add(v128.load(out), i32x4.mul(hundredMillions, i32x4.splat(100000000))));
  store<u32>(nulls, nullBits);
  return true;
}

// All ones, or 0 for an empty field.
@inline
function maskOf(bytes: usize): u64 {
  return (-(bytes as i64) >> 63) as u64;
}

// The first two bytes as digits, the tens in the lowest byte.
@inline
function head2(start: usize): u32 {
  return (load<u16>(start) as u32) ^ 0x3030;
}

// out: u32 epoch seconds per row.
export function decodeTimestamp(
  base: usize, stride: u32, column: u32, rows: u32, quote: u32, trimCarriageReturn: u32,
  nullToken: usize, nullTokenBytes: u32, out: usize, nulls: usize, flags: usize,
): u32 {
  const step = (stride as usize) << 2;
  let p = base + ((column as usize) << 2);
  const plainBytes = plainBytesMax(nullToken, nullTokenBytes);
  const fourEnd: usize = plainBytes == 0 ? 0 : rows as usize;
  const emptyNullBits: u32 = nullTokenBytes == 0 ? -1 : 0;
  let outcome: u32 = 0;
  let nullBits: u32 = 0;
  memory.fill(nulls, 0, rows as usize);
  for (let row: usize = 0; row < (rows as usize); ) {
    if (
      row + 4 <= fourEnd &&
      storeFourEpochSeconds(p, step, trimCarriageReturn, emptyNullBits, out + (row << 2), nulls + row)
    ) {
      nullBits |= load<u32>(nulls + row);
      row += 4;
      p += 4 * step;
      continue;
    }
    for (const groupEnd = min(row + 4, rows as usize); row < groupEnd; row++, p += step) {
      const start = startOf(p);
      const value = secondsOf(start, endOf(p, start, trimCarriageReturn), plainBytes, quote, nullToken, nullTokenBytes);
      store<u32>(out + (row << 2), value as u32);
      if ((value as u64) > 0xffffffff) outcome |= noteNoValue(value == INTEGER_NULL, row, nulls, flags);
    }
  }
  return nullBits == 0 ? outcome : outcome | NULL;
}

@inline
function secondsOf(
  start: usize, end: usize, plainBytes: usize, quote: u32, nullToken: usize, nullTokenBytes: u32,
): i64 {
  const value = integerOf(start, end, plainBytes, quote, nullToken, nullTokenBytes);
  if (value != INTEGER_BAD) return value;
  const quoted: usize =
    end - start >= 2 && (load<u8>(start) as u32) == quote && (load<u8>(end - 1) as u32) == quote ? 1 : 0;
  return calendarSeconds(start + quoted, end - quoted);
}
