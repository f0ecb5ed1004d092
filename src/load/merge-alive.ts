/**
 * Merges the alive bitmap: every slot touched by a table that makes slots alive.
 */
import { buildBitmapSegment, openBitmapSegment } from '../index/bitmap-segment.ts';
import { NO_FIELD } from './accumulator-message.ts';
import type { AliveMerge } from './merge.ts';
import { partsOf, touchedBitmaps, unionOf } from './merge-parts.ts';

/** A bitmap segment. */
export function mergeAlive(merge: AliveMerge): SharedArrayBuffer {
  const bitmaps = merge.messages.flatMap((message) => partsOf(message, NO_FIELD).flatMap(touchedBitmaps));
  if (merge.previous !== null) bitmaps.push(openBitmapSegment(merge.previous));
  return buildBitmapSegment(unionOf(bitmaps));
}
