// Columns by row or by slot. `nulls` is u8 per row (1 = no value), or 0 when no row is null.

export function gather32(source: usize, rows: usize, count: u32, out: usize): void {
  for (let index: usize = 0; index < (count as usize); index++) {
    store<u32>(out + (index << 2), load<u32>(source + ((load<u32>(rows + (index << 2)) as usize) << 2)));
  }
}

export function gather8(source: usize, rows: usize, count: u32, out: usize): void {
  for (let index: usize = 0; index < (count as usize); index++) {
    store<u8>(out + index, load<u8>(source + (load<u32>(rows + (index << 2)) as usize)));
  }
}

// Rows [from, to) that are not null, as two columns. Returns their number.
export function compactValues(
  slots: usize,
  keys: usize,
  nulls: usize,
  from: u32,
  to: u32,
  slotsOut: usize,
  keysOut: usize,
): u32 {
  let kept: usize = 0;
  for (let row = from; row < to; row++) {
    store<u32>(slotsOut + (kept << 2), load<u32>(slots + ((row as usize) << 2)));
    store<u32>(keysOut + (kept << 2), load<u32>(keys + ((row as usize) << 2)));
    kept += nulls == 0 || load<u8>(nulls + (row as usize)) == 0 ? 1 : 0;
  }
  return kept as u32;
}

// Puts the keys of rows [from, to) that are not null, all in one page, into its column (u32[65536]).
export function scatterKeys(slots: usize, keys: usize, nulls: usize, from: u32, to: u32, column: usize): void {
  for (let row = from; row < to; row++) {
    if (nulls != 0 && load<u8>(nulls + (row as usize)) != 0) continue;
    const position = load<u32>(slots + ((row as usize) << 2)) & 0xffff;
    store<u32>(column + ((position as usize) << 2), load<u32>(keys + ((row as usize) << 2)));
  }
}

// The inverse: the present slots of a page and their keys, which are set to 0 in the column. `base` is the
// first slot of the page.
export function takePage(column: usize, present: usize, base: u32, slotsOut: usize, keysOut: usize): void {
  for (let at: u32 = 0; at < 2048; at++) {
    let word = load<u32>(present + ((at as usize) << 2));
    while (word != 0) {
      const position = (at << 5) + ctz(word);
      store<u32>(slotsOut, base + position);
      store<u32>(keysOut, load<u32>(column + ((position as usize) << 2)));
      store<u32>(column + ((position as usize) << 2), 0);
      slotsOut += 4;
      keysOut += 4;
      word &= word - 1;
    }
  }
}
