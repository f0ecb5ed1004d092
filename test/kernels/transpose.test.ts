import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LAYER_STRIDE_BYTES } from '../../src/kernels/page-kernels.ts';
import { inMemory, kernels, positionsOf } from './bits-memory.ts';

const { memory } = kernels;
const key = fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.constantFrom(0, 1, 255, 65_536, 0x80000000));
const page = fc.array(fc.tuple(fc.oneof(fc.nat(65_535), fc.nat(40)), key), { minLength: 1, maxLength: 60 });

test('layers, bounds and the union of bits are those of the keys', () => {
  fc.assert(
    fc.property(page, (entries) =>
      inMemory(() => {
        const keys = new Map(entries);
        const column = memory.allocate(65_536 * 4);
        memory.u8.fill(0, column, column + 65_536 * 4);
        for (const [position, value] of keys) memory.u32[column / 4 + position] = value;
        const layers = memory.allocate(32 * LAYER_STRIDE_BYTES);
        const bits = kernels.transposePage(column, layers) >>> 0;
        const values = [...keys.values()];
        expect(bits).toBe(values.reduce((union, value) => (union | value) >>> 0, 0));
        for (let bit = 0; bit < 32; bit++) {
          if (((bits >>> bit) & 1) === 0) continue;
          const expected = [...keys].filter(([, value]) => (value >>> bit) & 1).map(([position]) => position);
          expect(positionsOf(layers + bit * LAYER_STRIDE_BYTES)).toEqual(expected.sort((a, b) => a - b));
        }
        expect(kernels.pageKeyMax(column) >>> 0).toBe(Math.max(...values));
        expect(kernels.pageKeyMin(column, keys.size) >>> 0).toBe(Math.min(...values));
      }),
    ),
    { numRuns: 60 },
  );
});
