/**
 * Fills one page of slots in order. Order is by (key, slot), both in the same direction; slots without a value come last
 * in both directions, by slot in that direction. Exact whatever the ties.
 *
 * With many candidates the first slots are found by narrowing: pages that cannot hold any of them are dropped by their
 * smallest and largest key, then the layers are walked from the top bit, keeping the side that comes first as long as it
 * is enough, until so few slots are left that reading and sorting their keys is cheaper.
 */
import { RoaringBitmap32 } from '../index/roaring.ts';
import type { SortField } from '../index/version.ts';
import { PAGE_SLOTS } from '../limits.ts';
import { selectFirst } from './first-keys.ts';
import { GATHER_SLOTS_MAX, gatherSlotsMax, highestBit } from './ranges.ts';
import { borrowed, copySlots, intersect, owned, release, type SlotSet, subtract } from './slot-set.ts';

/** A place in the order: that of a slot with its key, or with null if it has no value. */
export interface Position {
  readonly key: number | null;
  readonly slot: number;
}

/** The page under construction: `slots` is filled from its start, its length is the most there may be. */
export interface SlotPage {
  readonly slots: Uint32Array;
  count: number;
}

/** Pages looked at while searching the bound that prunes the others. */
const PRUNING_PAGES_MAX = 16;

/** Part of the pages up to which dropping the others is worth a copy of what is left. */
const KEPT_PAGES_PART_MAX = 3 / 4;

/** Appends candidates by slot, those after slot `after` only. */
export function fillBySlot(
  page: SlotPage,
  candidates: RoaringBitmap32,
  descending: boolean,
  after: number | null,
): void {
  const need = page.slots.length - page.count;
  let from = 0;
  let to = candidates.size;
  if (after !== null && descending) to = after === 0 ? 0 : candidates.rank(after - 1);
  if (after !== null && !descending) from = candidates.rank(after);
  if (descending) from = Math.max(from, to - need);
  else to = Math.min(to, from + need);
  if (from >= to) return;
  const target = page.slots.subarray(page.count, page.count + (to - from));
  copySlots(candidates, from, to, target);
  if (descending) target.reverse();
  page.count += to - from;
}

/**
 * Appends candidates in the order of a field, those after the position `after` only.
 * @param allValued the caller knows that every candidate has a value
 */
export function fillByField(
  page: SlotPage,
  field: SortField,
  candidates: RoaringBitmap32,
  descending: boolean,
  after: Position | null,
  allValued: boolean,
): void {
  const order: Order = { page, field, descending, gatherMax: gatherSlotsMax(field.pages().pageKeys.length) };
  if (after === null || after.key !== null) {
    const valued = allValued ? borrowed(candidates) : intersect(borrowed(candidates), field.present);
    fillValued(order, valued, after as KeyPosition | null);
  }
  if (allValued || isFull(page)) return;
  const valueless = RoaringBitmap32.andNot(candidates, field.present);
  fillBySlot(page, valueless, descending, after?.key === null ? after.slot : null);
  valueless.dispose();
}

interface KeyPosition {
  readonly key: number;
  readonly slot: number;
}

interface Order {
  readonly page: SlotPage;
  readonly field: SortField;
  readonly descending: boolean;
  /** Slots up to which keys are read instead of walking layers; falls when pages are dropped. */
  gatherMax: number;
}

/** Slots that come after a position: `set`, without those of layer `bit` if `subtractsLayer`. */
interface LaterSlots {
  readonly set: SlotSet;
  readonly bit: number;
  readonly subtractsLayer: boolean;
}

function isFull(page: SlotPage): boolean {
  return page.count === page.slots.length;
}

/** `candidates` all have a value; the set is taken over. */
function fillValued(order: Order, candidates: SlotSet, after: KeyPosition | null): void {
  if (candidates.bitmap.size <= order.gatherMax) {
    appendSmall(order, candidates.bitmap, after);
    release(candidates);
    return;
  }
  const { set, topBit } = prunePages(order, candidates, after);
  if (after === null) fillFromTop(order, set, topBit);
  else fillAfter(order, set, after, topBit);
}

/** Appends the first of a small set of slots after a position, by reading their keys. */
function appendSmall(order: Order, slots: RoaringBitmap32, after: KeyPosition | null): void {
  const { page, field, descending } = order;
  const target = page.slots.subarray(page.count);
  page.count += selectFirst(
    field,
    slots,
    descending,
    after === null ? -1 : after.key,
    after?.slot ?? 0,
    target,
  );
}

