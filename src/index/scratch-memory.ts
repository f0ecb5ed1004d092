/**
 * Memory that a thread uses while it builds and then again for the next thing it builds. Touching fresh
 * memory costs more than filling it, so what one builder is done with the next one takes. Contents are
 * undefined. Whoever does not return a buffer merely leaves it to the garbage collector.
 */
import { SCRATCH_BYTES_KEPT_MAX } from '../limits.ts';

/** Smaller buffers come from memory that is touched anyway and die young. */
const BYTES_MIN = 1024;
/** Buffers from here on are not rounded up to a power of two and not kept. */
const BYTES_MAX = 64 * 1024 * 1024;

/** Free buffers by the logarithm of their size. */
const free: ArrayBuffer[][] = Array.from({ length: 27 }, () => []);
let keptBytes = 0;

/** A buffer of at least so many bytes. */
export function borrowBuffer(bytes: number): ArrayBuffer {
  if (bytes < BYTES_MIN || bytes > BYTES_MAX) return new ArrayBuffer(bytes);
  const sizeLog2 = 32 - Math.clz32(bytes - 1);
  const buffer = free[sizeLog2].pop();
  if (buffer === undefined) return new ArrayBuffer(2 ** sizeLog2);
  keptBytes -= buffer.byteLength;
  return buffer;
}

/** Nothing may read or write the buffer afterwards. */
export function returnBuffer(buffer: ArrayBuffer): void {
  const bytes = buffer.byteLength;
  if (bytes < BYTES_MIN || bytes > BYTES_MAX || keptBytes + bytes > SCRATCH_BYTES_KEPT_MAX) return;
  keptBytes += bytes;
  free[31 - Math.clz32(bytes)].push(buffer);
}

/** At least so many words. */
export function borrowWords(count: number): Uint32Array<ArrayBuffer> {
  return new Uint32Array(borrowBuffer(count * 4));
}

export function returnWords(words: Uint32Array<ArrayBuffer>): void {
  returnBuffer(words.buffer);
}
