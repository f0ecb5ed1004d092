/**
 * Goes through many directories in rounds of ascending keys. Each offers the entries up to some key, which of lists that
 * were spilled are those of a window in memory, and a round has what all of them offer.
 */
import type { RoaringBitmap32 } from '../index/roaring.ts';
import { borrowWords, returnWords } from '../index/scratch-memory.ts';
import { unionOfSlots } from '../index/slot-union.ts';
import { type SpillSpace, spill } from '../index/spill-file.ts';
import { SMALL_VALUE_SLOTS_MAX } from '../limits.ts';
import {
  type BitmapDirectory,
  type BitmapList,
  type Directory,
  type ListDirectory,
  type Lists,
  type Loss,
  NO_LISTS,
  type StoredLists,
} from './merge-directory.ts';
import { firstAbove, orderByKey } from './merge-entries.ts';
import {
  bytesInFile,
  type MessagePart,
  type ReadBuffer,
  readWords,
  type SpilledPart,
} from './merge-parts.ts';

/** Words of a window at least: what is worth a read. */
const WINDOW_WORDS_MIN = 2048;
/** Slots of lists that come in one round: these are united in the cache. */
const ROUND_SLOTS = 1 << 18;
/** Slots of one cursor in a round, however many there are: a round has its price for each. */
const CURSOR_SLOTS_MIN = 1024;

const UNLIMITED = Number.POSITIVE_INFINITY;
const NO_KEY = -1;

/** A directory that is taken from its smallest key to its largest. */
export interface Cursor {
  readonly keyCount: number;
  /** Slots of the keys that are kept as lists in a segment, as far as that is known. */
  countSmallSlots(): number;
  /** Slots that the entries do not get to keep. */
  loss: Loss | null;
  /** To be called before each round: offers lists of no more slots than that together, or one. */
  advance(slotCountMax: number): void;
  /** Every entry with a key up to here can be taken. */
  readonly keyMax: number;
  /** The entries that are left with a key up to `keyMax`; null: none. Valid until `advance`. */
  take(keyMax: number): Directory | null;
  /** The cursor is spent. */
  release(): void;
}

export interface ListCursor extends Cursor {
  /** All slots, whatever has been taken and without regard to the loss; `buffer`: where they are read to. */
  union(buffer: ReadBuffer): RoaringBitmap32;
}

/** The directories of each round, in the order of the cursors. `slotCountMax`: of the lists of each in a round. */
export function* roundsOf(
  cursors: readonly Cursor[],
  slotCountMax = Math.max(CURSOR_SLOTS_MIN, Math.floor(ROUND_SLOTS / cursors.length)),
): Generator<Directory[]> {
  let keyMax: number;
  do {
    for (const cursor of cursors) cursor.advance(slotCountMax);
    keyMax = cursors.reduce((least, cursor) => Math.min(least, cursor.keyMax), UNLIMITED);
    const directories: Directory[] = [];
    for (const cursor of cursors) {
      const directory = cursor.take(keyMax);
      if (directory !== null) directories.push(directory);
    }
    if (directories.length > 0) yield directories;
  } while (keyMax !== UNLIMITED);
}

/** Lists in memory. */
export class ListsCursor implements ListCursor {
  readonly lists: Lists;
  loss: Loss | null;
  keyMax = 0;
  readonly #window: ListWindow;

  constructor(lists: Lists, loss: Loss | null) {
    this.lists = lists;
    this.loss = loss;
    this.#window = new ListWindow(lists);
  }

  get keyCount(): number {
    return this.lists.keys.length;
  }

  /** Of a long list that loses most of its slots to another layer they are not counted. */
  countSmallSlots(): number {
    const { starts } = this.lists;
    let slots = 0;
    for (let i = 1; i < starts.length; i++) {
      const count = starts[i] - starts[i - 1];
      if (count <= SMALL_VALUE_SLOTS_MAX) slots += count;
    }
    return slots;
  }

