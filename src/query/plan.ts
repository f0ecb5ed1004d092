/**
 * From a clause to a plan for one version: fields and keys looked up, sizes estimated from the directories, and the
 * parts of every conjunction put in the order in which they are cheapest. Making a plan reads no bitmap's contents.
 */
import type { RoaringBitmap32 } from '../index/roaring.ts';
import type { FilterField, SortField, Version } from '../index/version.ts';
import { PAGE_SLOTS } from '../limits.ts';
import type { Clause } from './clause.ts';

/**
 * `size` is an upper estimate of the slots. `withinAlive`: the plan matches no slot that is not alive, whatever set it
 * is asked about, so nothing needs to be intersected with alive.
 */
export type Plan =
  | { readonly kind: 'alive'; readonly size: number; readonly withinAlive: true }
  | { readonly kind: 'nothing'; readonly size: 0; readonly withinAlive: true }
  /** One bitmap of the index as it stands. */
  | {
      readonly kind: 'stored';
      readonly bitmap: RoaringBitmap32;
      readonly size: number;
      readonly withinAlive: boolean;
    }
  /** Any of several keys of a filter field. */
  | {
      readonly kind: 'keys';
      readonly field: FilterField;
      readonly keys: readonly number[];
      readonly size: number;
      readonly withinAlive: boolean;
    }
  | {
      readonly kind: 'ranges';
      readonly field: SortField;
      readonly bounds: readonly number[];
      readonly size: number;
      /** Pages do not narrow it down: best asked about as few slots as possible, so last. */
      readonly wide: boolean;
      readonly withinAlive: boolean;
    }
  /** All of `parts`, cheapest first, and none of `excluded`. */
  | {
      readonly kind: 'all';
      readonly parts: readonly Plan[];
      readonly excluded: readonly Plan[];
      readonly size: number;
      readonly withinAlive: boolean;
    }
  | {
      readonly kind: 'any';
      readonly parts: readonly Plan[];
      readonly size: number;
      readonly withinAlive: boolean;
    }
  | { readonly kind: 'complement'; readonly part: Plan; readonly size: number; readonly withinAlive: false };

const NOTHING: Plan = { kind: 'nothing', size: 0, withinAlive: true };

/** A range that touches at most this part of a field's pages counts as narrow. */
const NARROW_PAGES_PART = 1 / 8;

export function planClause(version: Version, clause: Clause): Plan {
  switch (clause.kind) {
    case 'everything':
      return alivePlan(version);
    case 'nothing':
      return NOTHING;
    case 'values':
      return planValues(version, clause.field, clause.values);
    case 'ranges':
      return planRanges(version, clause.field, clause.bounds);
    case 'present':
      return planPresent(version, clause.field);
    case 'not':
      return complementOf(version, planClause(version, clause.part));
    case 'and':
      return conjunctionOf(
        version,
        clause.parts.map((part) => planClause(version, part)),
      );
    case 'or':
      return disjunctionOf(
        version,
        clause.parts.map((part) => planClause(version, part)),
      );
  }
}

function alivePlan(version: Version): Plan {
  return { kind: 'alive', size: version.aliveCount, withinAlive: true };
}

function planValues(version: Version, name: string, values: readonly (number | string)[]): Plan {
  const field = version.filter(name);
  if (field === undefined) return NOTHING;
  const dictionary = version.dictionary(name);
  const keys: number[] = [];
  let size = 0;
  for (const value of values) {
    const key = typeof value === 'string' ? dictionary?.codeOf(value) : value;
    const cardinality = key === undefined ? 0 : field.cardinality(key);
    if (cardinality === 0) continue;
    keys.push(key as number);
    size += cardinality;
  }
  if (keys.length === 0) return NOTHING;
  const withinAlive = version.withinAlive(name);
  if (keys.length === 1) return { kind: 'stored', bitmap: field.bitmap(keys[0]), size, withinAlive };
  return { kind: 'keys', field, keys, size: Math.min(size, field.presentCountMax), withinAlive };
}

function planRanges(version: Version, name: string, bounds: readonly number[]): Plan {
  const field = version.sort(name);
  if (field === undefined) return NOTHING;
  const low = Math.max(bounds[0], field.keyMin);
  const high = Math.min(bounds[bounds.length - 1], field.keyMax);
  const pageCount = low > high ? 0 : countPages(field, low, high);
  if (pageCount === 0) return NOTHING;
  return {
    kind: 'ranges',
    field,
    bounds,
    size: Math.min(field.present.size, pageCount * PAGE_SLOTS),
    wide: pageCount > field.pages().pageKeys.length * NARROW_PAGES_PART,
    withinAlive: version.withinAlive(name),
  };
}

/** Pages that may hold a key from `low` to `high`. */
function countPages(field: SortField, low: number, high: number): number {
  const { keyMins, keyMaxs } = field.pages();
  let count = 0;
  for (let page = 0; page < keyMins.length; page++) {
    if (keyMins[page] <= high && keyMaxs[page] >= low) count++;
  }
  return count;
}

function planPresent(version: Version, name: string): Plan {
  const bitmap = (version.filter(name) ?? version.sort(name))?.present;
  if (bitmap === undefined || bitmap.isEmpty) return NOTHING;
  return { kind: 'stored', bitmap, size: bitmap.size, withinAlive: version.withinAlive(name) };
}

function complementOf(version: Version, part: Plan): Plan {
  if (part.kind === 'nothing') return alivePlan(version);
  if (part.kind === 'alive') return NOTHING;
  const size = part.kind === 'stored' ? Math.max(0, version.aliveCount - part.size) : version.aliveCount;
  return { kind: 'complement', part, size, withinAlive: false };
}

function conjunctionOf(version: Version, given: readonly Plan[]): Plan {
  const parts: Plan[] = [];
  const excluded: Plan[] = [];
  for (const plan of given) {
    if (plan.kind === 'nothing') return NOTHING;
    if (plan.kind === 'complement') excluded.push(plan.part);
    else if (plan.kind !== 'alive') parts.push(plan);
  }
  if (parts.length === 0 && excluded.length === 0) return alivePlan(version);
  if (parts.length === 1 && excluded.length === 0) return parts[0];
  if (parts.length === 0 && excluded.length === 1) return complementOf(version, excluded[0]);
  parts.sort((left, right) => turnOf(left) - turnOf(right));
  excluded.sort((left, right) => turnOf(left) - turnOf(right));
  return {
    kind: 'all',
    parts,
    excluded,
    size: parts.reduce((size, part) => Math.min(size, part.size), version.aliveCount),
    withinAlive: parts.some((part) => part.withinAlive),
  };
}

function disjunctionOf(version: Version, given: readonly Plan[]): Plan {
  if (given.some((plan) => plan.kind === 'alive')) return alivePlan(version);
  const parts = given.filter((plan) => plan.kind !== 'nothing');
  if (parts.length === 0) return NOTHING;
  if (parts.length === 1) return parts[0];
  return {
    kind: 'any',
    parts,
    size: parts.reduce((size, part) => size + part.size, 0),
    withinAlive: parts.every((part) => part.withinAlive),
  };
}

/** Smallest first; a wide range after everything that can leave it fewer slots to ask about. */
function turnOf(plan: Plan): number {
  return plan.kind === 'ranges' && plan.wide ? Number.MAX_SAFE_INTEGER : plan.size;
}
