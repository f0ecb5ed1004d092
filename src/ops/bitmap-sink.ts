/**
 * Where ops become changes of bitmaps. One processor feeds every sink; what they differ in is what the stream is for:
 * CoalescerSink changes the version that queries see, AccumulatorSink builds the segments of a dump.
 *
 * Statements are absolute and take effect in the order of the calls. Fields are named by their place in the definition,
 * values by their keys (src/index/key.ts).
 */
import type { RoaringBitmap32 } from '../index/roaring.ts';
import type { Clause } from '../query/clause.ts';

export interface BitmapSink {
  /** The key of a string of a field, which learns it if it is new. */
  keyOfText(field: number, text: string): number;
  /** The key of a string that the field knows; −1 for any other. */
  knownKeyOfText(field: number, text: string): number;

  /** The slot exists. */
  addAlive(slot: number): void;
  /** The key is the only value of a single-valued field. */
  set(slot: number, field: number, key: number): void;
  /** The slot has the key in a `many` field. */
  add(slot: number, field: number, key: number): void;
  /** The slot has not the key. */
  remove(slot: number, field: number, key: number): void;
  /** The slot has no value in the field. */
  clear(slot: number, field: number): void;
  /** The slot does not exist and has no value in any field. */
  deleteSlot(slot: number): void;

  /** The alive slots that match at this point of the stream; the caller's own. */
  match(clause: Clause): RoaringBitmap32;
  /** The same for whole sets of slots, which are only read; the cost goes by their containers. */
  setAll(slots: RoaringBitmap32, field: number, key: number): void;
  addAll(slots: RoaringBitmap32, field: number, key: number): void;
  removeAll(slots: RoaringBitmap32, field: number, key: number): void;
  clearAll(slots: RoaringBitmap32, field: number): void;
  deleteAll(slots: RoaringBitmap32): void;
}
