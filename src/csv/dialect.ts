/**
 * The bytes of a CSV dialect. The definition holds it as text and has checked that delimiter, quote and escape are one
 * ASCII character each, none of them a line end, the delimiter unlike the others.
 */
import type { CsvDialect } from '../config/definition.ts';

export interface DialectBytes {
  readonly delimiter: number;
  readonly quote: number;
  /** Inside quotes, the byte that makes the next one literal; when it is the quote, only a quote may follow it. */
  readonly escape: number;
  /** An unquoted field with exactly these bytes is null. */
  readonly nullToken: Uint8Array;
}

export function dialectBytes(csv: CsvDialect): DialectBytes {
  return {
    delimiter: csv.delimiter.charCodeAt(0),
    quote: csv.quote.charCodeAt(0),
    escape: csv.escape.charCodeAt(0),
    nullToken: Buffer.from(csv.null),
  };
}

/** Whether the scan kernel, for which every quote toggles, finds the records of this dialect. */
export function quotesToggle(dialect: DialectBytes): boolean {
  return dialect.escape === dialect.quote;
}
