/**
 * Changes of one field to whole sets of slots, as bitmaps: the level between the base and the changes slot by slot. What
 * a slot has here and below: its base values unless it is in `voided`, without those in `removes`, and those in `adds`.
 * The cost of a change goes by containers and not by slots.
 */
import { RoaringBitmap32 } from './roaring.ts';

export class BulkChanges {
  /** Slots whose base values do not count any more. */
  readonly voided = new RoaringBitmap32();
  /** By key; disjoint on a single-valued field. */
  readonly adds = new Map<number, RoaringBitmap32>();
  /** Base values that are gone; of `many` fields only. */
  readonly removes = new Map<number, RoaringBitmap32>();

  get isEmpty(): boolean {
    return this.voided.isEmpty && this.adds.size === 0 && this.removes.size === 0;
  }

  /** Bitmaps held. */
  get bitmapCount(): number {
    return this.adds.size + this.removes.size;
  }

  /** No value at all. */
  clear(slots: RoaringBitmap32): void {
    this.voided.orInPlace(slots);
    for (const bitmap of this.adds.values()) bitmap.andNotInPlace(slots);
    for (const bitmap of this.removes.values()) bitmap.andNotInPlace(slots);
  }

  add(key: number, slots: RoaringBitmap32): void {
    bitmapOf(this.adds, key).orInPlace(slots);
    this.removes.get(key)?.andNotInPlace(slots);
  }

  remove(key: number, slots: RoaringBitmap32): void {
    this.adds.get(key)?.andNotInPlace(slots);
    bitmapOf(this.removes, key).orInPlace(slots);
  }

  /** The slots of a key, given those of the base. `base` itself where nothing is changed, else a new bitmap. */
  apply(key: number, base: RoaringBitmap32): RoaringBitmap32 {
    const added = this.adds.get(key);
    const removed = this.removes.get(key);
    if (added === undefined && removed === undefined && !this.voided.intersects(base)) return base;
    const bitmap = RoaringBitmap32.andNot(base, this.voided);
    if (removed !== undefined) bitmap.andNotInPlace(removed);
    if (added !== undefined) bitmap.orInPlace(added);
    return bitmap;
  }

  /** Whether the slot has the key, given whether it has it in the base. */
  has(key: number, slot: number, isInBase: boolean): boolean {
    if (this.adds.get(key)?.has(slot) === true) return true;
    return isInBase && !this.voided.has(slot) && this.removes.get(key)?.has(slot) !== true;
  }
}

function bitmapOf(bitmaps: Map<number, RoaringBitmap32>, key: number): RoaringBitmap32 {
  let bitmap = bitmaps.get(key);
  if (bitmap === undefined) {
    bitmap = new RoaringBitmap32();
    bitmaps.set(key, bitmap);
  }
  return bitmap;
}
