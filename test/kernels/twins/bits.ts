/**
 * The kernels of workers/kernels/bits.ts and container.ts in plain TypeScript. A bitset is a set of
 * positions.
 */

export function isAscendingTwin(slots: readonly number[], isStrict: boolean): boolean {
  return slots.every((slot, i) => i === 0 || slot > slots[i - 1] || (!isStrict && slot === slots[i - 1]));
}

export function pageEndTwin(slots: readonly number[], from: number, to: number): number {
  let end = from;
  while (end < to && slots[end] >>> 16 === slots[from] >>> 16) end++;
  return end;
}

export function nextDensePageTwin(
  slots: readonly number[],
  from: number,
  to: number,
  rowsMin: number,
): number {
  let at = from;
  while (at < to) {
    const end = pageEndTwin(slots, at, to);
    if (end - at >= rowsMin) return at;
    at = end;
  }
  return to;
}

/** Codes by position, and the row reached. */
export function setKeyCodesTwin(
  slots: readonly number[],
  keys: readonly (number | null)[],
  lookup: ReadonlyMap<number, number>,
): { codes: Map<number, number>; reached: number } {
  const codes = new Map<number, number>();
  for (let row = 0; row < slots.length; row++) {
    const key = keys[row];
    if (key === null) continue;
    const code = lookup.get(key);
    if (code === undefined) return { codes, reached: row };
    codes.set(slots[row] & 0xffff, code);
  }
  return { codes, reached: slots.length };
}

export function countRunsTwin(positions: readonly number[]): number {
  return positions.filter((position, i) => i === 0 || position !== positions[i - 1] + 1).length;
}

/** First position and length − 1 of each stretch. */
export function runsTwin(positions: readonly number[]): number[] {
  const runs: number[] = [];
  positions.forEach((position, i) => {
    if (i === 0 || position !== positions[i - 1] + 1) runs.push(position, 0);
    else runs[runs.length - 1]++;
  });
  return runs;
}
