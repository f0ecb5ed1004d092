/** Arbitrary operations over few short keys, so that they meet each other; all within the limits. */
import fc from 'fast-check';
import type { ReadingAtomic } from '../../src/commit/atomic.ts';
import { bytesToLatin1 } from '../../src/commit/byte-order.ts';
import type { KeyRange } from '../../src/commit/commit-storage.ts';
import type { Atomic, Operation } from '../../src/commit/operation.ts';

const ALPHABET = [0x00, 0x01, 0x61, 0xff];

/** Some 85 different keys, as plain arrays or, as the leader gets them, as Buffers. */
export const keys: fc.Arbitrary<Uint8Array> = fc
  .array(fc.constantFrom(...ALPHABET), { maxLength: 3 })
  .chain((bytes) => fc.boolean().map((isBuffer) => (isBuffer ? Buffer.from(bytes) : Uint8Array.from(bytes))));

export const values: fc.Arbitrary<Uint8Array> = fc.uint8Array({ maxLength: 9 });

export const ranges: fc.Arbitrary<KeyRange> = fc
  .tuple(keys, keys)
  .map(([a, b]) => (bytesToLatin1(a) <= bytesToLatin1(b) ? { begin: a, end: b } : { begin: b, end: a }));

export const READING_ATOMICS: readonly ReadingAtomic[] = [
  'ADD',
  'BIT_AND',
  'BIT_OR',
  'BIT_XOR',
  'APPEND_IF_FITS',
  'MAX',
  'MIN',
  'BYTE_MIN',
  'BYTE_MAX',
  'COMPARE_AND_CLEAR',
];

export const readingAtomics = fc.constantFrom<Atomic>(...READING_ATOMICS);

/** Ten bytes for the stamp somewhere, then the offset. */
const templates = fc.tuple(keys, keys).map(([before, after]) => template(before, after));

export function template(before: Uint8Array, after: Uint8Array): Uint8Array {
  const offset = Buffer.alloc(4);
  offset.writeUInt32LE(before.length);
  return Buffer.concat([before, Buffer.alloc(10, 0xaa), after, offset]);
}

export const readableOperations: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ type: fc.constant('set' as const), key: keys, value: values }),
  fc.record({ type: fc.constant('clear' as const), key: keys }),
  ranges.map(({ begin, end }) => ({ type: 'clearRange' as const, begin, end })),
  fc.record({ type: fc.constant('atomic' as const), atomic: readingAtomics, key: keys, operand: values }),
);

export const stampedOperations: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    type: fc.constant('atomic' as const),
    atomic: fc.constant('SET_VERSIONSTAMPED_KEY' as const),
    key: templates,
    operand: values,
  }),
  fc.record({
    type: fc.constant('atomic' as const),
    atomic: fc.constant('SET_VERSIONSTAMPED_VALUE' as const),
    key: keys,
    operand: templates,
  }),
);

export const operations: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 5, arbitrary: readableOperations },
  { weight: 1, arbitrary: stampedOperations },
);
