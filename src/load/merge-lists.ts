/**
 * Unites the lists of many directories: for every key the slots of all its entries. Entries of a dump in slot order are
 * disjoint and ascending, so putting them one behind the other, in kernel memory, is all; what comes in another order is
 * merged there afterwards.
 */
import { returnWords } from '../index/scratch-memory.ts';
import type { KernelMemory, Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { type ListDirectory, type Lists, NO_LISTS } from './merge-directory.ts';
import { orderByKey } from './merge-entries.ts';
import { SlotSet } from './merge-slot-set.ts';

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

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#mark = kernels.memory.mark();
  }

  /** Of directories that are not empty. Valid until the next call. Takes kernel memory for twice the slots. */
  unite(directories: readonly ListDirectory[]): Lists {
    if (directories.length === 0) return NO_LISTS;
    if (directories.length === 1 && directories[0].loss === null) return directories[0];
    const { memory } = this.#kernels;
    memory.release(this.#mark);
    const table = allocateTable(memory, directories);
    copyEntries(memory, directories, table);
    const order = this.#order(directories, table);
    return this.#united(table, order);
  }

  /** The union is spent, and so is what it returned. */
  release(): void {
    this.#kernels.memory.release(this.#mark);
  }

  /** The entries by key, in the order of the directories where keys are equal. */
  #order(directories: readonly ListDirectory[], { keys, count }: EntryTable): Pointer {
    const kernels = this.#kernels;
    const { memory } = kernels;
    const order = memory.allocate(count * 4);
    const keyMin = directories.reduce((least, directory) => Math.min(least, directory.keys[0]), UINT32_MAX);
    const keyMax = directories.reduce((most, { keys }) => Math.max(most, keys[keys.length - 1]), 0);
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
  return directories.reduce((sum, { keys, starts }) => sum + starts[keys.length] - starts[0], 0);
}

function wordsAt(memory: KernelMemory, pointer: Pointer, count: number): Uint32Array {
  return memory.u32.subarray(pointer / 4, pointer / 4 + count);
}

function allocateTable(memory: KernelMemory, directories: readonly ListDirectory[]): EntryTable {
  const count = directories.reduce((sum, { keys }) => sum + keys.length, 0);
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
      const from = directory.starts[0];
      const to = directory.starts[directory.keys.length];
      const list = directory.slots.subarray(from, to);
      // What is copied from shared memory goes byte by byte unless source and target are in step in words of 64 bits.
      if ((list.byteOffset & 7) !== ((slots.byteOffset + end * 4) & 7)) end++;
      slots.set(list, end);
      copyBounds(directory.keys, directory.starts, end - from, keys, starts, ends, entry);
      end += to - from;
    } else {
      loss.set ??= new SlotSet(loss.bitmap);
      end = copyKept(directory, loss.set, keys, starts, ends, entry, slots, end);
    }
    entry += directory.keys.length;
  }
}

function copyBounds(
  keys: Uint32Array,
  starts: Uint32Array,
  shift: number,
  keysOut: Uint32Array,
  startsOut: Uint32Array,
  endsOut: Uint32Array,
  at: number,
): void {
  for (let i = 0; i < keys.length; i++) {
    keysOut[at + i] = keys[i];
    startsOut[at + i] = starts[i] + shift;
    endsOut[at + i] = starts[i + 1] + shift;
  }
}

/** The end of the slots that are not lost, the first of which goes to slotsOut[end]. */
function copyKept(
  { keys, starts, slots }: ListDirectory,
  lost: SlotSet,
  keysOut: Uint32Array,
  startsOut: Uint32Array,
  endsOut: Uint32Array,
  at: number,
  slotsOut: Uint32Array,
  end: number,
): number {
  let next = end;
  for (let i = 0; i < keys.length; i++) {
    keysOut[at + i] = keys[i];
    startsOut[at + i] = next;
    for (let j = starts[i]; j < starts[i + 1]; j++) if (!lost.has(slots[j])) slotsOut[next++] = slots[j];
    endsOut[at + i] = next;
  }
  return next;
}
