/**
 * A version of the index: what queries read. The interfaces here are all that a reader knows of an index, whether a
 * field stands in one base segment or in a base with a delta over it.
 *
 * A version over base segments is immutable, and so is everything it returns: bitmaps and typed arrays may be views of
 * shared memory that other threads map. One with a delta changes in place between two queries (delta-version.ts), so
 * nothing it returned is kept across one. Callers never mutate or dispose what they get.
 */

import type { IndexDefinition } from '../config/definition.ts';
import type { RoaringBitmap32 } from './roaring.ts';
import type { SegmentBytes } from './segment.ts';

/** One key of a filter field with the number of its slots, which is at least 1. */
export interface KeyCardinality {
  readonly key: number;
  readonly cardinality: number;
}

/** value → slots. A key without slots is absent, as if it had never been seen. */
export interface FilterField {
  /** Number of keys with at least one slot. */
  readonly valueCount: number;
  /** No smaller than `valueCount`, and never slow to tell. */
  readonly valueCountMax: number;
  /** Slots with at least one value. */
  readonly present: RoaringBitmap32;
  /** No smaller than their number, and never slow to tell. */
  readonly presentCountMax: number;
  /** Number of slots of a key, 0 if absent. */
  cardinality(key: number): number;
  /** Slots of a key; empty if absent. Read-only. */
  bitmap(key: number): RoaringBitmap32;
  /** Slots of a key, ascending, without a bitmap being made for a small one. Read-only. */
  slots(key: number): Uint32Array;
  /** Every key, ascending. */
  keys(): Iterable<KeyCardinality>;
}

/**
 * Per page of 65,536 slots with at least one value, ascending by page: parallel arrays. After changes there may be pages
 * that have lost their last.
 */
export interface SortPages {
  /** slot >>> 16 */
  readonly pageKeys: Uint32Array;
  /** No present slot of the page has a key below or above. */
  readonly keyMins: Uint32Array;
  readonly keyMaxs: Uint32Array;
}

/** Bit layers and the forward column of a field. */
export interface SortField {
  /** Slots with a value. */
  readonly present: RoaringBitmap32;
  /** No present slot has a smaller key: the smallest in a base, possibly lower after changes. 0 without any slot. */
  readonly keyMin: number;
  /** No present slot has a larger key: the largest in a base, possibly higher after changes. 0 without any slot. */
  readonly keyMax: number;
  /** Bits from this one on are zero in every key. */
  readonly layerCount: number;
  /** Slots, a subset of `present`, whose key has the bit (0 … 31). Read-only. */
  layer(bit: number): RoaringBitmap32;
  /** Key of a slot of `present`; undefined behaviour for any other. */
  keyOf(slot: number): number;
  /** keys[i] = key of slots[i] for i < count; slots ascend, and every one must be in `present`. */
  gather(slots: Uint32Array, keys: Uint32Array, count: number): void;
  pages(): SortPages;
}

/** string ↔ code of one string field. Codes are dense from 0 and keep their string for ever. */
export interface Dictionary {
  readonly size: number;
  codeOf(text: string): number | undefined;
  /** @throws RangeError when no string has the code. */
  textOf(code: number): string;
}

export interface Version {
  readonly id: number;
  readonly definition: IndexDefinition;
  readonly alive: RoaringBitmap32;
  readonly aliveCount: number;
  /** Undefined when the definition has no such filter field; an empty field is defined. */
  filter(field: string): FilterField | undefined;
  sort(field: string): SortField | undefined;
  dictionary(field: string): Dictionary | undefined;
  /** True only when every slot with a value of the field is alive. Computed once per version. */
  withinAlive(field: string): boolean;
}

/**
 * The segments of a version as plain data: what goes to disk and to other threads. A field of the definition without a
 * segment is empty.
 */
export interface VersionSegments {
  readonly alive: SegmentBytes;
  readonly fields: Readonly<Record<string, FieldSegments>>;
}

export interface FieldSegments {
  readonly filter?: SegmentBytes;
  readonly sort?: SegmentBytes;
  readonly dictionary?: SegmentBytes;
}
