/** The plan of a file: what it covers, and what its chunks may hold. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CHUNK_BYTES_MIN } from '../../src/limits.ts';
import { planChunks } from '../../src/load/planner.ts';

const plan = fc.record({
  bytes: fc.integer({ min: 1, max: 2 ** 40 }),
  threads: fc.integer({ min: 1, max: 64 }),
  averageLineBytes: fc.integer({ min: 1, max: 1000 }),
});

test('chunks cover the file without gap or overlap and hold no more lines than they may', () => {
  fc.assert(
    fc.property(plan, fc.integer({ min: 1, max: 3000 }), (input, chunkCount) => {
      const chunkLines = Math.max(1, Math.ceil(input.bytes / input.averageLineBytes / chunkCount));
      const ranges = planChunks({ ...input, chunkLines });
      expect(ranges[0].start).toBe(0);
      expect(ranges.at(-1)!.end).toBe(input.bytes);
      for (const [index, { start, end }] of ranges.entries()) {
        expect(end).toBeGreaterThan(start);
        if (index > 0) expect(start).toBe(ranges[index - 1].end);
        // The last one may take up to half a chunk more rather than leave it to a task of its own.
        expect(end - start).toBeLessThanOrEqual(1.5 * chunkLines * input.averageLineBytes);
      }
    }),
    { numRuns: 60 },
  );
});

test('a small file is one chunk, a large one has work for every thread to the end', () => {
  const rest = { threads: 4, chunkLines: 10_000_000, averageLineBytes: 100 };
  expect(planChunks({ ...rest, bytes: CHUNK_BYTES_MIN })).toHaveLength(1);
  const bytes = 100 * CHUNK_BYTES_MIN;
  const sizes = planChunks({ ...rest, bytes }).map(({ start, end }) => end - start);
  expect(sizes.length).toBeGreaterThan(8);
  expect(sizes[0]).toBeGreaterThan(3 * sizes.at(-1)!);
  expect(sizes.at(-1)).toBeLessThan(bytes / 4 / 4);
});