/**
 * Appends the first of `candidates` (taken over), which agree in every bit above `topBit`. Slots already appended are
 * kept aside in `taken` instead of being removed from the large set.
 */
function fillFromTop(order: Order, candidates: SlotSet, topBit: number): void {
  const { page, field, descending } = order;
  let { gatherMax } = order;
  let rest = candidates;
  let taken: RoaringBitmap32 | null = null;
  for (let bit = topBit; bit >= 0; bit--) {
    const takenCount = taken === null ? 0 : taken.size;
    const restCount = rest.bitmap.size - takenCount;
    const need = page.slots.length - page.count;
    if (need === 0 || restCount <= gatherMax) break;
    const layer = field.layer(bit);
    if (!descending) {
      // A sparse layer is counted and removed in place: the zeros are nearly the whole set and are not copied.
      const oneCount = rest.bitmap.andCardinality(layer);
      gatherMax = gatherMaxAfterStep(gatherMax, restCount, restCount - oneCount);
      if (oneCount === 0 || oneCount === rest.bitmap.size) continue;
      if (restCount - oneCount >= need) {
        rest = subtract(rest, layer);
        taken = removeTaken(rest, taken);
        continue;
      }
    }
    const first = descending
      ? RoaringBitmap32.and(rest.bitmap, layer)
      : RoaringBitmap32.andNot(rest.bitmap, layer);
    if (taken !== null) first.andNotInPlace(taken);
    if (first.size >= need) {
      release(rest);
      taken?.dispose();
      taken = null;
      rest = owned(first);
    } else {
      appendSmall(order, first, null);
      if (taken === null) {
        taken = first;
      } else {
        taken.orInPlace(first);
        first.dispose();
      }
    }
  }
  if (taken !== null && !isFull(page)) rest = subtract(rest, taken);
  taken?.dispose();
  if (rest.bitmap.size <= gatherMax) appendSmall(order, rest.bitmap, null);
  else if (!isFull(page)) fillBySlot(page, rest.bitmap, descending, null);
  release(rest);
}

/** A step that leaves nearly every slot is likely to be followed by more of them, which reading the keys saves. */
function gatherMaxAfterStep(gatherMax: number, countBefore: number, countAfter: number): number {
  return countAfter * 8 > countBefore * 7 ? Math.min(gatherMax * 2, GATHER_SLOTS_MAX) : gatherMax;
}

function removeTaken(rest: SlotSet, taken: RoaringBitmap32 | null): null {
  if (taken !== null) {
    rest.bitmap.andNotInPlace(taken);
    taken.dispose();
  }
  return null;
}

/**
 * Appends the first of `candidates` (taken over) after a position: walks down the bits of its key, setting aside at each
 * bit the slots that come later, and serves those with an equal key first, then what was set aside, lowest bit first.
 */
function fillAfter(order: Order, candidates: SlotSet, after: KeyPosition, topBit: number): void {
  const { page, field, descending } = order;
  const later: LaterSlots[] = [];
  let { gatherMax } = order;
  let equal = candidates;
  let bit = topBit;
  for (; bit >= 0 && equal.bitmap.size > gatherMax; bit--) {
    const layer = field.layer(bit);
    const equalCount = equal.bitmap.size;
    const hasBit = ((after.key >>> bit) & 1) === 1;
    if (hasBit && descending) {
      later.push({ set: equal, bit, subtractsLayer: true });
      equal = owned(RoaringBitmap32.and(equal.bitmap, layer));
    } else if (hasBit) {
      equal = intersect(equal, layer);
    } else {
      if (!descending) {
        later.push({ set: owned(RoaringBitmap32.and(equal.bitmap, layer)), bit, subtractsLayer: false });
      }
      equal = subtract(equal, layer);
    }
    gatherMax = gatherMaxAfterStep(gatherMax, equalCount, equal.bitmap.size);
  }
  if (equal.bitmap.size <= gatherMax) appendSmall(order, equal.bitmap, after);
  else fillBySlot(page, equal.bitmap, descending, after.slot);
  release(equal);
  while (later.length > 0) {
    const next = later.pop() as LaterSlots;
    if (isFull(page)) release(next.set);
    else {
      const set = next.subtractsLayer ? subtract(next.set, field.layer(next.bit)) : next.set;
      fillFromTop(order, set, next.bit - 1);
    }
  }
}

