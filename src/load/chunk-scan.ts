/**
 * One scan task: a byte range of a table becomes accumulators. Reads window by window, splits records, decodes rows in
 * batches, and reports where its records really began and ended so that the coordinator can prove the cuts right.
 */
import { dialectBytes } from '../csv/dialect.ts';
import { rejectedRecordFailure } from '../csv/exact-lane.ts';
import { RecordSplitter } from '../csv/record-splitter.ts';
import { type Failure, type Reject, rawOf } from '../csv/reject.ts';
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BATCH_ROWS_MAX, WINDOW_BYTES } from '../limits.ts';
import { ChunkAccumulator } from './accumulator.ts';
import {
  type ChunkPart,
  PROGRESS_BYTES,
  PROGRESS_REJECTS,
  PROGRESS_ROWS,
  type ScanResult,
  type ScanTask,
} from './chunk-messages.ts';
import { findRecordStart } from './chunk-start.ts';
import { ChunkWindow } from './chunk-window.ts';
import type { RowRange } from './column-decoder.ts';
import { RowDecoder } from './row-decoder.ts';
import { limitRecords } from './row-limit.ts';

/** Result start of a speculative chunk in which no record seems to begin; no boundary is there, so it is scanned again. */
const NO_START = -1;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** All kernel memory of the task is given back when it ends. */
export async function scanChunk(task: ScanTask, kernels: Kernels): Promise<ScanResult> {
  const mark = kernels.memory.mark();
  const window = new ChunkWindow(kernels.memory, task);
  try {
    return await new ChunkScan(task, kernels, window).run();
  } finally {
    window.close();
    kernels.memory.release(mark);
  }
}

/** What is being built: the chunk, or of a gzip stream as many lines as a chunk may have. */
interface OpenPart {
  /** Kernel memory from here on belongs to the part. */
  readonly mark: Pointer;
  readonly decoder: RowDecoder;
  readonly accumulator: ChunkAccumulator;
  lines: number;
}

interface WindowReject {
  readonly start: Pointer;
  readonly end: Pointer;
  readonly failure: Failure;
  readonly column: string | null;
}

class ChunkScan {
  readonly #task: ScanTask;
  readonly #kernels: Kernels;
  readonly #window: ChunkWindow;
  readonly #splitter: RecordSplitter;
  readonly #parts: ChunkPart[] = [];
  readonly #rejects: Reject[] = [];
  readonly #spareBlocks: SharedArrayBuffer[];
  #part: OpenPart;
  #start: number;
  #headerPending: boolean;
  #lines = 0;
  #rows = 0;
  #skippedRows = 0;
  #rejectedRows = 0;
  #reportedBytes = 0;

