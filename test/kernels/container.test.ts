import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inMemory, kernels, placeBitset, positionsOf } from './bits-memory.ts';
import { countRunsTwin, runsTwin } from './twins/bits.ts';

/** Lone positions and stretches, across words, to the very end. */
const positions = fc
  .array(fc.tuple(fc.oneof(fc.nat(65_535), fc.constantFrom(0, 31, 32, 63, 64, 65_535)), fc.nat(140)), {
    maxLength: 12,
  })
  .map((stretches) => {
    const set = new Set<number>();
    for (const [start, length] of stretches) {
      for (let i = start; i <= Math.min(65_535, start + length); i++) set.add(i);
    }
    return [...set].sort((a, b) => a - b);
  });

test('bits and stretches of bits are counted and listed', () => {
  fc.assert(
    fc.property(positions, (expected) =>
      inMemory(() => {
        const bitset = placeBitset(expected);
        expect(kernels.countBits(bitset)).toBe(expected.length);
        expect(kernels.countRuns(bitset)).toBe(countRunsTwin(expected));
        const out = kernels.memory.allocate(expected.length * 2);
        kernels.encodeArray(bitset, out);
        const written = kernels.memory.u16.subarray(out / 2, out / 2 + expected.length);
        expect([...written]).toEqual(expected);
        const runs = runsTwin(expected);
        const runsOut = kernels.memory.allocate(runs.length * 2 + 16);
        expect(kernels.encodeRuns(bitset, runsOut)).toBe(runs.length / 2);
        expect([...kernels.memory.u16.subarray(runsOut / 2, runsOut / 2 + runs.length)]).toEqual(runs);
      }),
    ),
    { numRuns: 200 },
  );
});

test('what was encoded is put back beside what is there', () => {
  const union = (a: readonly number[], b: readonly number[]) =>
    [...new Set([...a, ...b])].sort((x, y) => x - y);
  fc.assert(
    fc.property(positions, positions, (added, there) =>
      inMemory(() => {
        const source = placeBitset(added);
        const odd = kernels.memory.allocate(8192 + 16) + 2;
        const expected = union(added, there);

        kernels.memory.u8.copyWithin(odd, source, source + 8192);
        const ofBitset = placeBitset(there);
        kernels.orBitset(odd, ofBitset);
        expect(positionsOf(ofBitset)).toEqual(expected);

        const encoded = kernels.memory.allocate(added.length * 4 + 16);
        kernels.encodeArray(source, encoded);
        const ofArray = placeBitset(there);
        kernels.orArray(encoded, added.length, ofArray);
        expect(positionsOf(ofArray)).toEqual(expected);

        const runCount = kernels.encodeRuns(source, encoded);
        const ofRuns = placeBitset(there);
        kernels.orRuns(encoded, runCount, ofRuns);
        expect(positionsOf(ofRuns)).toEqual(expected);
      }),
    ),
    { numRuns: 200 },
  );
});
