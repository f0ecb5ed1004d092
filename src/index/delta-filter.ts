/**
 * A filter field as it is after changes to a base segment, changed in place. Three levels: the base, changes to whole sets
 * of slots (delta-bulk.ts), and changes slot by slot, which decide alone for every slot they have cleared. So neither a
 * set nor a delete needs to know what the slot had: its base values simply stop to count.
 *
 * A change is a few writes into typed arrays. The bitmaps that readers ask for are brought up to date when they ask: a
 * view of a key remembers how far it has followed the logs of cleared slots and flipped entries. Bitmaps given out are
 * valid until the next change.
 */
import { SMALL_VALUE_SLOTS_MAX, VIEWS_KEPT_MAX } from '../limits.ts';
import { BulkChanges } from './delta-bulk.ts';
import { DeltaEntries, grown } from './delta-entries.ts';
import { type FilterSegment, indexOfKey } from './filter-segment.ts';
import { GrowableWords } from './growable.ts';
import type { IndexTable } from './index-table.ts';
import { BITSET_WORDS } from './portable.ts';
import { RoaringBitmap32 } from './roaring.ts';
import { SlotLog } from './slot-log.ts';
import type { FilterField, KeyCardinality } from './version.ts';

/** Bits of a row: written to since the base; what the levels below have does not count. */
const TOUCHED = 1;
const CLEARED = 2;

/** A bitmap that follows the changes: it is right up to these places in the logs. */
interface View {
  bitmap: RoaringBitmap32;
  /** Made here and so changed in place; else it is the base's. */
  owned: boolean;
  cleared: number;
  flips: number;
}

export class DeltaFilter implements FilterField {
  readonly base: FilterSegment;
  readonly many: boolean;
  readonly bulk = new BulkChanges();
  /** Slot ↔ row, shared by all fields of the version. */
  readonly #slotRows: IndexTable;
  readonly #entries: DeltaEntries;
  /** By row. Shorter than the rows where the last ones were never touched here. */
  #flags = new Uint8Array(0);
  /** By row: the entry that counts plus 1, or 0; of a `many` field the first of its chain. */
  #heads = new Uint32Array(0);
  /** By row of a `many` field: entries that count. */
  #presentCounts = new Uint32Array(0);
  readonly #cleared = new SlotLog();
  /** Slots that were written to: of a single-valued field those that are cleared. */
  readonly #touched: SlotLog;
  /** Entries that began or ceased to count. */
  readonly #flips = new GrowableWords(256);
  readonly #views = new Map<number, View>();
  #presentView: View | null = null;
  /** Keys of entries that the base does not have. */
  #newKeyCount = 0;
  #bulkRevision = 0;
  #valueCount = { revision: '', count: 0 };

  constructor(base: FilterSegment, many: boolean, slotRows: IndexTable) {
    this.base = base;
    this.many = many;
    this.#slotRows = slotRows;
    this.#entries = new DeltaEntries(many);
    this.#touched = many ? new SlotLog() : this.#cleared;
  }

  get isChanged(): boolean {
    return this.#touched.length > 0 || !this.bulk.isEmpty;
  }

  /** Keys given or taken, as a measure of memory. */
  get changeCount(): number {
    return this.#entries.count;
  }

  get valueCount(): number {
    if (!this.isChanged) return this.base.valueCount;
    const revision = `${this.#flips.length} ${this.#cleared.length} ${this.#bulkRevision}`;
    if (revision !== this.#valueCount.revision) {
      let count = 0;
      for (const _ of this.keys()) count++;
      this.#valueCount = { revision, count };
    }
    return this.#valueCount.count;
  }

  get valueCountMax(): number {
    return this.base.valueCount + this.#newKeyCount + this.bulk.adds.size;
  }

  get present(): RoaringBitmap32 {
    return this.isChanged ? this.#syncPresent() : this.base.present;
  }

  get presentCountMax(): number {
    let count = this.base.present.size + this.#touched.length;
    for (const bitmap of this.bulk.adds.values()) count += bitmap.size;
    return count;
  }

  cardinality(key: number): number {
    if (!this.isChanged) return this.base.cardinality(key);
    return this.#isSmall(key) ? this.#fillSmall(key) : this.#view(key).bitmap.size;
  }

  bitmap(key: number): RoaringBitmap32 {
    if (!this.isChanged) return this.base.bitmap(key);
    return this.#isSmall(key) ? new RoaringBitmap32(this.slots(key)) : this.#view(key).bitmap;
  }

