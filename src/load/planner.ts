/**
 * Cuts a file into byte ranges before anything is known about its records. A cut is only a guess: the worker looks for
 * a record boundary near it, and TableLoad verifies every boundary against the end of the chunk before it.
 *
 * Ranges shrink towards the end of the file: large ones make few parts to merge, small last ones let all threads finish
 * together although none of them runs at an even pace.
 */
import { CHUNK_BYTES_MIN, CHUNKS_PER_THREAD_MAX } from '../limits.ts';

export interface ChunkRange {
  readonly start: number;
  readonly end: number;
}

export interface PlanInput {
  readonly bytes: number;
  readonly threads: number;
  readonly chunkLines: number;
  /** From a sample of the file; only the balance of the plan depends on it. */
  readonly averageLineBytes: number;
}

/** Of what is left, a chunk takes this part of a thread's share. */
const SHARE_TAKEN = 2 / 3;

/** Ranges cover the file without gap or overlap; each holds about `chunkLines` lines at most. */
export function planChunks({ bytes, threads, chunkLines, averageLineBytes }: PlanInput): ChunkRange[] {
  const bytesMax = Math.max(1, Math.floor(chunkLines * averageLineBytes));
  const bytesMin = Math.max(CHUNK_BYTES_MIN, Math.ceil(bytes / (threads * CHUNKS_PER_THREAD_MAX)));
  const ranges: ChunkRange[] = [];
  for (let start = 0; start < bytes; ) {
    const left = bytes - start;
    const share = Math.ceil((left / threads) * SHARE_TAKEN);
    const chunkBytes = Math.min(Math.max(share, bytesMin), bytesMax, left);
    // What would be left over is not worth a task of its own.
    const end = left - chunkBytes < Math.min(bytesMin, bytesMax) / 2 ? bytes : start + chunkBytes;
    ranges.push({ start, end });
    start = end;
  }
  return ranges;
}
