import { expect } from 'vitest';
import type { SegmentBytes } from '../../src/index/segment.ts';

type Build<Result> = (memory: SharedArrayBuffer | null) => Result;

/** What `build` makes in fresh memory, after it has made the same bytes in memory that is full of something else. */
export async function buildInUsedMemory(build: Build<Promise<SegmentBytes>>): Promise<SegmentBytes> {
  const fresh = await build(null);
  expectSame(fresh, await build(usedMemoryFor(fresh)));
  return fresh;
}

export function buildInUsedMemorySync(build: Build<SegmentBytes>): SegmentBytes {
  const fresh = build(null);
  expectSame(fresh, build(usedMemoryFor(fresh)));
  return fresh;
}

function usedMemoryFor(fresh: SegmentBytes): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(fresh.buffer.byteLength);
  new Uint8Array(memory).fill(0xa5);
  return memory;
}

function expectSame(fresh: SegmentBytes, reused: SegmentBytes): void {
  expect(Buffer.compare(reused, fresh)).toBe(0);
}
