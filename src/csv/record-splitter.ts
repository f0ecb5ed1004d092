/**
 * From a window of text to rows of field positions: the kernels where the text is regular, the state machine where it is
 * not. Owns the buffers for one window; what `split` returns is valid until the next call.
 */
import { SCAN_SLACK_BYTES, SCAN_STATS, SCAN_STATS_BYTES } from '../kernels/csv-kernels.ts';
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { RECORD_BYTES_MAX } from '../limits.ts';
import { type DialectBytes, quotesToggle } from './dialect.ts';
import { type RejectedRecord, scanRecords } from './record-scanner.ts';

const LINE_FEED = 10;

export interface SplitRecords {
  /** Rows as the decode kernels take them: `base`, `stride` in entries, `rows`. */
  readonly base: Pointer;
  readonly stride: number;
  readonly rows: number;
  /** Records that are not rows, in order; starts and ends are addresses. */
  readonly rejected: readonly RejectedRecord[];
  /** Address of the first byte that was not consumed. The next window must begin with it. */
  readonly end: Pointer;
  /** Physical lines in the bytes consumed. */
  readonly lines: number;
}

export class RecordSplitter {
  readonly #kernels: Kernels;
  readonly #dialect: DialectBytes;
  readonly #columns: number;
  readonly #stats: Pointer;
  /** Room for one sentinel entry before the positions. */
  readonly #positions: Pointer;
  /** Room for compacted rows and the list of odd records. */
  readonly #compacted: Pointer;
  /** The window starts within a record that was already rejected as too long. */
  #skipping = false;

  constructor(kernels: Kernels, dialect: DialectBytes, columns: number, windowBytesMax: number) {
    const { memory } = kernels;
    this.#kernels = kernels;
    this.#dialect = dialect;
    this.#columns = columns;
    this.#stats = memory.allocate(SCAN_STATS_BYTES);
    // For the worst cases, every byte a delimiter or a line: address space only, until a file is like that.
    this.#positions = memory.allocate(64 + windowBytesMax * 4 + SCAN_SLACK_BYTES) + 64;
    this.#compacted = memory.allocate((4 * windowBytesMax + 2 * columns + 8) * 4);
  }

  /**
   * Splits the window source..end, at most `windowBytesMax` bytes that start at a record, or where the last call
   * stopped. `atEnd`: nothing follows the window, and its last byte is an LF. Consumes all complete records; of a window
   * of more than RECORD_BYTES_MAX bytes at least one byte, of one at the end everything. 64 bytes before and after the
   * window must be readable.
   */
  split(source: Pointer, end: Pointer, atEnd: boolean): SplitRecords {
    const regular =
      this.#skipping || !quotesToggle(this.#dialect) ? null : this.#splitRegular(source, end, atEnd);
    return regular ?? this.#splitByGrammar(source, end, atEnd);
  }

  /** By kernels; null when the text needs the grammar: irregular quotes, a record that is too long or never ends. */
  #splitRegular(source: Pointer, end: Pointer, atEnd: boolean): SplitRecords | null {
    const kernels = this.#kernels;
    const { delimiter, quote } = this.#dialect;
    const positions = this.#positions;
    let count = kernels.scan(source, end, delimiter, quote, positions, this.#stats);
    const { u8, u32 } = kernels.memory;
    const stats = this.#stats >>> 2;
    if (u32[stats + SCAN_STATS.irregular] !== 0) return null;
    while (count > 0 && u8[u32[(positions >>> 2) + count - 1]] !== LINE_FEED) count--;
    const consumedEnd = count === 0 ? source : u32[(positions >>> 2) + count - 1] + 1;
    if (end - consumedEnd > RECORD_BYTES_MAX || (atEnd && consumedEnd < end)) return null;
    const recordLines = u32[stats + SCAN_STATS.recordLines];
    const tailLines =
      u32[stats + SCAN_STATS.allLines] === recordLines ? 0 : kernels.countLines(consumedEnd, end);
    const lines = u32[stats + SCAN_STATS.allLines] - tailLines;
    u32[(positions >>> 2) - 1] = source - 1;
    if (kernels.checkRows(positions, count, this.#columns, recordLines, source, RECORD_BYTES_MAX) === 1) {
      const base = positions - 4;
      return { base, stride: this.#columns, rows: recordLines, rejected: [], end: consumedEnd, lines };
    }
    return this.#compact(source, count, consumedEnd, lines);
  }

  #compact(source: Pointer, count: number, end: Pointer, lines: number): SplitRecords | null {
    const base = this.#compacted;
    // At most two entries a byte for rows and one a byte for odd records.
    const odd = base + (2 * count + this.#columns + 1) * 4;
    const rows = this.#kernels.compactRows(
      this.#positions,
      count,
      this.#columns,
      source,
      base,
      odd,
      RECORD_BYTES_MAX,
    );
    if (rows === -1) return null;
    const { u32 } = this.#kernels.memory;
    const rejected: RejectedRecord[] = [];
    for (let i = 0, at = (odd >>> 2) + 1; i < u32[odd >>> 2]; i++, at += 2) {
      rejected.push({ start: u32[at], end: u32[at + 1], code: 'FIELD_COUNT' });
    }
    return { base, stride: this.#columns + 1, rows, rejected, end, lines };
  }

  #splitByGrammar(source: Pointer, end: Pointer, atEnd: boolean): SplitRecords {
    const base = this.#compacted;
    const { u8, u32 } = this.#kernels.memory;
    const scan = scanRecords(
      u8,
      source,
      end,
      {
        dialect: this.#dialect,
        columns: this.#columns,
        recordBytesMax: RECORD_BYTES_MAX,
        atEnd,
        skipping: this.#skipping,
      },
      u32,
      base >>> 2,
    );
    this.#skipping = scan.skipping;
    const lines = this.#kernels.countLines(source, scan.end);
    return {
      base,
      stride: this.#columns + 1,
      rows: scan.rows,
      rejected: scan.rejected,
      end: scan.end,
      lines,
    };
  }
}
