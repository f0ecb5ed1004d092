/**
 * The grammar of records as a byte state machine: the reference, and the way through text in which quotes do not
 * simply toggle. A field that starts with a quote is quoted; inside it the escape makes the next byte literal (when the
 * escape is the quote, only a quote may follow it); after the closing quote comes a delimiter or the record ends with LF
 * or CRLF. Whatever breaks this rejects one record:
 *
 * - a quote in an unquoted field is otherwise an ordinary byte (QUOTE_IN_UNQUOTED);
 * - after a closing quote that is followed by something else the record goes on to the next LF (QUOTE_NOT_CLOSED_CLEANLY);
 * - when no end of the record is found within `recordBytesMax` bytes (RECORD_TOO_LONG), or the file ends inside quotes
 *   (QUOTE_NOT_CLOSED), the record is taken to be its first physical line.
 *
 * Invariant: rows, rejected records and dropped blank lines tile start..end, and what they are depends on the text alone,
 * never on where windows are cut. For text in which scan() finds nothing irregular it equals scan() and compactRows().
 */
import { type DialectBytes, quotesToggle } from './dialect.ts';
import type { RejectCode } from './reject.ts';

const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

/** A record that is no row: the bytes start..end, without its line end. */
export interface RejectedRecord {
  readonly start: number;
  readonly end: number;
  readonly code: RejectCode;
}

export interface RecordScanOptions {
  readonly dialect: DialectBytes;
  readonly columns: number;
  readonly recordBytesMax: number;
  /** Nothing follows `end`, and the last byte is an LF. */
  readonly atEnd: boolean;
  /** The text starts within a record already rejected as too long: skip to the next line. */
  readonly skipping: boolean;
}

export interface RecordScan {
  /** Rows written, `columns + 1` entries each: the address before the record, then the ends of its fields. */
  readonly rows: number;
  /** In order. */
  readonly rejected: readonly RejectedRecord[];
  /** The first byte not consumed: the start of a record whose end is not in the text, or the end of it. */
  readonly end: number;
  /** The rest of the line at `end` belongs to a record already rejected. */
  readonly skipping: boolean;
}

/** Scans the records in bytes[start .. end] and writes rows to `out` from index `at` on. */
export function scanRecords(
  bytes: Uint8Array,
  start: number,
  end: number,
  options: RecordScanOptions,
  out: Uint32Array,
  at: number,
): RecordScan {
  const { dialect, columns, recordBytesMax, atEnd } = options;
  const rejected: RejectedRecord[] = [];
  const record: RecordShape = { end: 0, fields: 0, blank: false, code: null };
  let rows = 0;
  let next = start;
  if (options.skipping) {
    const lineEnd = lineEndFrom(bytes, start, end);
    if (lineEnd === -1) return { rows, rejected, end, skipping: true };
    next = lineEnd + 1;
  }
  while (next < end) {
    const stop = Math.min(end, next + recordBytesMax + 1);
    scanRecord(bytes, next, stop, dialect, columns, out, at + rows * (columns + 1), record);
    if (record.end === -1) {
      const tooLong = stop - next > recordBytesMax;
      if (!tooLong && !atEnd) break;
      const lineEnd = lineEndFrom(bytes, next, end);
      const code = tooLong ? 'RECORD_TOO_LONG' : 'QUOTE_NOT_CLOSED';
      rejected.push({ start: next, end: lineEnd === -1 ? end : lineEnd, code });
      if (lineEnd === -1) return { rows, rejected, end, skipping: true };
      next = lineEnd + 1;
      continue;
    }
    if (record.code !== null) rejected.push({ start: next, end: record.end, code: record.code });
    else if (record.fields === columns) rows++;
    else if (!record.blank) rejected.push({ start: next, end: record.end, code: 'FIELD_COUNT' });
    next = record.end + 1;
  }
  return { rows, rejected, end: next, skipping: false };
}

interface RecordShape {
  /** Address of the LF that ends the record; -1 when there is none before the stop. */
  end: number;
  fields: number;
  /** Nothing, or a lone CR. */
  blank: boolean;
  code: RejectCode | null;
}

function scanRecord(
  bytes: Uint8Array,
  start: number,
  stop: number,
  dialect: DialectBytes,
  columns: number,
  out: Uint32Array,
  at: number,
  record: RecordShape,
): void {
  const { delimiter, quote } = dialect;
  record.end = -1;
  record.fields = 0;
  record.blank = false;
  record.code = null;
  out[at] = start - 1;
  let p = start;
  while (p < stop) {
    if (bytes[p] === quote) {
      p = closingQuote(bytes, p + 1, stop, dialect) + 1;
      if (p === 0) return;
      // Without the byte after a CR its meaning is open, but then the record is not complete either.
      const after = bytes[p] === CARRIAGE_RETURN && bytes[p + 1] === LINE_FEED ? p + 1 : p;
      if (after >= stop) return;
      if (bytes[after] !== delimiter && bytes[after] !== LINE_FEED) {
        record.code ??= 'QUOTE_NOT_CLOSED_CLEANLY';
        p = lineEndFrom(bytes, p, stop);
        if (p === -1) return;
      } else {
        p = after;
      }
    } else {
      while (p < stop && bytes[p] !== delimiter && bytes[p] !== LINE_FEED) {
        if (bytes[p] === quote) record.code ??= 'QUOTE_IN_UNQUOTED';
        p++;
      }
      if (p >= stop) return;
    }
    record.fields++;
    if (record.fields <= columns) out[at + record.fields] = p;
    if (bytes[p] === LINE_FEED) {
      record.end = p;
      record.blank = p === start || (p === start + 1 && bytes[start] === CARRIAGE_RETURN);
      return;
    }
    p++;
  }
}

/** The address of the quote that closes the field whose inside starts at `p`, or -1. */
function closingQuote(bytes: Uint8Array, p: number, stop: number, dialect: DialectBytes): number {
  const { quote } = dialect;
  const toggles = quotesToggle(dialect);
  while (p < stop) {
    const byte = bytes[p];
    if (byte === dialect.escape && (!toggles || (p + 1 < stop && bytes[p + 1] === quote))) p += 2;
    else if (byte === quote) return p;
    else p++;
  }
  return -1;
}

function lineEndFrom(bytes: Uint8Array, start: number, end: number): number {
  const index = bytes.subarray(start, end).indexOf(LINE_FEED);
  return index === -1 ? -1 : start + index;
}
