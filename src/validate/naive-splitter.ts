/**
 * Where the records of CSV text begin and end, for the naive model: RFC 4180 with the dialect's bytes, read one byte at
 * a time. A record ends at LF or CRLF outside quotes. A stray quote spoils its own record only.
 */
import type { CsvDialect } from '../config/definition.ts';

export interface RecordExtent {
  readonly start: number;
  /** After its line feed. */
  readonly end: number;
  /** Line feeds before it in the text given. */
  readonly line: number;
  /** Nothing but its line end. */
  readonly blank: boolean;
  /** Null when well-formed. */
  readonly code: string | null;
}

export interface SplitText {
  readonly extents: RecordExtent[];
  /** Start of the first record that the text does not hold whole; the text's end when there is none. */
  readonly end: number;
  /** Line feeds before `end`. */
  readonly lines: number;
}

interface Bytes {
  readonly delimiter: number;
  readonly quote: number;
  readonly escapeByte: number;
}

interface Scan {
  end: number;
  lines: number;
  code: string | null;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Splits from `start`; `atEnd` says that no text follows, and that the text ends with a line feed. */
export function splitRecords(
  text: Uint8Array,
  start: number,
  atEnd: boolean,
  dialect: CsvDialect,
  recordBytesMax: number,
): SplitText {
  const bytes: Bytes = {
    delimiter: dialect.delimiter.charCodeAt(0),
    quote: dialect.quote.charCodeAt(0),
    escapeByte: dialect.escape.charCodeAt(0),
  };
  const extents: RecordExtent[] = [];
  let lines = 0;
  let position = start;
  while (position < text.length) {
    const scan = scanRecord(text, position, bytes, atEnd, recordBytesMax);
    if (scan === null) break;
    const { end, code } = scan;
    extents.push({ start: position, end, line: lines, blank: isBlank(text, position, end), code });
    lines += scan.lines;
    position = end;
  }
  return { extents, end: position, lines };
}

/** Null when the record, or the line that is cut from one without an end, goes on beyond the text. */
function scanRecord(
  text: Uint8Array,
  start: number,
  bytes: Bytes,
  atEnd: boolean,
  recordBytesMax: number,
): Scan | null {
  const { delimiter, quote, escapeByte } = bytes;
  let code: string | null = null;
  let lines = 0;
  let state: 'fieldStart' | 'unquoted' | 'quoted' | 'spoiled' = 'fieldStart';
  for (let position = start; position < text.length; position++) {
    if (position - start > recordBytesMax) return firstLineOf(text, start, 'RECORD_TOO_LONG');
    const byte = text[position];
    if (byte === LINE_FEED) lines++;
    if (state === 'quoted') {
      const next = text[position + 1];
      if (byte === escapeByte && (next === quote || escapeByte !== quote)) {
        if (next === LINE_FEED) lines++;
        position++;
      } else if (byte === quote) {
        // Whether the quote closes the field shows in the next two bytes, which may not be there yet.
        if (position + 2 >= text.length && !atEnd) return null;
        state = 'unquoted';
        if (!endsField(text, position + 1, delimiter)) {
          code ??= 'QUOTE_NOT_CLOSED_CLEANLY';
          state = 'spoiled';
        }
      }
    } else if (byte === LINE_FEED) {
      return { end: position + 1, lines, code };
    } else if (state !== 'spoiled') {
      if (byte === quote && state === 'fieldStart') state = 'quoted';
      else {
        if (byte === quote) code ??= 'QUOTE_IN_UNQUOTED';
        state = byte === delimiter ? 'fieldStart' : 'unquoted';
      }
    }
  }
  return atEnd ? firstLineOf(text, start, 'QUOTE_NOT_CLOSED') : null;
}

/** After a closing quote only a delimiter or a line end may follow. */
function endsField(text: Uint8Array, position: number, delimiter: number): boolean {
  const byte = text[position];
  return (
    byte === delimiter || byte === LINE_FEED || (byte === CARRIAGE_RETURN && text[position + 1] === LINE_FEED)
  );
}

/** A record that finds no end costs the line it starts on; reading resumes on the next. */
function firstLineOf(text: Uint8Array, start: number, code: string): Scan | null {
  const lineFeed = text.indexOf(LINE_FEED, start);
  return lineFeed < 0 ? null : { end: lineFeed + 1, lines: 1, code };
}

function isBlank(text: Uint8Array, start: number, end: number): boolean {
  return end - start === 1 || (end - start === 2 && text[start] === CARRIAGE_RETURN);
}
