import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SOME_FLAGGED, SOME_NULL } from '../../src/kernels/csv-kernels.ts';
import { type Kernels, loadKernels } from '../../src/kernels/kernels.ts';
import { StringDictionary } from '../../src/kernels/string-dictionary.ts';
import { placeText } from './text-in-memory.ts';
import { fieldTwin } from './twins/decode.ts';
import { DictionaryTwin } from './twins/strings.ts';

interface Encoded {
  outcome: number;
  /** Per row a code, null, or 'flagged'. */
  rows: (number | null | 'flagged')[];
}

/** One column of rows without delimiters or LFs in them; latin1 strings stand for bytes. */
function encode(
  kernels: Kernels,
  dictionary: StringDictionary,
  fields: string[],
  options: { nullText?: string; escape?: string; trim?: number } = {},
): Encoded {
  const { nullText = '', escape: escapeText = '"', trim = 0 } = options;
  const { memory } = kernels;
  const source = placeText(kernels, Buffer.from(fields.map((field) => `${field}\n`).join(''), 'latin1'));
  const base = memory.allocate((fields.length + 1) * 4);
  let at = source - 1;
  fields.forEach((field, row) => {
    memory.u32[(base >>> 2) + row] = at;
    at += field.length + 1;
  });
  memory.u32[(base >>> 2) + fields.length] = at;
  const nullToken = placeText(kernels, Buffer.from(nullText, 'latin1'));
  const out = memory.allocate(fields.length * 4);
  const nulls = memory.allocate(fields.length);
  const flags = memory.allocate(fields.length);
  memory.u8.fill(0, flags, flags + fields.length);
  const outcome = dictionary.encode({
    base,
    stride: 1,
    column: 0,
    rows: fields.length,
    quote: 34,
    escape: escapeText.charCodeAt(0),
    trimCarriageReturn: trim,
    nullToken,
    nullTokenBytes: nullText.length,
    out,
    nulls,
    flags,
  });
  const rows = fields.map((_, row) => {
    if (memory.u8[flags + row] !== 0) return 'flagged';
    return memory.u8[nulls + row] === 1 ? null : memory.u32[(out >>> 2) + row];
  });
  return { outcome, rows };
}

function texts(dictionary: StringDictionary): string[] {
  return Array.from({ length: dictionary.size }, (_, code) => dictionary.textOf(code));
}

const word = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'b',
    'image',
    'video',
    '12345678',
    '123456789',
    '""',
    '"a"',
    '"a""b"',
    '"""x"',
    '"a"b"',
    '"',
    '"x',
  ),
  fc.stringMatching(/^[a-c]{0,20}$/),
  fc.stringMatching(/^"?[ab"]{0,20}"?$/),
);

