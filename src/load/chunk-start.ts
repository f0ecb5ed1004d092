/**
 * Finds where a chunk probably begins: the first record boundary at or after a cut made without looking. A line feed may
 * lie inside a quoted field, so of the lines that follow the cut the first one is taken from which several records in a
 * row have the right shape. Only a good guess is needed: the coordinator verifies it and has a wrong one scanned again.
 */
import type { CsvDialect } from '../config/definition.ts';
import { dialectBytes } from '../csv/dialect.ts';
import { scanRecords } from '../csv/record-scanner.ts';
import { borrowWords, returnWords } from '../index/scratch-memory.ts';
import type { KernelMemory, Pointer } from '../kernels/kernel-memory.ts';
import { RECORD_BYTES_MAX } from '../limits.ts';

const CANDIDATES_MAX = 16;
/** Bytes looked at behind a candidate. */
const PROBE_BYTES = 16 * 1024;
const LINE_FEED = 10;

/** `source` is the byte before the cut. Null when there is no line end in the window. */
export function findRecordStart(
  memory: KernelMemory,
  source: Pointer,
  end: Pointer,
  csv: CsvDialect,
  columns: number,
): Pointer | null {
  const { u8 } = memory;
  const first = lineStart(u8, source, end);
  let candidate = first;
  for (let tried = 0; candidate !== null && tried < CANDIDATES_MAX; tried++) {
    if (looksLikeRecords(u8, candidate, Math.min(end, candidate + PROBE_BYTES), csv, columns))
      return candidate;
    candidate = lineStart(u8, candidate, end);
  }
  return first;
}

function lineStart(bytes: Uint8Array, from: Pointer, end: Pointer): Pointer | null {
  const at = bytes.indexOf(LINE_FEED, from);
  return at === -1 || at + 1 > end ? null : at + 1;
}

function looksLikeRecords(
  bytes: Uint8Array,
  start: Pointer,
  end: Pointer,
  csv: CsvDialect,
  columns: number,
): boolean {
  const rows = borrowWords((end - start + 2) * (columns + 1));
  const options = {
    dialect: dialectBytes(csv),
    columns,
    recordBytesMax: RECORD_BYTES_MAX,
    atEnd: false,
    skipping: false,
  };
  const scan = scanRecords(bytes, start, end, options, rows, 0);
  returnWords(rows);
  return scan.rejected.length === 0 && (scan.rows > 0 || start === end);
}
