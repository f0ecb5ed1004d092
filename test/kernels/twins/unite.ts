/** The kernels of workers/kernels/unite.ts in plain TypeScript. */

export interface Entry {
  readonly key: number;
  readonly slots: readonly number[];
}

/** Array.prototype.sort is stable. */
export function orderEntriesTwin(entries: readonly Entry[]): number[] {
  return entries.map((_, entry) => entry).sort((a, b) => entries[a].key - entries[b].key);
}

export function uniteEntriesTwin(
  entries: readonly Entry[],
  order: readonly number[],
): { keys: number[]; starts: number[]; slots: number[]; isDisordered: boolean } {
  const lists = new Map<number, number[]>();
  let isDisordered = false;
  for (const entry of order) {
    const { key, slots } = entries[entry];
    if (slots.length === 0) continue;
    const list = lists.get(key) ?? [];
    if (list.length > 0 && slots[0] <= list[list.length - 1]) isDisordered = true;
    lists.set(key, [...list, ...slots]);
  }
  const starts = [0];
  for (const list of lists.values()) starts.push(starts[starts.length - 1] + list.length);
  return { keys: [...lists.keys()], starts, slots: [...lists.values()].flat(), isDisordered };
}
