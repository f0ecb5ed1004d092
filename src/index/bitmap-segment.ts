/**
 * A segment of one bitmap, such as alive: a single section of portable roaring bytes.
 */
import { frozenView, portableBytes } from './portable.ts';
import type { RoaringBitmap32 } from './roaring.ts';
import { Segment } from './segment.ts';

/** The segment of a bitmap; equal bitmaps give equal bytes. */
export function buildBitmapSegment(bitmap: RoaringBitmap32): SharedArrayBuffer {
  const bytes = portableBytes(bitmap);
  const segment = Segment.allocate('bitmap', [bytes.length]);
  segment.bytes(0).set(bytes);
  return segment.buffer;
}

/** A read-only view of the bitmap; it keeps the segment's memory. */
export function openBitmapSegment(buffer: SharedArrayBuffer): RoaringBitmap32 {
  return frozenView(Segment.open(buffer, 'bitmap', 1).bytes(0));
}