/**
 * Drops pages that hold no slot of this page of the result. Returns what is left of the candidates (taken over) and the
 * highest bit in which their keys, or the key of `after`, can differ.
 */
function prunePages(
  order: Order,
  candidates: SlotSet,
  after: KeyPosition | null,
): { set: SlotSet; topBit: number } {
  const { field, descending } = order;
  const { pageKeys, keyMins, keyMaxs } = field.pages();
  const bound = findBound(order, candidates.bitmap, after);
  const afterKey = after?.key ?? (descending ? field.keyMax : field.keyMin);
  const lowest = descending ? bound : afterKey;
  const highest = descending ? afterKey : bound;
  const kept = new RoaringBitmap32();
  let keptCount = 0;
  let low = 0xffffffff;
  let high = 0;
  for (let index = 0; index < pageKeys.length; index++) {
    if (keyMins[index] > highest || keyMaxs[index] < lowest) continue;
    const start = pageKeys[index] * PAGE_SLOTS;
    kept.addRange(start, start + PAGE_SLOTS);
    keptCount++;
    low = Math.min(low, keyMins[index]);
    high = Math.max(high, keyMaxs[index]);
  }
  let set = candidates;
  if (keptCount <= pageKeys.length * KEPT_PAGES_PART_MAX) {
    set = intersect(candidates, kept);
    order.gatherMax = gatherSlotsMax(keptCount);
  } else {
    low = field.keyMin;
    high = field.keyMax;
  }
  kept.dispose();
  if (after !== null) {
    // A key of another version may lie outside of the pages' keys and still has to be walked down bit by bit.
    low = Math.min(low, after.key);
    high = Math.max(high, after.key);
  }
  return { set, topBit: highestBit(low ^ high) };
}

/**
 * A key that the last slot of the page of the result does not come after: the pages that come first and lie wholly
 * after the position hold enough candidates on their side of it. The field's extreme key if none is found soon.
 */
function findBound(order: Order, candidates: RoaringBitmap32, after: KeyPosition | null): number {
  const { page, field, descending } = order;
  const { pageKeys, keyMins, keyMaxs } = field.pages();
  const extreme = descending ? field.keyMin : field.keyMax;
  let need = page.slots.length - page.count;
  let previousKey = -1;
  let previousIndex = -1;
  for (let attempt = 0; attempt < PRUNING_PAGES_MAX; attempt++) {
    const index = descending
      ? nextPageDescending(keyMins, keyMaxs, after?.key ?? -1, previousKey, previousIndex)
      : nextPageAscending(keyMins, keyMaxs, after?.key ?? -1, previousKey, previousIndex);
    if (index < 0) return extreme;
    previousKey = descending ? keyMins[index] : keyMaxs[index];
    previousIndex = index;
    if (previousKey === extreme) return extreme;
    const start = pageKeys[index] * PAGE_SLOTS;
    need -= candidates.rangeCardinality(start, start + PAGE_SLOTS);
    if (need <= 0) return previousKey;
  }
  return extreme;
}

/** The page with the largest smallest key after (previousKey, previousIndex), wholly below `afterKey` (−1: any). */
function nextPageDescending(
  keyMins: Uint32Array,
  keyMaxs: Uint32Array,
  afterKey: number,
  previousKey: number,
  previousIndex: number,
): number {
  let best = -1;
  for (let index = 0; index < keyMins.length; index++) {
    const key = keyMins[index];
    if (afterKey >= 0 && keyMaxs[index] >= afterKey) continue;
    if (previousIndex >= 0 && (key > previousKey || (key === previousKey && index <= previousIndex)))
      continue;
    if (best < 0 || key > keyMins[best]) best = index;
  }
  return best;
}

/** The page with the smallest largest key after (previousKey, previousIndex), wholly above `afterKey` (−1: any). */
function nextPageAscending(
  keyMins: Uint32Array,
  keyMaxs: Uint32Array,
  afterKey: number,
  previousKey: number,
  previousIndex: number,
): number {
  let best = -1;
  for (let index = 0; index < keyMaxs.length; index++) {
    const key = keyMaxs[index];
    if (afterKey >= 0 && keyMins[index] <= afterKey) continue;
    if (previousIndex >= 0 && (key < previousKey || (key === previousKey && index <= previousIndex)))
      continue;
    if (best < 0 || key < keyMaxs[best]) best = index;
  }
  return best;
}
