/**
 * Merges directories, each a list of keys with their slots: sorted by key together, then key by key the slots of the
 * entries. Entries of a dump in slot order are disjoint and ascending, so they are copied; anything else is united.
 */
import type { FilterSegmentBuilder } from '../index/filter-segment-builder.ts';
import { RoaringBitmap32 } from '../index/roaring.ts';
import { borrowWords, returnWords } from '../index/scratch-memory.ts';
import { unionOfSlots } from '../index/slot-union.ts';
import { SMALL_VALUE_SLOTS_MAX } from '../limits.ts';
import { orderByKey } from './merge-entries.ts';
import { firstAbove, mergeAscending, sortUnique, withRoom } from './merge-lists.ts';
import { SlotSet } from './merge-slot-set.ts';

/** Slots of a key up to which they are gathered in a list; a longer one is united as bitmaps. */
const GATHERED_SLOTS_MAX = 1 << 20;
const GATHERED_SLOTS_MIN = 65_536;
/** Slots from which a native copy pays for its call. */
const NATIVE_COPY_SLOTS_MIN = 128;
/** Slots of a key for each late one, from which it is worth merging the late ones in. */
const LATE_SHARE = 8;
/** Gathered slots out of order up to which sorting them beats uniting them page by page. */
const SORTED_SLOTS_MAX = 4096;

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

/** A directory of keys with their slots, either lists or bitmaps. A class, so that all have one shape in the hot loops. */
export class Directory {
  readonly keys: Uint32Array;
  /** Slots of keys[i]: slots[starts[i] … starts[i + 1]). Empty with bitmaps. */
  readonly starts: Uint32Array;
  readonly slots: Uint32Array;
  /** Null: lists. */
  readonly bitmaps: BitmapList | null;
  readonly loss: Loss | null;

  private constructor(
    keys: Uint32Array,
    starts: Uint32Array,
    slots: Uint32Array,
    bitmaps: BitmapList | null,
    loss: Loss | null,
  ) {
    this.keys = keys;
    this.starts = starts;
    this.slots = slots;
    this.bitmaps = bitmaps;
    this.loss = loss;
  }

  static ofLists(keys: Uint32Array, starts: Uint32Array, slots: Uint32Array, loss: Loss | null): Directory {
    return new Directory(keys, starts, slots, null, loss);
  }

  static ofBitmaps(keys: Uint32Array, bitmaps: BitmapList, loss: Loss | null): Directory {
    return new Directory(keys, NO_WORDS, NO_WORDS, bitmaps, loss);
  }
}

const NO_WORDS = new Uint32Array(0);

/** One pass over all directories in the order of their keys. */
export class DirectoryMerge {
  readonly #directories: readonly Directory[];
  readonly #builder: FilterSegmentBuilder;
  readonly #keys: Uint32Array<ArrayBuffer>;
  /** Per entry its directory, and its position there. */
  readonly #directoryOf: Uint32Array<ArrayBuffer>;
  readonly #positionOf: Uint32Array<ArrayBuffer>;
  readonly #entryCount: number;
  /** Entries of one directory that are waiting to be added, or directory −1. */
  #stretchDirectory = -1;
  #stretchFrom = 0;
  #stretchTo = 0;
  #gathered = borrowWords(GATHERED_SLOTS_MIN);
  #late = borrowWords(GATHERED_SLOTS_MIN);
  #united = borrowWords(GATHERED_SLOTS_MIN);

  constructor(directories: readonly Directory[], builder: FilterSegmentBuilder) {
    this.#directories = directories;
    this.#builder = builder;
    this.#entryCount = directories.reduce((sum, { keys }) => sum + keys.length, 0);
    this.#keys = borrowWords(this.#entryCount);
    this.#directoryOf = borrowWords(this.#entryCount);
    this.#positionOf = borrowWords(this.#entryCount);
    let next = 0;
    directories.forEach(({ keys }, directory) => {
      this.#keys.set(keys, next);
      this.#directoryOf.fill(directory, next, next + keys.length);
      for (let i = 0; i < keys.length; i++) this.#positionOf[next + i] = i;
      next += keys.length;
    });
  }

