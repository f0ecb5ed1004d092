import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FieldType } from '../../src/config/definition.ts';
import type { ColumnType } from '../../src/config/expression.ts';
import { type DecodeKernel, SOME_FLAGGED, SOME_NULL } from '../../src/kernels/csv-kernels.ts';
import type { Pointer } from '../../src/kernels/kernel-memory.ts';
import { loadKernels } from '../../src/kernels/kernels.ts';
import { placeText } from './text-in-memory.ts';
import { type FieldTwin, fieldTwin } from './twins/decode.ts';

const kernels = loadKernels();
const { memory } = kernels;

type Type = Exclude<ColumnType | FieldType, 'string'>;

const KERNELS: Record<Type, { decode: DecodeKernel; read: (out: Pointer, row: number) => number | boolean }> =
  {
    uint32: { decode: kernels.decodeUint32, read: (out, row) => memory.u32[(out >>> 2) + row] },
    int32: { decode: kernels.decodeInt32, read: (out, row) => memory.i32[(out >>> 2) + row] },
    integer: { decode: kernels.decodeInteger, read: (out, row) => memory.f64[(out >>> 3) + row] },
    timestamp: { decode: kernels.decodeTimestamp, read: (out, row) => memory.u32[(out >>> 2) + row] },
    boolean: { decode: kernels.decodeBoolean, read: (out, row) => memory.u8[out + row] === 1 },
  };

/** Decodes column 1 of rows `a,<field>` or `a,<field>,z`; the fields may hold no delimiter and no LF. */
function decode(fields: string[], type: Type, nullText = '', last = true): FieldTwin[] {
  const mark = memory.mark();
  const lines = fields.map((field) => Buffer.from(last ? `a,${field}\n` : `a,${field},z\n`, 'latin1'));
  const text = Buffer.concat(lines);
  const source = placeText(kernels, text, fields.length & 15);
  const columns = last ? 2 : 3;
  const positions = memory.allocate((fields.length * columns + 1) * 4) + 4;
  const ends: number[] = [source - 1];
  let at = source;
  for (const line of lines) {
    ends.push(at + 1);
    if (!last) ends.push(at + line.length - 3);
    ends.push(at + line.length - 1);
    at += line.length;
  }
  memory.u32.set(ends, (positions - 4) >>> 2);
  const nullToken = placeText(kernels, Buffer.from(nullText, 'latin1'));
  const out = memory.allocate(fields.length * 8);
  const nulls = memory.allocate(fields.length);
  const flags = memory.allocate(fields.length);
  memory.u8.fill(7, nulls, nulls + fields.length);
  memory.u8.fill(0, flags, flags + fields.length);
  const trim = last ? 1 : 0;
  const kernel = KERNELS[type];
  const arguments_ = [34, trim, nullToken, nullText.length, out, nulls, flags] as const;
  const outcome = kernel.decode(positions - 4, columns, 1, fields.length, ...arguments_);
  const result = fields.map((_, row): FieldTwin => {
    expect(memory.u8[nulls + row]).toBeLessThanOrEqual(1);
    if (memory.u8[flags + row] !== 0) return { flagged: true };
    return { flagged: false, value: memory.u8[nulls + row] === 1 ? null : kernel.read(out, row) };
  });
  const expected =
    (result.some((field) => field.flagged) ? SOME_FLAGGED : 0) |
    (result.some((field) => !field.flagged && field.value === null) ? SOME_NULL : 0);
  expect(outcome).toBe(expected);
  memory.release(mark);
  return result;
}

function expectTwin(fields: string[], type: Type, nullText = '', last = true): void {
  const twins = fields.map((field) => fieldTwin(field, type, last, nullText));
  expect(decode(fields, type, nullText, last), `${type} ${JSON.stringify(fields)}`).toEqual(twins);
}

const digits = fc.stringMatching(/^[0-9]{0,22}$/);
const edges = fc
  .constantFrom(0, 2 ** 31, 2 ** 32, 2 ** 53, 10 ** 8, 10 ** 16)
  .chain((edge) => fc.integer({ min: -2, max: 2 }).map((step) => String(BigInt(edge) + BigInt(step))));
