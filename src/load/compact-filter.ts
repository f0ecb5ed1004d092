/**
 * Folds the changes of a filter field into its base segment: the same bytes as if the segment had been built from the
 * content at once. One pass over the keys of the base and of the changes together, on typed arrays as far as the values
 * are small. A task of a pool worker.
 */
import type { FilterChanges, KeySlots, SlotPairs } from '../index/delta-filter.ts';
import { FilterSegment } from '../index/filter-segment.ts';
import { FilterSegmentBuilder } from '../index/filter-segment-builder.ts';
import { frozenView } from '../index/portable.ts';
import { RoaringBitmap32 } from '../index/roaring.ts';
import { returnWords } from '../index/scratch-memory.ts';
import type { SegmentBytes } from '../index/segment.ts';
import { SMALL_VALUE_SLOTS_MAX } from '../limits.ts';
import { orderByKey } from './merge-entries.ts';
import { SlotSet } from './merge-slot-set.ts';

export interface FilterCompaction {
  readonly field: string;
  readonly base: SegmentBytes;
  readonly changes: FilterChanges;
  /** Where the segment may stand, see `Segment.allocate`. */
  readonly memory: SharedArrayBuffer | null;
}

/** A filter segment. */
export function compactFilter({ field, base, changes, memory }: FilterCompaction): SegmentBytes {
  return new Compaction(field, new FilterSegment(base), changes, memory).run();
}

/** Slots grouped by key: those of keys[i] are slots[starts[i] … starts[i + 1]), ascending. */
interface Directory {
  readonly keys: Uint32Array;
  readonly starts: Uint32Array;
  readonly slots: Uint32Array;
}

const NO_SLOTS = new Uint32Array(0);

class Compaction {
  readonly #base: FilterSegment;
  readonly #voided: RoaringBitmap32;
  /** The same for lists; null when there are none. */
  readonly #voidedSet: SlotSet | null;
  readonly #added: Directory;
  readonly #removed: Directory;
  readonly #bulkAdded: Map<number, RoaringBitmap32>;
  readonly #bulkRemoved: Map<number, RoaringBitmap32>;
  readonly #builder: FilterSegmentBuilder;
  readonly #kept = new Uint32Array(SMALL_VALUE_SLOTS_MAX);
  /** Places in the directories of the changes. */
  #addedAt = 0;
  #removedAt = 0;

