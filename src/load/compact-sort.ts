/**
 * Folds the changes of a sort field into its base segment, page by page: the same bytes as if the segment had been built
 * from the content at once. A task of a pool worker.
 */
import { presentPages, type SortChanges } from '../index/delta-sort.ts';
import { BITSET_WORDS, frozenView } from '../index/portable.ts';
import { RoaringBitmap32 } from '../index/roaring.ts';
import { returnWords } from '../index/scratch-memory.ts';
import type { SegmentBytes } from '../index/segment.ts';
import { SortSegment } from '../index/sort-segment.ts';
import { SortSegmentBuilder } from '../index/sort-segment-builder.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { PAGE_SLOTS } from '../limits.ts';
import { orderByKey } from './merge-entries.ts';
import { pageTransposer } from './merge-sort.ts';

export interface SortCompaction {
  readonly field: string;
  readonly base: SegmentBytes;
  readonly changes: SortChanges;
  /** Where the segment may stand, see `Segment.allocate`. */
  readonly memory: SharedArrayBuffer | null;
}

/** Slots of a page up to which they are sorted as a list. */
const SPARSE_SLOTS_MAX = 512;

/** A sort segment. */
export function compactSort(
  kernels: Kernels,
  { field, base, changes, memory }: SortCompaction,
): SegmentBytes {
  const segment = new SortSegment(base);
  const mark = kernels.memory.mark();
  const builder = new SortSegmentBuilder({ field, transpose: pageTransposer(kernels), memory });
  const kept = RoaringBitmap32.andNot(segment.present, frozenView(changes.voided));
  const bulk = changes.bulk.map(({ key, slots }) => ({ key, slots: frozenView(slots) }));
  const rows = inOrderOfSlots(changes);
  const page = new PageSlots();
  for (const pageKey of changedAndKept(kept, changes, bulk)) {
    page.clear();
    page.addBase(segment, kept, pageKey);
    for (const { key, slots } of bulk) page.addSet(slots, key, pageKey);
    page.addRows(rows, pageKey);
    page.addTo(builder, pageKey);
  }
  kernels.memory.release(mark);
  return builder.finish();
}

interface Rows {
  readonly slots: Uint32Array;
  readonly keys: Uint32Array;
}

function inOrderOfSlots({ slots, keys }: Rows): Rows {
  const order = orderByKey(slots);
  if (order === null) return { slots, keys };
  const at = order.slice(0, slots.length);
  returnWords(order);
  return { slots: at.map((row) => slots[row]), keys: at.map((row) => keys[row]) };
}

/** Pages that have any slot, ascending. */
function changedAndKept(
  kept: RoaringBitmap32,
  changes: SortChanges,
  bulk: readonly { slots: RoaringBitmap32 }[],
): Uint32Array {
  const pages = new Set<number>();
  for (const slots of [kept, ...bulk.map((set) => set.slots)]) {
    for (const { pageKey } of presentPages(slots)) pages.add(pageKey);
  }
  for (const slot of changes.slots) pages.add(slot >>> 16);
  return Uint32Array.from(pages).sort();
}

/** The slots of one page with their keys, each once. */
class PageSlots {
  readonly #slots = new Uint32Array(PAGE_SLOTS);
  readonly #keys = new Uint32Array(PAGE_SLOTS);
  readonly #column = new Uint32Array(PAGE_SLOTS);
  readonly #present = new Uint32Array(BITSET_WORDS);
  #count = 0;
  /** Rows before the page at hand. */
  #rowAt = 0;

  clear(): void {
    this.#count = 0;
  }

  addBase(base: SortSegment, kept: RoaringBitmap32, pageKey: number): void {
    const target = this.#slots.subarray(this.#count);
    const count = copyPageSlots(kept, pageKey, target);
    base.gather(target, this.#keys.subarray(this.#count), count);
    this.#count += count;
  }

  addSet(slots: RoaringBitmap32, key: number, pageKey: number): void {
    const count = copyPageSlots(slots, pageKey, this.#slots.subarray(this.#count));
    this.#keys.fill(key, this.#count, this.#count + count);
    this.#count += count;
  }

  /** Rows ascend, and so do the pages asked for. */
  addRows({ slots, keys }: Rows, pageKey: number): void {
    while (this.#rowAt < slots.length && slots[this.#rowAt] >>> 16 === pageKey) {
      this.#slots[this.#count] = slots[this.#rowAt];
      this.#keys[this.#count++] = keys[this.#rowAt++];
    }
  }

  addTo(builder: SortSegmentBuilder, pageKey: number): void {
    const slots = this.#slots.subarray(0, this.#count);
    const keys = this.#keys.subarray(0, this.#count);
    if (this.#count <= SPARSE_SLOTS_MAX) {
      const rows = inOrderOfSlots({ slots, keys });
      builder.addSparsePage(rows.slots, rows.keys, 0, this.#count);
      return;
    }
    this.#column.fill(0);
    this.#present.fill(0);
    scatter(slots, keys, this.#column, this.#present);
    builder.addPage(pageKey, this.#column, this.#present);
  }
}

/** The slots of a page of a bitmap, ascending, to the start of `target`; returns their number. */
function copyPageSlots(bitmap: RoaringBitmap32, pageKey: number, target: Uint32Array): number {
  const start = pageKey * PAGE_SLOTS;
  const slots = RoaringBitmap32.fromRange(start, start + PAGE_SLOTS);
  slots.andInPlace(bitmap);
  const count = slots.size;
  if (count > 0) slots.toUint32Array(target);
  slots.dispose();
  return count;
}

function scatter(slots: Uint32Array, keys: Uint32Array, column: Uint32Array, present: Uint32Array): void {
  for (let i = 0; i < slots.length; i++) {
    const position = slots[i] & 0xffff;
    column[position] = keys[i];
    present[position >>> 5] |= 1 << (position & 31);
  }
}
