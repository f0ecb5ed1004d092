/**
 * A version as base segments and the changes since: queries read (base ∪ adds) \ removes through the same interfaces.
 * Immutable; `DeltaEditor` makes the next one, sharing what did not change.
 */
import type { IndexDefinition } from '../config/definition.ts';
import type { BaseVersion } from './base-version.ts';
import { type BitmapChange, BitmapEditor } from './bitmap-change.ts';
import { DeltaDictionary } from './delta-dictionary.ts';
import { DeltaFilter, FilterEditor } from './delta-filter.ts';
import { DeltaSort, SortEditor } from './delta-sort.ts';
import type { RoaringBitmap32 } from './roaring.ts';
import type { Version, VersionSegments } from './version.ts';

interface State {
  readonly alive: BitmapChange | null;
  readonly filters: ReadonlyMap<string, DeltaFilter>;
  readonly sorts: ReadonlyMap<string, DeltaSort>;
  readonly dictionaries: ReadonlyMap<string, DeltaDictionary>;
  /** Fields proven to be within alive; a field may be so without standing here. */
  readonly fieldsWithinAlive: ReadonlySet<string>;
}

export class DeltaVersion implements Version {
  readonly id: number;
  readonly base: BaseVersion;
  readonly state: State;

  constructor(id: number, base: BaseVersion, state: State) {
    this.id = id;
    this.base = base;
    this.state = state;
  }

  get definition(): IndexDefinition {
    return this.base.definition;
  }

  /** The segments of the base. */
  get segments(): VersionSegments {
    return this.base.segments;
  }

  get alive(): RoaringBitmap32 {
    return this.state.alive?.bitmap ?? this.base.alive;
  }

  get aliveCount(): number {
    return this.state.alive?.cardinality ?? this.base.aliveCount;
  }

  filter(field: string): DeltaFilter | undefined {
    return this.state.filters.get(field);
  }

  sort(field: string): DeltaSort | undefined {
    return this.state.sorts.get(field);
  }

  dictionary(field: string): DeltaDictionary | undefined {
    return this.state.dictionaries.get(field);
  }

  withinAlive(field: string): boolean {
    return this.state.fieldsWithinAlive.has(field);
  }
}

/** A version without changes over its base. */
export function withoutChanges(base: BaseVersion): DeltaVersion {
  const filters = new Map<string, DeltaFilter>();
  const sorts = new Map<string, DeltaSort>();
  const dictionaries = new Map<string, DeltaDictionary>();
  const fieldsWithinAlive = new Set<string>();
  for (const { name } of base.definition.fields) {
    const filter = base.filter(name);
    const sort = base.sort(name);
    const dictionary = base.dictionary(name);
    if (filter !== undefined) filters.set(name, new DeltaFilter(filter));
    if (sort !== undefined) sorts.set(name, new DeltaSort(sort));
    if (dictionary !== undefined) dictionaries.set(name, new DeltaDictionary(dictionary));
    if (base.withinAlive(name)) fieldsWithinAlive.add(name);
  }
  return new DeltaVersion(base.id, base, { alive: null, filters, sorts, dictionaries, fieldsWithinAlive });
}

/**
 * The write path: collects changes to a version and makes the version that has them. Fields are those of the
 * definition; naming another is a programming error. All writes are idempotent.
 */
export class DeltaEditor {
  readonly #from: DeltaVersion;
  readonly #alive: BitmapEditor;
  readonly #filters = new Map<string, FilterEditor>();
  readonly #sorts = new Map<string, SortEditor>();
  readonly #dictionaries: Map<string, DeltaDictionary>;
  #isAliveReduced = false;

  constructor(from: DeltaVersion) {
    this.#from = from;
    this.#alive = new BitmapEditor(from.state.alive ?? from.base.alive);
    this.#dictionaries = new Map(from.state.dictionaries);
  }

  isAlive(slot: number): boolean {
    return this.#alive.has(slot);
  }

  addAlive(slot: number): void {
    this.#alive.add(slot);
  }

  removeAlive(slot: number): void {
    this.#alive.remove(slot);
    this.#isAliveReduced = true;
  }

  addManyAlive(slots: RoaringBitmap32): void {
    this.#alive.addMany(slots);
  }

  removeManyAlive(slots: RoaringBitmap32): void {
    this.#alive.removeMany(slots);
    this.#isAliveReduced = true;
  }

  /** Edits of a filter field: membership of slots in keys. */
  filter(field: string): FilterEditor {
    let editor = this.#filters.get(field);
    if (editor === undefined) {
      editor = new FilterEditor(known(this.#from.filter(field), field));
      this.#filters.set(field, editor);
    }
    return editor;
  }

  /** Edits of a sort field: keys of slots. */
  sort(field: string): SortEditor {
    let editor = this.#sorts.get(field);
    if (editor === undefined) {
      editor = new SortEditor(known(this.#from.sort(field), field));
      this.#sorts.set(field, editor);
    }
    return editor;
  }

  /** The key of a string, which the dictionary learns if it is new; undefined when it has no UTF-8 form. */
  keyOfText(field: string, text: string): number | undefined {
    const found = known(this.#dictionaries.get(field), field).withText(text);
    if (found === undefined) return undefined;
    this.#dictionaries.set(field, found.dictionary);
    return found.code;
  }

  /** The version with all edits. The editor is spent. */
  finish(id: number): DeltaVersion {
    const { base, state } = this.#from;
    const aliveChange = this.#alive.finish();
    const isAlive = (slots: RoaringBitmap32) => aliveChange?.includes(slots) ?? slots.isSubset(base.alive);
    const filters = new Map(state.filters);
    const sorts = new Map(state.sorts);
    const fieldsWithinAlive = new Set(this.#isAliveReduced ? [] : state.fieldsWithinAlive);
    for (const [field, editor] of this.#filters) {
      filters.set(field, editor.finish());
      if (!isAlive(editor.added)) fieldsWithinAlive.delete(field);
    }
    for (const [field, editor] of this.#sorts) {
      sorts.set(field, editor.finish());
      if (!isAlive(editor.added)) fieldsWithinAlive.delete(field);
    }
    return new DeltaVersion(id, base, {
      alive: aliveChange,
      filters,
      sorts,
      dictionaries: this.#dictionaries,
      fieldsWithinAlive,
    });
  }
}

function known<T>(field: T | undefined, name: string): T {
  if (field === undefined) throw new RangeError(`the definition has no such index of field ${name}`);
  return field;
}
