/**
 * Cuts a file into byte ranges before anything is known about its records. A cut is only a guess: the worker looks for
 * a record boundary near it, and TableLoad verifies every boundary against the end of the chunk before it.
 */
import { CHUNK_BYTES_MIN, CHUNKS_PER_THREAD } from '../limits.ts';

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

/** Ranges cover the file without gap or overlap; each holds about `chunkLines` lines at most, fewer so that all threads work. */
export function planChunks(input: PlanInput): ChunkRange[] {
  const balancedBytes = Math.max(
    CHUNK_BYTES_MIN,
    Math.ceil(input.bytes / (input.threads * CHUNKS_PER_THREAD)),
  );
  const linesBytes = Math.max(1, Math.floor(input.chunkLines * input.averageLineBytes));
  const chunkCount = Math.max(1, Math.ceil(input.bytes / Math.min(balancedBytes, linesBytes)));
  const ranges: ChunkRange[] = [];
  for (let index = 0; index < chunkCount; index++) {
    const start = Math.floor((input.bytes * index) / chunkCount);
    const end = Math.floor((input.bytes * (index + 1)) / chunkCount);
    if (end > start) ranges.push({ start, end });
  }
  return ranges;
}
