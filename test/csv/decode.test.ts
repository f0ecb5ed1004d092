import { describe, expect, test } from 'vitest';
import { decodeText } from '../../src/csv/decode.ts';

function decode(
  text: string,
  type: Parameters<typeof decodeText>[2],
  quoted = false,
  nullText = '',
): unknown {
  const decoded = decodeText(text, quoted, type, nullText);
  return decoded.ok ? decoded.value : decoded.failure.code;
}

describe('decodeText', () => {
  test.each([
    ['0', 'uint32', 0],
    ['+4294967295', 'uint32', 4294967295],
    ['4294967296', 'uint32', 'OUT_OF_RANGE'],
    ['-1', 'uint32', 'OUT_OF_RANGE'],
    ['-0', 'uint32', 0],
    ['-2147483648', 'int32', -2147483648],
    ['2147483648', 'int32', 'OUT_OF_RANGE'],
    ['-9007199254740991', 'integer', -9007199254740991],
    ['9007199254740992', 'integer', 'OUT_OF_RANGE'],
    ['000000000000000000000000012', 'integer', 12],
    ['1.0', 'integer', 'INVALID_INTEGER'],
    ['', 'string', null],
    ['true', 'boolean', true],
    ['0', 'boolean', false],
    ['TRUE', 'boolean', 'INVALID_BOOLEAN'],
    ['1700000000', 'timestamp', 1700000000],
    ['-1', 'timestamp', 'OUT_OF_RANGE'],
    ['2024-02-29', 'timestamp', 1709164800],
    ['2023-02-29', 'timestamp', 'INVALID_TIMESTAMP'],
    ['2023-11-14 22:13:20.987+00', 'timestamp', 1700000000],
    ['2023-11-14T23:43:20+01:30', 'timestamp', 1700000000],
    ['2023-11-14T17:13:20-0500', 'timestamp', 1700000000],
    ['2023-11-14T22:13Z', 'timestamp', 1699999980],
    ['1969-12-31 23:59:59', 'timestamp', 'OUT_OF_RANGE'],
    ['2106-02-07 06:28:16', 'timestamp', 'OUT_OF_RANGE'],
    ['2023-11-14 24:00:00', 'timestamp', 'INVALID_TIMESTAMP'],
    ['2023-11-14 22:13:20 UTC', 'timestamp', 'INVALID_TIMESTAMP'],
  ] as const)('%j as %s is %j', (text, type, value) => {
    expect(decode(text, type)).toBe(value);
  });

  test('null is the null text, unquoted', () => {
    expect(decode('', 'uint32')).toBeNull();
    expect(decode('', 'uint32', true)).toBe('INVALID_INTEGER');
    expect(decode('', 'string', true)).toBe('');
    expect(decode('\\N', 'uint32', false, '\\N')).toBeNull();
    expect(decode('\\N', 'string', true, '\\N')).toBe('\\N');
    expect(decode('', 'string', false, '\\N')).toBe('');
  });

  test('the message shows the value, shortened', () => {
    expect(decodeText('abc', false, 'uint32', '')).toMatchObject({
      failure: { message: '"abc" is not an integer' },
    });
    const long = decodeText('x'.repeat(1000), false, 'boolean', '');
    expect(long.ok ? '' : long.failure.message.length).toBeLessThan(200);
  });
});
