/**
 * A sort field as it is after changes to a base segment, changed in place. The levels are those of delta-filter.ts: the
 * base, whole sets of slots that got one key together, and keys slot by slot.
 *
 * A change is a key in a typed array and an entry in a log. The layers that readers ask for are brought up to date when
 * they ask: a view of a layer takes out every slot that changed since it last looked, and puts in those whose key has the
 * bit now. Bitmaps given out are valid until the next change.
 */
import { PAGE_SLOTS } from '../limits.ts';
import { BulkChanges } from './delta-bulk.ts';
import { grown } from './delta-entries.ts';
import { sharedBytes } from './delta-filter.ts';
import type { IndexTable } from './index-table.ts';
import { RoaringBitmap32 } from './roaring.ts';
import { SlotLog } from './slot-log.ts';
import type { SortSegment } from './sort-segment.ts';
import type { SortField, SortPages } from './version.ts';

const KEY_BITS = 32;
/** The view of the present slots, behind those of the layers. */
const PRESENT = 32;

/** States of a row. */
const NO_KEY = 1;
const HAS_KEY = 2;

/** A bitmap that is right up to this place in the log of changed slots. */
interface View {
  bitmap: RoaringBitmap32;
  /** Made here and so changed in place; else it is the base's. */
  owned: boolean;
  changed: number;
}

/** Slots that changed since some place in the log, ascending, with their keys now. */
interface Recent {
  readonly from: number;
  readonly to: number;
  readonly bitmap: RoaringBitmap32;
  readonly slots: Uint32Array;
  readonly keys: Uint32Array;
  /** 1: has a key. */
  readonly present: Uint8Array;
}

export class DeltaSort implements SortField {
  readonly base: SortSegment;
  /** Each key's slots; `removes` stays empty. */
  readonly bulk = new BulkChanges();
  readonly #slotRows: IndexTable;
  /** By row; 0: the levels below decide. Shorter than the rows where the last ones were never changed here. */
  #states = new Uint8Array(0);
  #keys = new Uint32Array(0);
  readonly #changed = new SlotLog();
  #views: (View | null)[] = new Array(KEY_BITS + 1).fill(null);
  #recent: Recent | null = null;
  #keyMin: number;
  #keyMax: number;
  readonly #bounds: PageBounds;

  constructor(base: SortSegment, slotRows: IndexTable) {
    this.base = base;
    this.#slotRows = slotRows;
    this.#keyMin = base.present.isEmpty ? 0xffffffff : base.keyMin;
    this.#keyMax = base.keyMax;
    this.#bounds = new PageBounds(base);
  }

  get isChanged(): boolean {
    return this.#changed.length > 0 || !this.bulk.isEmpty;
  }

  /** Keys set or taken, as a measure of memory. */
  get changeCount(): number {
    return this.#changed.length;
  }

  get present(): RoaringBitmap32 {
    return this.isChanged ? this.#view(PRESENT) : this.base.present;
  }