describe('string dictionary', () => {
  test('equals the twin over several batches', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(word, { maxLength: 40 }), { maxLength: 4 }),
        fc.constantFrom('', 'a', '\\N'),
        (batches, nullText) => {
          const kernels = loadKernels();
          const dictionary = new StringDictionary(kernels);
          const twin = new DictionaryTwin();
          for (const fields of batches) {
            const expected = fields.map((field) => {
              const decoded = fieldTwin(field, 'string', false, nullText);
              if (decoded.flagged) return 'flagged';
              return decoded.value === null ? null : twin.add(String(decoded.value));
            });
            const { rows, outcome } = encode(kernels, dictionary, fields, { nullText });
            expect(rows).toEqual(expected);
            expect(outcome & SOME_FLAGGED).toBe(expected.includes('flagged') ? SOME_FLAGGED : 0);
            expect(outcome & SOME_NULL).toBe(expected.includes(null) ? SOME_NULL : 0);
          }
          expect(texts(dictionary)).toEqual(twin.texts);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('grows its table and its heap in the middle of a batch', () => {
    const kernels = loadKernels();
    const dictionary = new StringDictionary(kernels);
    const fields = Array.from({ length: 30_000 }, (_, i) =>
      i % 3 === 0 ? `${i}` : `"a ""long"" string number ${i}"`,
    );
    const { rows } = encode(kernels, dictionary, [...fields, ...fields]);
    expect(rows.slice(0, 30_000)).toEqual(fields.map((_, i) => i));
    expect(rows.slice(30_000)).toEqual(fields.map((_, i) => i));
    expect(dictionary.textOf(29_997)).toBe('29997');
    expect(dictionary.textOf(29_998)).toBe('a "long" string number 29998');
    expect(dictionary.codeOf('a "long" string number 4')).toBe(4);
  });

  test('takes one string larger than the heap', () => {
    const kernels = loadKernels();
    const dictionary = new StringDictionary(kernels);
    const large = 'é'.repeat(300_000);
    encode(kernels, dictionary, [Buffer.from(large).toString('latin1'), 'x']);
    expect(texts(dictionary)).toEqual([large, 'x']);
  });

  test('tells strings apart that differ in one byte, of every length', () => {
    const kernels = loadKernels();
    const dictionary = new StringDictionary(kernels);
    const fields: string[] = [];
    for (let length = 1; length <= 40; length++) {
      for (let at = 0; at < length; at++) fields.push(`${'a'.repeat(at)}b${'a'.repeat(length - at - 1)}`);
    }
    expect(encode(kernels, dictionary, fields).rows).toEqual(fields.map((_, i) => i));
  });

  test('decodes an escape that is not the quote', () => {
    const kernels = loadKernels();
    const dictionary = new StringDictionary(kernels);
    const fields = ['"a\\"b"', '"a\\\\b"', '"a\\b"', 'a\\b', '"a""b"', '"a\\"'];
    const { rows } = encode(kernels, dictionary, fields, { escape: '\\' });
    expect(rows).toEqual([0, 1, 2, 1, 'flagged', 'flagged']);
    expect(texts(dictionary)).toEqual(['a"b', 'a\\b', 'ab']);
  });

  test('takes the CR of a CRLF off the last column', () => {
    const kernels = loadKernels();
    const dictionary = new StringDictionary(kernels);
    expect(encode(kernels, dictionary, ['a\r', '"a"\r', '\r', 'a'], { trim: 1 }).rows).toEqual([
      0,
      0,
      null,
      0,
    ]);
  });

  test('flags every row whose string is not UTF-8, in later batches too', () => {
    const kernels = loadKernels();
    const dictionary = new StringDictionary(kernels);
    const e = Buffer.from('é').toString('latin1');
    expect(encode(kernels, dictionary, ['ok', '\xff', e]).rows).toEqual([0, 'flagged', 2]);
    const again = encode(kernels, dictionary, ['\xff', 'ok', '']);
    expect(again.rows).toEqual(['flagged', 0, null]);
    expect(again.outcome).toBe(SOME_FLAGGED | SOME_NULL);
  });

  test('flags two strings that only together are UTF-8', () => {
    const kernels = loadKernels();
    expect(encode(kernels, new StringDictionary(kernels), ['\xc3', '\xa9']).rows).toEqual([
      'flagged',
      'flagged',
    ]);
  });

  test('never writes beyond its heap', () => {
    const kernels = loadKernels();
    const dictionary = new StringDictionary(kernels);
    const { memory } = kernels;
    const guard = memory.allocate(1024 * 1024);
    memory.u8.fill(7, guard, guard + 1024 * 1024);
    const fields = Array.from({ length: 600 }, (_, i) => String(i).repeat(50));
    encode(kernels, dictionary, [...fields, ...fields.map((field) => `"${field}""${field}"`)]);
    expect(memory.u8.subarray(guard, guard + 1024 * 1024).every((byte) => byte === 7)).toBe(true);
    expect(dictionary.size).toBe(1200);
  });

  test('tells strings apart whose hashes are equal', () => {
    // The hash of sixteen bytes is that of rotl(first * factor, 29) ^ second; so a second half can be found for any first.
    const mask = (1n << 64n) - 1n;
    const spread = (half: bigint): bigint => {
      const product = (half * 0x9e3779b97f4a7c15n) & mask;
      return ((product << 29n) | (product >> 35n)) & mask;
    };
    const bytes = (first: bigint, second: bigint): Buffer => {
      const buffer = Buffer.alloc(16);
      buffer.writeBigUInt64LE(first, 0);
      buffer.writeBigUInt64LE(second, 8);
      return buffer;
    };
    const dictionary = new StringDictionary(loadKernels());
    const codes = Array.from({ length: 8 }, (_, i) =>
      dictionary.add(bytes(BigInt(i), 0x1234n ^ spread(0n) ^ spread(BigInt(i)))),
    );
    expect(codes).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test('adds and looks up single strings', () => {
    const dictionary = new StringDictionary(loadKernels());
    expect(dictionary.codeOf('a')).toBeUndefined();
    const many = Array.from({ length: 5000 }, (_, i) => dictionary.add(Buffer.from(`number ${i}`)));
    expect(many).toEqual(many.map((_, i) => i));
    expect(dictionary.add(Buffer.from('number 77'))).toBe(77);
    expect(dictionary.codeOf('number 4999')).toBe(4999);
    const { bytes, offsets } = dictionary.strings();
    expect(offsets.length).toBe(5001);
    expect(Buffer.from(bytes.subarray(offsets[4999], offsets[5000])).toString()).toBe('number 4999');
  });
});
