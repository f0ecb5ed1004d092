import { expect, test } from 'vitest';
import { BitloomError } from '../../src/errors.ts';
import { Segment } from '../../src/index/segment.ts';

function sample(): Segment {
  const segment = Segment.allocate('filter', [5, 0, 16, 8]);
  segment.bytes(0).set([1, 2, 3, 4, 5]);
  segment.words(2).set([7, 8, 9, 10]);
  segment.doubles(3)[0] = 2 ** 40;
  return segment;
}

test('sections read back, aligned to 64 bytes', () => {
  const segment = Segment.open(sample().buffer, 'filter', 4);
  expect([...segment.bytes(0)]).toEqual([1, 2, 3, 4, 5]);
  expect(segment.bytes(1)).toHaveLength(0);
  expect([...segment.words(2)]).toEqual([7, 8, 9, 10]);
  expect([...segment.shorts(2).subarray(0, 2)]).toEqual([7, 0]);
  expect(segment.doubles(3)[0]).toBe(2 ** 40);
  for (let i = 0; i < 4; i++) expect(segment.bytes(i).byteOffset % 64).toBe(0);
});

test('a header that is cut, flipped or of another kind is an error with a code', () => {
  const { buffer } = sample();
  const original = new Uint8Array(buffer).slice();
  const headerBytes = 64 + 4 * 16;
  for (let bytes = 0; bytes < original.length; bytes++) expectInvalid(original.slice(0, bytes));
  for (let at = 0; at < headerBytes; at++) {
    // The last 40 bytes before the section directory are reserved.
    if (at >= 24 && at < 64) continue;
    for (let bit = 0; bit < 8; bit++) {
      const flipped = original.slice();
      flipped[at] ^= 1 << bit;
      if (at < 64) expectInvalid(flipped);
      else expectInvalidOrInside(flipped);
    }
  }
  expect(() => Segment.open(buffer, 'sort', 4)).toThrow('kind 2 where a sort is expected');
  expect(() => Segment.open(buffer, 'filter', 5)).toThrow('4 sections instead of 5');
});

function expectInvalid(bytes: Uint8Array): void {
  expect(openAll(bytes)).toMatchObject({ code: 'SEGMENT_INVALID' });
}

/** A wrong length that leaves the next section where it is shows in the checksum only; it must not reach outside. */
function expectInvalidOrInside(bytes: Uint8Array): void {
  const result = openAll(bytes);
  if (result instanceof BitloomError) expect(result.code).toBe('SEGMENT_INVALID');
  else expect(result).toBeNull();
}

/** Null when every section can be viewed. */
function openAll(bytes: Uint8Array): unknown {
  const buffer = new SharedArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  try {
    const segment = Segment.open(buffer, 'filter', 4);
    for (let section = 0; section < 4; section++) segment.bytes(section);
    return null;
  } catch (error) {
    return error;
  }
}
