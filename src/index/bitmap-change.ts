/**
 * What became of one bitmap of the base: (base ∪ adds) \ removes. Adds are outside the base and removes inside it, so
 * cardinalities add up without a look at the bitmaps. Immutable; an edit makes a new one.
 */
import { EMPTY_BITMAP, RoaringBitmap32 } from './roaring.ts';

export class BitmapChange {
  readonly base: RoaringBitmap32;
  /** Read-only, as are all bitmaps here. */
  readonly adds: RoaringBitmap32;
  readonly removes: RoaringBitmap32;
  readonly cardinality: number;
  #bitmap: RoaringBitmap32 | null = null;

  constructor(base: RoaringBitmap32, adds: RoaringBitmap32, removes: RoaringBitmap32) {
    this.base = base;
    this.adds = adds;
    this.removes = removes;
    this.cardinality = base.size + adds.size - removes.size;
  }

  /** Whether all of `slots` are in; cost by `slots`, without making the bitmap. */
  includes(slots: RoaringBitmap32): boolean {
    return !slots.intersects(this.removes) && RoaringBitmap32.andNot(slots, this.adds).isSubset(this.base);
  }

  /** The bitmap as it is now; made on first use and shared by all versions that have this change. */
  get bitmap(): RoaringBitmap32 {
    if (this.#bitmap === null) {
      const bitmap = this.base.clone();
      bitmap.orInPlace(this.adds);
      bitmap.andNotInPlace(this.removes);
      this.#bitmap = bitmap.freeze();
    }
    return this.#bitmap;
  }
}

/** Collects edits of one bitmap. */
export class BitmapEditor {
  readonly #from: BitmapChange | null;
  readonly #base: RoaringBitmap32;
  #adds: RoaringBitmap32;
  #removes: RoaringBitmap32;

  /** Starts from a change, or from a base bitmap without changes. */
  constructor(from: BitmapChange | RoaringBitmap32) {
    this.#from = from instanceof BitmapChange ? from : null;
    if (from instanceof BitmapChange) {
      this.#base = from.base;
      this.#adds = from.adds;
      this.#removes = from.removes;
    } else {
      this.#base = from;
      this.#adds = EMPTY_BITMAP;
      this.#removes = EMPTY_BITMAP;
    }
  }

  has(slot: number): boolean {
    return this.#base.has(slot) ? !this.#removes.has(slot) : this.#adds.has(slot);
  }

  add(slot: number): void {
    if (this.#base.has(slot)) {
      if (this.#removes.has(slot)) this.#writableRemoves().delete(slot);
    } else {
      this.#writableAdds().add(slot);
    }
  }

  remove(slot: number): void {
    if (this.#base.has(slot)) this.#writableRemoves().add(slot);
    else if (this.#adds.has(slot)) this.#writableAdds().delete(slot);
  }

  addMany(slots: RoaringBitmap32): void {
    this.#writableAdds().orInPlace(RoaringBitmap32.andNot(slots, this.#base));
    if (!this.#removes.isEmpty) this.#writableRemoves().andNotInPlace(slots);
  }

  removeMany(slots: RoaringBitmap32): void {
    this.#writableRemoves().orInPlace(RoaringBitmap32.and(slots, this.#base));
    if (!this.#adds.isEmpty) this.#writableAdds().andNotInPlace(slots);
  }

  /** The change, the one it started from if nothing was written, or null for the base. The editor is spent. */
  finish(): BitmapChange | null {
    if (this.#adds === this.#from?.adds && this.#removes === this.#from.removes) return this.#from;
    if (this.#adds.isEmpty && this.#removes.isEmpty) return null;
    return new BitmapChange(this.#base, this.#adds.freeze(), this.#removes.freeze());
  }

  /** Bitmaps of the change it started from are frozen and copied on the first write. */
  #writableAdds(): RoaringBitmap32 {
    if (this.#adds.isFrozen) this.#adds = this.#adds.clone();
    return this.#adds;
  }

  #writableRemoves(): RoaringBitmap32 {
    if (this.#removes.isFrozen) this.#removes = this.#removes.clone();
    return this.#removes;
  }
}
