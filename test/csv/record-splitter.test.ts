import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DialectBytes } from '../../src/csv/dialect.ts';
import { RecordSplitter } from '../../src/csv/record-splitter.ts';
import { loadKernels } from '../../src/kernels/kernels.ts';
import { RECORD_BYTES_MAX } from '../../src/limits.ts';
import { placeText } from '../kernels/text-in-memory.ts';

const kernels = loadKernels();
const RFC: DialectBytes = { delimiter: 44, quote: 34, escape: 34, nullToken: Buffer.from('') };
/** For text without backslashes the same grammar, but always by the state machine. */
const BY_GRAMMAR: DialectBytes = { ...RFC, escape: 92 };

/** Splits the text in windows; rows as raw fields, rejected records as text. */
function split(text: Buffer, columns: number, windowBytes = text.length, dialect = RFC) {
  const mark = kernels.memory.mark();
  const splitter = new RecordSplitter(kernels, dialect, columns, Math.max(windowBytes, 1));
  const rows: string[][] = [];
  const rejected: string[] = [];
  let lines = 0;
  let start = 0;
  while (start < text.length) {
    const end = Math.min(text.length, start + windowBytes);
    const source = placeText(kernels, text.subarray(start, end));
    const part = splitter.split(source, source + end - start, end === text.length);
    const { u8, u32 } = kernels.memory;
    for (let row = 0; row < part.rows; row++) {
      const at = (part.base >>> 2) + row * part.stride;
      rows.push(
        Array.from({ length: columns }, (_, column) =>
          Buffer.from(u8.slice(u32[at + column] + 1, u32[at + column + 1])).toString('latin1'),
        ),
      );
    }
    for (const record of part.rejected) {
      rejected.push(`${record.code} ${Buffer.from(u8.slice(record.start, record.end)).toString('latin1')}`);
    }
    lines += part.lines;
    expect(part.end).toBeGreaterThan(source);
    start += part.end - source;
  }
  kernels.memory.release(mark);
  return { rows, rejected, lines };
}

const record = fc.constantFrom(
  'a,b',
  'a,b\r',
  '"a,""b"," "\r',
  '"x\ny",z',
  '',
  '\r',
  'a',
  'a,b,c',
  '"x\n","y\n","z"',
);
const malformed = fc.constantFrom('a"b,c', '"a"b,c', '"a"\rb,c', 'a,b"', '"a" ,b', '"a"x"y",b');

describe('record splitter', () => {
  test('regular text: the kernels find what the grammar finds, in windows too', () => {
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 40 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 40, max: 200 }),
        (records, columns, window) => {
          const text = Buffer.from(records.map((line) => `${line}\n`).join(''));
          const result = split(text, columns);
          // An escape that never occurs sends the same text through the state machine, doubled quotes aside.
          if (!text.includes('""')) expect(split(text, columns, text.length, BY_GRAMMAR)).toEqual(result);
          expect(split(text, columns, window)).toEqual(result);
          expect(result.lines).toBe(text.filter((byte) => byte === 10).length);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('malformed records cost themselves only, wherever windows are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(record, malformed), { maxLength: 40 }),
        fc.integer({ min: 40, max: 200 }),
        (records, window) => {
          const text = Buffer.from(records.map((line) => `${line}\n`).join(''));
          const result = split(text, 2);
          expect(split(text, 2, window)).toEqual(result);
          expect(result.rows).toEqual(
            records
              .filter((line) => ['a,b', 'a,b\r', '"a,""b"," "\r', '"x\ny",z'].includes(line))
              .map((line) => (line.startsWith('"a,') ? ['"a,""b"', '" "\r'] : line.split(','))),
          );
          expect(result.lines).toBe(text.filter((byte) => byte === 10).length);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a record longer than the limit is rejected also where its quotes are regular', () => {
    const long = `"${'x\n'.repeat(RECORD_BYTES_MAX / 2)}"`;
    const result = split(Buffer.from(`a,b\n${long},y\nc,d\n`), 2);
    expect(result.rows).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    expect(result.rejected[0]).toBe('RECORD_TOO_LONG "x');
    expect(result.lines).toBe(RECORD_BYTES_MAX / 2 + 3);
  });

  test('a quote that never closes costs one line, within the limit and beyond it', () => {
    const rest = Array.from({ length: 300_000 }, (_, i) => `${i},x`);
    for (const lines of [rest.slice(0, 5), rest]) {
      const text = Buffer.from(`"a,b\n${lines.join('\n')}\n`);
      const result = split(text, 2, 3 * 1024 * 1024);
      expect(result.rejected).toHaveLength(1);
      expect(result.rejected[0]).toMatch(
        lines === rest ? /^RECORD_TOO_LONG "a,b$/ : /^QUOTE_NOT_CLOSED "a,b$/,
      );
      expect(result.rows).toHaveLength(lines.length);
    }
  });

  test('an endless line is skipped over windows', () => {
    const text = Buffer.concat([
      Buffer.from('a,b\n'),
      Buffer.alloc(5 * RECORD_BYTES_MAX, 120),
      Buffer.from('\nc,d\n'),
    ]);
    const result = split(text, 2, RECORD_BYTES_MAX + 4096);
    expect(result.rows).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    expect(result.rejected).toHaveLength(1);
    expect(result.lines).toBe(3);
  });
});
