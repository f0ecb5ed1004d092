/**
 * The bitmap class. The roaring package is CommonJS whose names Node.js cannot see in an `import`, so everything here
 * takes class and type from this one place.
 */
import roaring from 'roaring';

export const RoaringBitmap32: typeof roaring.RoaringBitmap32 = roaring.RoaringBitmap32;
export type RoaringBitmap32 = roaring.RoaringBitmap32;

/** The bitmap without slots, shared and read-only. */
export const EMPTY_BITMAP: RoaringBitmap32 = new RoaringBitmap32().freeze();
