/**
 * A version as base segments and the changes since, changed in place: the write path of the index. Fields are named by
 * their place in the definition here. All writes are idempotent.
 *
 * Everything happens on one thread and nothing in here waits, so whoever applies a batch without yielding lets every
 * query see all of it or nothing: that takes no copies and no locks. What a reader gets is valid until the next write.
 */
import type { IndexDefinition } from '../config/definition.ts';
import type { BaseVersion } from './base-version.ts';
import { buildBitmapSegment } from './bitmap-segment.ts';
import { DeltaDictionary } from './delta-dictionary.ts';
import { DeltaFilter, type FilterChanges } from './delta-filter.ts';
import { DeltaSort, type SortChanges } from './delta-sort.ts';
import { IndexTable } from './index-table.ts';
import type { RoaringBitmap32 } from './roaring.ts';
import type { SegmentBytes } from './segment.ts';
import type { Version, VersionSegments } from './version.ts';

/** Bytes of changes, about. */
export function changesBytes({ alive, fields }: VersionChanges): number {
  let bytes = alive.byteLength;
  for (const { filter, sort, texts } of fields) {
    if (filter !== null) {
      bytes += filter.voided.length + 8 * (filter.added.keys.length + filter.removed.keys.length);
      for (const { slots } of [...filter.bulkAdded, ...filter.bulkRemoved]) bytes += slots.length;
    }
    if (sort !== null) {
      bytes += sort.voided.length + 8 * sort.slots.length;
      for (const { slots } of sort.bulk) bytes += slots.length;
    }
    bytes += 16 * texts.length;
  }
  return bytes;
}

/** A bitmap of a bulk change counts like so many changes of single slots. */
const BULK_BITMAP_CHANGES = 4096;

interface DeltaField {
  readonly name: string;
  readonly filter: DeltaFilter | null;
  readonly sort: DeltaSort | null;
  readonly dictionary: DeltaDictionary | null;
  /** A slot got a value while it was not alive. */
  isOutsideAlive: boolean;
}

/** What compaction has to fold into the base, as data that later changes do not touch. */
export interface VersionChanges {
  /** The segment of the alive slots. */
  readonly alive: SegmentBytes;
  /** By place in the definition; null where nothing changed. */
  readonly fields: readonly FieldChanges[];
}

export interface FieldChanges {
  readonly filter: FilterChanges | null;
  readonly sort: SortChanges | null;
  /** Strings added to the dictionary, in the order of their codes. */
  readonly texts: readonly string[];
}

export class DeltaVersion implements Version {
  readonly base: BaseVersion;
  readonly #slotRows = new IndexTable();
  readonly #fields: readonly DeltaField[];
  readonly #byName = new Map<string, DeltaField>();
  /** Null: that of the base. */
  #alive: RoaringBitmap32 | null = null;
  /** The slot last written to, its row, and whether it is alive: ops come slot by slot. */
  #slot = -1;
  #row = -1;
  #isAlive = false;

  constructor(base: BaseVersion) {
    this.base = base;
    this.#fields = base.definition.fields.map(({ name, many }) => {
      const filter = base.filter(name);
      const sort = base.sort(name);
      const dictionary = base.dictionary(name);
      return {
        name,
        filter: filter === undefined ? null : new DeltaFilter(filter, many, this.#slotRows),
        sort: sort === undefined ? null : new DeltaSort(sort, this.#slotRows),
        dictionary: dictionary === undefined ? null : new DeltaDictionary(dictionary),
        isOutsideAlive: false,
      };
    });
    for (const field of this.#fields) this.#byName.set(field.name, field);
  }

  get id(): number {
    return this.base.id;
  }

  get definition(): IndexDefinition {
    return this.base.definition;
  }

  /** The segments of the base. */
  get segments(): VersionSegments {
    return this.base.segments;
  }

  get alive(): RoaringBitmap32 {
    return this.#alive ?? this.base.alive;
  }

  get aliveCount(): number {
    return this.#alive === null ? this.base.aliveCount : this.#alive.size;
  }

  filter(field: string): DeltaFilter | undefined {
    return this.#byName.get(field)?.filter ?? undefined;
  }

  sort(field: string): DeltaSort | undefined {
    return this.#byName.get(field)?.sort ?? undefined;
  }

  dictionary(field: string): DeltaDictionary | undefined {
    return this.#byName.get(field)?.dictionary ?? undefined;
  }

  withinAlive(field: string): boolean {
    return this.#byName.get(field)?.isOutsideAlive === false && this.base.withinAlive(field);
  }

  get isChanged(): boolean {
    return (
      this.#alive !== null ||
      this.#fields.some(
        ({ filter, sort, dictionary }) =>
          filter?.isChanged === true || sort?.isChanged === true || dictionary?.isChanged === true,
      )
    );
  }

