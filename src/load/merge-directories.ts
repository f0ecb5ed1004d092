/** Adds directories to a segment key by key: lists are united with lists, and what has bitmaps as bitmaps. */
import type { FilterSegmentBuilder } from '../index/filter-segment-builder.ts';
import { RoaringBitmap32 } from '../index/roaring.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { type Directory, isBitmapDirectory, isListDirectory, kept, NO_LISTS } from './merge-directory.ts';
import { firstAbove } from './merge-entries.ts';
import { countSlots, ListUnion } from './merge-lists.ts';

/** Slots of one key up to which its lists are united as lists; more of them take less memory as bitmaps. */
const LISTED_SLOTS_MAX = 1 << 20;

/** What one directory has of a key. */
interface Entry {
  readonly key: number;
  readonly directory: Directory;
  readonly position: number;
}

const NO_SLOTS = new Uint32Array(0);

export class DirectoryMerge {
  readonly #builder: FilterSegmentBuilder;
  readonly #listUnion: ListUnion;

  constructor(kernels: Kernels, builder: FilterSegmentBuilder) {
    this.#builder = builder;
    this.#listUnion = new ListUnion(kernels);
  }

  /** Adds the directories of a round, with keys above all that were added before. */
  add(directories: readonly Directory[]): void {
    const listDirectories = directories.filter(isListDirectory);
    const isOneLongKey =
      countSlots(listDirectories) > LISTED_SLOTS_MAX &&
      listDirectories.every(({ keys }) => keys.length === 1);
    const { keys, starts, slots } = isOneLongKey ? NO_LISTS : this.#listUnion.unite(listDirectories);
    const entries = (isOneLongKey ? directories : directories.filter(isBitmapDirectory))
      .flatMap(entriesOf)
      .sort((a, b) => a.key - b.key);
    let from = 0;
    for (let at = 0, end = 0; at < entries.length; at = end) {
      const { key } = entries[at];
      while (end < entries.length && entries[end].key === key) end++;
      const to = firstAbove(keys, from, keys.length, key - 1);
      this.#builder.addDirectory(keys, starts, slots, from, to);
      const isListed = to < keys.length && keys[to] === key;
      const list = isListed ? slots.subarray(starts[to], starts[to + 1]) : NO_SLOTS;
      this.#addBitmaps(key, entries.slice(at, end), list);
      from = to + Number(isListed);
    }
    this.#builder.addDirectory(keys, starts, slots, from, keys.length);
  }

  /** The merge is spent. */
  release(): void {
    this.#listUnion.release();
  }

  /** Entries of one key, with a list of it. */
  #addBitmaps(key: number, entries: readonly Entry[], list: Uint32Array): void {
    const [{ directory, position }] = entries;
    if (
      entries.length === 1 &&
      list.length === 0 &&
      isBitmapDirectory(directory) &&
      directory.loss === null
    ) {
      this.#builder.addBitmap(key, directory.bitmaps.at(position));
      return;
    }
    const union = new RoaringBitmap32(list);
    for (const { directory, position } of entries) {
      const bitmap = bitmapAt(directory, position);
      const added = kept(bitmap, directory.loss);
      union.orInPlace(added);
      // Native memory that would wait for the garbage collector; a view has none.
      if (added !== bitmap) added.dispose();
      if (!bitmap.isFrozen) bitmap.dispose();
    }
    this.#builder.takeBitmap(key, union);
  }
}

function entriesOf(directory: Directory): Entry[] {
  return Array.from(directory.keys, (key, position) => ({ key, directory, position }));
}

function bitmapAt(directory: Directory, position: number): RoaringBitmap32 {
  if (isBitmapDirectory(directory)) return directory.bitmaps.at(position);
  const { starts, slots } = directory;
  return new RoaringBitmap32(slots.subarray(starts[position], starts[position + 1]));
}
