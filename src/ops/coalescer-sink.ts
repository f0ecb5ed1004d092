/**
 * The sink of the steady state: changes the version that queries see. Each field gathers its changes in typed arrays where
 * the last write to a slot wins at once, and bitmaps take them over in one step per value and layer when a query next
 * reads them (src/index/delta-filter.ts), so a stretch of batches between two reads of a bitmap costs it one update, and
 * bitmaps that nobody reads cost nothing.
 */
import type { DeltaVersion } from '../index/delta-version.ts';
import type { RoaringBitmap32 } from '../index/roaring.ts';
import type { Clause } from '../query/clause.ts';
import { matchSlots } from '../query/match.ts';
import type { BitmapSink } from './bitmap-sink.ts';

export class CoalescerSink implements BitmapSink {
  readonly #version: DeltaVersion;

  constructor(version: DeltaVersion) {
    this.#version = version;
  }

  keyOfText(field: number, text: string): number {
    return this.#version.keyOfText(field, text);
  }

  knownKeyOfText(field: number, text: string): number {
    return this.#version.knownKeyOfText(field, text);
  }

  addAlive(slot: number): void {
    this.#version.addAlive(slot);
  }

  set(slot: number, field: number, key: number): void {
    this.#version.set(slot, field, key);
  }

  add(slot: number, field: number, key: number): void {
    this.#version.add(slot, field, key);
  }

  remove(slot: number, field: number, key: number): void {
    this.#version.remove(slot, field, key);
  }

  clear(slot: number, field: number): void {
    this.#version.clear(slot, field);
  }

  deleteSlot(slot: number): void {
    this.#version.deleteSlot(slot);
  }

  /** What a query gives may be a bitmap of the version itself, which the ops are about to change. */
  match(clause: Clause): RoaringBitmap32 {
    const { bitmap, owned } = matchSlots(this.#version, clause);
    return owned ? bitmap : bitmap.clone();
  }

  setAll(slots: RoaringBitmap32, field: number, key: number): void {
    this.#version.setAll(slots, field, key);
  }

  addAll(slots: RoaringBitmap32, field: number, key: number): void {
    this.#version.addAll(slots, field, key);
  }

  removeAll(slots: RoaringBitmap32, field: number, key: number): void {
    this.#version.removeAll(slots, field, key);
  }

  clearAll(slots: RoaringBitmap32, field: number): void {
    this.#version.clearAll(slots, field);
  }

  deleteAll(slots: RoaringBitmap32): void {
    this.#version.deleteAll(slots);
  }
}
