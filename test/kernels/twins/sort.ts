/** The kernels of workers/kernels/sort.ts in plain TypeScript. */

export interface Pair {
  readonly key: number;
  readonly slot: number;
}

/** Array.prototype.sort is stable. */
export function sortPairsTwin(pairs: readonly Pair[], by: 'key' | 'slot'): Pair[] {
  return pairs.toSorted((a, b) => a[by] - b[by]);
}

export function countDescentsTwin(pairs: readonly Pair[]): number {
  return pairs.filter(({ slot }, i) => i > 0 && pairs[i - 1].slot > slot).length;
}

export function groupPairsTwin(pairs: readonly Pair[]): {
  keys: number[];
  starts: number[];
  slots: number[];
} {
  const byKey = new Map<number, Set<number>>();
  for (const { key, slot } of pairs) byKey.set(key, (byKey.get(key) ?? new Set()).add(slot));
  const starts = [0];
  const slots: number[] = [];
  for (const set of byKey.values()) {
    slots.push(...set);
    starts.push(slots.length);
  }
  return { keys: [...byKey.keys()], starts, slots };
}

export function lastRowsTwin(slots: readonly number[]): { slots: number[]; rows: number[] } {
  const last = new Map(slots.map((slot, row) => [slot, row]));
  const sorted = [...last].sort((a, b) => a[0] - b[0]);
  return { slots: sorted.map(([slot]) => slot), rows: sorted.map(([, row]) => row) };
}
