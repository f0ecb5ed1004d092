/**
 * The rows of one table as slots and keys, decoded as a load decodes them: the file from end to end on the caller's
 * thread, a window at a time. Rows that a load would skip or reject are left out and counted.
 */
import type { TableDefinition } from '../config/definition.ts';
import { dialectBytes } from '../csv/dialect.ts';
import { RecordSplitter } from '../csv/record-splitter.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BATCH_ROWS_MAX, WINDOW_BYTES } from '../limits.ts';
import { PROGRESS_COUNTERS, type ScanTask } from '../load/chunk-messages.ts';
import { ChunkWindow } from '../load/chunk-window.ts';
import { readHead } from '../load/head.ts';
import { RowDecoder } from '../load/row-decoder.ts';
import { inspectSource } from '../load/source.ts';

/** What became of the rows of a table. */
export interface RowCounts {
  rows: number;
  skippedRows: number;
  rejectedRows: number;
}

export interface RowColumn {
  /** Per row, undefined where it is null. Of a string field the place of the text in `texts`. */
  readonly keys: Uint32Array;
  /** 1 where there is no value; null when every row has one. */
  readonly nulls: Uint8Array | null;
  /** Of a string field the texts so far. */
  readonly texts: readonly string[];
}

/** Rows in file order; the arrays are valid until the next ones are asked for. */
export interface TableRows {
  readonly count: number;
  readonly slots: Uint32Array;
  /** Per mapped field of the table, in order. */
  readonly columns: readonly RowColumn[];
}

const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Adds to `counts` while it goes. Errors: those of sources and headers. */
export async function* readTableRows(
  table: TableDefinition,
  file: string,
  kernels: Kernels,
  counts: RowCounts,
): AsyncGenerator<TableRows> {
  const source = await inspectSource(table, file);
  const { columns } = await readHead(source);
  const mark = kernels.memory.mark();
  const window = new ChunkWindow(kernels.memory, wholeFile(source, columns));
  try {
    const splitter = new RecordSplitter(kernels, dialectBytes(table.csv), columns.length, WINDOW_BYTES);
    const reader = new RowReader(kernels, table, columns, counts);
    let consumedBytes = 0;
    let rowsToSkip = table.csv.columns === null ? 1 : 0;
    for (let isFirst = true; ; isFirst = false) {
      await window.advance(consumedBytes);
      if (window.bytes === 0) return;
      const { u8 } = kernels.memory;
      const marked = isFirst && BYTE_ORDER_MARK.every((byte, at) => u8[window.pointer + at] === byte);
      const start = window.pointer + (marked ? BYTE_ORDER_MARK.length : 0);
      const split = splitter.split(start, window.pointer + window.bytes, window.atEnd);
      counts.rejectedRows += split.rejected.length;
      const first = Math.min(rowsToSkip, split.rows);
      rowsToSkip -= first;
      for (let row = first; row < split.rows; row += BATCH_ROWS_MAX) {
        const base = split.base + row * split.stride * 4;
        yield reader.read(base, split.stride, Math.min(BATCH_ROWS_MAX, split.rows - row));
      }
      consumedBytes = split.end - window.pointer;
      if (window.atEnd && consumedBytes === window.bytes) return;
    }
  } finally {
    window.close();
    kernels.memory.release(mark);
  }
}

class RowReader {
  readonly #kernels: Kernels;
  readonly #decoder: RowDecoder;
  readonly #counts: RowCounts;
  /** Per mapped field: its texts by local code; null for other types. */
  readonly #texts: readonly (string[] | null)[];

  constructor(kernels: Kernels, table: TableDefinition, columns: readonly string[], counts: RowCounts) {
    this.#kernels = kernels;
    this.#decoder = new RowDecoder(kernels, table, columns);
    this.#counts = counts;
    this.#texts = table.fields.map(({ field }) => (field.type === 'string' ? [] : null));
  }

  read(base: number, stride: number, count: number): TableRows {
    const decoded = this.#decoder.decode({ base, stride, count }, Number.POSITIVE_INFINITY, () => {});
    this.#counts.rows += decoded.rowCount;
    this.#counts.skippedRows += decoded.skippedRows;
    this.#counts.rejectedRows += decoded.rejectedRows;
    if (this.#texts.some((texts) => texts !== null)) this.#takeTexts();
    const { u8, u32 } = this.#kernels.memory;
    const words = (at: number) => u32.subarray(at / 4, at / 4 + decoded.rowCount);
    return {
      count: decoded.rowCount,
      slots: words(this.#decoder.slots),
      columns: this.#decoder.columns.map(({ keys, nulls }, index) => ({
        keys: words(keys),
        nulls: nulls === 0 ? null : u8.subarray(nulls, nulls + decoded.rowCount),
        texts: this.#texts[index] ?? [],
      })),
    };
  }

  #takeTexts(): void {
    for (const [index, strings] of this.#decoder.strings().entries()) {
      const texts = this.#texts[index];
      if (texts === null || strings === null) continue;
      const bytes = Buffer.from(strings.bytes.buffer, strings.bytes.byteOffset, strings.bytes.byteLength);
      for (let code = texts.length; code + 1 < strings.offsets.length; code++) {
        texts.push(bytes.toString('utf8', strings.offsets[code], strings.offsets[code + 1]));
      }
    }
  }
}

function wholeFile(source: Awaited<ReturnType<typeof inspectSource>>, columns: readonly string[]): ScanTask {
  const { table, file, path, gzip, bytes } = source;
  return {
    kind: 'scan',
    table,
    columns,
    file,
    path,
    gzip,
    fileBytes: bytes,
    start: 0,
    end: gzip ? Number.MAX_SAFE_INTEGER : bytes,
    startExact: true,
    skipHeader: table.csv.columns === null,
    chunkLines: Number.POSITIVE_INFINITY,
    rejectsMax: Number.POSITIVE_INFINITY,
    spareBlocks: [],
    room: null,
    shared: {
      stop: new Int32Array(new SharedArrayBuffer(4)),
      progress: new BigInt64Array(new SharedArrayBuffer(8 * PROGRESS_COUNTERS)),
    },
  };
}
