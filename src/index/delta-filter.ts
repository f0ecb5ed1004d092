/**
 * A filter field as it is after changes to a base segment: per changed key what was added and removed since.
 */
import { type BitmapChange, BitmapEditor } from './bitmap-change.ts';
import type { FilterSegment } from './filter-segment.ts';
import { LayeredMap } from './layered-map.ts';
import { RoaringBitmap32 } from './roaring.ts';
import type { FilterField, KeyCardinality } from './version.ts';

/** Null: the key is back at what the base has. */
type Changes = LayeredMap<BitmapChange | null>;

export class DeltaFilter implements FilterField {
  readonly base: FilterSegment;
  readonly valueCount: number;
  readonly changes: Changes;
  #present: RoaringBitmap32 | null = null;

  constructor(base: FilterSegment, changes: Changes = new LayeredMap(), valueCount = base.valueCount) {
    this.base = base;
    this.changes = changes;
    this.valueCount = valueCount;
  }

  /** Whether anything was ever edited. */
  get isChanged(): boolean {
    return !this.changes.isEmpty;
  }

  get present(): RoaringBitmap32 {
    this.#present ??= presentOf(this);
    return this.#present;
  }

  cardinality(key: number): number {
    return this.changes.get(key)?.cardinality ?? this.base.cardinality(key);
  }

  bitmap(key: number): RoaringBitmap32 {
    return this.changes.get(key)?.bitmap ?? this.base.bitmap(key);
  }

  slots(key: number): Uint32Array {
    return this.changes.get(key)?.bitmap.toUint32Array() ?? this.base.slots(key);
  }

  *keys(): Generator<KeyCardinality> {
    const changed = currentChanges(this);
    const changedKeys = Uint32Array.from(changed.keys()).sort();
    let next = 0;
    for (const entry of this.base.keys()) {
      for (; next < changedKeys.length && changedKeys[next] < entry.key; next++) {
        yield* entryOf(changedKeys[next], changed);
      }
      if (changedKeys[next] !== entry.key) yield entry;
    }
    for (; next < changedKeys.length; next++) yield* entryOf(changedKeys[next], changed);
  }
}

/** Collects edits of one field. */
export class FilterEditor {
  readonly #from: DeltaFilter;
  readonly #editors = new Map<number, BitmapEditor>();
  /** Slots that got a value, whether or not they kept it. */
  readonly added = new RoaringBitmap32();

  constructor(from: DeltaFilter) {
    this.#from = from;
  }

  add(key: number, slot: number): void {
    this.#editorOf(key).add(slot);
    this.added.add(slot);
  }

  remove(key: number, slot: number): void {
    this.#editorOf(key).remove(slot);
  }

  addMany(key: number, slots: RoaringBitmap32): void {
    this.#editorOf(key).addMany(slots);
    this.added.orInPlace(slots);
  }

  removeMany(key: number, slots: RoaringBitmap32): void {
    this.#editorOf(key).removeMany(slots);
  }

  /** The field with the edits. The editor is spent. */
  finish(): DeltaFilter {
    const { base, changes } = this.#from;
    let { valueCount } = this.#from;
    const edited = new Map<number, BitmapChange | null>();
    for (const [key, editor] of this.#editors) {
      const change = editor.finish();
      const cardinality = change?.cardinality ?? base.cardinality(key);
      valueCount += Number(cardinality > 0) - Number(this.#from.cardinality(key) > 0);
      edited.set(key, change);
    }
    return new DeltaFilter(base, changes.with(edited), valueCount);
  }

  #editorOf(key: number): BitmapEditor {
    let editor = this.#editors.get(key);
    if (editor === undefined) {
      editor = new BitmapEditor(this.#from.changes.get(key) ?? this.#from.base.bitmap(key));
      this.#editors.set(key, editor);
    }
    return editor;
  }
}

/** Keys that differ from the base. */
function currentChanges(field: DeltaFilter): Map<number, BitmapChange> {
  const changed = new Map<number, BitmapChange>();
  for (const [key, change] of field.changes.toMap()) if (change !== null) changed.set(key, change);
  return changed;
}

function* entryOf(key: number, changed: Map<number, BitmapChange>): Generator<KeyCardinality> {
  const { cardinality } = changed.get(key)!;
  if (cardinality > 0) yield { key, cardinality };
}

/**
 * A slot that lost values and gained none is present if the base gives it more values than it lost. The base is searched
 * for those slots only.
 */
function presentOf(field: DeltaFilter): RoaringBitmap32 {
  const added = new RoaringBitmap32();
  const removed = new RoaringBitmap32();
  const changed = currentChanges(field);
  for (const { adds, removes } of changed.values()) {
    added.orInPlace(adds);
    removed.orInPlace(removes);
  }
  removed.andNotInPlace(added);
  const present = RoaringBitmap32.or(field.base.present, added);
  if (removed.isEmpty) return present;
  present.andNotInPlace(removed);
  for (const { key } of field.base.keys()) {
    const kept = RoaringBitmap32.and(field.base.bitmap(key), removed);
    const change = changed.get(key);
    if (change !== undefined) kept.andNotInPlace(change.removes);
    if (!kept.isEmpty) present.orInPlace(kept);
  }
  return present;
}
