/**
 * Unites the lists of many directories: for every key the slots of all its entries. Entries of a dump in slot order are
 * disjoint and ascending, so putting them one behind the other, in kernel memory, is all; what comes in another order is
 * merged there afterwards.
 */
import { returnWords } from '../index/scratch-memory.ts';
import type { SpilledBytes } from '../index/spill-file.ts';
import type { KernelMemory, Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { type ListDirectory, type Lists, NO_LISTS, setOf, slotsIn } from './merge-directory.ts';
import { orderByKey } from './merge-entries.ts';
import { readWords } from './merge-parts.ts';
import type { SlotSet } from './merge-slot-set.ts';

/** Keys per entry, from the smallest key to the largest, up to which each has a counter, used or not. */
const COUNTED_KEYS_PER_ENTRY = 4;
/** Slots that `uniteEntries` may write beyond the last one. */
const SLACK_SLOTS = 4;

/** The entries of all directories in kernel memory. */
interface EntryTable {
  readonly count: number;
  readonly slotCount: number;
  /** Per entry its key, and where its slots start and end. */
  readonly keys: Pointer;
  readonly starts: Pointer;
  readonly ends: Pointer;
  readonly slots: Pointer;
}

export class ListUnion {
  readonly #kernels: Kernels;
  readonly #mark: Pointer;

  /** Takes kernel memory, which the caller releases. */
  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#mark = kernels.memory.mark();
  }

  /** Of directories that are not empty. Valid until the next call. Takes kernel memory for twice the slots. */
  unite(directories: readonly ListDirectory[]): Lists {
    if (directories.length === 0) return NO_LISTS;
    const [first] = directories;
    if (directories.length === 1 && first.loss === null && first.slots instanceof Uint32Array) {
      return viewOf(first, first.slots);
    }
    const { memory } = this.#kernels;
    memory.release(this.#mark);
    const table = allocateTable(memory, directories);
    copyEntries(memory, directories, table);
    const order = this.#order(directories, table);
    return this.#united(table, order);
  }

  /** The entries by key, in the order of the directories where keys are equal. */
  #order(directories: readonly ListDirectory[], { keys, count }: EntryTable): Pointer {
    const kernels = this.#kernels;
    const { memory } = kernels;
    const order = memory.allocate(count * 4);
    const keyMin = directories.reduce((least, { keys, from }) => Math.min(least, keys[from]), UINT32_MAX);
    const keyMax = directories.reduce((most, { keys, to }) => Math.max(most, keys[to - 1]), 0);
    const keyRange = keyMax - keyMin + 1;
    if (keyRange <= count * COUNTED_KEYS_PER_ENTRY) {
      kernels.orderEntries(keys, count, keyMin, keyRange, memory.allocate(keyRange * 4), order);
      return order;
    }
    const sorted = orderByKey(wordsAt(memory, keys, count));
    const target = wordsAt(memory, order, count);
    if (sorted === null) for (let entry = 0; entry < count; entry++) target[entry] = entry;
    else {
      target.set(sorted.subarray(0, count));
      returnWords(sorted);
    }
    return order;
  }

  #united(table: EntryTable, order: Pointer): Lists {
    const kernels = this.#kernels;
    const { memory } = kernels;
    const { count, slotCount } = table;
    const keys = memory.allocate(count * 4);
    const starts = memory.allocate((count + 1) * 4);
    const slots = memory.allocate((slotCount + SLACK_SLOTS) * 4);
    const disorder = memory.allocate(4);
    const keyCount = kernels.uniteEntries(
      table.keys,
      table.starts,
      table.ends,
      table.slots,
      order,
      count,
      keys,
      starts,
      slots,
      disorder,
    );
    const lists = {
      keys: wordsAt(memory, keys, keyCount),
      starts: wordsAt(memory, starts, keyCount + 1),
      slots: wordsAt(memory, slots, slotCount),
    };
    // The lists of the entries have been copied.
    if (memory.u32[disorder / 4] === 1) kernels.orderLists(starts, keyCount, slots, table.slots);
    return lists;
  }
}