  union(): RoaringBitmap32 {
    return unionOfSlots(this.lists.slots);
  }

  advance(slotCountMax: number): void {
    this.keyMax = this.#window.keyMaxWithin(slotCountMax) ?? UNLIMITED;
  }

  take(keyMax: number): ListDirectory | null {
    return this.#window.take(keyMax, this.loss);
  }

  release(): void {}
}

/** Bitmaps, which are not many, each read when its turn comes. */
export class BitmapsCursor implements Cursor {
  loss: Loss | null;
  readonly keyMax = UNLIMITED;
  /** Ascending. */
  readonly #keys: Uint32Array;
  readonly #bitmaps: BitmapList;
  #at = 0;

  constructor(keys: Uint32Array, bitmaps: BitmapList, loss: Loss | null) {
    this.loss = loss;
    const scratch = orderByKey(keys);
    const order = scratch?.slice(0, keys.length) ?? null;
    if (scratch !== null) returnWords(scratch);
    this.#keys = order === null ? keys : order.map((position) => keys[position]);
    this.#bitmaps = order === null ? bitmaps : { at: (position) => bitmaps.at(order[position]) };
  }

  get keyCount(): number {
    return this.#keys.length;
  }

  countSmallSlots(): number {
    return 0;
  }

  advance(): void {}

  take(keyMax: number): BitmapDirectory | null {
    const keys = this.#keys;
    const from = this.#at;
    const to = firstAbove(keys, from, keys.length, keyMax);
    this.#at = to;
    return from === to ? null : { keys, bitmaps: this.#bitmaps, from, to, loss: this.loss };
  }

  release(): void {}
}

/** Lists in the spill file, of which a window is in memory. Their keys ascend. */
export class SpilledListsCursor implements ListCursor {
  readonly part: SpilledPart;
  loss: Loss | null;
  keyMax = 0;
  readonly #buffer: Uint32Array<ArrayBuffer>;
  /** Entries [windowStart, windowStart + keyCount) of the part; one that is too long for it has its slots in the file. */
  readonly #window = new ListWindow(NO_LISTS);
  #windowStart = 0;

  constructor(part: SpilledPart, windowWords: number, loss: Loss | null) {
    this.part = part;
    this.loss = loss;
    this.#buffer = borrowWords(Math.min(windowWords, 2 * Math.max(2 * part.keys + 2, part.size)));
  }

  get keyCount(): number {
    return this.part.keys;
  }

  countSmallSlots(): number {
    return 0;
  }

  union(buffer: ReadBuffer): RoaringBitmap32 {
    const { part } = this;
    return unionOfSlots(readWords(part, 2 * part.keys + 1, buffer.take(part.size)));
  }

  advance(slotCountMax: number): void {
    if (!this.#isLast && this.#window.takenCount >= this.#window.keyCount / 2) {
      this.#windowStart += this.#window.takenCount;
      this.#window.moveTo(this.#read());
    }
    const keyMax = this.#window.keyMaxWithin(slotCountMax);
    this.keyMax = keyMax ?? (this.#isLast ? UNLIMITED : this.#window.keyLast);
  }

  take(keyMax: number): ListDirectory | null {
    return this.#window.take(keyMax, this.loss);
  }

  release(): void {
    returnWords(this.#buffer);
  }

  get #isLast(): boolean {
    return this.#windowStart + this.#window.keyCount === this.part.keys;
  }

  /** As many entries as the window has room for with their slots, the first of which is at slots[0], but at least one. */
  #read(): StoredLists {
    const { part } = this;
    const buffer = this.#buffer;
    const first = this.#windowStart;
    const startsRead = buffer.subarray(0, Math.min(part.keys - first, (buffer.length >>> 2) - 1) + 1);
    readWords(part, part.keys + first, startsRead);
    const firstSlot = startsRead[0];
    const slotsMax = buffer.length >>> 1;
    const keyCount = Math.max(1, firstAbove(startsRead, 1, startsRead.length, firstSlot + slotsMax) - 1);
    const starts = startsRead.subarray(0, keyCount + 1);
    const slotCount = starts[keyCount] - firstSlot;
    for (let i = 0; i <= keyCount; i++) starts[i] -= firstSlot;
    const keys = readWords(part, first, buffer.subarray(keyCount + 1, 2 * keyCount + 1));
    const slotsAt = 2 * part.keys + 1 + firstSlot;
    const slots =
      slotCount <= slotsMax
        ? readWords(part, slotsAt, buffer.subarray(slotsMax, slotsMax + slotCount))
        : bytesInFile(part, slotsAt, slotCount);
    return { keys, starts, slots };
  }
}

/** Lists of which the first ones have been taken. */
class ListWindow {
  #lists: StoredLists;
  #takenCount = 0;
  #keyTaken = NO_KEY;

