// Records out of positions. P is the list of positions with one sentinel entry before it, the address of the byte
// before the first record; field c of row r is the bytes (P[r * S + c] + 1) .. P[r * S + c + 1] with stride S.

// Returns 1 if every record has exactly `columns` fields and no more than recordBytesMax bytes, so that the positions
// themselves are rows of stride `columns`. `lines` is how many of the positions are LFs; the last one must be.
export function checkRows(
  positions: usize, count: u32, columns: u32, lines: u32, source: usize, recordBytesMax: u32,
): u32 {
  if (columns == 0 || lines * columns != count || lines != count / columns) return 0;
  const step = (columns as usize) << 2;
  const end = positions + ((count as usize) << 2);
  // With as many LFs as rows, an LF at the end of every row leaves none elsewhere.
  let others: u32 = 0;
  let bytesMax: u32 = 0;
  let before = (source as u32) - 1;
  for (let p = positions + step - 4; p < end; p += step) {
    const at = load<u32>(p);
    others |= (load<u8>(at) as u32) ^ 10;
    bytesMax = max(bytesMax, at - before - 1);
    before = at;
  }
  return (others == 0 && bytesMax <= recordBytesMax) as u32;
}

// Copies the records with exactly `columns` fields to out as rows of stride columns + 1 (the first entry is the
// address before the record) and returns how many. The others go to odd: a u32 count, then (start, end) pairs without
// the LF. Lines that are empty or a lone CR are dropped when columns > 1. What follows the last LF is left out.
// Returns -1 when a record has more than recordBytesMax bytes: then the rest means nothing.
// Room: out (2 * count + columns + 1) * 4 bytes, odd (2 * lines + 1) * 4 bytes.
export function compactRows(
  positions: usize, count: u32, columns: u32, source: usize, out: usize, odd: usize, recordBytesMax: u32,
): i32 {
  const end = positions + ((count as usize) << 2);
  let before = source - 1;
  let fields: u32 = 0;
  let rows: i32 = 0;
  let oddCount: u32 = 0;
  for (let p = positions; p < end; p += 4) {
    const at = load<u32>(p) as usize;
    fields++;
    if (fields <= columns) store<u32>(out + ((fields as usize) << 2), at as u32);
    if (load<u8>(at) != 10) continue;
    const bytes = at - before - 1;
    if (bytes > (recordBytesMax as usize)) return -1;
    if (fields == columns) {
      store<u32>(out, before as u32);
      out += ((columns as usize) + 1) << 2;
      rows++;
    } else if (fields > 1 || (bytes > 0 && (bytes > 1 || load<u8>(at - 1) != 13))) {
      store<u32>(odd + ((oddCount as usize) << 3), (before + 1) as u32, 4);
      store<u32>(odd + ((oddCount as usize) << 3), at as u32, 8);
      oddCount++;
    }
    before = at;
    fields = 0;
  }
  store<u32>(odd, oddCount);
  return rows;
}

// The LFs in source..end. Reads up to 15 bytes beyond.
export function countLines(source: usize, end: usize): u32 {
  const lineFeeds = i8x16.splat(10);
  let lines: u32 = 0;
  for (let p = source; p < end; p += 16) {
    let bits = i8x16.bitmask(i8x16.eq(v128.load(p), lineFeeds)) as u32;
    if (end - p < 16) bits &= (1 << ((end - p) as u32)) - 1;
    lines += popcnt(bits);
  }
  return lines;
}
