import { expect, test } from 'vitest';
import type { SegmentBytes } from '../../src/index/segment.ts';
import { SegmentMemory } from '../../src/index/segment-memory.ts';
import type { VersionSegments } from '../../src/index/version.ts';
import { SPARE_SEGMENT_BYTES_MIN, SPARE_SEGMENTS_BYTES_MAX } from '../../src/limits.ts';

function segmentOf(bytes: number): SegmentBytes {
  return new Uint8Array(new SharedArrayBuffer(bytes));
}

function versionOf(fields: VersionSegments['fields']): VersionSegments {
  return { alive: segmentOf(SPARE_SEGMENT_BYTES_MIN), fields };
}

test('memory is passed on once nobody holds its segment, to the same part of the same field, once', () => {
  const memory = new SegmentMemory();
  const first = versionOf({ tagIds: { filter: segmentOf(100_000), sort: segmentOf(200_000) } });
  const releases = [memory.hold(first), memory.hold(first)];
  releases[0]();
  expect(memory.take('filter', 'tagIds')).toBeNull();
  releases[1]();
  expect(memory.take('filter', 'userId')).toBeNull();
  expect(memory.take('filter', 'tagIds')).toBe(first.fields.tagIds.filter!.buffer);
  expect(memory.take('filter', 'tagIds')).toBeNull();
  expect(memory.take('sort', 'tagIds')).toBe(first.fields.tagIds.sort!.buffer);
});

test('a segment that the next version took over stays', () => {
  const memory = new SegmentMemory();
  const kept = segmentOf(100_000);
  const replaced = segmentOf(100_000);
  const release = memory.hold(versionOf({ kept: { filter: kept }, replaced: { filter: replaced } }));
  const releaseNext = memory.hold(versionOf({ kept: { filter: kept }, replaced: { filter: segmentOf(1) } }));
  release();
  expect(memory.take('filter', 'kept')).toBeNull();
  expect(memory.take('filter', 'replaced')).toBe(replaced.buffer);
  releaseNext();
  expect(memory.take('filter', 'kept')).toBe(kept.buffer);
});

test('releasing twice releases once', () => {
  const memory = new SegmentMemory();
  const version = versionOf({ tagIds: { filter: segmentOf(100_000) } });
  const release = memory.hold(version);
  memory.hold(version);
  release();
  release();
  expect(memory.take('filter', 'tagIds')).toBeNull();
});

test('small segments are not kept, nor more than the limit together', () => {
  const memory = new SegmentMemory();
  const half = SPARE_SEGMENTS_BYTES_MAX / 2;
  memory.hold(
    versionOf({
      small: { filter: segmentOf(SPARE_SEGMENT_BYTES_MIN - 1) },
      a: { filter: segmentOf(half) },
      b: { filter: segmentOf(half) },
      c: { filter: segmentOf(SPARE_SEGMENT_BYTES_MIN) },
    }),
  )();
  expect(memory.take('filter', 'small')).toBeNull();
  expect(memory.take('filter', 'c')).toBeNull();
  for (const field of ['a', 'b']) expect(memory.take('filter', field)?.byteLength).toBe(half);
  memory.hold(versionOf({ c: { filter: segmentOf(SPARE_SEGMENT_BYTES_MIN) } }))();
  expect(memory.take('filter', 'c')).not.toBeNull();
});
