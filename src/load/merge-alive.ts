/**
 * Merges the alive bitmap: every slot touched by a table that makes slots alive.
 */
import { bitmapSegmentOf, bytesOfBitmapSegment } from '../index/bitmap-segment.ts';
import type { SegmentBytes } from '../index/segment.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { AliveMerge } from './merge.ts';
import { touchedByAny } from './merge-touched.ts';
import { SlotUnion } from './merge-union.ts';

/** A bitmap segment. */
export function mergeAlive(kernels: Kernels, { messages, previous, space }: AliveMerge): SegmentBytes {
  const mark = kernels.memory.mark();
  const sources = touchedByAny(messages);
  if (previous !== null) sources.push({ kind: 'bitmap', bytes: bytesOfBitmapSegment(previous), loss: null });
  const slotUnion = new SlotUnion(kernels, space);
  const segment = bitmapSegmentOf(slotUnion.unite(sources));
  slotUnion.release();
  kernels.memory.release(mark);
  return segment;
}
