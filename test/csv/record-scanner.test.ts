import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DialectBytes } from '../../src/csv/dialect.ts';
import { type RecordScan, scanRecords } from '../../src/csv/record-scanner.ts';

const RFC: DialectBytes = { delimiter: 44, quote: 34, escape: 34, nullToken: Buffer.from('') };
const BACKSLASH: DialectBytes = { ...RFC, escape: 92 };

interface Scanned extends RecordScan {
  /** Per row the address before the record and the ends of its fields. */
  shapes: number[][];
}

function scan(
  text: Uint8Array,
  columns: number,
  options: Partial<Parameters<typeof scanRecords>[3]> & { start?: number; end?: number } = {},
): Scanned {
  const out = new Uint32Array((text.length + 2) * (columns + 1));
  const { start = 0, end = text.length, ...rest } = options;
  const full = { dialect: RFC, columns, recordBytesMax: 1000, atEnd: true, skipping: false, ...rest };
  const result = scanRecords(text, start, end, full, out, 0);
  const stride = columns + 1;
  const shapes = Array.from({ length: result.rows }, (_, row) =>
    Array.from(out.subarray(row * stride, (row + 1) * stride), (address) => address | 0),
  );
  return { ...result, shapes };
}

/** Every record as (start, end), rows and rejected ones together. */
function spans(result: Scanned): [number, number][] {
  const rows = result.shapes.map((shape): [number, number] => [shape[0] + 1, shape.at(-1)!]);
  const rejected = result.rejected.map((record): [number, number] => [record.start, record.end]);
  return [...rows, ...rejected].sort((a, b) => a[0] - b[0]);
}

const wellFormedField = fc.oneof(
  fc.stringMatching(/^[a-zé ]{0,5}$/),
  fc
    .array(fc.constantFrom('a', ',', '\n', '\r\n', '""', 'é'), { maxLength: 6 })
    .map((parts) => `"${parts.join('')}"`),
);
const noise = fc.array(fc.constantFrom(',', '"', '\n', '\r', 'x', '\\', '""'), { maxLength: 60 });

