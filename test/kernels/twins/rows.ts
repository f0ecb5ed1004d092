/** The row shape kernels over plain arrays. Addresses are indexes into the text. */
export interface RowsTwin {
  /** Per row the address before the record and the ends of its fields. */
  rows: number[][];
  odd: [start: number, end: number][];
  longestBytes: number;
  blankLines: number;
}

export function rowsTwin(text: Uint8Array, positions: readonly number[], columns: number): RowsTwin {
  const twin: RowsTwin = { rows: [], odd: [], longestBytes: 0, blankLines: 0 };
  let row = [-1];
  for (const position of positions) {
    row.push(position);
    if (text[position] !== 10) continue;
    const record = text.subarray(row[0] + 1, position);
    twin.longestBytes = Math.max(twin.longestBytes, record.length);
    const blank = record.length === 0 || (record.length === 1 && record[0] === 13);
    if (row.length === columns + 1) twin.rows.push(row);
    else if (blank) twin.blankLines++;
    else twin.odd.push([row[0] + 1, position]);
    row = [position];
  }
  return twin;
}
