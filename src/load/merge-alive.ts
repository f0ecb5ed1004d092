/**
 * Merges the alive bitmap: every slot touched by a table that makes slots alive.
 */
import { buildBitmapSegment, openBitmapSegment } from '../index/bitmap-segment.ts';
import type { SegmentBytes } from '../index/segment.ts';
import type { AliveMerge } from './merge.ts';
import { touchedByAny } from './merge-touched.ts';

/** A bitmap segment. */
export function mergeAlive(merge: AliveMerge): SegmentBytes {
  const alive = touchedByAny(merge.messages);
  if (merge.previous !== null) alive.orInPlace(openBitmapSegment(merge.previous));
  const segment = buildBitmapSegment(alive);
  alive.dispose();
  return segment;
}
