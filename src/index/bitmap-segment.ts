/**
 * A segment of one bitmap, such as alive: a single section of portable roaring bytes.
 */
import { frozenView, type Portable, SpentBitmap } from './portable.ts';
import type { RoaringBitmap32 } from './roaring.ts';
import { Segment, type SegmentBytes } from './segment.ts';

/** The segment of a bitmap; equal bitmaps give equal bytes. */
export function buildBitmapSegment(bitmap: RoaringBitmap32): SegmentBytes {
  return bitmapSegmentOf(new SpentBitmap(bitmap.clone()));
}

/** As `buildBitmapSegment`, for what can be written once and is spent by it. */
export function bitmapSegmentOf(portable: Portable): SegmentBytes {
  const segment = Segment.allocate('bitmap', [portable.byteLength]);
  portable.writeTo(segment.bytes(0));
  return segment.content;
}

/** A read-only view of the bitmap; it keeps the segment's memory. */
export function openBitmapSegment(content: SegmentBytes): RoaringBitmap32 {
  return frozenView(bytesOfBitmapSegment(content));
}

/** The portable bytes of the bitmap. */
export function bytesOfBitmapSegment(content: SegmentBytes): Uint8Array {
  return Segment.open(content, 'bitmap', 1).bytes(0);
}
