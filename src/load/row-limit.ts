/**
 * Which records of a split window belong to the chunk: those that start in its byte range, as far as its line limit
 * allows. Rows and rejected records tile the window but for blank lines and the rest of a record that is too long.
 */
import type { SplitRecords } from '../csv/record-splitter.ts';
import type { KernelMemory, Pointer } from '../kernels/kernel-memory.ts';

export interface RowLimit {
  /** Fields of a row. */
  readonly columns: number;
  /** Records that start at this address or later belong to the next chunk. */
  readonly startBefore: Pointer;
  /** Lines the chunk may still hold. */
  readonly lines: number;
  /** Take one record even if it has more lines, so that a chunk always gets on. */
  readonly takeOne: boolean;
}

export interface LimitedRecords {
  readonly rows: number;
  readonly rejected: SplitRecords['rejected'];
  /** Address of the first byte that does not belong to what was taken. */
  readonly end: Pointer;
  /** Nothing after `end` belongs to the chunk. */
  readonly ended: boolean;
}

const LINE_FEED = 10;

export function limitRecords(
  memory: KernelMemory,
  source: Pointer,
  split: SplitRecords,
  limit: RowLimit,
): LimitedRecords {
  const { rows, rejected, end } = split;
  // The rest of a record that is too long still belongs to the chunk it started in.
  const atBoundary = end > source && memory.u8[end - 1] === LINE_FEED;
  const all = { rows, rejected, end, ended: atBoundary && end >= limit.startBefore };
  if (end <= limit.startBefore && split.lines <= limit.lines) return all;
  const lineEnd = split.lines <= limit.lines ? end : endOfLines(memory.u8, source, limit.lines);
  const taken = takeRecords(memory.u32, split, limit, lineEnd);
  if (taken.nextStart === null) return all;
  return {
    rows: taken.rows,
    rejected: rejected.slice(0, taken.rejected),
    end: boundaryBefore(memory.u8, taken.end ?? source, taken.nextStart, limit.startBefore),
    ended: true,
  };
}

interface TakenRecords {
  readonly rows: number;
  readonly rejected: number;
  /** After the last record taken; null when there is none. */
  readonly end: Pointer | null;
  /** Start of the first record not taken; null when all are. */
  readonly nextStart: Pointer | null;
}

/** Walks rows and rejected records in one order while they lie within the limit. */
function takeRecords(
  entries: Uint32Array,
  split: SplitRecords,
  limit: RowLimit,
  lineEnd: Pointer,
): TakenRecords {
  const { stride, rejected } = split;
  let rows = 0;
  let rejectedCount = 0;
  let end: Pointer | null = null;
  while (rows < split.rows || rejectedCount < rejected.length) {
    const entry = (split.base >>> 2) + rows * stride;
    const rowStart = rows < split.rows ? entries[entry] + 1 : Number.POSITIVE_INFINITY;
    const rejectedStart = rejected[rejectedCount]?.start ?? Number.POSITIVE_INFINITY;
    const isRow = rowStart < rejectedStart;
    const start = isRow ? rowStart : rejectedStart;
    const recordEnd = isRow ? entries[entry + limit.columns] : rejected[rejectedCount].end;
    const tooManyLines = recordEnd > lineEnd && !(limit.takeOne && end === null);
    if (start >= limit.startBefore || tooManyLines)
      return { rows, rejected: rejectedCount, end, nextStart: start };
    end = recordEnd + 1;
    if (isRow) rows++;
    else rejectedCount++;
  }
  return { rows, rejected: rejectedCount, end, nextStart: null };
}

/** The line feed that ends line number `lines`, counted from 1 at `source`; before `source` for none. */
function endOfLines(bytes: Uint8Array, source: Pointer, lines: number): Pointer {
  let at = source - 1;
  for (let line = 0; line < lines; line++) at = bytes.indexOf(LINE_FEED, at + 1);
  return at;
}

/**
 * The first record boundary that is not before the limit. Between `from` and the next record there are only lines that
 * give no record; those that start before the limit are the chunk's, and so is the one that started in it.
 */
function boundaryBefore(bytes: Uint8Array, from: Pointer, nextStart: Pointer, startBefore: Pointer): Pointer {
  let at = from;
  while (at < nextStart && (at < startBefore || bytes[at - 1] !== LINE_FEED))
    at = bytes.indexOf(LINE_FEED, at) + 1;
  return at;
}
