/**
 * The normalised form of a `where`: a small tree that says the same whatever way it was written. It knows fields and
 * values but no version, so it stands for the query in cursors: equal questions have equal `canonicalText`.
 *
 * Invariants: `values` and `ranges` are not empty, sorted and without duplicates; `and` and `or` have at least two
 * parts, none of their own kind; `not` is never doubled; `everything` and `nothing` stand only at the root.
 */

export type Clause =
  | { readonly kind: 'everything' }
  | { readonly kind: 'nothing' }
  /** The slot has at least one of the values. Strings for a string field, else keys (src/index/key.ts). */
  | { readonly kind: 'values'; readonly field: string; readonly values: readonly (number | string)[] }
  /** The key of the slot is in one of the ranges: low, high, low, high …, both inclusive, disjoint, ascending. */
  | { readonly kind: 'ranges'; readonly field: string; readonly bounds: readonly number[] }
  /** The slot has a value. */
  | { readonly kind: 'present'; readonly field: string }
  | { readonly kind: 'and'; readonly parts: readonly Clause[] }
  | { readonly kind: 'or'; readonly parts: readonly Clause[] }
  /** The complement among the alive slots. */
  | { readonly kind: 'not'; readonly part: Clause };

export const EVERYTHING: Clause = { kind: 'everything' };
export const NOTHING: Clause = { kind: 'nothing' };

const KEY_MAX = 0xffffffff;

export function valuesClause(field: string, values: readonly (number | string)[]): Clause {
  if (values.length === 0) return NOTHING;
  return { kind: 'values', field, values: [...new Set(values)].sort(compareValues) };
}

/** @param bounds low, high pairs in any order; an empty range (low above high) is dropped. */
export function rangesClause(field: string, bounds: readonly number[]): Clause {
  const merged = mergeRanges(bounds);
  return merged.length === 0 ? NOTHING : { kind: 'ranges', field, bounds: merged };
}

export function presentClause(field: string): Clause {
  return { kind: 'present', field };
}

export function notClause(part: Clause): Clause {
  if (part.kind === 'not') return part.part;
  if (part.kind === 'everything') return NOTHING;
  return part.kind === 'nothing' ? EVERYTHING : { kind: 'not', part };
}

/** Every part holds; without parts, everything. Ranges of one field become their intersection. */
export function andClause(given: readonly Clause[]): Clause {
  const parts: Clause[] = [];
  const rangesAt = new Map<string, number>();
  for (const part of given.flatMap((each) => (each.kind === 'and' ? each.parts : [each]))) {
    if (part.kind === 'nothing') return NOTHING;
    if (part.kind === 'everything') continue;
    const at = part.kind === 'ranges' ? rangesAt.get(part.field) : undefined;
    if (part.kind !== 'ranges' || at === undefined) {
      if (part.kind === 'ranges') rangesAt.set(part.field, parts.length);
      parts.push(part);
      continue;
    }
    const bounds = intersectRanges((parts[at] as typeof part).bounds, part.bounds);
    if (bounds.length === 0) return NOTHING;
    parts[at] = { kind: 'ranges', field: part.field, bounds };
  }
  if (parts.length === 0) return EVERYTHING;
  return parts.length === 1 ? parts[0] : { kind: 'and', parts };
}

/** At least one part holds; without parts, nothing. Values, or ranges, of one field become one clause. */
export function orClause(given: readonly Clause[]): Clause {
  const parts: Clause[] = [];
  const values = new Map<string, (number | string)[]>();
  const bounds = new Map<string, number[]>();
  for (const part of given.flatMap((each) => (each.kind === 'or' ? each.parts : [each]))) {
    if (part.kind === 'everything') return EVERYTHING;
    if (part.kind === 'values') collect(values, part.field, part.values);
    else if (part.kind === 'ranges') collect(bounds, part.field, part.bounds);
    else if (part.kind !== 'nothing') parts.push(part);
  }
  for (const [field, each] of values) parts.push(valuesClause(field, each));
  for (const [field, each] of bounds) parts.push(rangesClause(field, each));
  if (parts.length === 0) return NOTHING;
  return parts.length === 1 ? parts[0] : { kind: 'or', parts };
}

/** One text for every order in which the same clauses can be written. */
export function canonicalText(clause: Clause): string {
  switch (clause.kind) {
    case 'and':
    case 'or': {
      const parts = [...new Set(clause.parts.map(canonicalText))].sort();
      return `(${clause.kind} ${parts.join(' ')})`;
    }
    case 'not':
      return `(not ${canonicalText(clause.part)})`;
    default:
      return JSON.stringify(clause);
  }
}

function collect<T>(lists: Map<string, T[]>, field: string, items: readonly T[]): void {
  const list = lists.get(field);
  if (list === undefined) lists.set(field, [...items]);
  else for (const item of items) list.push(item);
}

function compareValues(left: number | string, right: number | string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function mergeRanges(bounds: readonly number[]): number[] {
  const pairs: [number, number][] = [];
  for (let index = 0; index < bounds.length; index += 2) {
    if (bounds[index] <= bounds[index + 1]) pairs.push([bounds[index], bounds[index + 1]]);
  }
  pairs.sort((left, right) => left[0] - right[0]);
  const merged: number[] = [];
  for (const [low, high] of pairs) {
    const last = merged.length - 1;
    if (last >= 0 && low <= merged[last] + 1) merged[last] = Math.max(merged[last], high);
    else merged.push(low, high);
  }
  return merged;
}

function intersectRanges(left: readonly number[], right: readonly number[]): number[] {
  const bounds: number[] = [];
  let leftIndex = 0;
  let rightIndex = 0;
  while (leftIndex < left.length && rightIndex < right.length) {
    const low = Math.max(left[leftIndex], right[rightIndex]);
    const high = Math.min(left[leftIndex + 1], right[rightIndex + 1]);
    if (low <= high) bounds.push(low, high);
    if (left[leftIndex + 1] < right[rightIndex + 1]) leftIndex += 2;
    else rightIndex += 2;
  }
  return bounds;
}

/** The range of keys above (or from) a key, as bounds of `rangesClause`. */
export function rangeFrom(key: number, inclusive: boolean): number[] {
  return [inclusive ? key : key + 1, KEY_MAX];
}

/** The range of keys below (or up to) a key, as bounds of `rangesClause`. */
export function rangeTo(key: number, inclusive: boolean): number[] {
  return [0, inclusive ? key : key - 1];
}
