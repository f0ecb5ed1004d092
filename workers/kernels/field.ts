// What the decode kernels share. They take rows as rows.ts describes them and have one signature:
//
//   (base, stride, column, rows, quote, trimCarriageReturn, nullToken, nullTokenBytes, out, nulls, flags): outcome
//
// base is the address of P, stride counts entries. trimCarriageReturn (1 for the last column) takes one CR off the end.
// An unquoted field with exactly the bytes of the null token (an empty one when nullTokenBytes is 0) is null:
// nulls[row] = 1, else 0. A field the kernel cannot decode sets flags[row], which is never cleared here. The value of a
// null or flagged row is undefined. outcome: bit 0 some row was flagged, bit 1 some row is null.

export const FLAGGED: u32 = 1;
export const NULL: u32 = 2;

@inline
export function trimmedEnd(start: usize, end: usize, trimCarriageReturn: u32): usize {
  return trimCarriageReturn != 0 && end > start && load<u8>(end - 1) == 13 ? end - 1 : end;
}

// The field that the positions at p bound.
@inline
export function startOf(p: usize): usize {
  return (load<u32>(p) as usize) + 1;
}

@inline
export function endOf(p: usize, start: usize, trimCarriageReturn: u32): usize {
  return trimmedEnd(start, load<u32>(p, 4) as usize, trimCarriageReturn);
}

// Notes a row without a value, which is null or for the exact lane. Returns its bit of the outcome.
@inline
export function noteNoValue(isNull: bool, row: usize, nulls: usize, flags: usize): u32 {
  store<u8>((isNull ? nulls : flags) + row, 1);
  return isNull ? NULL : FLAGGED;
}

export function isNullToken(start: usize, bytes: usize, nullToken: usize, nullTokenBytes: u32): bool {
  if (bytes != (nullTokenBytes as usize)) return false;
  for (let i: usize = 0; i < bytes; i++) {
    if (load<u8>(start + i) != load<u8>(nullToken + i)) return false;
  }
  return true;
}