  constructor(task: ScanTask, kernels: Kernels, window: ChunkWindow) {
    this.#task = task;
    this.#kernels = kernels;
    this.#window = window;
    this.#spareBlocks = [...task.spareBlocks];
    this.#start = task.start;
    this.#headerPending = task.skipHeader;
    this.#splitter = new RecordSplitter(
      kernels,
      dialectBytes(task.table.csv),
      task.columns.length,
      WINDOW_BYTES,
    );
    this.#part = this.#openPart();
  }

  async run(): Promise<ScanResult> {
    await this.#window.advance(0);
    let consumedBytes = this.#bytesBeforeStart();
    this.#start = consumedBytes === null ? NO_START : this.#window.offset + consumedBytes;
    if (consumedBytes === null) return this.#result(this.#task.end, null);
    while (true) {
      await this.#window.advance(consumedBytes);
      this.#reportBytes();
      if (this.#window.bytes === 0) return this.#finish(this.#window.offset);
      if (Atomics.load(this.#task.shared.stop, 0) !== 0)
        return this.#result(this.#window.offset, 'cancelled');
      const { end, ended } = this.#takeWindow();
      consumedBytes = end - this.#window.pointer;
      if (this.#rejectedRows > this.#task.rejectsMax)
        return this.#result(this.#window.offset + consumedBytes, 'rejects');
      if (ended || (this.#window.atEnd && consumedBytes === this.#window.bytes)) {
        return this.#finish(this.#window.offset + consumedBytes);
      }
    }
  }

  /** Bytes of the first window before the first record of the chunk; null when none begins in it. */
  #bytesBeforeStart(): number | null {
    const { pointer, bytes } = this.#window;
    const { u8 } = this.#kernels.memory;
    if (this.#task.start === 0)
      return BYTE_ORDER_MARK.every((byte, index) => u8[pointer + index] === byte) ? 3 : 0;
    if (this.#task.startExact) return 0;
    const { table, columns } = this.#task;
    const start = findRecordStart(this.#kernels.memory, pointer, pointer + bytes, table.csv, columns.length);
    return start === null ? null : start - pointer;
  }

  /** Splits, decodes and accumulates what belongs to the chunk. Gives the address after it. */
  #takeWindow(): { end: Pointer; ended: boolean } {
    const { pointer, bytes, atEnd } = this.#window;
    const { gzip, columns, chunkLines, end } = this.#task;
    const split = this.#splitter.split(pointer, pointer + bytes, atEnd);
    const records = limitRecords(this.#kernels.memory, pointer, split, {
      columns: columns.length,
      startBefore: pointer + (end - this.#window.offset),
      lines: gzip ? Number.POSITIVE_INFINITY : chunkLines - this.#lines,
      takeOne: this.#lines === 0,
    });
    const lines = records.end === split.end ? split.lines : this.#kernels.countLines(pointer, records.end);
    if (gzip && this.#part.lines > 0 && this.#part.lines + lines > chunkLines) this.#closePart(true);
    const rejects: WindowReject[] = records.rejected.map((record) => this.#rejectedRecord(record));
    this.#takeRows({ base: split.base, stride: split.stride, count: records.rows }, rejects);
    this.#recordRejects(rejects);
    this.#lines += lines;
    this.#part.lines += lines;
    return records;
  }

  #takeRows(rows: RowRange, rejects: WindowReject[]): void {
    const header = this.#headerPending && rows.count > 0 ? 1 : 0;
    if (header === 1) this.#headerPending = false;
    for (let row = header; row < rows.count; row += BATCH_ROWS_MAX) {
      const batch: RowRange = {
        base: rows.base + row * rows.stride * 4,
        stride: rows.stride,
        count: Math.min(BATCH_ROWS_MAX, rows.count - row),
      };
      const { decoder, accumulator } = this.#part;
      const rejectsLeft = this.#task.rejectsMax - this.#rejectedRows - rejects.length;
      const decoded = decoder.decode(batch, rejectsLeft, (start, end, { failure, column }) =>
        rejects.push({ start, end, failure, column }),
      );
      accumulator.addBatch(decoded.rowCount, decoder.slots, decoder.columns);
      this.#rows += decoded.rowCount;
      this.#skippedRows += decoded.skippedRows;
      Atomics.add(this.#task.shared.progress, PROGRESS_ROWS, BigInt(decoded.rowCount));
    }
  }

  #rejectedRecord(record: { start: Pointer; end: Pointer; code: Failure['code'] }): WindowReject {
    const { table, columns } = this.#task;
    const bytes = this.#kernels.memory.u8.subarray(record.start, record.end);
    const failure = rejectedRecordFailure(bytes, record.code, table.csv, columns.length);
    return { start: record.start, end: record.end, failure, column: null };
  }

  /** Puts the rejects of a window in file order and gives each its line. */
  #recordRejects(rejects: WindowReject[]): void {
    if (rejects.length === 0) return;
    rejects.sort((a, b) => a.start - b.start);
    let counted = this.#window.pointer;
    let line = this.#lines + 1;
    for (const { start, end, failure, column } of rejects) {
      line += this.#kernels.countLines(counted, start);
      counted = start;
      const byteOffset = this.#window.offset + (start - this.#window.pointer);
      const { u8 } = this.#kernels.memory;
      const lineEnd = end > start && u8[end - 1] === 13 ? end - 1 : end;
      this.#rejects.push({
        table: this.#task.table.name,
        file: this.#task.file,
        line,
        byteOffset,
        column,
        code: failure.code,
        message: failure.message,
        ...rawOf(u8.subarray(start, lineEnd)),
      });
    }
    this.#rejectedRows += rejects.length;
    Atomics.add(this.#task.shared.progress, PROGRESS_REJECTS, BigInt(rejects.length));
  }

  #openPart(): OpenPart {
    const { table, columns } = this.#task;
    const mark = this.#kernels.memory.mark();
    const decoder = new RowDecoder(this.#kernels, table, columns);
    const fields = table.fields.map(({ field: { name, filter, sort, many } }) => ({
      name,
      filter,
      sort,
      many,
    }));
    const singleValued = table.alive || fields.some(({ many }) => !many);
    return {
      mark,
      decoder,
      accumulator: new ChunkAccumulator(this.#kernels, {
        fields,
        singleValued,
        spareBlocks: this.#spareBlocks,
        room: this.#task.room,
      }),
      lines: 0,
    };
  }

  #closePart(openNext: boolean): void {
    const { mark, decoder, accumulator } = this.#part;
    this.#parts.push({ accumulator: accumulator.finish(), strings: decoder.strings() });
    if (!openNext) return;
    this.#kernels.memory.release(mark);
    this.#part = this.#openPart();
  }

  #finish(end: number): ScanResult {
    this.#closePart(false);
    return this.#result(end, null);
  }

  #result(end: number, stopped: ScanResult['stopped']): ScanResult {
    const { gzip, end: rangeEnd, fileBytes } = this.#task;
    return {
      start: this.#start,
      // A stream has no ranges: it was taken from end to end. An appended line feed is not in the file.
      end: gzip ? rangeEnd : Math.min(end, fileBytes),
      lines: this.#lines,
      rows: this.#rows,
      skippedRows: this.#skippedRows,
      rejectedRows: this.#rejectedRows,
      rejects: this.#rejects,
      stopped,
      parts: this.#parts,
      spareBlocks: this.#spareBlocks,
    };
  }

  #reportBytes(): void {
    const bytes = this.#window.sourceBytesRead;
    Atomics.add(this.#task.shared.progress, PROGRESS_BYTES, BigInt(bytes - this.#reportedBytes));
    this.#reportedBytes = bytes;
  }
}
