/**
 * The slow and certain way through one record: csv-parse takes it apart, decode.ts decodes its fields. For rows that a
 * kernel flagged, to find what it could not decode or why nobody can, and for the words of every other reject.
 */
import { isUtf8 } from 'node:buffer';
import { parse } from 'csv-parse/sync';
import type { CsvDialect, FieldType } from '../config/definition.ts';
import type { ColumnType } from '../config/expression.ts';
import { RECORD_BYTES_MAX } from '../limits.ts';
import { type Decoded, decodeText } from './decode.ts';
import type { Failure, RejectCode } from './reject.ts';

export interface ExactField {
  /** U+FFFD where the bytes are not UTF-8. */
  readonly text: string;
  /** In quotes: an empty one is the empty string, not null. */
  readonly quoted: boolean;
  readonly utf8: boolean;
}

export type ExactRecord =
  | { readonly ok: true; readonly fields: readonly ExactField[] }
  | { readonly ok: false; readonly failure: Failure };

/** The fields of one record, given without its LF. */
export function parseRecord(record: Uint8Array, dialect: CsvDialect, columns: number): ExactRecord {
  if (record.length > RECORD_BYTES_MAX) return { ok: false, failure: recordFailure('RECORD_TOO_LONG') };
  const last = record.length - 1;
  const line = last >= 0 && record[last] === 13 ? record.subarray(0, last) : record;
  let fields: ExactField[];
  try {
    fields = line.length === 0 ? [{ text: '', quoted: false, utf8: true }] : fieldsOf(line, dialect);
  } catch (error) {
    return { ok: false, failure: recordFailure(quoteCode((error as { code?: string }).code)) };
  }
  if (fields.length === columns) return { ok: true, fields };
  return {
    ok: false,
    failure: { code: 'FIELD_COUNT', message: `the record has ${fields.length} fields, expected ${columns}` },
  };
}

/** The value of a field as the column type says. */
export function decodeField(field: ExactField, type: ColumnType | FieldType, nullText: string): Decoded {
  if (type === 'string' && !field.utf8) {
    return { ok: false, failure: { code: 'INVALID_UTF8', message: 'the text is not valid UTF-8' } };
  }
  return decodeText(field.text, field.quoted, type, nullText);
}

/** The failure of a record that the scan rejected with `code`. */
export function rejectedRecordFailure(
  record: Uint8Array,
  code: RejectCode,
  dialect: CsvDialect,
  columns: number,
): Failure {
  if (code !== 'FIELD_COUNT') return recordFailure(code);
  const parsed = parseRecord(record, dialect, columns);
  return parsed.ok ? { code, message: `the record does not have ${columns} fields` } : parsed.failure;
}

function recordFailure(code: RejectCode): Failure {
  return { code, message: RECORD_MESSAGES[code] ?? 'the record cannot be read' };
}

const RECORD_MESSAGES: Partial<Record<RejectCode, string>> = {
  QUOTE_IN_UNQUOTED: 'a quote stands inside an unquoted field; quote the field and double the quote',
  QUOTE_NOT_CLOSED_CLEANLY:
    'a closing quote is followed by something other than a delimiter or the end of the line',
  QUOTE_NOT_CLOSED: 'the file ends inside quotes',
  RECORD_TOO_LONG: `the record does not end within ${RECORD_BYTES_MAX} bytes; a quote may not be closed`,
};

/** Latin-1 carries every byte through csv-parse unchanged, so that quotes are found whatever the bytes between them. */
function fieldsOf(line: Uint8Array, dialect: CsvDialect): ExactField[] {
  // The types of csv-parse do not know that cast changes the type of a field.
  const records: unknown[] = parse(Buffer.from(line), {
    encoding: 'latin1',
    delimiter: dialect.delimiter,
    quote: dialect.quote,
    escape: dialect.escape,
    record_delimiter: '\n',
    relax_column_count: true,
    cast: (text, context): ExactField => {
      const bytes = Buffer.from(text, 'latin1');
      return { text: bytes.toString(), quoted: context.quoting, utf8: isUtf8(bytes) };
    },
  });
  return records[0] as ExactField[];
}

function quoteCode(code: string | undefined): RejectCode {
  if (code === 'INVALID_OPENING_QUOTE') return 'QUOTE_IN_UNQUOTED';
  return code === 'CSV_QUOTE_NOT_CLOSED' ? 'QUOTE_NOT_CLOSED' : 'QUOTE_NOT_CLOSED_CLEANLY';
}