  /** A measure of the memory that the changes take. */
  get changeCount(): number {
    let count = this.#slotRows.count;
    for (const { filter, sort } of this.#fields) {
      count += (filter?.changeCount ?? 0) + (sort?.changeCount ?? 0);
      count += ((filter?.bulk.bitmapCount ?? 0) + (sort?.bulk.bitmapCount ?? 0)) * BULK_BITMAP_CHANGES;
    }
    return count;
  }

  /** The key of a string of a field, which learns it if it is new. It must have a UTF-8 form. */
  keyOfText(field: number, text: string): number {
    return this.#fields[field].dictionary!.add(text);
  }

  /** The key of a string that the field knows; −1 for any other. */
  knownKeyOfText(field: number, text: string): number {
    return this.#fields[field].dictionary!.codeOf(text) ?? -1;
  }

  addAlive(slot: number): void {
    if (this.alive.has(slot)) return;
    this.#writableAlive().add(slot);
    if (slot === this.#slot) this.#isAlive = true;
  }

  /** Makes the key the only value of a single-valued field. */
  set(slot: number, field: number, key: number): void {
    this.#select(slot);
    const { filter, sort } = this.#valued(field);
    filter?.set(this.#row, slot, key);
    sort?.set(this.#row, slot, key);
  }

  /** Gives a slot one more value of a `many` field. */
  add(slot: number, field: number, key: number): void {
    this.#select(slot);
    this.#valued(field).filter?.add(this.#row, slot, key);
  }

  /** Takes the value from the slot if it has it. */
  remove(slot: number, field: number, key: number): void {
    this.#select(slot);
    const { filter, sort } = this.#fields[field];
    filter?.remove(this.#row, slot, key);
    sort?.remove(this.#row, slot, key);
  }

  clear(slot: number, field: number): void {
    this.#select(slot);
    this.#clear(this.#fields[field]);
  }

  /** Not alive, and no value in any field. */
  deleteSlot(slot: number): void {
    this.#select(slot);
    for (const field of this.#fields) this.#clear(field);
    if (this.#isAlive) this.#writableAlive().delete(slot);
    this.#isAlive = false;
  }

  /** The same for a set of slots, which is only read; the cost goes by its containers. */
  setAll(slots: RoaringBitmap32, field: number, key: number): void {
    const { filter, sort } = this.#valuedAll(slots, field);
    filter?.setAll(slots, key);
    sort?.setAll(slots, key);
  }

  addAll(slots: RoaringBitmap32, field: number, key: number): void {
    this.#valuedAll(slots, field).filter?.addAll(slots, key);
  }

  removeAll(slots: RoaringBitmap32, field: number, key: number): void {
    const { filter, sort } = this.#fields[field];
    filter?.removeAll(slots, key);
    sort?.removeAll(slots, key);
  }

  clearAll(slots: RoaringBitmap32, field: number): void {
    const { filter, sort } = this.#fields[field];
    filter?.clearAll(slots);
    sort?.clearAll(slots);
  }

  deleteAll(slots: RoaringBitmap32): void {
    for (let field = 0; field < this.#fields.length; field++) this.clearAll(slots, field);
    this.#writableAlive().andNotInPlace(slots);
    this.#slot = -1;
  }

  /** What there is to compact. */
  changes(): VersionChanges {
    const steps = this.takeChanges();
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  /** The same in steps of one field each; nothing may be written until the last one is done. */
  *takeChanges(): Generator<void, VersionChanges> {
    const fields: FieldChanges[] = [];
    for (const { filter, sort, dictionary } of this.#fields) {
      fields.push({
        filter: filter?.changes() ?? null,
        sort: sort?.changes() ?? null,
        texts: dictionary?.addedTexts() ?? [],
      });
      yield;
    }
    return { alive: this.#alive === null ? this.segments.alive : buildBitmapSegment(this.#alive), fields };
  }

  #select(slot: number): void {
    if (slot === this.#slot) return;
    this.#slot = slot;
    this.#row = this.#slotRows.add(slot);
    this.#isAlive = this.alive.has(slot);
  }

  /** The field, about to give the selected slot a value. */
  #valued(field: number): DeltaField {
    const deltaField = this.#fields[field];
    if (!this.#isAlive) deltaField.isOutsideAlive = true;
    return deltaField;
  }

  #valuedAll(slots: RoaringBitmap32, field: number): DeltaField {
    const deltaField = this.#fields[field];
    if (!deltaField.isOutsideAlive && !slots.isSubset(this.alive)) deltaField.isOutsideAlive = true;
    return deltaField;
  }

  #clear({ filter, sort }: DeltaField): void {
    filter?.clear(this.#row, this.#slot);
    sort?.clear(this.#row, this.#slot);
  }

  #writableAlive(): RoaringBitmap32 {
    this.#alive ??= this.base.alive.clone();
    return this.#alive;
  }
}
