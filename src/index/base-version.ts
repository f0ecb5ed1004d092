/**
 * A version made of base segments alone. Opening one costs the views of its bitmaps, never a copy.
 */
import type { FieldDefinition, IndexDefinition } from '../config/definition.ts';
import { buildBitmapSegment, openBitmapSegment } from './bitmap-segment.ts';
import { DictionaryBuilder, DictionarySegment } from './dictionary-segment.ts';
import { FilterSegment } from './filter-segment.ts';
import { FilterSegmentBuilder } from './filter-segment-builder.ts';
import { EMPTY_BITMAP, type RoaringBitmap32 } from './roaring.ts';
import { SortSegment } from './sort-segment.ts';
import { SortSegmentBuilder } from './sort-segment-builder.ts';
import type { FieldSegments, Version, VersionSegments } from './version.ts';

/** The segments of fields without a value. */
const EMPTY_FILTER = new FilterSegmentBuilder({ field: '' }).finish();
const EMPTY_SORT = new SortSegmentBuilder({ field: '', transpose: () => {} }).finish();
const EMPTY_DICTIONARY = new DictionaryBuilder().finish();

export interface BaseVersionOptions {
  readonly id: number;
  readonly definition: IndexDefinition;
  readonly segments: VersionSegments;
}

export class BaseVersion implements Version {
  readonly id: number;
  readonly definition: IndexDefinition;
  readonly segments: VersionSegments;
  readonly alive: RoaringBitmap32;
  readonly aliveCount: number;
  readonly #filters = new Map<string, FilterSegment>();
  readonly #sorts = new Map<string, SortSegment>();
  readonly #dictionaries = new Map<string, DictionarySegment>();
  readonly #withinAlive = new Map<string, boolean>();

  constructor(options: BaseVersionOptions) {
    this.id = options.id;
    this.definition = options.definition;
    this.segments = options.segments;
    this.alive = openBitmapSegment(options.segments.alive);
    this.aliveCount = this.alive.size;
    for (const field of options.definition.fields) {
      this.#openField(field, options.segments.fields[field.name] ?? {});
    }
  }

  filter(field: string): FilterSegment | undefined {
    return this.#filters.get(field);
  }

  sort(field: string): SortSegment | undefined {
    return this.#sorts.get(field);
  }

  dictionary(field: string): DictionarySegment | undefined {
    return this.#dictionaries.get(field);
  }

  withinAlive(field: string): boolean {
    let within = this.#withinAlive.get(field);
    if (within === undefined) {
      within = isWithinAlive(this, field);
      this.#withinAlive.set(field, within);
    }
    return within;
  }

  #openField(field: FieldDefinition, segments: FieldSegments): void {
    const { name } = field;
    if (field.filter) this.#filters.set(name, new FilterSegment(segments.filter ?? EMPTY_FILTER));
    if (field.sort) this.#sorts.set(name, new SortSegment(segments.sort ?? EMPTY_SORT));
    if (field.type === 'string') {
      this.#dictionaries.set(name, new DictionarySegment(segments.dictionary ?? EMPTY_DICTIONARY));
    }
  }
}

/** A version over base segments; missing field segments are empty. */
export function createVersion(options: BaseVersionOptions): BaseVersion {
  return new BaseVersion(options);
}

/** The version before anything was loaded. */
export function emptyVersion(id: number, definition: IndexDefinition): BaseVersion {
  return new BaseVersion({
    id,
    definition,
    segments: { alive: buildBitmapSegment(EMPTY_BITMAP), fields: {} },
  });
}

/** Whether every slot with a value of the field is alive, looked up in the bitmaps. */
export function isWithinAlive(version: Version, field: string): boolean {
  const filter = version.filter(field);
  const sort = version.sort(field);
  return (
    (filter === undefined || filter.present.isSubset(version.alive)) &&
    (sort === undefined || sort.present.isSubset(version.alive))
  );
}
