/** The segments of a version as a list, each with the part that it plays. */
import type { SegmentBytes } from './segment.ts';
import type { VersionSegments } from './version.ts';

export type SegmentRole = 'alive' | 'filter' | 'sort' | 'dictionary';

export interface VersionPart {
  readonly role: SegmentRole;
  /** Null for alive. */
  readonly field: string | null;
  readonly content: SegmentBytes;
}

export function partsOf(segments: VersionSegments): VersionPart[] {
  const parts: VersionPart[] = [{ role: 'alive', field: null, content: segments.alive }];
  for (const [field, { filter, sort, dictionary }] of Object.entries(segments.fields)) {
    if (filter !== undefined) parts.push({ role: 'filter', field, content: filter });
    if (sort !== undefined) parts.push({ role: 'sort', field, content: sort });
    if (dictionary !== undefined) parts.push({ role: 'dictionary', field, content: dictionary });
  }
  return parts;
}
