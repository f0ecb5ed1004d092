/**
 * Bitmaps that a reader has made, bounded in number: the oldest goes first. Local to its thread. An evicted bitmap
 * stays valid for whoever still holds it.
 */
import type { RoaringBitmap32 } from './roaring.ts';

export class BitmapCache {
  readonly #bitmaps = new Map<number, RoaringBitmap32>();
  readonly #entriesMax: number;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get(key: number): RoaringBitmap32 | undefined {
    return this.#bitmaps.get(key);
  }

  set(key: number, bitmap: RoaringBitmap32): void {
    if (this.#bitmaps.size >= this.#entriesMax) {
      for (const oldest of this.#bitmaps.keys()) {
        this.#bitmaps.delete(oldest);
        break;
      }
    }
    this.#bitmaps.set(key, bitmap);
  }
}
