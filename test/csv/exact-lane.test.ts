import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CsvDialect } from '../../src/config/definition.ts';
import { decodeField, parseRecord, rejectedRecordFailure } from '../../src/csv/exact-lane.ts';
import { rawOf } from '../../src/csv/reject.ts';
import { RECORD_BYTES_MAX, REJECT_RAW_BYTES_MAX } from '../../src/limits.ts';

const RFC: CsvDialect = { columns: null, gzip: false, delimiter: ',', quote: '"', escape: '"', null: '' };

function fields(record: string, columns: number, dialect = RFC): unknown {
  const parsed = parseRecord(Buffer.from(record, 'latin1'), dialect, columns);
  return parsed.ok ? parsed.fields.map(({ text, quoted }) => (quoted ? [text] : text)) : parsed.failure.code;
}

describe('exact lane', () => {
  test('takes a record apart and keeps which fields were quoted', () => {
    expect(fields('a,"",,"b""c","x\ny"\r', 5)).toEqual(['a', [''], '', ['b"c'], ['x\ny']]);
    expect(fields('', 1)).toEqual(['']);
    expect(fields('\r', 1)).toEqual(['']);
    expect(fields('""', 1)).toEqual([['']]);
    expect(fields('a\rb,c', 2)).toEqual(['a\rb', 'c']);
  });

  test('takes the dialect', () => {
    const dialect: CsvDialect = { ...RFC, delimiter: '\t', quote: "'", escape: '\\' };
    expect(fields("a,\"b\t'c\\'d\\\\'", 2, dialect)).toEqual(['a,"b', ["c'd\\"]]);
  });

  test('names what is wrong with a record', () => {
    expect(fields('a,b,c', 2)).toBe('FIELD_COUNT');
    expect(fields('a', 2)).toBe('FIELD_COUNT');
    expect(fields('a"b,c', 2)).toBe('QUOTE_IN_UNQUOTED');
    expect(fields('"a"b,c', 2)).toBe('QUOTE_NOT_CLOSED_CLEANLY');
    expect(fields('"a,c', 2)).toBe('QUOTE_NOT_CLOSED');
    expect(fields('x'.repeat(RECORD_BYTES_MAX + 1), 1)).toBe('RECORD_TOO_LONG');
    const failure = rejectedRecordFailure(Buffer.from('a,b,c'), 'FIELD_COUNT', RFC, 2);
    expect(failure.message).toBe('the record has 3 fields, expected 2');
    expect(rejectedRecordFailure(Buffer.from('"a'), 'QUOTE_NOT_CLOSED', RFC, 2).code).toBe(
      'QUOTE_NOT_CLOSED',
    );
  });

  test('checks UTF-8 in strings only', () => {
    const parsed = parseRecord(Buffer.from('\xff,"\xff",5', 'latin1'), RFC, 3);
    if (!parsed.ok) throw new Error(parsed.failure.message);
    const decoded = parsed.fields.map((field) => decodeField(field, 'string', ''));
    expect(decoded.map((value) => (value.ok ? value.value : value.failure.code))).toEqual([
      'INVALID_UTF8',
      'INVALID_UTF8',
      '5',
    ]);
    expect(decodeField(parsed.fields[0], 'uint32', '')).toMatchObject({
      failure: { code: 'INVALID_INTEGER' },
    });
  });

  test('gives back any text', () => {
    const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`;
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1 }), (texts) => {
        const parsed = parseRecord(Buffer.from(texts.map(quote).join(',')), RFC, texts.length);
        expect(parsed).toEqual({
          ok: true,
          fields: texts.map((text) => ({ text, quoted: true, utf8: true })),
        });
      }),
    );
  });

  test('caps the raw text of a reject', () => {
    expect(rawOf(Buffer.from('a,b'))).toEqual({ raw: 'a,b', rawTruncated: false });
    const long = rawOf(Buffer.alloc(REJECT_RAW_BYTES_MAX + 1, 120));
    expect(long.raw.length).toBe(REJECT_RAW_BYTES_MAX);
    expect(long.rawTruncated).toBe(true);
  });
});