const UINT32_MAX = 0xffffffff;

export function countSlots(directories: readonly ListDirectory[]): number {
  return directories.reduce((sum, directory) => sum + slotsIn(directory), 0);
}

function wordsAt(memory: KernelMemory, pointer: Pointer, count: number): Uint32Array {
  return memory.u32.subarray(pointer / 4, pointer / 4 + count);
}

function allocateTable(memory: KernelMemory, directories: readonly ListDirectory[]): EntryTable {
  const count = directories.reduce((sum, { from, to }) => sum + to - from, 0);
  const slotCount = countSlots(directories);
  return {
    count,
    slotCount,
    keys: memory.allocate(count * 4),
    starts: memory.allocate(count * 4),
    ends: memory.allocate(count * 4),
    // One more for each directory, see `copyEntries`.
    slots: memory.allocate((slotCount + directories.length) * 4),
  };
}

function copyEntries(memory: KernelMemory, directories: readonly ListDirectory[], table: EntryTable): void {
  const keys = wordsAt(memory, table.keys, table.count);
  const starts = wordsAt(memory, table.starts, table.count);
  const ends = wordsAt(memory, table.ends, table.count);
  const slots = wordsAt(memory, table.slots, table.slotCount + directories.length);
  let entry = 0;
  let end = 0;
  for (const directory of directories) {
    const { loss } = directory;
    if (loss === null) {
      const slotCount = slotsIn(directory);
      const first = directory.starts[directory.from];
      if (directory.slots instanceof Uint32Array) {
        const list = directory.slots.subarray(first, first + slotCount);
        // What is copied from shared memory goes byte by byte unless source and target are in step in words of 64 bits.
        if ((list.byteOffset & 7) !== ((slots.byteOffset + end * 4) & 7)) end++;
        slots.set(list, end);
      } else readSlots(directory.slots, slots.subarray(end, end + slotCount));
      copyBounds(directory, end - first, keys, starts, ends, entry);
      end += slotCount;
    } else {
      end = copyKept(directory, setOf(loss), keys, starts, ends, entry, slots, end);
    }
    entry += directory.to - directory.from;
  }
}

function readSlots(slots: SpilledBytes, target: Uint32Array): Uint32Array {
  return readWords({ block: slots, offset: 0 }, 0, target);
}

function viewOf({ keys, starts, from, to }: ListDirectory, slots: Uint32Array): Lists {
  return { keys: keys.subarray(from, to), starts: starts.subarray(from, to + 1), slots };
}

function copyBounds(
  { keys, starts, from, to }: ListDirectory,
  shift: number,
  keysOut: Uint32Array,
  startsOut: Uint32Array,
  endsOut: Uint32Array,
  at: number,
): void {
  const move = at - from;
  for (let i = from; i < to; i++) {
    keysOut[i + move] = keys[i];
    startsOut[i + move] = starts[i] + shift;
    endsOut[i + move] = starts[i + 1] + shift;
  }
}

/** The end of the slots that are not lost, the first of which goes to slotsOut[end]. */
function copyKept(
  { keys, starts, slots, from, to }: ListDirectory,
  lost: SlotSet,
  keysOut: Uint32Array,
  startsOut: Uint32Array,
  endsOut: Uint32Array,
  at: number,
  slotsOut: Uint32Array,
  end: number,
): number {
  const list = slots instanceof Uint32Array ? slots : readSlots(slots, new Uint32Array(slots.byteLength / 4));
  let next = end;
  for (let i = from; i < to; i++) {
    keysOut[at + i - from] = keys[i];
    startsOut[at + i - from] = next;
    for (let j = starts[i]; j < starts[i + 1]; j++) if (!lost.has(list[j])) slotsOut[next++] = list[j];
    endsOut[at + i - from] = next;
  }
  return next;
}