  get keyMin(): number {
    return Math.min(this.#keyMin, this.#keyMax);
  }

  get keyMax(): number {
    return this.#keyMax;
  }

  get layerCount(): number {
    return KEY_BITS - Math.clz32(this.#keyMax);
  }

  layer(bit: number): RoaringBitmap32 {
    return this.isChanged ? this.#view(bit) : this.base.layer(bit);
  }

  keyOf(slot: number): number {
    if (this.#isOfRow(slot)) return this.#keys[this.#slotRows.indexOf(slot)];
    return this.bulk.isEmpty ? this.base.keyOf(slot) : this.#keyBelow(slot);
  }

  gather(slots: Uint32Array, keys: Uint32Array, count: number): void {
    if (!this.isChanged) this.base.gather(slots, keys, count);
    else {
      this.#gather(slots, keys, count);
      if (!this.bulk.isEmpty) this.#gatherBulk(slots, keys, count);
    }
  }

  pages(): SortPages {
    return this.isChanged ? this.#bounds.pages() : this.base.pages();
  }

  set(row: number, slot: number, key: number): void {
    if (row >= this.#states.length) this.#reserve(row + 1);
    if (this.#states[row] === HAS_KEY && this.#keys[row] === key) return;
    this.#states[row] = HAS_KEY;
    this.#keys[row] = key;
    this.#changed.push(slot);
    if (key < this.#keyMin) this.#keyMin = key;
    if (key > this.#keyMax) this.#keyMax = key;
    this.#bounds.widen(slot >>> 16, key);
  }

  /** Makes the slot one without a key, if it has this one. */
  remove(row: number, slot: number, key: number): void {
    const state = row < this.#states.length ? this.#states[row] : 0;
    if (state === NO_KEY) return;
    if (state === HAS_KEY) {
      if (this.#keys[row] === key) this.clear(row, slot);
    } else if (this.#keyBelow(slot) === key) {
      this.clear(row, slot);
    }
  }

  clear(row: number, slot: number): void {
    if (row >= this.#states.length) this.#reserve(row + 1);
    if (this.#states[row] === NO_KEY) return;
    this.#states[row] = NO_KEY;
    this.#changed.push(slot);
  }

  /** The same for a set of slots, which is only read. */
  setAll(slots: RoaringBitmap32, key: number): void {
    for (const slot of this.#touchedOf(slots)) this.set(this.#slotRows.indexOf(slot), slot, key);
    this.bulk.clear(slots);
    this.bulk.add(key, slots);
    if (key < this.#keyMin) this.#keyMin = key;
    if (key > this.#keyMax) this.#keyMax = key;
    for (const { pageKey } of presentPages(slots)) this.#bounds.widen(pageKey, key);
    this.#dropViews();
  }

  removeAll(slots: RoaringBitmap32, key: number): void {
    for (const slot of this.#touchedOf(slots)) this.remove(this.#slotRows.indexOf(slot), slot, key);
    const having = this.#belowWithKey(slots, key);
    this.bulk.clear(having);
    having.dispose();
    this.#dropViews();
  }

  clearAll(slots: RoaringBitmap32): void {
    for (const slot of this.#touchedOf(slots)) this.clear(this.#slotRows.indexOf(slot), slot);
    this.bulk.clear(slots);
    this.#dropViews();
  }

  /** What compaction needs, in shared memory; null without changes. */
  changes(): SortChanges | null {
    if (!this.isChanged) return null;
    const changed = this.#changed.since(0);
    const states = this.#states;
    const { words: slotOfRow } = this.#slotRows;
    const slots = new Uint32Array(new SharedArrayBuffer(changed.size * 4));
    const keys = new Uint32Array(new SharedArrayBuffer(changed.size * 4));
    let count = 0;
    for (let row = 0; row < states.length; row++) {
      if (states[row] !== HAS_KEY) continue;
      slots[count] = slotOfRow[row];
      keys[count++] = this.#keys[row];
    }
    return {
      voided: sharedBytes(RoaringBitmap32.or(changed, this.bulk.voided)),
      slots: slots.subarray(0, count),
      keys: keys.subarray(0, count),
      bulk: [...this.bulk.adds].map(([key, bitmap]) => ({
        key,
        slots: sharedBytes(RoaringBitmap32.andNot(bitmap, changed)),
      })),
    };
  }

  /** The key that the levels below the rows have for a slot; −1 for none. */
  #keyBelow(slot: number): number {
    const { bulk, base } = this;
    if (!bulk.isEmpty && bulk.voided.has(slot)) {
      for (const [key, slots] of bulk.adds) if (slots.has(slot)) return key;
      return -1;
    }
    return base.present.has(slot) ? base.keyOf(slot) : -1;
  }

  /** Slots of a set that have the key by the levels below the rows. */
  #belowWithKey(slots: RoaringBitmap32, key: number): RoaringBitmap32 {
    const having = RoaringBitmap32.and(slots, this.base.present);
    for (let bit = 0; bit < KEY_BITS; bit++) {
      if ((key >>> bit) & 1) having.andInPlace(this.base.layer(bit));
      else having.andNotInPlace(this.base.layer(bit));
    }
    having.andNotInPlace(this.bulk.voided);
    const added = this.bulk.adds.get(key);
    if (added !== undefined) {
      const both = RoaringBitmap32.and(added, slots);
      having.orInPlace(both);
      both.dispose();
    }
    return having;
  }

  #touchedOf(slots: RoaringBitmap32): Uint32Array {
    const touched = RoaringBitmap32.and(slots, this.#changed.since(0));
    const list = touched.toUint32Array();
    touched.dispose();
    return list;
  }

  #dropViews(): void {
    this.#views.fill(null);
  }

  #reserve(rowCount: number): void {
    const capacity = Math.max(rowCount, this.#slotRows.words.length);
    const states = new Uint8Array(capacity);
    states.set(this.#states);
    this.#states = states;
    this.#keys = grown(this.#keys, capacity);
  }

  /** Whether the change of this slot alone decides. */
  #isOfRow(slot: number): boolean {
    const row = this.#slotRows.indexOf(slot);
    return row >= 0 && row < this.#states.length && this.#states[row] !== 0;
  }

  #gather(slots: Uint32Array, keys: Uint32Array, count: number): void {
    const rows = this.#slotRows;
    const states = this.#states;
    for (let i = 0; i < count; i++) {
      const row = rows.indexOf(slots[i]);
      keys[i] =
        row >= 0 && row < states.length && states[row] !== 0 ? this.#keys[row] : this.base.keyOf(slots[i]);
    }
  }

  /** Overwrites the keys of slots that got theirs with others. */
  #gatherBulk(slots: Uint32Array, keys: Uint32Array, count: number): void {
    const asked = new RoaringBitmap32(slots.subarray(0, count));
    for (const [key, withKey] of this.bulk.adds) {
      const found = RoaringBitmap32.and(asked, withKey);
      let at = 0;
      for (const slot of found.toUint32Array()) {
        while (slots[at] !== slot) at++;
        if (!this.#isOfRow(slot)) keys[at] = key;
      }
      found.dispose();
    }
    asked.dispose();
  }

  #view(bit: number): RoaringBitmap32 {
    let view = this.#views[bit];
    if (view === null) {
      view = this.#belowView(bit);
      this.#views[bit] = view;
    }
    if (view.changed === this.#changed.length) return view.bitmap;
    const recent = this.#recentSince(view.changed);
    view.changed = recent.to;
    const added = slotsWith(recent, bit);
    if (!view.owned) {
      if (added.length === 0 && !view.bitmap.intersects(recent.bitmap)) return view.bitmap;
      view.bitmap = RoaringBitmap32.andNot(view.bitmap, recent.bitmap);
      view.owned = true;
    } else {
      view.bitmap.andNotInPlace(recent.bitmap);
    }
    if (added.length > 0) view.bitmap.addMany(added);
    return view.bitmap;
  }

  #belowView(bit: number): View {
    const base = bit === PRESENT ? this.base.present : this.base.layer(bit);
    if (this.bulk.isEmpty) return { bitmap: base, owned: false, changed: 0 };
    const bitmap = RoaringBitmap32.andNot(base, this.bulk.voided);
    for (const [key, slots] of this.bulk.adds) {
      if (bit === PRESENT || ((key >>> bit) & 1) === 1) bitmap.orInPlace(slots);
    }
    return { bitmap, owned: true, changed: 0 };
  }

  #recentSince(from: number): Recent {
    const to = this.#changed.length;
    if (this.#recent?.from === from && this.#recent.to === to) return this.#recent;
    const bitmap = this.#changed.since(from);
    const slots = bitmap.toUint32Array();
    const keys = new Uint32Array(slots.length);
    const present = new Uint8Array(slots.length);
    for (let i = 0; i < slots.length; i++) {
      const row = this.#slotRows.indexOf(slots[i]);
      keys[i] = this.#keys[row];
      present[i] = this.#states[row] === HAS_KEY ? 1 : 0;
    }
    this.#recent = { from, to, bitmap, slots, keys, present };
    return this.#recent;
  }
}

/** The changes of a sort field as data: (base \ voided) ∪ bulk ∪ (slots, keys). */
export interface SortChanges {
  /** Slots whose base key does not count, in portable roaring bytes. */
  readonly voided: Uint8Array;
  /** In any order, with their keys; in shared memory. */
  readonly slots: Uint32Array;
  readonly keys: Uint32Array;
  /** Sets of slots with one key, disjoint from each other and from `slots`, in portable roaring bytes. */
  readonly bulk: readonly { readonly key: number; readonly slots: Uint8Array }[];
}

/** Pages with slots of a bitmap, each with its number of them, ascending. */
export function presentPages(bitmap: RoaringBitmap32): { pageKey: number; rank: number; size: number }[] {
  const pages: { pageKey: number; rank: number; size: number }[] = [];
  const total = bitmap.size;
  for (let rank = 0; rank < total; ) {
    const pageKey = bitmap.select(rank)! >>> 16;
    const size = bitmap.rangeCardinality(pageKey * PAGE_SLOTS, (pageKey + 1) * PAGE_SLOTS);
    pages.push({ pageKey, rank, size });
    rank += size;
  }
  return pages;
}

/** The smallest and largest key of each page, widened by every key that was set since the base. */
class PageBounds {
  readonly #base: SortSegment;
  /** By page key: index in the arrays plus 1, or 0. Empty until the first change. */
  #indexes = new Uint32Array(0);
  #pageKeys: number[] = [];
  #mins: number[] = [];
  #maxs: number[] = [];
  #pages: SortPages | null = null;

  constructor(base: SortSegment) {
    this.#base = base;
  }

  widen(pageKey: number, key: number): void {
    if (this.#indexes.length === 0) this.#copyBase();
    let index = this.#indexes[pageKey] - 1;
    if (index < 0) {
      index = this.#pageKeys.push(pageKey) - 1;
      this.#mins.push(key);
      this.#maxs.push(key);
      this.#indexes[pageKey] = index + 1;
      this.#pages = null;
    } else if (key < this.#mins[index] || key > this.#maxs[index]) {
      this.#mins[index] = Math.min(this.#mins[index], key);
      this.#maxs[index] = Math.max(this.#maxs[index], key);
      this.#pages = null;
    }
  }

  pages(): SortPages {
    if (this.#indexes.length === 0) return this.#base.pages();
    if (this.#pages === null) {
      const order = Uint32Array.from(this.#pageKeys).sort();
      const at = Array.from(order, (pageKey) => this.#indexes[pageKey] - 1);
      this.#pages = {
        pageKeys: order,
        keyMins: Uint32Array.from(at, (index) => this.#mins[index]),
        keyMaxs: Uint32Array.from(at, (index) => this.#maxs[index]),
      };
    }
    return this.#pages;
  }

  #copyBase(): void {
    const { pageKeys, keyMins, keyMaxs } = this.#base.pages();
    this.#indexes = new Uint32Array(PAGE_SLOTS);
    this.#pageKeys = [...pageKeys];
    this.#mins = [...keyMins];
    this.#maxs = [...keyMaxs];
    for (let index = 0; index < pageKeys.length; index++) this.#indexes[pageKeys[index]] = index + 1;
  }
}

/** Slots whose key has the bit, or that have a key. */
function slotsWith(recent: Recent, bit: number): Uint32Array {
  const { slots, keys, present } = recent;
  const found = new Uint32Array(slots.length);
  let count = 0;
  if (bit === PRESENT) {
    for (let i = 0; i < slots.length; i++) if (present[i] === 1) found[count++] = slots[i];
  } else {
    for (let i = 0; i < slots.length; i++) {
      if (present[i] === 1 && ((keys[i] >>> bit) & 1) === 1) found[count++] = slots[i];
    }
  }
  return found.subarray(0, count);
}
