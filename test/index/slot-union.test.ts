import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unionOfSlots } from '../../src/index/slot-union.ts';
import { ascending, sameBytes } from './model.ts';

const slot = fc.oneof(fc.integer({ min: 0, max: 70_000 }), fc.integer({ min: 0, max: 0xffffffff }));
// Many draws from a narrow range fill their pages, few from a wide one do not; both ways of uniting occur.
const stretch = fc
  .record({
    start: slot,
    count: fc.constantFrom(1, 300, 20_000),
    span: fc.constantFrom(100, 60_000, 2 ** 31),
  })
  .map(({ start, count, span }) =>
    Array.from({ length: count }, (_, i) => (start + ((i * 7919) % span)) >>> 0),
  );

test('the union holds each slot once, in whatever order and number they come', () => {
  fc.assert(
    fc.property(
      fc.array(stretch, { maxLength: 4 }),
      fc.array(slot, { maxLength: 50 }),
      (stretches, others) => {
        const slots = Uint32Array.from([...stretches.flat(), ...others]);
        expect(sameBytes(unionOfSlots(slots).toUint32Array(), ascending(new Set(slots)))).toBe(true);
      },
    ),
    { numRuns: 40 },
  );
});