const number = fc
  .tuple(fc.constantFrom('', '', '-', '+', '--', ' '), fc.oneof(digits, edges, fc.nat().map(String)))
  .map(([sign, text]) => sign + text);
const junk = fc.constantFrom(
  'x',
  '12a',
  '1.5',
  '0x1',
  '/',
  ':',
  '1:',
  '9/',
  '\xff1',
  '1e3',
  '"',
  '""',
  '"1',
  '1"',
  '1 ',
  '\r',
  '1\r',
  '"1"\r',
  '1\r\r',
  '"1""2"',
  '\\N',
  'NULL',
);
const two = (max: number) => fc.integer({ min: 0, max }).map((value) => String(value).padStart(2, '0'));
const year = fc
  .oneof(fc.integer({ min: 1968, max: 2108 }), fc.nat({ max: 9999 }))
  .map((y) => String(y).padStart(4, '0'));
const date = fc.tuple(year, two(13), two(32)).map((parts) => parts.join('-'));
const time = fc.oneof(
  fc.tuple(two(25), two(61)).map((parts) => parts.join(':')),
  fc
    .tuple(two(25), two(61), two(61), fc.constantFrom('', '', '.', '.5', '.123456', '.123456789x'))
    .map(([hour, minute, second, fraction]) => `${hour}:${minute}:${second}${fraction}`),
);
const zone = fc.oneof(
  fc.constantFrom('', 'Z', 'z', '+', '+1', '+00', '-00:00', '+00:', '+000', '+0000x'),
  fc
    .tuple(fc.constantFrom('+', '-'), two(25), fc.constantFrom('', ':'), two(61))
    .map((parts) => parts.join('')),
);
const moment = fc.oneof(
  date,
  fc.tuple(date, fc.constantFrom(' ', 'T', 't', '  ', ''), time, zone).map((parts) => parts.join('')),
);
const truth = fc.constantFrom(
  't',
  'f',
  'true',
  'false',
  '0',
  '1',
  'T',
  'True',
  'tru',
  'falsy',
  '2',
  '00',
  'truex',
  'yes',
);
const plain = fc.oneof(number, number, junk, moment, truth);
const field = fc.oneof(
  { weight: 4, arbitrary: plain },
  { weight: 1, arbitrary: plain.map((text) => `"${text}"`) },
  {
    weight: 1,
    arbitrary: fc.tuple(plain, fc.constantFrom('\r', ' ', 'x')).map(([text, tail]) => text + tail),
  },
);

