/**
 * Figures about the fields of a version, for people and for metrics.
 */
import type { FieldSegments, Version, VersionSegments } from './version.ts';

export interface FieldStatistics {
  readonly name: string;
  /** Distinct values; undefined without a filter. After ops, and so is `present`, an upper bound unless asked for a digest. */
  readonly values?: number;
  /** Slots with a value. */
  readonly present: number;
  /** Bit layers; undefined without a sort. */
  readonly layers?: number;
  /** Bytes of the field's segments. */
  readonly bytes: number;
  /** Strings in the dictionary; undefined for other types. */
  readonly strings?: number;
}

/** @param exact count values and slots where changes since the base leave only bounds at hand; reads much of the index */
export function fieldStatistics(
  version: Version & { readonly segments: VersionSegments },
  exact = true,
): FieldStatistics[] {
  return version.definition.fields.map(({ name }) => {
    const filter = version.filter(name);
    const sort = version.sort(name);
    const dictionary = version.dictionary(name);
    return {
      name,
      present: filter === undefined || exact ? ((filter ?? sort)?.present.size ?? 0) : filter.presentCountMax,
      bytes: segmentBytes(version.segments.fields[name] ?? {}),
      ...(filter === undefined ? {} : { values: exact ? filter.valueCount : filter.valueCountMax }),
      ...(sort === undefined ? {} : { layers: sort.layerCount }),
      ...(dictionary === undefined ? {} : { strings: dictionary.size }),
    };
  });
}

function segmentBytes({ filter, sort, dictionary }: FieldSegments): number {
  return (filter?.byteLength ?? 0) + (sort?.byteLength ?? 0) + (dictionary?.byteLength ?? 0);
}
