// The larger or smaller of unsigned 32-bit words, row by row. Kernels read and write up to three rows beyond the last.

// out: u32 per row, which becomes the larger of itself and the value, `fill` standing for null. nulls: u8 per row, or 0
// when nothing is null.
export function maxWords(values: usize, nulls: usize, fill: u32, rows: u32, out: usize): void {
  accumulate(true, values, nulls, fill, rows, out);
}

// As maxWords, for the smaller.
export function minWords(values: usize, nulls: usize, fill: u32, rows: u32, out: usize): void {
  accumulate(false, values, nulls, fill, rows, out);
}

@inline
function accumulate(isMax: bool, values: usize, nulls: usize, fill: u32, rows: u32, out: usize): void {
  const end = out + ((rows as usize) << 2);
  if (nulls == 0) {
    for (; out < end; out += 16, values += 16) v128.store(out, extreme(isMax, v128.load(out), v128.load(values)));
    return;
  }
  const filled = i32x4.splat(fill);
  for (; out < end; out += 16, values += 16, nulls += 4) {
    const value = v128.bitselect(filled, v128.load(values), maskOf(nulls));
    v128.store(out, extreme(isMax, v128.load(out), value));
  }
}

@inline
function extreme(isMax: bool, a: v128, b: v128): v128 {
  return isMax ? i32x4.max_u(a, b) : i32x4.min_u(a, b);
}

// Four nulls (u8, 1 for null) as masks of four words.
@inline
function maskOf(nulls: usize): v128 {
  return i32x4.neg(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(nulls))));
}