  /** To be called once. */
  run(): void {
    const keys = this.#keys.subarray(0, this.#entryCount);
    const order = orderByKey(keys);
    let from = 0;
    while (from < keys.length) {
      const first = order === null ? from : order[from];
      const key = keys[first];
      let to = from + 1;
      while (to < keys.length && keys[order === null ? to : order[to]] === key) to++;
      if (to - from > 1 || !this.#addSingle(key, first)) {
        this.#addStretch();
        if (!this.#addSmallInOrder(key, order, from, to)) this.#addUnited(key, order, from, to);
      }
      from = to;
    }
    this.#addStretch();
    const lists = [this.#gathered, this.#late, this.#united];
    for (const words of [this.#keys, this.#directoryOf, this.#positionOf, ...lists]) returnWords(words);
    if (order !== null) returnWords(order);
  }

  /** A key in one directory from which nothing is lost; false when it is not that simple. */
  #addSingle(key: number, entry: number): boolean {
    const directory = this.#directoryOf[entry];
    const { bitmaps, loss } = this.#directories[directory];
    const position = this.#positionOf[entry];
    if (loss !== null) return false;
    if (bitmaps !== null) {
      this.#addStretch();
      this.#builder.addBitmap(key, bitmaps.at(position));
      return true;
    }
    if (directory !== this.#stretchDirectory || position !== this.#stretchTo) {
      this.#addStretch();
      this.#stretchDirectory = directory;
      this.#stretchFrom = position;
    }
    this.#stretchTo = position + 1;
    return true;
  }

  /** Neighbours of one directory that stay neighbours are added at once. */
  #addStretch(): void {
    if (this.#stretchDirectory < 0) return;
    const { keys, starts, slots } = this.#directories[this.#stretchDirectory];
    this.#builder.addDirectory(keys, starts, slots, this.#stretchFrom, this.#stretchTo);
    this.#stretchDirectory = -1;
  }

  /** Entries order[from … to) one after the other, as in a dump in slot order; false when they are not that simple. */
  #addSmallInOrder(key: number, order: Uint32Array | null, from: number, to: number): boolean {
    const { values, length } = this.#builder.roomForSmall();
    const atMax = length + SMALL_VALUE_SLOTS_MAX;
    let at = length;
    let last = -1;
    for (let i = from; i < to; i++) {
      const entry = order === null ? i : order[i];
      const { bitmaps, starts, slots, loss } = this.#directories[this.#directoryOf[entry]];
      if (bitmaps !== null || loss !== null) return false;
      const position = this.#positionOf[entry];
      const start = starts[position];
      const end = starts[position + 1];
      if (at + end - start > atMax || slots[start] <= last) return false;
      const shift = at - start;
      for (let j = start; j < end; j++) values[j + shift] = slots[j];
      at = end + shift;
      last = slots[end - 1];
    }
    this.#builder.addWritten(key, at - length);
    return true;
  }

  /** Entries order[from … to) together. */
  #addUnited(key: number, order: Uint32Array | null, from: number, to: number): void {
    // Of each list the slots above all before it are appended; the others, of rows that came late, are put aside.
    let count = 0;
    let lateCount = 0;
    for (let i = from; i < to; i++) {
      const entry = order === null ? i : order[i];
      const { bitmaps, starts, slots, loss } = this.#directories[this.#directoryOf[entry]];
      const position = this.#positionOf[entry];
      const start = starts[position];
      const end = starts[position + 1];
      if (bitmaps !== null || count + lateCount + end - start > GATHERED_SLOTS_MAX) {
        this.#addBitmaps(key, order, from, to);
        return;
      }
      const split = count === 0 ? start : firstAbove(slots, start, end, this.#gathered[count - 1]);
      if (split > start) {
        this.#late = withRoom(this.#late, lateCount + split - start);
        lateCount = take(slots, start, split, loss, this.#late, lateCount);
      }
      this.#gathered = withRoom(this.#gathered, count + end - split);
      count = take(slots, split, end, loss, this.#gathered, count);
    }
    if (lateCount * LATE_SHARE <= count) this.#addNearlyOrdered(key, count, lateCount);
    else this.#addUnordered(key, count, lateCount);
  }

  #addNearlyOrdered(key: number, count: number, lateCount: number): void {
    if (lateCount === 0) {
      this.#builder.addSlots(key, this.#gathered, 0, count);
      return;
    }
    const lateUnique = sortUnique(this.#late, lateCount);
    this.#united = withRoom(this.#united, count + lateUnique);
    const united = mergeAscending(this.#gathered, count, this.#late, lateUnique, this.#united);
    this.#builder.addSlots(key, this.#united, 0, united);
  }

  #addUnordered(key: number, count: number, lateCount: number): void {
    const total = count + lateCount;
    this.#gathered = withRoom(this.#gathered, total);
    const gathered = this.#gathered;
    gathered.set(this.#late.subarray(0, lateCount), count);
    if (total > SORTED_SLOTS_MAX) {
      this.#builder.addBitmap(key, unionOfSlots(gathered.subarray(0, total)));
    } else this.#builder.addSlots(key, gathered, 0, sortUnique(gathered, total));
  }

  #addBitmaps(key: number, order: Uint32Array | null, from: number, to: number): void {
    const union = new RoaringBitmap32();
    for (let i = from; i < to; i++) {
      const entry = order === null ? i : order[i];
      const { bitmaps, starts, slots, loss } = this.#directories[this.#directoryOf[entry]];
      const position = this.#positionOf[entry];
      const bitmap =
        bitmaps === null
          ? new RoaringBitmap32(slots.subarray(starts[position], starts[position + 1]))
          : bitmaps.at(position);
      const added = kept(bitmap, loss);
      union.orInPlace(added);
      // Native memory that would wait for the garbage collector; a view has none.
      if (added !== bitmap) added.dispose();
      if (bitmaps === null) bitmap.dispose();
    }
    this.#builder.takeBitmap(key, union);
  }
}

function setOf(loss: Loss): SlotSet {
  loss.set ??= new SlotSet(loss.bitmap);
  return loss.set;
}

/** Copies slots[start … end) that are not lost to target from `at` on and returns the end. */
function take(
  slots: Uint32Array,
  start: number,
  end: number,
  loss: Loss | null,
  target: Uint32Array,
  at: number,
): number {
  if (loss === null) return copy(slots, start, end, target, at);
  return copyKept(slots, start, end, setOf(loss), target, at);
}

/** Copies slots[start … end) to target from `at` on and returns the end. */
function copy(slots: Uint32Array, start: number, end: number, target: Uint32Array, at: number): number {
  const shift = at - start;
  if (end - start >= NATIVE_COPY_SLOTS_MIN) target.set(slots.subarray(start, end), at);
  else for (let i = start; i < end; i++) target[i + shift] = slots[i];
  return end + shift;
}

function copyKept(
  slots: Uint32Array,
  start: number,
  end: number,
  lost: SlotSet,
  target: Uint32Array,
  at: number,
): number {
  let next = at;
  for (let i = start; i < end; i++) if (!lost.has(slots[i])) target[next++] = slots[i];
  return next;
}

export function kept(bitmap: RoaringBitmap32, loss: Loss | null): RoaringBitmap32 {
  return loss === null ? bitmap : RoaringBitmap32.andNot(bitmap, loss.bitmap);
}
