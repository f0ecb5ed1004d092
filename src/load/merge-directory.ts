/** What a merge of filter fields reads: directories of keys with their slots, less what other directories take from them. */
import { RoaringBitmap32 } from '../index/roaring.ts';
import type { SpilledBytes } from '../index/spill-file.ts';
import { SlotSet } from './merge-slot-set.ts';

/** Each key with the slots slots[starts[i] … starts[i + 1]). */
export interface Lists {
  readonly keys: Uint32Array;
  readonly starts: Uint32Array;
  readonly slots: Uint32Array;
}

export const NO_LISTS: Lists = {
  keys: new Uint32Array(0),
  starts: new Uint32Array(1),
  slots: new Uint32Array(0),
};

/** Slots that some entries do not get to keep: as a bitmap for bitmaps, as a set for lists. */
export interface Loss {
  readonly bitmap: RoaringBitmap32;
  set: SlotSet | null;
}

/** The bitmap itself, or what it keeps as a new one. */
export function kept(bitmap: RoaringBitmap32, loss: Loss | null): RoaringBitmap32 {
  return loss === null ? bitmap : RoaringBitmap32.andNot(bitmap, loss.bitmap);
}

/** The slots as a set. */
export function setOf(loss: Loss): SlotSet {
  loss.set ??= new SlotSet(loss.bitmap);
  return loss.set;
}

/** A bitmap in portable bytes, in memory or in the spill file. */
export type StoredBitmap = Uint8Array | SpilledBytes;

/** Ascending and unique slots, in memory or in the spill file. */
export type StoredList = Uint32Array | SpilledBytes;

/** A set of slots that loses some of them. */
export type SlotSource =
  | { readonly kind: 'bitmap'; readonly bytes: StoredBitmap; readonly loss: Loss | null }
  | { readonly kind: 'list'; readonly slots: StoredList; readonly loss: Loss | null };

/** Bitmaps by position. */
export interface BitmapList {
  at(position: number): StoredBitmap;
}

/** Lists, of which only a single one may be in the spill file, if it is long. */
export interface StoredLists extends Omit<Lists, 'slots'> {
  readonly slots: StoredList;
}

/** Entries [from, to) of lists of slots, each ascending and unique. Keys ascend. */
export interface ListDirectory extends StoredLists {
  readonly from: number;
  readonly to: number;
  readonly bitmaps: null;
  readonly loss: Loss | null;
}

/** Entries [from, to) of bitmaps, each with its key. Keys ascend. */
export interface BitmapDirectory {
  readonly keys: Uint32Array;
  readonly bitmaps: BitmapList;
  readonly from: number;
  readonly to: number;
  readonly loss: Loss | null;
}

export type Directory = ListDirectory | BitmapDirectory;

export function isListDirectory(directory: Directory): directory is ListDirectory {
  return directory.bitmaps === null;
}

export function isBitmapDirectory(directory: Directory): directory is BitmapDirectory {
  return directory.bitmaps !== null;
}

/** Slots of the entries. */
export function slotsIn({ starts, from, to }: ListDirectory): number {
  return starts[to] - starts[from];
}
