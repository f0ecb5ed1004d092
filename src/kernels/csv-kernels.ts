/**
 * Signatures of the kernels that scan and decode CSV (workers/kernels). All pointers are byte addresses in the memory
 * of the instance; the room each buffer needs is said in the source of the kernel.
 *
 * Positions are the addresses (u32) of the delimiters and LFs outside quotes. Rows are positions with a sentinel entry
 * before them, the address before the first record: field c of row r is the bytes from `base[r * stride + c] + 1` up to
 * `base[r * stride + c + 1]`.
 */
import type { Pointer } from './kernel-memory.ts';

/** Indexes into the four u32 that `scan` leaves in `stats`. */
export const SCAN_STATS = { recordLines: 0, allLines: 1, irregular: 2, endsInsideQuotes: 3 } as const;
export const SCAN_STATS_BYTES = 16;

/** Bytes after the end of the text that kernels may read, and bytes beyond the last position `scan` may write. */
export const SCAN_SLACK_BYTES = 64;

/** Bits of the outcome of a decode kernel. */
export const SOME_FLAGGED = 1;
export const SOME_NULL = 2;

export type DecodeKernel = (
  /** Entry 0 of the rows: `positions - 4` for rows that are positions. */
  base: Pointer,
  /** Entries from row to row: `columns` for positions, `columns + 1` for compacted rows. */
  stride: number,
  column: number,
  rows: number,
  quote: number,
  /** 1 for the last column, whose field may end in the CR of a CRLF. */
  trimCarriageReturn: number,
  nullToken: Pointer,
  /** 0: the empty unquoted field is null. */
  nullTokenBytes: number,
  out: Pointer,
  /** u8 per row, set to 0 or 1. */
  nulls: Pointer,
  /** u8 per row, set to 1 where the field needs the exact lane, else left alone. */
  flags: Pointer,
) => number;

export interface CsvKernels {
  /** Writes positions and returns their count. `source` is the start of a record. */
  scan(
    source: Pointer,
    end: Pointer,
    delimiter: number,
    quote: number,
    positions: Pointer,
    stats: Pointer,
  ): number;
  /**
   * 1 if every record has exactly `columns` fields and at most `recordBytesMax` bytes. `lines` is how many positions are
   * LFs; the last one must be.
   */
  checkRows(
    positions: Pointer,
    count: number,
    columns: number,
    lines: number,
    source: Pointer,
    recordBytesMax: number,
  ): number;
  /**
   * Copies regular records to `out` as rows of stride `columns + 1`, lists (start, end) of the others in `odd`, and
   * returns how many rows, or -1 when a record is longer than `recordBytesMax`.
   */
  compactRows(
    positions: Pointer,
    count: number,
    columns: number,
    source: Pointer,
    out: Pointer,
    odd: Pointer,
    recordBytesMax: number,
  ): number;
  /** The LFs in the range, inside quotes and outside. */
  countLines(source: Pointer, end: Pointer): number;
  /** out: u32. */
  decodeUint32: DecodeKernel;
  /** out: i32. */
  decodeInt32: DecodeKernel;
  /** out: f64, exact within ±(2^53 − 1). */
  decodeInteger: DecodeKernel;
  /** out: u8, 0 or 1. */
  decodeBoolean: DecodeKernel;
  /** out: u32, epoch seconds. */
  decodeTimestamp: DecodeKernel;
  /**
   * keys: u32 per row, 1 where `(value & mask) === wanted`, else 0. Values have 32 bits. Reads and writes up to three rows
   * beyond the last.
   */
  testBits(values: Pointer, rows: number, mask: number, wanted: number, keys: Pointer): void;
  /**
   * out: u32 per row, becomes the larger of itself and the value (u32), `fill` standing for null. nulls: u8 per row, or 0
   * when nothing is null. Reads and writes up to three rows beyond the last.
   */
  maxWords(values: Pointer, nulls: Pointer, fill: number, rows: number, out: Pointer): void;
  /** As `maxWords`, for the smaller. */
  minWords(values: Pointer, nulls: Pointer, fill: number, rows: number, out: Pointer): void;
  /** As the decode kernels, for rows `row` .. `rows`, with the state of a string dictionary. Returns the row reached. */
  encodeStrings(
    base: Pointer,
    stride: number,
    column: number,
    row: number,
    rows: number,
    quote: number,
    escapeByte: number,
    trimCarriageReturn: number,
    nullToken: Pointer,
    nullTokenBytes: number,
    out: Pointer,
    nulls: Pointer,
    flags: Pointer,
    state: Pointer,
  ): number;
  /** The code of the bytes; when absent -1, or with `add` 1 a new code, or -2 if the state must grow first. */
  internString(state: Pointer, start: Pointer, bytes: number, add: number): number;
  /** Moves all slots of a hash table to a larger, zeroed one. */
  rehashStrings(from: Pointer, fromMask: number, to: Pointer, toMask: number): void;
}
