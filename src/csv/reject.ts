/**
 * A rejected row: what ends up in the report and the rejects file of a load. Codes are part of the public contract.
 */
import { REJECT_RAW_BYTES_MAX } from '../limits.ts';

export const REJECT_CODES = [
  /** The record has more or fewer fields than the table has columns. */
  'FIELD_COUNT',
  /** A quote inside a field that does not start with one. */
  'QUOTE_IN_UNQUOTED',
  /** Something other than a delimiter or the end of the record follows a closing quote. */
  'QUOTE_NOT_CLOSED_CLEANLY',
  /** The file ends inside quotes. */
  'QUOTE_NOT_CLOSED',
  /** The record has more than RECORD_BYTES_MAX bytes. */
  'RECORD_TOO_LONG',
  'INVALID_INTEGER',
  'INVALID_BOOLEAN',
  'INVALID_TIMESTAMP',
  'INVALID_UTF8',
  /** A number or a time that the type cannot hold. */
  'OUT_OF_RANGE',
  /** The slot column is null. */
  'NULL_SLOT',
  /** An expression left ±(2^53 − 1) or divided by zero. */
  'EXPRESSION_RANGE',
] as const;

export type RejectCode = (typeof REJECT_CODES)[number];

/** Why a record or a field cannot be loaded. */
export interface Failure {
  readonly code: RejectCode;
  /** What is wrong, without the place. */
  readonly message: string;
}

export interface Reject {
  readonly table: string;
  readonly file: string;
  /** Physical line on which the record starts, from 1. */
  readonly line: number;
  /** Of the first byte of the record, from 0; in the decompressed text for gzip. */
  readonly byteOffset: number;
  /** The column at fault; null when it is the record. */
  readonly column: string | null;
  readonly code: RejectCode;
  readonly message: string;
  /** The record without its line end, at most REJECT_RAW_BYTES_MAX bytes of it; bytes that are not UTF-8 appear as U+FFFD. */
  readonly raw: string;
  readonly rawTruncated: boolean;
}

/** The raw text of a reject from the bytes of its record. */
export function rawOf(record: Uint8Array): { raw: string; rawTruncated: boolean } {
  const kept = record.subarray(0, REJECT_RAW_BYTES_MAX);
  const raw = Buffer.from(kept.buffer, kept.byteOffset, kept.length).toString();
  return { raw, rawTruncated: kept.length < record.length };
}
