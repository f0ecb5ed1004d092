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

/** Splits from `start`; `atEnd` says that no text follows, so the last record needs no line feed. */
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

/** Null when the record goes on beyond the text. */
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
  let quoted = false;
  let atFieldStart = true;
  let position = start;
  while (position < text.length) {
    const byte = text[position];
    if (byte === LINE_FEED) lines++;
    if (quoted) {
      if (position - start >= recordBytesMax) return firstLineOf(text, start, 'RECORD_TOO_LONG');
      const next = text[position + 1];
      if (byte === escapeByte && (next === quote || (escapeByte !== quote && next === escapeByte)))
        position++;
      else if (byte === quote) {
        // Whether the quote closes the field shows in the next bytes, which may not be there yet.
        if (position + 2 >= text.length && !atEnd) return null;
        quoted = false;
        if (!endsField(text, position + 1, delimiter)) code ??= 'QUOTE_NOT_CLOSED';
      }
    } else if (byte === LINE_FEED) {
      if (position + 1 - start > recordBytesMax) code = 'RECORD_TOO_LONG';
      return { end: position + 1, lines, code };
    } else if (byte === delimiter) atFieldStart = true;
    else if (byte === quote && atFieldStart) {
      quoted = true;
      atFieldStart = false;
    } else {
      if (byte === quote) code ??= 'QUOTE_IN_UNQUOTED';
      atFieldStart = false;
    }
    position++;
  }
  if (!atEnd) return null;
  if (quoted) return firstLineOf(text, start, 'QUOTE_NOT_CLOSED');
  if (position - start > recordBytesMax) code = 'RECORD_TOO_LONG';
  return { end: text.length, lines, code };
}

/** After a closing quote only a delimiter, a line end or the end of the text may follow. */
function endsField(text: Uint8Array, position: number, delimiter: number): boolean {
  if (position >= text.length) return true;
  const byte = text[position];
  return (
    byte === delimiter || byte === LINE_FEED || (byte === CARRIAGE_RETURN && text[position + 1] === LINE_FEED)
  );
}

/** A quoted field that never closes costs the line it starts on; reading resumes on the next. */
function firstLineOf(text: Uint8Array, start: number, code: string): Scan {
  const lineFeed = text.indexOf(LINE_FEED, start);
  return lineFeed < 0 ? { end: text.length, lines: 0, code } : { end: lineFeed + 1, lines: 1, code };
}

function isBlank(text: Uint8Array, start: number, end: number): boolean {
  let contentEnd = end;
  if (contentEnd > start && text[contentEnd - 1] === LINE_FEED) contentEnd--;
  if (contentEnd > start && text[contentEnd - 1] === CARRIAGE_RETURN) contentEnd--;
  return contentEnd === start;
}
