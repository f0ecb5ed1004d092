/** Adds directories to a segment key by key: lists are united with lists, and what has bitmaps or is very long as sets. */
import type { FilterSegmentBuilder } from '../index/filter-segment-builder.ts';
import type { Kernels } from '../kernels/kernels.ts';
import {
  type Directory,
  isBitmapDirectory,
  isListDirectory,
  NO_LISTS,
  type SlotSource,
} from './merge-directory.ts';
import { firstAbove } from './merge-entries.ts';
import { countSlots, ListUnion } from './merge-lists.ts';
import type { SlotUnion } from './merge-union.ts';

/** Slots of one key up to which its lists are united as lists; more of them take less memory as bitmaps. */
const LISTED_SLOTS_MAX = 1 << 20;

/** What one directory has of a key. */
interface Entry {
  readonly key: number;
  readonly source: SlotSource;
}

export class DirectoryMerge {
  readonly #builder: FilterSegmentBuilder;
  readonly #slotUnion: SlotUnion;
  readonly #listUnion: ListUnion;

  /** Takes kernel memory, which the caller releases. */
  constructor(kernels: Kernels, slotUnion: SlotUnion, builder: FilterSegmentBuilder) {
    this.#builder = builder;
    this.#slotUnion = slotUnion;
    this.#listUnion = new ListUnion(kernels);
  }

  /** Adds the directories of a round, with keys above all that were added before. */
  add(directories: readonly Directory[]): void {
    const listDirectories = directories.filter(isListDirectory);
    const isOneLongKey =
      countSlots(listDirectories) > LISTED_SLOTS_MAX &&
      listDirectories.every(({ from, to }) => to - from === 1);
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
      const sources = entries.slice(at, end).map(({ source }) => source);
      const isListed = to < keys.length && keys[to] === key;
      if (isListed) {
        sources.push({ kind: 'list', slots: slots.subarray(starts[to], starts[to + 1]), loss: null });
      }
      this.#builder.takePortable(key, this.#slotUnion.unite(sources));
      from = to + Number(isListed);
    }
    this.#builder.addDirectory(keys, starts, slots, from, keys.length);
  }
}

function entriesOf(directory: Directory): Entry[] {
  const { keys, from, to } = directory;
  return Array.from({ length: to - from }, (_, i) => ({
    key: keys[from + i],
    source: sourceAt(directory, from + i),
  }));
}

function sourceAt(directory: Directory, position: number): SlotSource {
  const { loss } = directory;
  if (isBitmapDirectory(directory)) return { kind: 'bitmap', bytes: directory.bitmaps.at(position), loss };
  const { starts, slots } = directory;
  return slots instanceof Uint32Array
    ? { kind: 'list', slots: slots.subarray(starts[position], starts[position + 1]), loss }
    : { kind: 'list', slots, loss };
}
