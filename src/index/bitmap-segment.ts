/**
 * A segment of one bitmap, such as alive: a single section of portable roaring bytes.
 */
import { frozenView, portableBytes } from './portable.ts';
import type { RoaringBitmap32 } from './roaring.ts';
import { Segment, type SegmentBytes } from './segment.ts';

/** The segment of a bitmap; equal bitmaps give equal bytes. */
export function buildBitmapSegment(bitmap: RoaringBitmap32): SegmentBytes {
  const bytes = portableBytes(bitmap);
  const segment = Segment.allocate('bitmap', [bytes.length]);
  segment.bytes(0).set(bytes);
  return segment.content;
}

/** A read-only view of the bitmap; it keeps the segment's memory. */
export function openBitmapSegment(content: SegmentBytes): RoaringBitmap32 {
  return frozenView(Segment.open(content, 'bitmap', 1).bytes(0));
}
