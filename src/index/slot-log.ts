/**
 * Slots in the order in which something happened to them, with repetitions. Whoever follows the log remembers how far it
 * has come and asks for what was added since as a bitmap; several followers at the same place share it.
 */
import { GrowableWords } from './growable.ts';
import { RoaringBitmap32 } from './roaring.ts';
import { unionOfSlots } from './slot-union.ts';

/** Slots from which ordering them here beats adding them one by one in any order. */
const UNITED_SLOTS_MIN = 16_384;

export class SlotLog {
  readonly #slots = new GrowableWords(256);
  /** Of all slots up to `#allTo`. */
  readonly #all = new RoaringBitmap32();
  #allTo = 0;
  #recent = new RoaringBitmap32();
  #recentFrom = 0;
  #recentTo = 0;

  get length(): number {
    return this.#slots.length;
  }

  push(slot: number): void {
    this.#slots.push(slot);
  }

  /** Entries from an index on, as they came; valid until the next push. */
  from(start: number): Uint32Array {
    return this.#slots.values.subarray(start, this.#slots.length);
  }

  /** The set of entries from an index on. Read-only, and valid until the next push. */
  since(start: number): RoaringBitmap32 {
    const end = this.#slots.length;
    if (start === 0) {
      if (this.#allTo < end) addSlots(this.#all, this.from(this.#allTo));
      this.#allTo = end;
      return this.#all;
    }
    if (start !== this.#recentFrom || end !== this.#recentTo) {
      this.#recent.dispose();
      this.#recent = new RoaringBitmap32();
      addSlots(this.#recent, this.from(start));
      this.#recentFrom = start;
      this.#recentTo = end;
    }
    return this.#recent;
  }
}

function addSlots(bitmap: RoaringBitmap32, slots: Uint32Array): void {
  if (slots.length < UNITED_SLOTS_MIN) bitmap.addMany(slots);
  else bitmap.orInPlace(unionOfSlots(slots));
}
