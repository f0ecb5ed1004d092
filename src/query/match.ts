/**
 * Evaluates a `where` over a version: the set of matching slots, or only their number. A part of a conjunction is asked
 * about the slots that are left by the parts before it, and an empty rest ends the evaluation.
 */
import { EMPTY_BITMAP, RoaringBitmap32 } from '../index/roaring.ts';
import type { Version } from '../index/version.ts';
import { SMALL_VALUE_SLOTS_MAX } from '../limits.ts';
import type { Clause } from './clause.ts';
import { type Plan, planClause } from './plan.ts';
import { selectRanges } from './ranges.ts';
import { borrowed, intersect, owned, release, type SlotSet, subtract, unite } from './slot-set.ts';

/** The alive slots that match. A single clause gives the stored bitmap itself. The caller releases the set. */
export function matchSlots(version: Version, clause: Clause): SlotSet {
  return evaluateAlive(version, planClause(version, clause));
}

/** The number of alive slots that match; the last step counts without making a bitmap. */
export function countSlots(version: Version, clause: Clause): number {
  return countPlan(version, planClause(version, clause));
}

function evaluateAlive(version: Version, plan: Plan): SlotSet {
  return evaluate(version, plan, plan.withinAlive ? null : version.alive);
}

function countPlan(version: Version, plan: Plan): number {
  if (plan.kind === 'alive') return version.aliveCount;
  if (plan.kind === 'complement') return version.aliveCount - countPlan(version, plan.part);
  if (plan.kind === 'stored') {
    return plan.withinAlive ? plan.size : plan.bitmap.andCardinality(version.alive);
  }
  if (plan.kind === 'all') return countAll(version, plan);
  const set = evaluateAlive(version, plan);
  const count = set.bitmap.size;
  release(set);
  return count;
}

function countAll(version: Version, plan: Extract<Plan, { kind: 'all' }>): number {
  const within = plan.withinAlive ? null : version.alive;
  const last = plan.excluded.at(-1) ?? plan.parts.at(-1);
  const isCounted = last?.kind === 'stored';
  const excludes = plan.excluded.length > 0;
  const rest: Plan = isCounted
    ? {
        ...plan,
        parts: excludes ? plan.parts : plan.parts.slice(0, -1),
        excluded: plan.excluded.slice(0, -1),
      }
    : plan;
  const set = evaluate(version, rest, within);
  let count = set.bitmap.size;
  if (isCounted) {
    count = excludes ? set.bitmap.andNotCardinality(last.bitmap) : set.bitmap.andCardinality(last.bitmap);
  }
  release(set);
  return count;
}

/** @param running the slots that are still of interest, or null for all; only read */
function evaluate(version: Version, plan: Plan, running: RoaringBitmap32 | null): SlotSet {
  switch (plan.kind) {
    case 'alive':
      return borrowed(running ?? version.alive);
    case 'nothing':
      return borrowed(EMPTY_BITMAP);
    case 'stored':
      return running === null ? borrowed(plan.bitmap) : intersect(borrowed(running), plan.bitmap);
    case 'keys':
      return evaluateKeys(plan, running);
    case 'ranges':
      return selectRanges(plan.field, running ?? plan.field.present, plan.bounds);
    case 'complement':
      return exclude(version, borrowed(running ?? version.alive), plan.part);
    case 'all':
      return evaluateAll(version, plan, running);
    case 'any':
      return evaluateAny(version, plan, running);
  }
}

function evaluateAll(
  version: Version,
  plan: Extract<Plan, { kind: 'all' }>,
  running: RoaringBitmap32 | null,
): SlotSet {
  let set = running === null ? null : borrowed(running);
  for (const part of plan.parts) {
    set = set === null ? evaluate(version, part, null) : narrow(version, set, part);
    if (set.bitmap.isEmpty) return set;
  }
  set ??= borrowed(version.alive);
  for (const part of plan.excluded) {
    set = exclude(version, set, part);
    if (set.bitmap.isEmpty) return set;
  }
  return set;
}

/** The slots of `set`, which is taken over, that match the plan. */
function narrow(version: Version, set: SlotSet, plan: Plan): SlotSet {
  if (plan.kind === 'stored') return intersect(set, plan.bitmap);
  const result = evaluate(version, plan, set.bitmap);
  release(set);
  return result;
}

/** The slots of `set`, which is taken over, that do not match the plan. */
function exclude(version: Version, set: SlotSet, plan: Plan): SlotSet {
  if (plan.kind === 'stored') return subtract(set, plan.bitmap);
  const excluded = evaluate(version, plan, set.bitmap);
  const result = subtract(set, excluded.bitmap);
  release(excluded);
  return result;
}

function evaluateAny(
  version: Version,
  plan: Extract<Plan, { kind: 'any' }>,
  running: RoaringBitmap32 | null,
): SlotSet {
  // Few slots left: ask every part about those only. Else one intersection at the end is cheaper than one per part.
  const asked = running !== null && running.size < plan.size ? running : null;
  const union = unite(plan.parts.map((part) => evaluate(version, part, asked)));
  return running === null || asked !== null ? union : intersect(union, running);
}

function evaluateKeys(plan: Extract<Plan, { kind: 'keys' }>, running: RoaringBitmap32 | null): SlotSet {
  const { field, keys } = plan;
  // Each intersection costs at most the running slots; the union costs the slots of all keys.
  if (running !== null && running.size * keys.length < plan.size) {
    return unite(keys.map((key) => owned(RoaringBitmap32.and(running, field.bitmap(key)))));
  }
  const sets: SlotSet[] = [];
  const small: Uint32Array[] = [];
  let smallCount = 0;
  for (const key of keys) {
    const cardinality = field.cardinality(key);
    if (cardinality > SMALL_VALUE_SLOTS_MAX) {
      sets.push(borrowed(field.bitmap(key)));
      continue;
    }
    small.push(field.slots(key));
    smallCount += cardinality;
  }
  if (smallCount > 0) sets.push(owned(bitmapOfLists(small, smallCount)));
  const union = unite(sets);
  return running === null ? union : intersect(union, running);
}

/** One bitmap of many short lists, without a bitmap for each. */
function bitmapOfLists(lists: readonly Uint32Array[], slotCount: number): RoaringBitmap32 {
  const slots = new Uint32Array(slotCount);
  let offset = 0;
  for (const list of lists) {
    slots.set(list, offset);
    offset += list.length;
  }
  return new RoaringBitmap32(slots.sort());
}