  constructor(lists: StoredLists) {
    this.#lists = lists;
  }

  get keyCount(): number {
    return this.#lists.keys.length;
  }

  get keyLast(): number {
    return this.#lists.keys[this.keyCount - 1];
  }

  get takenCount(): number {
    return this.#takenCount;
  }

  /** To the lists that follow those that were taken. */
  moveTo(lists: StoredLists): void {
    this.#lists = lists;
    this.#takenCount = 0;
  }

  /**
   * The key up to which the entries that are left have no more slots than that together; null: all have. An entry with more
   * slots by itself gets a round of its own, so that what comes together is bounded: first the key below it, then its key.
   */
  keyMaxWithin(slotCountMax: number): number | null {
    const { keys, starts } = this.#lists;
    const from = this.#takenCount;
    const to = firstAbove(starts, from, starts.length, starts[from] + slotCountMax) - 1;
    if (to === keys.length) return null;
    if (to > from) return keys[to - 1];
    return keys[from] - 1 > this.#keyTaken ? keys[from] - 1 : keys[from];
  }

  /** The entries that are left with a key up to `keyMax`; null: none. */
  take(keyMax: number, loss: Loss | null): ListDirectory | null {
    const { keys, starts, slots } = this.#lists;
    const from = this.#takenCount;
    const to = firstAbove(keys, from, keys.length, keyMax);
    this.#keyTaken = keyMax;
    this.#takenCount = to;
    if (from === to) return null;
    return { keys, starts, slots, from, to, bitmaps: null, loss };
  }
}

/** Words that the window of each of so many spilled directories has: a power of two, as scratch memory comes. */
export function windowWordsFor(windowBytes: number, spilledCount: number): number {
  const share = Math.floor(windowBytes / 4 / spilledCount);
  return Math.max(WINDOW_WORDS_MIN, 2 ** (31 - Math.clz32(share)));
}

/** The lists of a part, whose keys are given, in ascending order of these: the part itself if that is how they are. */
export function inKeyOrder(lists: Lists): Lists {
  const order = orderByKey(lists.keys);
  if (order === null) return lists;
  const keyCount = lists.keys.length;
  const sorted = {
    keys: new Uint32Array(keyCount),
    starts: new Uint32Array(keyCount + 1),
    slots: new Uint32Array(lists.slots.length),
  };
  let end = 0;
  for (let i = 0; i < keyCount; i++) {
    const entry = order[i];
    const slots = lists.slots.subarray(lists.starts[entry], lists.starts[entry + 1]);
    sorted.keys[i] = lists.keys[entry];
    sorted.slots.set(slots, end);
    end += slots.length;
    sorted.starts[i + 1] = end;
  }
  return sorted;
}

/** Writes lists as a part of their own. */
export function spillLists(
  space: SpillSpace,
  part: MessagePart,
  { keys, starts, slots }: Lists,
): SpilledPart {
  const words = new Uint32Array(keys.length + starts.length + slots.length);
  words.set(keys, 0);
  words.set(starts, keys.length);
  words.set(slots, keys.length + starts.length);
  return { ...part, block: spill(space, new Uint8Array(words.buffer)), offset: 0 };
}