describe('record scanner', () => {
  test('finds the records and fields of csv-parse in well-formed text', () => {
    const table = fc
      .integer({ min: 2, max: 4 })
      .chain((columns) =>
        fc.tuple(
          fc.constant(columns),
          fc.array(
            fc.tuple(
              fc.array(wellFormedField, { minLength: columns, maxLength: columns }),
              fc.constantFrom('\n', '\r\n'),
            ),
          ),
        ),
      );
    fc.assert(
      fc.property(table, ([columns, records]) => {
        const text = Buffer.from(records.map(([fields, end]) => fields.join(',') + end).join(''));
        const result = scan(text, columns);
        expect(result.rejected).toEqual([]);
        const reference = parse(text, { record_delimiter: ['\r\n', '\n'] });
        const found = result.shapes.map((shape) =>
          shape.slice(1).map((end, column) => {
            const field = text.toString('utf8', shape[column] + 1, end);
            const trimmed = column === columns - 1 ? field.replace(/\r$/, '') : field;
            return trimmed.startsWith('"') ? trimmed.slice(1, -1).replaceAll('""', '"') : trimmed;
          }),
        );
        expect(found).toEqual(reference);
      }),
      { numRuns: 500 },
    );
  });

  test('rows, rejected records and blank lines tile any bytes', () => {
    fc.assert(
      fc.property(
        noise,
        fc.constantFrom(RFC, BACKSLASH),
        fc.integer({ min: 1, max: 3 }),
        fc.constantFrom(8, 20, 1000),
        (parts, dialect, columns, recordBytesMax) => {
          const text = Buffer.from(`${parts.join('')}\n`);
          const result = scan(text, columns, { dialect, recordBytesMax });
          expect(result).toMatchObject({ end: text.length, skipping: false });
          let next = 0;
          for (const [start, end] of spans(result)) {
            expect(text.toString('utf8', next, start)).toMatch(/^(\r?\n)*$/);
            expect(text[end]).toBe(10);
            next = end + 1;
          }
          expect(text.toString('utf8', next)).toMatch(/^(\r?\n)*$/);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('cutting the text into windows changes nothing', () => {
    fc.assert(
      fc.property(
        noise,
        fc.constantFrom(RFC, BACKSLASH),
        fc.integer({ min: 9, max: 30 }),
        fc.constantFrom(5, 8),
        (parts, dialect, window, recordBytesMax) => {
          const text = Buffer.from(`${parts.join('')}\n`);
          const whole = scan(text, 2, { dialect, recordBytesMax });
          const found: [number, number, string][] = [];
          let start = 0;
          let skipping = false;
          while (start < text.length) {
            const end = Math.min(text.length, start + window);
            const part = scan(text, 2, {
              dialect,
              recordBytesMax,
              start,
              end,
              atEnd: end === text.length,
              skipping,
            });
            for (const shape of part.shapes) found.push([shape[0] + 1, shape.at(-1)!, 'row']);
            for (const { start, end, code } of part.rejected) {
              // The first window sees only the beginning of a record that goes on beyond it.
              const lineEnd = text.indexOf(10, start);
              found.push([start, Math.max(end, code === 'RECORD_TOO_LONG' ? lineEnd : 0), code]);
            }
            expect(part.end).toBeGreaterThan(start);
            start = part.end;
            skipping = part.skipping;
          }
          const expected = [
            ...whole.shapes.map((shape): [number, number, string] => [shape[0] + 1, shape.at(-1)!, 'row']),
            ...whole.rejected.map(({ start, end, code }): [number, number, string] => [start, end, code]),
          ];
          const order = (a: [number, number, string], b: [number, number, string]) => a[0] - b[0];
          expect(found.sort(order)).toEqual(expected.sort(order));
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('one stray quote costs one record', () => {
    const text = Buffer.from('a,b\nc"d,e\nf,g"h\n"i"j,k\nl,m\n');
    const result = scan(text, 2);
    expect(result.rows).toBe(2);
    expect(result.rejected.map(({ start, code }) => [start, code])).toEqual([
      [4, 'QUOTE_IN_UNQUOTED'],
      [10, 'QUOTE_IN_UNQUOTED'],
      [16, 'QUOTE_NOT_CLOSED_CLEANLY'],
    ]);
  });

  test('a field after the stray quote may still be quoted over lines', () => {
    const result = scan(Buffer.from('a"b,"x\ny"\nl,m\n'), 2);
    expect(result.rejected).toEqual([{ start: 0, end: 9, code: 'QUOTE_IN_UNQUOTED' }]);
    expect(result.rows).toBe(1);
  });

  test('a CR after a closing quote must be followed by LF', () => {
    const result = scan(Buffer.from('"a","b"\r\n"a","b"\rc\n'), 2);
    expect(result.rows).toBe(1);
    expect(result.rejected).toEqual([{ start: 9, end: 18, code: 'QUOTE_NOT_CLOSED_CLEANLY' }]);
  });

  test('a quote open at the end of the file costs its first line', () => {
    const result = scan(Buffer.from('a,b\n"c,d\ne,f\ng,h\n'), 2);
    expect(result.rejected).toEqual([{ start: 4, end: 8, code: 'QUOTE_NOT_CLOSED' }]);
    expect(result.rows).toBe(3);
  });

  test('a record that is too long costs its first line; at the limit it is taken', () => {
    const text = Buffer.from('"c\nd",e\nf,g\n');
    expect(scan(text, 2, { recordBytesMax: 7 }).rows).toBe(2);
    const result = scan(text, 2, { recordBytesMax: 6 });
    expect(result.rejected).toEqual([
      { start: 0, end: 2, code: 'RECORD_TOO_LONG' },
      { start: 3, end: 7, code: 'QUOTE_IN_UNQUOTED' },
    ]);
    expect(result.rows).toBe(1);
  });

  test('a line without end is skipped over windows', () => {
    const first = scan(Buffer.from('a,b\nxxxxxxxxxxxxxxxxxx'), 2, { recordBytesMax: 8, atEnd: false });
    expect(first).toMatchObject({ rows: 1, end: 22, skipping: true });
    expect(first.rejected).toEqual([{ start: 4, end: 22, code: 'RECORD_TOO_LONG' }]);
    const middle = scan(Buffer.from('xxxx'), 2, { recordBytesMax: 8, atEnd: false, skipping: true });
    expect(middle).toMatchObject({ rows: 0, end: 4, skipping: true, rejected: [] });
    const last = scan(Buffer.from('xx\nc,d\n'), 2, { recordBytesMax: 8, skipping: true });
    expect(last).toMatchObject({ rows: 1, end: 7, skipping: false, rejected: [] });
  });

  test('blank lines are no records of several columns, but of one', () => {
    expect(scan(Buffer.from('a,b\n\n\r\nc,d\n'), 2)).toMatchObject({ rows: 2, rejected: [] });
    expect(scan(Buffer.from('a\n\n\r\nb\n'), 1)).toMatchObject({ rows: 4, rejected: [] });
    expect(scan(Buffer.from('""\n'), 2).rejected).toEqual([{ start: 0, end: 2, code: 'FIELD_COUNT' }]);
  });

  test('an escape that is not the quote makes any byte literal', () => {
    const result = scan(Buffer.from('"a\\"b","c\\\\"\n"a""b",c\n'), 2, { dialect: BACKSLASH });
    expect(result.shapes).toEqual([[-1, 6, 12]]);
    expect(result.rejected).toEqual([{ start: 13, end: 21, code: 'QUOTE_NOT_CLOSED_CLEANLY' }]);
  });
});