  slots(key: number): Uint32Array {
    if (!this.isChanged) return this.base.slots(key);
    if (!this.#isSmall(key)) return this.#view(key).bitmap.toUint32Array();
    return smallSlots.slice(0, this.#fillSmall(key)).sort();
  }

  *keys(): Generator<KeyCardinality> {
    const changedKeys = this.#changedKeys();
    let next = 0;
    for (const entry of this.base.keys()) {
      for (; next < changedKeys.length && changedKeys[next] < entry.key; next++) {
        yield* this.#keyEntry(changedKeys[next]);
      }
      if (changedKeys[next] === entry.key) next++;
      yield* this.#keyEntry(entry.key);
    }
    for (; next < changedKeys.length; next++) yield* this.#keyEntry(changedKeys[next]);
  }

  /** Of a single-valued field: makes the key the value of the slot. */
  set(row: number, slot: number, key: number): void {
    this.#clearBelow(row, slot);
    const entries = this.#entries;
    const current = this.#heads[row];
    if (current !== 0) {
      if (entries.keys[current - 1] === key) return;
      entries.present[current - 1] = 0;
      this.#flips.push(current - 1);
    }
    const entry = this.#addEntry(row, slot, key, true);
    this.#heads[row] = entry + 1;
  }

  /** Of a `many` field. */
  add(row: number, slot: number, key: number): void {
    this.#touch(row, slot);
    const found = this.#entries.find(row, key);
    if (found === 0) this.#addToRow(row, slot, key, true);
    else this.#flip(row, found - 1, 1);
  }

  remove(row: number, slot: number, key: number): void {
    const flags = row < this.#flags.length ? this.#flags[row] : 0;
    if (!this.many) {
      if ((flags & CLEARED) === 0) {
        if (this.#isBelow(key, slot)) this.#clearBelow(row, slot);
      } else if (this.#heads[row] !== 0 && this.#entries.keys[this.#heads[row] - 1] === key) {
        this.clear(row, slot);
      }
      return;
    }
    const found = (flags & TOUCHED) === 0 ? 0 : this.#entries.find(row, key);
    if (found !== 0) {
      this.#flip(row, found - 1, 0);
    } else if ((flags & CLEARED) === 0 && this.#isBelow(key, slot)) {
      this.#touch(row, slot);
      this.#addToRow(row, slot, key, false);
    }
  }

  /** No value. */
  clear(row: number, slot: number): void {
    this.#clearBelow(row, slot);
    const entries = this.#entries;
    if (this.many) {
      for (let entry = this.#heads[row]; entry !== 0; entry = entries.nextOfRow[entry - 1]) {
        this.#flip(row, entry - 1, 0);
      }
    } else if (this.#heads[row] !== 0) {
      entries.present[this.#heads[row] - 1] = 0;
      this.#flips.push(this.#heads[row] - 1);
      this.#heads[row] = 0;
    }
  }

  /** The same for a set of slots, which is only read. */
  setAll(slots: RoaringBitmap32, key: number): void {
    for (const slot of this.#touchedOf(slots)) this.set(this.#slotRows.indexOf(slot), slot, key);
    this.bulk.clear(slots);
    this.bulk.add(key, slots);
    this.#dropViews();
  }

  addAll(slots: RoaringBitmap32, key: number): void {
    for (const slot of this.#touchedOf(slots)) this.add(this.#slotRows.indexOf(slot), slot, key);
    this.bulk.add(key, slots);
    this.#dropViews();
  }

  removeAll(slots: RoaringBitmap32, key: number): void {
    for (const slot of this.#touchedOf(slots)) this.remove(this.#slotRows.indexOf(slot), slot, key);
    if (this.many) {
      this.bulk.remove(key, slots);
    } else {
      const having = RoaringBitmap32.and(this.bulk.apply(key, this.base.bitmap(key)), slots);
      this.bulk.clear(having);
      having.dispose();
    }
    this.#dropViews();
  }

  clearAll(slots: RoaringBitmap32): void {
    for (const slot of this.#touchedOf(slots)) this.clear(this.#slotRows.indexOf(slot), slot);
    this.bulk.clear(slots);
    this.#dropViews();
  }

  /** What compaction needs, in shared memory; null without changes. */
  changes(): FilterChanges | null {
    if (!this.isChanged) return null;
    const cleared = this.#cleared.since(0);
    const { slots, keys, present, count } = this.#entries;
    const presentCount = countOnes(present, count);
    const added = pairsOf(presentCount);
    const removed = pairsOf(this.many ? count - presentCount : 0);
    let addedAt = 0;
    let removedAt = 0;
    for (let entry = 0; entry < count; entry++) {
      if (present[entry] === 1) {
        added.keys[addedAt] = keys[entry];
        added.slots[addedAt++] = slots[entry];
      } else if (this.many) {
        removed.keys[removedAt] = keys[entry];
        removed.slots[removedAt++] = slots[entry];
      }
    }
    return {
      voided: sharedBytes(RoaringBitmap32.or(cleared, this.bulk.voided)),
      added,
      removed,
      bulkAdded: [...this.bulk.adds].map(([key, bitmap]) => ({
        key,
        slots: sharedBytes(RoaringBitmap32.andNot(bitmap, cleared)),
      })),
      bulkRemoved: [...this.bulk.removes].map(([key, bitmap]) => ({
        key,
        slots: sharedBytes(bitmap.clone()),
      })),
    };
  }

  /** What the levels below the rows have. */
  #isBelow(key: number, slot: number): boolean {
    const { base, bulk } = this;
    const isInBase =
      base.cardinality(key) <= SMALL_VALUE_SLOTS_MAX
        ? indexOfKey(base.slots(key), slot) >= 0
        : base.bitmap(key).has(slot);
    return bulk.isEmpty ? isInBase : bulk.has(key, slot, isInBase);
  }

  #touch(row: number, slot: number): void {
    if (row >= this.#flags.length) this.#reserve(row + 1);
    if (this.#flags[row] !== 0) return;
    this.#flags[row] = TOUCHED;
    this.#touched.push(slot);
  }

  #clearBelow(row: number, slot: number): void {
    if (row < this.#flags.length && (this.#flags[row] & CLEARED) !== 0) return;
    if (this.many) this.#touch(row, slot);
    else if (row >= this.#flags.length) this.#reserve(row + 1);
    this.#flags[row] = TOUCHED | CLEARED;
    this.#cleared.push(slot);
  }

  /** The rows of every other table grow with those of the slots. */
  #reserve(rowCount: number): void {
    const capacity = Math.max(rowCount, this.#slotRows.words.length);
    const flags = new Uint8Array(capacity);
    flags.set(this.#flags);
    this.#flags = flags;
    this.#heads = grown(this.#heads, capacity);
    if (this.many) this.#presentCounts = grown(this.#presentCounts, capacity);
  }

  #addToRow(row: number, slot: number, key: number, present: boolean): void {
    const entry = this.#addEntry(row, slot, key, present);
    this.#entries.nextOfRow[entry] = this.#heads[row];
    this.#heads[row] = entry + 1;
    if (present) this.#presentCounts[row]++;
  }

  #addEntry(row: number, slot: number, key: number, present: boolean): number {
    const { keyTable } = this.#entries;
    const keyCount = keyTable.count;
    const entry = this.#entries.add(row, slot, key, present);
    if (keyTable.count > keyCount && this.base.cardinality(key) === 0) this.#newKeyCount++;
    this.#flips.push(entry);
    return entry;
  }

  #flip(row: number, entry: number, present: number): void {
    const entries = this.#entries;
    if (entries.present[entry] === present) return;
    entries.present[entry] = present;
    if (present === 1) this.#presentCounts[row]++;
    else this.#presentCounts[row]--;
    this.#flips.push(entry);
  }

  #touchedOf(slots: RoaringBitmap32): Uint32Array {
    const touched = RoaringBitmap32.and(slots, this.#touched.since(0));
    const list = touched.toUint32Array();
    touched.dispose();
    return list;
  }

  #dropViews(): void {
    this.#views.clear();
    this.#presentView = null;
    this.#bulkRevision++;
  }

  /** So few slots that a list costs less than a bitmap that is kept. Once false for a key it stays so. */
  #isSmall(key: number): boolean {
    return (
      this.base.cardinality(key) + this.#entries.countOf(key) <= SMALL_VALUE_SLOTS_MAX &&
      !this.bulk.adds.has(key)
    );
  }

  /** Writes the slots of a small key to `smallSlots`, unordered and unique; returns their number. */
  #fillSmall(key: number): number {
    const entries = this.#entries;
    let count = 0;
    for (const slot of this.base.slots(key)) {
      if (this.#isBelowVisible(key, slot)) smallSlots[count++] = slot;
    }
    for (let entry = entries.firstOf(key); entry !== 0; entry = entries.nextOfKey[entry - 1]) {
      // Of several entries of a row and key only one counts.
      if (entries.present[entry - 1] === 1) smallSlots[count++] = entries.slots[entry - 1];
    }
    return count;
  }

  /** Whether a base slot of a key is still one, its entry aside. */
  #isBelowVisible(key: number, slot: number): boolean {
    const row = this.#slotRows.indexOf(slot);
    if (row >= 0 && row < this.#flags.length) {
      const flags = this.#flags[row];
      if ((flags & CLEARED) !== 0) return false;
      if (this.many && (flags & TOUCHED) !== 0 && this.#entries.find(row, key) !== 0) return false;
    }
    return this.bulk.isEmpty || this.bulk.has(key, slot, true);
  }

  #view(key: number): View {
    let view = this.#views.get(key);
    if (view === undefined) {
      const base = this.base.bitmap(key);
      const bitmap = this.bulk.isEmpty ? base : this.bulk.apply(key, base);
      view = { bitmap, owned: bitmap !== base, cleared: 0, flips: 0 };
      if (this.#views.size >= VIEWS_KEPT_MAX) {
        for (const oldest of this.#views.keys()) {
          this.#views.delete(oldest);
          break;
        }
      }
      this.#views.set(key, view);
    }
    if (view.cleared < this.#cleared.length || view.flips < this.#flips.length) this.#syncView(view, key);
    return view;
  }

  #syncView(view: View, key: number): void {
    subtract(view, this.#cleared);
    const entries = this.#entries;
    const added = new GrowableWords(64);
    const removed = new GrowableWords(64);
    const flips = this.#flips.view();
    if (entries.countOf(key) < flips.length - view.flips) {
      for (let entry = entries.firstOf(key); entry !== 0; entry = entries.nextOfKey[entry - 1]) {
        (this.#has(entry - 1) ? added : removed).push(entries.slots[entry - 1]);
      }
    } else {
      for (let i = view.flips; i < flips.length; i++) {
        const entry = flips[i];
        if (entries.keys[entry] === key) (this.#has(entry) ? added : removed).push(entries.slots[entry]);
      }
    }
    change(view, added, removed);
    view.flips = flips.length;
  }

  /** Whether the row of an entry has its key, be it by this entry or by a later one. */
  #has(entry: number): boolean {
    const { present, keys, rows } = this.#entries;
    if (present[entry] === 1) return true;
    const head = this.many ? 0 : this.#heads[rows[entry]];
    return head !== 0 && keys[head - 1] === keys[entry];
  }

  #syncPresent(): RoaringBitmap32 {
    let view = this.#presentView;
    let doubtful: RoaringBitmap32 | null = null;
    if (view === null) {
      view = { bitmap: this.base.present, owned: false, cleared: 0, flips: 0 };
      if (!this.bulk.isEmpty) {
        view.bitmap = RoaringBitmap32.andNot(this.base.present, this.bulk.voided);
        view.owned = true;
        for (const slots of this.bulk.removes.values()) {
          doubtful ??= new RoaringBitmap32();
          doubtful.orInPlace(slots);
        }
        for (const slots of this.bulk.adds.values()) {
          view.bitmap.orInPlace(slots);
          doubtful?.andNotInPlace(slots);
        }
        doubtful?.andInPlace(view.bitmap);
      }
      this.#presentView = view;
    }
    if (view.cleared === this.#cleared.length && view.flips === this.#flips.length && doubtful === null) {
      return view.bitmap;
    }
    subtract(view, this.#cleared);
    const { rows, slots } = this.#entries;
    const added = new GrowableWords(64);
    const removed = new GrowableWords(64);
    const unknown = new GrowableWords(64);
    const flips = this.#flips.view();
    for (let i = view.flips; i < flips.length; i++) {
      const row = rows[flips[i]];
      const slot = slots[flips[i]];
      if (this.many ? this.#presentCounts[row] > 0 : this.#heads[row] !== 0) added.push(slot);
      else if ((this.#flags[row] & CLEARED) !== 0) removed.push(slot);
      else unknown.push(slot);
    }
    change(view, added, removed);
    view.flips = flips.length;
    doubtful?.andNotInPlace(this.#cleared.since(0));
    doubtful?.removeMany(added.view());
    if (unknown.length > 0) {
      doubtful ??= new RoaringBitmap32();
      doubtful.addMany(unknown.view());
    }
    if (doubtful !== null) {
      const valued = this.#withBaseValue(doubtful);
      own(view);
      view.bitmap.andNotInPlace(doubtful);
      view.bitmap.orInPlace(valued);
    }
    return view.bitmap;
  }

  /**
   * Those of the slots, none of which is cleared or has an entry that counts, which still have a value of the base or of
   * the bulk changes. Reads the whole base; only removes from a `many` field make it necessary.
   */
  #withBaseValue(slots: RoaringBitmap32): RoaringBitmap32 {
    const valued = new RoaringBitmap32();
    const { runKeys, runStarts, runSlots, bitmapKeys } = this.base;
    const bitsets = bitsetsOf(slots);
    const found = new GrowableWords(64);
    for (let run = 0; run < runKeys.length; run++) {
      for (let i = runStarts[run]; i < runStarts[run + 1]; i++) {
        const slot = runSlots[i];
        const bitset = bitsets[slot >>> 16];
        if (bitset === undefined || ((bitset[(slot & 0xffff) >>> 5] >>> (slot & 31)) & 1) === 0) continue;
        if (this.#isBelowVisible(runKeys[run], slot)) found.push(slot);
      }
    }
    valued.addMany(found.view());
    const bulkKeys = [...this.bulk.adds.keys()];
    for (const key of new Set([...bitmapKeys, ...bulkKeys])) {
      const having = RoaringBitmap32.and(this.bulk.apply(key, this.base.bitmap(key)), slots);
      for (const slot of this.#removedOf(key)) having.delete(slot);
      valued.orInPlace(having);
      having.dispose();
    }
    return valued;
  }

  /** Slots of the entries of a key that do not count. */
  *#removedOf(key: number): Generator<number> {
    const entries = this.#entries;
    for (let entry = entries.firstOf(key); entry !== 0; entry = entries.nextOfKey[entry - 1]) {
      if (entries.present[entry - 1] === 0) yield entries.slots[entry - 1];
    }
  }

  /** Ascending. */
  #changedKeys(): Uint32Array {
    const { words, count } = this.#entries.keyTable;
    const keys = new Set(words.subarray(0, count));
    for (const key of this.bulk.adds.keys()) keys.add(key);
    return Uint32Array.from(keys).sort();
  }

  *#keyEntry(key: number): Generator<KeyCardinality> {
    const cardinality = this.cardinality(key);
    if (cardinality > 0) yield { key, cardinality };
  }
}

/** Pairs in shared memory: slots[i] has keys[i]; unique, in any order. */
export interface SlotPairs {
  readonly keys: Uint32Array;
  readonly slots: Uint32Array;
}

/** The slots of a key, in portable roaring bytes. */
export interface KeySlots {
  readonly key: number;
  readonly slots: Uint8Array;
}

/** The changes of a filter field as data: ((base \ voided \ bulkRemoved) ∪ bulkAdded) \ removed ∪ added. */
export interface FilterChanges {
  /** Slots whose base values do not count, in portable roaring bytes. */
  readonly voided: Uint8Array;
  readonly added: SlotPairs;
  readonly removed: SlotPairs;
  readonly bulkAdded: readonly KeySlots[];
  readonly bulkRemoved: readonly KeySlots[];
}

/** Portable bytes in shared memory. Takes the bitmap over. */
export function sharedBytes(bitmap: RoaringBitmap32): Uint8Array {
  bitmap.runOptimize();
  const bytes = bitmap.serialize('portable');
  bitmap.dispose();
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return shared;
}

/** Scratch of this thread; reading never yields. */
const smallSlots = new Uint32Array(SMALL_VALUE_SLOTS_MAX);

function pairsOf(count: number): SlotPairs {
  const words = new SharedArrayBuffer(count * 8);
  return { keys: new Uint32Array(words, 0, count), slots: new Uint32Array(words, count * 4, count) };
}

function countOnes(flags: Uint8Array, length: number): number {
  let count = 0;
  for (let i = 0; i < length; i++) count += flags[i];
  return count;
}

function own(view: View): void {
  if (!view.owned) view.bitmap = view.bitmap.clone();
  view.owned = true;
}

/** Takes out what was cleared since the view looked. */
function subtract(view: View, cleared: SlotLog): void {
  if (view.cleared === cleared.length) return;
  const gone = cleared.since(view.cleared);
  view.cleared = cleared.length;
  if (view.owned) view.bitmap.andNotInPlace(gone);
  else if (view.bitmap.intersects(gone)) {
    view.bitmap = RoaringBitmap32.andNot(view.bitmap, gone);
    view.owned = true;
  }
}

function change(view: View, added: GrowableWords, removed: GrowableWords): void {
  if (added.length + removed.length === 0) return;
  own(view);
  if (removed.length > 0) view.bitmap.removeMany(removed.view());
  if (added.length > 0) view.bitmap.addMany(added.view());
}

/** By page: the slots as a bitset. */
function bitsetsOf(slots: RoaringBitmap32): (Uint32Array | undefined)[] {
  const bitsets: (Uint32Array | undefined)[] = [];
  for (const slot of slots.toUint32Array()) {
    const bitset = (bitsets[slot >>> 16] ??= new Uint32Array(BITSET_WORDS));
    bitset[(slot & 0xffff) >>> 5] |= 1 << (slot & 31);
  }
  return bitsets;
}
