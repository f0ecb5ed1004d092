/**
 * The bitmap class. The roaring package is CommonJS whose names Node.js cannot see in an `import`, so everything here
 * takes class and type from this one place.
 */
import { createRequire } from 'node:module';
import type roaring from 'roaring';

export const RoaringBitmap32: typeof roaring.RoaringBitmap32 = loadRoaring().RoaringBitmap32;
export type RoaringBitmap32 = roaring.RoaringBitmap32;

/** The bitmap without slots, shared and read-only. */
export const EMPTY_BITMAP: RoaringBitmap32 = new RoaringBitmap32().freeze();

/**
 * The addon finds its binary with node-pre-gyp, which reads process.argv as its own command line and would follow a
 * --directory in that of the host program, so the arguments are out of sight while it loads.
 */
function loadRoaring(): typeof roaring {
  const { argv } = process;
  process.argv = argv.slice(0, 1);
  try {
    return createRequire(import.meta.url)('roaring');
  } finally {
    process.argv = argv;
  }
}
