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
  const segment = Segment.open(sample().content, 'filter', 4);
  expect([...segment.bytes(0)]).toEqual([1, 2, 3, 4, 5]);
  expect(segment.bytes(1)).toHaveLength(0);
  expect([...segment.words(2)]).toEqual([7, 8, 9, 10]);
  expect([...segment.shorts(2).subarray(0, 2)]).toEqual([7, 0]);
  expect(segment.doubles(3)[0]).toBe(2 ** 40);
  for (let i = 0; i < 4; i++) expect(segment.bytes(i).byteOffset % 64).toBe(0);
});

test('memory is used again where its size fits, and what was there before is not seen', () => {
  const { content } = sample();
  const bytes = [5, 0, 16, 8];
  for (const [length, isUsed] of [
    [content.byteLength - 1, false],
    [content.byteLength, true],
    [2 * content.byteLength, true],
    [4 * content.byteLength, false],
  ] as const) {
    const memory = new SharedArrayBuffer(length);
    new Uint8Array(memory).fill(0xa5);
    const segment = Segment.allocate('filter', bytes, memory);
    expect(segment.content.buffer === memory).toBe(isUsed);
    for (let section = 0; section < bytes.length; section++) segment.bytes(section).fill(0);
    expect(Buffer.compare(segment.content, Segment.allocate('filter', bytes).content)).toBe(0);
    expect(Segment.open(segment.content, 'filter', 4).bytes(2)).toHaveLength(16);
  }
});

test('a table that grows a little fits where it was', () => {
  const first = Segment.allocate('filter', [1_000_000]);
  const second = Segment.allocate('filter', [1_050_000], first.content.buffer);
  expect(second.content.buffer).toBe(first.content.buffer);
  expect(second.content).toHaveLength(Segment.allocate('filter', [1_050_000]).content.length);
});

test('a header that is cut, flipped or of another kind is an error with a code', () => {
  const { content } = sample();
  const original = content.slice();
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
  expect(() => Segment.open(content, 'sort', 4)).toThrow('kind 2 where a sort is expected');
  expect(() => Segment.open(content, 'filter', 5)).toThrow('4 sections instead of 5');
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
  const content = new Uint8Array(new SharedArrayBuffer(bytes.length));
  content.set(bytes);
  try {
    const segment = Segment.open(content, 'filter', 4);
    for (let section = 0; section < 4; section++) segment.bytes(section);
    return null;
  } catch (error) {
    return error;
  }
}
