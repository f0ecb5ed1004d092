/** What a merge of filter fields reads: directories of keys with their slots, less what other directories take from them. */
import { RoaringBitmap32 } from '../index/roaring.ts';
import type { SlotSet } from './merge-slot-set.ts';

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

/** Bitmaps by position, made or read when asked for. */
export interface BitmapList {
  /** A frozen view, valid until another bitmap is asked for. */
  at(position: number): RoaringBitmap32;
}

/** Lists of slots, each ascending and unique. Keys ascend. */
export interface ListDirectory extends Lists {
  readonly bitmaps: null;
  readonly loss: Loss | null;
}

/** Each key with a bitmap. Keys ascend. */
export interface BitmapDirectory {
  readonly keys: Uint32Array;
  readonly bitmaps: BitmapList;
  readonly loss: Loss | null;
}

export type Directory = ListDirectory | BitmapDirectory;

export function isListDirectory(directory: Directory): directory is ListDirectory {
  return directory.bitmaps === null;
}

export function isBitmapDirectory(directory: Directory): directory is BitmapDirectory {
  return directory.bitmaps !== null;
}

export function kept(bitmap: RoaringBitmap32, loss: Loss | null): RoaringBitmap32 {
  return loss === null ? bitmap : RoaringBitmap32.andNot(bitmap, loss.bitmap);
}
