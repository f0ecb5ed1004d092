/**
 * A bitmap with the knowledge of who owns it. Stored bitmaps are shared and read-only, so a query borrows them and only
 * changes in place what it made itself. Whoever owns a bitmap disposes it: left to the garbage collector, the native
 * memory of intermediate results costs more than the operations.
 */
import { RoaringBitmap32 } from '../index/roaring.ts';

export interface SlotSet {
  readonly bitmap: RoaringBitmap32;
  /** Made by this query and referred to by nothing else: may be changed in place, must be released. */
  readonly owned: boolean;
}

export function borrowed(bitmap: RoaringBitmap32): SlotSet {
  return { bitmap, owned: false };
}

export function owned(bitmap: RoaringBitmap32): SlotSet {
  return { bitmap, owned: true };
}

export function release(set: SlotSet): void {
  if (set.owned) set.bitmap.dispose();
}

/** The slots in both. Takes `set` over: use the result in its place. */
export function intersect(set: SlotSet, other: RoaringBitmap32): SlotSet {
  if (!set.owned) return owned(RoaringBitmap32.and(set.bitmap, other));
  set.bitmap.andInPlace(other);
  return set;
}

/** The slots of `set` that are not in `other`. Takes `set` over: use the result in its place. */
export function subtract(set: SlotSet, other: RoaringBitmap32): SlotSet {
  if (!set.owned) return owned(RoaringBitmap32.andNot(set.bitmap, other));
  set.bitmap.andNotInPlace(other);
  return set;
}

/** The union of sets, all taken over. */
export function unite(sets: readonly SlotSet[]): SlotSet {
  const filled = sets.filter((set) => !set.bitmap.isEmpty);
  for (const set of sets) if (set.bitmap.isEmpty) release(set);
  if (filled.length === 0) return owned(new RoaringBitmap32());
  if (filled.length === 1) return filled[0];
  // Two sets are united faster directly: 46 µs instead of 160 for two of 10,000 scattered slots.
  const [first, second] = filled;
  const union =
    filled.length === 2
      ? RoaringBitmap32.or(first.bitmap, second.bitmap)
      : RoaringBitmap32.orMany(filled.map((set) => set.bitmap));
  for (const set of filled) release(set);
  return owned(union);
}

/**
 * The slots of rank `from` (inclusive) to `to` (exclusive), ascending, in `target` from its start. Jumps to them: the
 * package's own paging walks every slot before.
 */
export function copySlots(bitmap: RoaringBitmap32, from: number, to: number, target: Uint32Array): void {
  if (from === 0 && to === bitmap.size) {
    bitmap.toUint32Array(target);
    return;
  }
  const first = bitmap.select(from) as number;
  const last = bitmap.select(to - 1) as number;
  const window = RoaringBitmap32.fromRange(first, last + 1);
  window.andInPlace(bitmap);
  window.toUint32Array(target);
  window.dispose();
}