describe('decode kernels', () => {
  test.each(Object.keys(KERNELS) as Type[])('%s equals the row-wise decoder', (type) => {
    fc.assert(
      fc.property(fc.array(field, { minLength: 1, maxLength: 20 }), fc.boolean(), (fields, last) => {
        expectTwin(fields, type, '', last);
      }),
      { numRuns: 1000 },
    );
  });

  test.each(Object.keys(KERNELS) as Type[])('%s with a null token', (type) => {
    const token = fc.constantFrom(
      '\\N',
      'NULL',
      '0',
      '1',
      '-1',
      '""',
      'x',
      '2020-01-01',
      '12345678',
      '123456789',
    );
    fc.assert(
      fc.property(token, fc.array(field, { maxLength: 12 }), (nullText, fields) => {
        expectTwin([nullText, `"${nullText}"`, '', ...fields], type, nullText);
      }),
      { numRuns: 500 },
    );
  });

  // Kernels take four ordinary fields at a time, and these are what is ordinary; one that is not sends its three neighbours
  // the long way.
  const short = fc.tuple(fc.nat({ max: 99_999_999 }), fc.nat({ max: 8 })).map(([value, width]) => {
    return String(value).padStart(width, '0').slice(0, 8);
  });
  const epoch = fc.oneof(
    fc.integer({ min: 1_000_000_000, max: 4_199_999_999 }),
    fc.constantFrom(4_199_999_999, 4_200_000_000, 4_294_967_295, 4_294_967_296, 9_999_999_999),
  );
  test.each([
    ['uint32', short],
    ['int32', short],
    ['integer', short],
    ['timestamp', short],
    ['timestamp', epoch.map(String)],
  ] as const)('%s in stretches of ordinary fields', (type, ordinary) => {
    const lineEnd = fc.constantFrom('', '\r');
    const fields = fc.array(
      fc.oneof(
        { weight: 15, arbitrary: ordinary },
        { weight: 1, arbitrary: field },
        { weight: 1, arbitrary: fc.constant('') },
      ),
      { minLength: 4, maxLength: 40 },
    );
    fc.assert(
      fc.property(fields, lineEnd, fc.constantFrom('', '7', '\\N'), (texts, end, nullText) => {
        expectTwin(
          texts.map((text) => text + end),
          type,
          nullText,
        );
        expectTwin(texts, type, nullText, false);
      }),
      { numRuns: 500 },
    );
  });

  test('any byte in any place of an ordinary field', () => {
    for (let at = 0; at < 10; at++) {
      for (let byte = 0; byte < 256; byte++) {
        const character = String.fromCharCode(byte);
        if (character === ',' || character === '\n') continue;
        const text = '1'.repeat(at) + character + '1'.repeat(9 - at);
        expectTwin(['1000000000', '1400000000', text, '1999999999'], 'timestamp');
        const eight = ['10000000', '5', text.slice(0, 8), '99999999'];
        for (const type of ['uint32', 'int32', 'integer'] as const) expectTwin(eight, type);
      }
    }
  });

  test('every number of digits, with and without leading zeros, any byte in any place', () => {
    const fields: string[] = [];
    for (let length = 1; length <= 24; length++) {
      fields.push('9'.repeat(length), '1'.padStart(length, '0'), '1234567890'.repeat(3).slice(0, length));
      for (let at = 0; at < length; at++) {
        for (const byte of ['/', ':', '\x00', '\x80', '\xff', ' ']) {
          fields.push('1'.repeat(at) + byte + '1'.repeat(length - at - 1));
        }
      }
    }
    for (const type of ['uint32', 'int32', 'integer', 'timestamp'] as const) expectTwin(fields, type);
  });

  test('every day of the calendar and the days that are none', () => {
    const fields: string[] = [];
    for (const y of [1970, 1972, 1999, 2000, 2023, 2024, 2100, 2106]) {
      for (let month = 0; month <= 13; month++) {
        for (let day = 0; day <= 32; day++) {
          fields.push(`${y}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`);
        }
      }
    }
    expectTwin(fields, 'timestamp');
  });

  test('the edges of a uint32 of seconds, zones included', () => {
    const fields = ['1970-01-01 00:00:00+00:01', '1970-01-01 00:00:00-00:01', '2106-02-07T06:28:15Z'];
    expectTwin(
      [...fields, '2106-02-07T06:28:16Z', '2106-02-07 07:28:15.999+01', '0000-01-01', '0000-02-29'],
      'timestamp',
    );
    expect(decode(['2106-02-07T06:28:15Z', '2023-01-01 12:34:56.789+0530'], 'timestamp')).toEqual([
      { flagged: false, value: 4294967295 },
      { flagged: false, value: Date.UTC(2023, 0, 1, 7, 4, 56) / 1000 },
    ]);
  });

  test('flags are never cleared', () => {
    const flags = memory.allocate(1);
    memory.u8[flags] = 1;
    const source = placeText(kernels, Buffer.from('5\n'));
    const positions = memory.allocate(8);
    memory.u32.set([source - 1, source + 1], positions >>> 2);
    const out = memory.allocate(16);
    kernels.decodeUint32(positions, 1, 0, 1, 34, 1, 0, 0, out, out + 8, flags);
    expect([memory.u32[out >>> 2], memory.u8[flags]]).toEqual([5, 1]);
  });
});
