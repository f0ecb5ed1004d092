import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyAtomic, type ReadingAtomic } from '../../src/commit/atomic.ts';
import { VALUE_BYTES_MAX } from '../../src/commit/commit-limits.ts';
import { READING_ATOMICS } from './operation-fixtures.ts';

const WIDTHS = [0, 1, 7, 8, 9, 16];

const hex = (text: string | undefined) => (text === undefined ? undefined : Buffer.from(text, 'hex'));
const asHex = (value: Uint8Array | undefined) =>
  value === undefined ? undefined : Buffer.from(value).toString('hex');

/** Little-endian bytes of any width as a number, and back. */
function numberOf(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}

function bytesOf(value: bigint, width: number): Buffer {
  const text = BigInt.asUintN(width * 8, value).toString(16);
  return width === 0 ? Buffer.alloc(0) : Buffer.from(text.padStart(width * 2, '0'), 'hex').reverse();
}

/** The definitions as arithmetic: absent and empty apart, numbers as wide as the operand. */
function expected(atomic: ReadingAtomic, existing: Uint8Array | undefined, operand: Uint8Array) {
  const width = operand.length;
  if (atomic === 'COMPARE_AND_CLEAR') {
    return existing === undefined || Buffer.from(existing).equals(operand) ? undefined : existing;
  }
  if (existing === undefined) return operand;
  const old = BigInt.asUintN(width * 8, numberOf(existing));
  const number = numberOf(operand);
  switch (atomic) {
    case 'ADD':
      return bytesOf(old + number, width);
    case 'BIT_AND':
      return bytesOf(old & number, width);
    case 'BIT_OR':
      return bytesOf(old | number, width);
    case 'BIT_XOR':
      return bytesOf(old ^ number, width);
    case 'MAX':
      return bytesOf(old > number ? old : number, width);
    case 'MIN':
      return bytesOf(old < number ? old : number, width);
    case 'APPEND_IF_FITS':
      return existing.length + width > VALUE_BYTES_MAX ? existing : Buffer.concat([existing, operand]);
    case 'BYTE_MIN':
      return Buffer.compare(existing, operand) < 0 ? existing : operand;
    case 'BYTE_MAX':
      return Buffer.compare(existing, operand) > 0 ? existing : operand;
  }
}

/** Bytes of the interesting widths, often with zeros, ones and sign bits at their ends. */
const operands = fc.constantFrom(...WIDTHS).chain((width) =>
  fc.oneof(
    fc.uint8Array({ minLength: width, maxLength: width }),
    fc
      .array(fc.constantFrom(0x00, 0x01, 0x7f, 0x80, 0xff), { minLength: width, maxLength: width })
      .map((bytes) => Uint8Array.from(bytes)),
  ),
);

describe.each(READING_ATOMICS)('%s', (atomic) => {
  test('equals its definition at any widths', () => {
    fc.assert(
      fc.property(fc.option(operands, { nil: undefined }), operands, (existing, operand) => {
        const before = [asHex(existing), asHex(operand)];
        expect(asHex(applyAtomic(atomic, existing, operand))).toBe(
          asHex(expected(atomic, existing, operand)),
        );
        expect([asHex(existing), asHex(operand)]).toEqual(before);
      }),
      { numRuns: 1000 },
    );
  });

  test('equals its definition at the widest operand', () => {
    const widest = new Uint8Array(VALUE_BYTES_MAX).fill(0xff);
    const almost = widest.slice();
    almost[VALUE_BYTES_MAX - 1] = 0x7f;
    for (const existing of [undefined, new Uint8Array(), Uint8Array.of(1), almost, widest]) {
      for (const operand of [almost, widest, Uint8Array.of(1)]) {
        const result = applyAtomic(atomic, existing, operand);
        const right = expected(atomic, existing, operand);
        expect(result === undefined ? undefined : Buffer.compare(result, right!)).toBe(
          right === undefined ? undefined : 0,
        );
      }
    }
  });
});

// Worked out by hand from fdbclient/Atomic.h.
test.each<[ReadingAtomic, string | undefined, string, string | undefined]>([
  ['ADD', undefined, '01', '01'],
  ['ADD', '', '05', '05'],
  ['ADD', 'ff', '01', '00'],
  ['ADD', 'ff00', '0100', '0001'],
  ['ADD', 'ff', '0100', '0001'],
  ['ADD', 'ffff', '01', '00'],
  ['ADD', '05', '', ''],
  ['ADD', 'ffffffffffffffff', '010000000000000000', '000000000000000001'],
  ['ADD', '0a00000000000000', 'ffffffffffffffff', '0900000000000000'],
  ['BIT_AND', undefined, 'ff0f', 'ff0f'],
  ['BIT_AND', '', 'ff0f', '0000'],
  ['BIT_AND', 'f0', 'ff0f', 'f000'],
  ['BIT_AND', 'f0ff', '3c', '30'],
  ['BIT_OR', '', '01', '01'],
  ['BIT_OR', '01', '1080', '1180'],
  ['BIT_OR', '0102', '10', '11'],
  ['BIT_XOR', '03', '0180', '0280'],
  ['BIT_XOR', undefined, '00', '00'],
  ['APPEND_IF_FITS', undefined, '61', '61'],
  ['APPEND_IF_FITS', '61', '62', '6162'],
  ['APPEND_IF_FITS', undefined, '', ''],
  ['MAX', undefined, 'ffffffffffffffff', 'ffffffffffffffff'],
  ['MAX', '01', 'ffffffffffffffff', 'ffffffffffffffff'],
  ['MAX', 'ffffffffffffffff', '0100000000000000', 'ffffffffffffffff'],
  ['MAX', '02', '010000', '020000'],
  ['MAX', '000001', '05', '05'],
  ['MAX', '0001', '0000', '0001'],
  ['MAX', '05', '', ''],
  ['MIN', undefined, '05', '05'],
  ['MIN', '', '05', '00'],
  ['MIN', '02', '0500', '0200'],
  ['MIN', '000001', '05', '00'],
  ['MIN', 'ffffffffffffffff', '0100000000000000', '0100000000000000'],
  ['BYTE_MIN', '61', '6161', '61'],
  ['BYTE_MIN', '', '61', ''],
  ['BYTE_MIN', undefined, '61', '61'],
  ['BYTE_MAX', '61', '6161', '6161'],
  ['BYTE_MAX', 'ff', '01ff', 'ff'],
  ['BYTE_MAX', '', '61', '61'],
  ['COMPARE_AND_CLEAR', undefined, '61', undefined],
  ['COMPARE_AND_CLEAR', '61', '61', undefined],
  ['COMPARE_AND_CLEAR', '', '', undefined],
  ['COMPARE_AND_CLEAR', '61', '6100', '61'],
])('%s of %s and %s is %s', (atomic, existing, operand, result) => {
  expect(asHex(applyAtomic(atomic, hex(existing), hex(operand)!))).toBe(result);
});

test('APPEND_IF_FITS fills a value to the limit and not beyond', () => {
  const almostFull = new Uint8Array(VALUE_BYTES_MAX - 1).fill(1);
  expect(applyAtomic('APPEND_IF_FITS', almostFull, Uint8Array.of(2))).toHaveLength(VALUE_BYTES_MAX);
  expect(applyAtomic('APPEND_IF_FITS', almostFull, Uint8Array.of(2, 3))).toBe(almostFull);
});
