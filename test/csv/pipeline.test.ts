/**
 * The whole way from text to values (split, decode kernels, string dictionary, exact lane for flagged rows) against
 * csv-parse over the whole text.
 */
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CsvDialect } from '../../src/config/definition.ts';
import { decodeText } from '../../src/csv/decode.ts';
import { dialectBytes } from '../../src/csv/dialect.ts';
import { decodeField, parseRecord } from '../../src/csv/exact-lane.ts';
import { RecordSplitter } from '../../src/csv/record-splitter.ts';
import { loadKernels } from '../../src/kernels/kernels.ts';
import { StringDictionary } from '../../src/kernels/string-dictionary.ts';
import { placeText } from '../kernels/text-in-memory.ts';

const TYPES = ['uint32', 'string', 'timestamp', 'boolean', 'string', 'integer'] as const;
const COLUMNS = TYPES.length;

type Row = (number | boolean | string | null)[] | { column: number; code: string };

/** All rows in order; a rejected one as its column and code. */
function load(text: Buffer, dialect: CsvDialect): Row[] {
  const kernels = loadKernels();
  const { memory } = kernels;
  const bytes = dialectBytes(dialect);
  const splitter = new RecordSplitter(kernels, bytes, COLUMNS, text.length);
  const dictionary = new StringDictionary(kernels);
  const source = placeText(kernels, text);
  const { base, stride, rows, rejected, lines } = splitter.split(source, source + text.length, true);
  expect(rejected).toEqual([]);
  expect(lines).toBe(text.filter((byte) => byte === 10).length);
  const nullToken = placeText(kernels, bytes.nullToken);
  const outs = TYPES.map(() => memory.allocate(rows * 8));
  const nulls = TYPES.map(() => memory.allocate(rows));
  const flags = memory.allocate(rows);
  memory.u8.fill(0, flags, flags + rows);
  TYPES.forEach((type, column) => {
    const trim = column === COLUMNS - 1 ? 1 : 0;
    if (type === 'string') {
      dictionary.encode({
        base,
        stride,
        column,
        rows,
        quote: bytes.quote,
        escape: bytes.escape,
        trimCarriageReturn: trim,
        nullToken,
        nullTokenBytes: bytes.nullToken.length,
        out: outs[column],
        nulls: nulls[column],
        flags,
      });
      return;
    }
    const { decodeUint32, decodeTimestamp, decodeBoolean, decodeInteger } = kernels;
    const decode = {
      uint32: decodeUint32,
      timestamp: decodeTimestamp,
      boolean: decodeBoolean,
      integer: decodeInteger,
    }[type];
    const length = bytes.nullToken.length;
    decode(
      base,
      stride,
      column,
      rows,
      bytes.quote,
      trim,
      nullToken,
      length,
      outs[column],
      nulls[column],
      flags,
    );
  });
  return Array.from({ length: rows }, (_, row): Row => {
    const at = (base >>> 2) + row * stride;
    if (memory.u8[flags + row] !== 0) {
      return exactRow(memory.u8.slice(memory.u32[at] + 1, memory.u32[at + COLUMNS]), dialect);
    }
    return TYPES.map((type, column) => {
      if (memory.u8[nulls[column] + row] !== 0) return null;
      if (type === 'boolean') return memory.u8[outs[column] + row] === 1;
      if (type === 'integer') return memory.f64[(outs[column] >>> 3) + row];
      const value = memory.u32[(outs[column] >>> 2) + row];
      return type === 'string' ? dictionary.textOf(value) : value;
    });
  });
}

function exactRow(record: Uint8Array, dialect: CsvDialect): Row {
  const parsed = parseRecord(record, dialect, COLUMNS);
  if (!parsed.ok) throw new Error(parsed.failure.message);
  const row: (number | boolean | string | null)[] = [];
  for (const [column, field] of parsed.fields.entries()) {
    const decoded = decodeField(field, TYPES[column], dialect.null);
    if (!decoded.ok) return { column, code: decoded.failure.code };
    row.push(decoded.value);
  }
  return row;
}

/** csv-parse over the whole text. */
function reference(text: Buffer, dialect: CsvDialect): Row[] {
  const records = parse(text, {
    delimiter: dialect.delimiter,
    quote: dialect.quote,
    escape: dialect.escape,
    record_delimiter: ['\r\n', '\n'],
    cast: (value, { quoting }) => [value, quoting] as unknown as string,
  }) as unknown as [string, boolean][][];
  return records.map((fields) => {
    const row: (number | boolean | string | null)[] = [];
    for (const [column, [value, quoted]] of fields.entries()) {
      const decoded = decodeText(value, quoted, TYPES[column], dialect.null);
      if (!decoded.ok) return { column, code: decoded.failure.code };
      row.push(decoded.value);
    }
    return row;
  });
}

const word = fc.oneof(
  fc.constantFrom(
    '',
    'image',
    'a,b',
    'say "hi"',
    'two\nlines',
    'two\r\nlines',
    'tab\tbed',
    'back\\slash',
    'NULL',
  ),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
);
const integer = fc.oneof(
  fc.nat().map(String),
  fc.constantFrom('', '4294967295', '4294967296', '-5', '+7', 'x', '9007199254740993'),
);
const moment = fc.constantFrom(
  '',
  '1700000000',
  '2023-11-14 22:13:20.5+00',
  '2023-02-30',
  '2106-02-07T06:28:15Z',
  'now',
);
const truth = fc.constantFrom('t', 'f', 'true', 'false', '1', '0', '', 'yes');
const record = fc.tuple(integer, word, moment, truth, word, integer);

/** Quotes where it must, and elsewhere at random. */
function written(values: string[], quoteAlways: boolean[], dialect: CsvDialect): string {
  const special = /[,;\t"'\n\r]/;
  const escaped = (text: string): string =>
    text.replace(/["'\\]/g, (byte) =>
      byte === dialect.quote || byte === dialect.escape ? dialect.escape + byte : byte,
    );
  return values
    .map((text, column) =>
      special.test(text) || quoteAlways[column] ? dialect.quote + escaped(text) + dialect.quote : text,
    )
    .join(dialect.delimiter);
}

const DIALECTS: CsvDialect[] = [
  { columns: null, gzip: false, delimiter: ',', quote: '"', escape: '"', null: '' },
  { columns: null, gzip: false, delimiter: ';', quote: "'", escape: "'", null: 'NULL' },
  { columns: null, gzip: false, delimiter: '\t', quote: '"', escape: '\\', null: '' },
];

test.each(DIALECTS)('equals csv-parse over the whole text: $delimiter $quote $escape', (dialect) => {
  const line = fc.tuple(
    record,
    fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
    fc.constantFrom('\n', '\r\n'),
  );
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 30 }), (lines) => {
      const text = Buffer.from(
        lines.map(([values, quotes, end]) => written(values, quotes, dialect) + end).join(''),
      );
      expect(load(text, dialect)).toEqual(reference(text, dialect));
    }),
    { numRuns: 150 },
  );
});
