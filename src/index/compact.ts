/**
 * Folds the changes of a version into new base segments: the same bytes as if they had been built from the content at
 * once. Segments without changes are taken over as they are.
 */
import { COLUMN_SPARSE_SLOTS_MAX, PAGE_SLOTS, SMALL_VALUE_SLOTS_MAX } from '../limits.ts';
import { buildBitmapSegment } from './bitmap-segment.ts';
import type { DeltaDictionary } from './delta-dictionary.ts';
import type { DeltaFilter } from './delta-filter.ts';
import { type DeltaSort, presentPages } from './delta-sort.ts';
import type { DeltaVersion } from './delta-version.ts';
import { DictionaryBuilder } from './dictionary-segment.ts';
import { FilterSegmentBuilder } from './filter-segment-builder.ts';
import { BITSET_WORDS } from './portable.ts';
import { SortSegmentBuilder, type TransposePage } from './sort-segment-builder.ts';
import type { FieldSegments, VersionSegments } from './version.ts';

/** The content of a version as base segments. */
export function compact(version: DeltaVersion, transpose: TransposePage): VersionSegments {
  const fields: Record<string, FieldSegments> = {};
  for (const { name } of version.definition.fields) {
    const filter = version.filter(name);
    const sort = version.sort(name);
    const dictionary = version.dictionary(name);
    fields[name] = {
      ...(filter === undefined ? {} : { filter: compactFilter(name, filter) }),
      ...(sort === undefined ? {} : { sort: compactSort(name, sort, transpose) }),
      ...(dictionary === undefined ? {} : { dictionary: compactDictionary(dictionary) }),
    };
  }
  const { alive } = version.state;
  return { alive: alive === null ? version.segments.alive : buildBitmapSegment(alive.bitmap), fields };
}

function compactFilter(name: string, field: DeltaFilter): SharedArrayBuffer {
  if (!field.isChanged) return field.base.buffer;
  const builder = new FilterSegmentBuilder({ field: name });
  for (const { key, cardinality } of field.keys()) {
    if (cardinality > SMALL_VALUE_SLOTS_MAX) builder.addBitmap(key, field.bitmap(key));
    else builder.addSlots(key, field.slots(key), 0, cardinality);
  }
  return builder.finish(field.present);
}

function compactSort(name: string, field: DeltaSort, transpose: TransposePage): SharedArrayBuffer {
  if (!field.state.isChanged) return field.base.buffer;
  const builder = new SortSegmentBuilder({ field: name, transpose });
  const slots = new Uint32Array(PAGE_SLOTS);
  const keys = new Uint32Array(PAGE_SLOTS);
  const column = new Uint32Array(PAGE_SLOTS);
  const presentBits = new Uint32Array(BITSET_WORDS);
  const { present } = field;
  for (const { pageKey, rank, size } of presentPages(present)) {
    present.rangeUint32Array(slots, rank, size);
    field.gather(slots, keys, size);
    if (size <= COLUMN_SPARSE_SLOTS_MAX) {
      builder.addSparsePage(slots, keys, 0, size);
      continue;
    }
    column.fill(0);
    presentBits.fill(0);
    scatterPage(slots, keys, size, column, presentBits);
    builder.addPage(pageKey, column, presentBits);
  }
  return builder.finish();
}

function scatterPage(
  slots: Uint32Array,
  keys: Uint32Array,
  size: number,
  column: Uint32Array,
  presentBits: Uint32Array,
): void {
  for (let i = 0; i < size; i++) {
    const position = slots[i] & 0xffff;
    column[position] = keys[i];
    presentBits[position >>> 5] |= 1 << (position & 31);
  }
}

function compactDictionary(dictionary: DeltaDictionary): SharedArrayBuffer {
  const added = dictionary.addedTexts();
  if (added.length === 0) return dictionary.base.buffer;
  const builder = new DictionaryBuilder(dictionary.base);
  for (const text of added) {
    const bytes = Buffer.from(text, 'utf8');
    builder.add(bytes, 0, bytes.length);
  }
  return builder.finish();
}