  constructor(field: string, base: FilterSegment, changes: FilterChanges, memory: SharedArrayBuffer | null) {
    this.#base = base;
    this.#voided = frozenView(changes.voided);
    this.#voidedSet = this.#voided.isEmpty ? null : new SlotSet(this.#voided);
    this.#added = groupPairs(changes.added);
    this.#removed = groupPairs(changes.removed);
    this.#bulkAdded = bitmapsByKey(changes.bulkAdded);
    this.#bulkRemoved = bitmapsByKey(changes.bulkRemoved);
    this.#builder = new FilterSegmentBuilder({
      field,
      keyCountMax: base.valueCount + this.#added.keys.length + 1,
      slotCountMax: base.runSlots.length + this.#added.slots.length,
      memory,
    });
  }

  run(): SegmentBytes {
    const { runKeys, bitmapKeys } = this.#base;
    const changedKeys = this.#changedKeys();
    let run = 0;
    let bitmap = 0;
    let changed = 0;
    while (run < runKeys.length || bitmap < bitmapKeys.length || changed < changedKeys.length) {
      const bitmapKey = bitmapKeys[bitmap] ?? Infinity;
      const changedKey = changedKeys[changed] ?? Infinity;
      // Small values up to the next key of another kind, at once.
      const end = lowerBound(runKeys, run, Math.min(bitmapKey, changedKey));
      this.#addRuns(run, end);
      run = end;
      if (changedKey <= bitmapKey) {
        if (changedKey === Infinity) break;
        this.#addChanged(changedKey);
        if (runKeys[run] === changedKey) run++;
        if (bitmapKey === changedKey) bitmap++;
        changed++;
      } else {
        this.#addBitmap(bitmapKey, this.#base.bitmap(bitmapKey));
        bitmap++;
      }
    }
    return this.#builder.finish();
  }

  #addRuns(from: number, to: number): void {
    const { runKeys, runStarts, runSlots } = this.#base;
    const voided = this.#voidedSet;
    if (voided === null) {
      this.#builder.addDirectory(runKeys, runStarts, runSlots, from, to);
      return;
    }
    for (let run = from; run < to; run++) {
      const count = copyKept(runSlots, runStarts[run], runStarts[run + 1], voided, this.#kept);
      this.#builder.addSlots(runKeys[run], this.#kept, 0, count);
    }
  }

  #addBitmap(key: number, bitmap: RoaringBitmap32): void {
    if (!this.#voided.intersects(bitmap)) {
      this.#builder.addBitmap(key, bitmap);
      return;
    }
    const kept = RoaringBitmap32.andNot(bitmap, this.#voided);
    this.#builder.takeBitmap(key, kept);
  }

  #addChanged(key: number): void {
    const bitmap = RoaringBitmap32.andNot(this.#base.bitmap(key), this.#voided);
    const bulkRemoved = this.#bulkRemoved.get(key);
    if (bulkRemoved !== undefined) bitmap.andNotInPlace(bulkRemoved);
    const bulkAdded = this.#bulkAdded.get(key);
    if (bulkAdded !== undefined) bitmap.orInPlace(bulkAdded);
    const removed = this.#nextOf(this.#removed, this.#removedAt, key);
    const added = this.#nextOf(this.#added, this.#addedAt, key);
    if (removed.length > 0) {
      bitmap.removeMany(removed);
      this.#removedAt++;
    }
    if (added.length > 0) {
      bitmap.addMany(added);
      this.#addedAt++;
    }
    this.#builder.takeBitmap(key, bitmap);
  }

  /** The slots at a place of a directory if it is that of the key. */
  #nextOf({ keys, starts, slots }: Directory, at: number, key: number): Uint32Array {
    return keys[at] === key ? slots.subarray(starts[at], starts[at + 1]) : NO_SLOTS;
  }

  /** Ascending. */
  #changedKeys(): Uint32Array {
    const keys = new Set(this.#added.keys);
    for (const key of this.#removed.keys) keys.add(key);
    for (const key of this.#bulkAdded.keys()) keys.add(key);
    for (const key of this.#bulkRemoved.keys()) keys.add(key);
    return Uint32Array.from(keys).sort();
  }
}

/** Index of the first key that is not below `key`, from `from` on. */
function lowerBound(keys: Uint32Array, from: number, key: number): number {
  let low = from;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Copies slots[from … to) that are not in a set to the start of `target`; returns their number. */
function copyKept(slots: Uint32Array, from: number, to: number, lost: SlotSet, target: Uint32Array): number {
  let count = 0;
  for (let i = from; i < to; i++) if (!lost.has(slots[i])) target[count++] = slots[i];
  return count;
}

function groupPairs(pairs: SlotPairs): Directory {
  const bySlot = inOrder(pairs, orderByKey(pairs.slots));
  const { keys, slots } = inOrder(bySlot, orderByKey(bySlot.keys));
  const distinct: number[] = [];
  const starts: number[] = [];
  for (let i = 0; i < keys.length; i++) {
    if (i > 0 && keys[i] === keys[i - 1]) continue;
    distinct.push(keys[i]);
    starts.push(i);
  }
  starts.push(keys.length);
  return { keys: Uint32Array.from(distinct), starts: Uint32Array.from(starts), slots };
}

function inOrder(pairs: SlotPairs, order: Uint32Array<ArrayBuffer> | null): SlotPairs {
  if (order === null) return pairs;
  const count = pairs.keys.length;
  const keys = new Uint32Array(count);
  const slots = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    keys[i] = pairs.keys[order[i]];
    slots[i] = pairs.slots[order[i]];
  }
  returnWords(order);
  return { keys, slots };
}

function bitmapsByKey(list: readonly KeySlots[]): Map<number, RoaringBitmap32> {
  return new Map(list.map(({ key, slots }) => [key, frozenView(slots)]));
}
