/**
 * Builds the part of an index that comes from one chunk of a table: batches of decoded columns in, one
 * message of typed arrays over shared memory out (accumulator-message.ts).
 *
 * Rows whose slots ascend strictly are cut into pages and set as bits and columns. A batch out of order is
 * sorted by slot first, keeping the last row of each. A batch that does not begin above the last slot opens a
 * new run; which run wins is settled when the chunks are merged.
 */
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { HISTOGRAM_BYTES, PAIR_BYTES } from '../kernels/page-kernels.ts';
import { ContainerStore } from './accumulator-containers.ts';
import { FilterAccumulator } from './accumulator-filter.ts';
import {
  type AccumulatorField,
  type ChunkMessage,
  KIND_BITMAPS,
  NO_FIELD,
  NO_RUN,
} from './accumulator-message.ts';
import { MessageWriter } from './accumulator-output.ts';
import { PairScratch } from './accumulator-pairs.ts';
import { SortAccumulator } from './accumulator-sort.ts';
import { TouchedPage } from './accumulator-touched.ts';
import type { BlockRoom } from './message-blocks.ts';

/** The keys of one field in a batch, in kernel memory. */
export interface BatchColumn {
  /** u32 per row. */
  readonly keys: Pointer;
  /** u8 per row, 1 = no value; 0 when no row of the batch is null. */
  readonly nulls: Pointer;
}

export interface AccumulatorOptions {
  readonly fields: readonly AccumulatorField[];
  /** See ChunkMessage. */
  readonly singleValued: boolean;
  /** Memory for the message, see MessageWriter. */
  readonly spareBlocks?: SharedArrayBuffer[];
  readonly room?: BlockRoom | null;
}

/** Rows of a page from which clearing and encoding its bitsets is cheaper than sorting pairs. */
const DENSE_PAGE_ROWS_MIN = 256;
/** Pairs sorted together: many, so that a key comes in few parts, and no more, as each takes 16 bytes per thread and field. */
const PAIRS_MAX = 1 << 20;
const PAIRS_MIN = 1 << 16;
/** Pairs of all fields together, 16 MiB of which only what is used is ever touched. */
const PAIRS_TOTAL = 1 << 21;

/** The accumulators of one field; null where the field has no such index. */
interface FieldAccumulators {
  readonly many: boolean;
  readonly filter: FilterAccumulator | null;
  readonly sort: SortAccumulator | null;
}

export class ChunkAccumulator {
  readonly #kernels: Kernels;
  readonly #options: AccumulatorOptions;
  readonly #fields: readonly FieldAccumulators[];
  readonly #touched: ContainerStore;
  readonly #page: TouchedPage;
  readonly #writer: MessageWriter;
  #rowCount = 0;
  #runSlotMin = 0;
  #runSlotMax = -1;
  #runSlotCount = 0;

  /**
   * Allocates what lives as long as the chunk, so construct it before taking a mark that is released between
   * batches.
   */
  constructor(kernels: Kernels, options: AccumulatorOptions) {
    this.#kernels = kernels;
    this.#options = options;
    this.#writer = new MessageWriter(options.spareBlocks ?? [], options.room ?? null);
    this.#touched = new ContainerStore(kernels);
    this.#page = new TouchedPage(kernels);
    const filterCount = options.fields.filter((field) => field.filter).length;
    const pairsPerField = Math.floor(PAIRS_TOTAL / Math.max(1, filterCount));
    const scratch = new PairScratch(
      kernels,
      filterCount === 0 ? 0 : Math.min(PAIRS_MAX, Math.max(PAIRS_MIN, pairsPerField)),
    );
    const touched = this.#page.bitset;
    this.#fields = options.fields.map(({ filter, sort, many }, index) => ({
      many,
      filter: filter ? new FilterAccumulator(kernels, scratch, touched, index, many) : null,
      sort: sort ? new SortAccumulator(kernels, touched, index) : null,
    }));
  }

  /**
   * Adds rows in line order. `columns` follows the order of the fields. The memory of the batch is free after
   * the call.
   */
  addBatch(rowCount: number, slots: Pointer, columns: readonly BatchColumn[]): void {
    if (rowCount === 0) return;
    this.#rowCount += rowCount;
    this.#addMany(rowCount, slots, columns);
    if (!this.#options.singleValued) return;
    if (this.#kernels.isStrictlyAscending(slots, rowCount) === 1)
      this.#addAscending(rowCount, slots, columns);
    else this.#addUnordered(rowCount, slots, columns);
  }

  /** The message. The accumulator is spent. */
  finish(): ChunkMessage {
    this.#closeRun();
    for (const { many, filter } of this.#fields) if (many) filter?.closeRun(this.#writer, NO_RUN);
    const { fields, singleValued } = this.#options;
    return this.#writer.finish(fields, singleValued, this.#rowCount);
  }

  #addMany(rowCount: number, slots: Pointer, columns: readonly BatchColumn[]): void {
    for (let i = 0; i < columns.length; i++) {
      const { many, filter } = this.#fields[i];
      const { keys, nulls } = columns[i];
      if (many) filter?.addMany(this.#writer, slots, keys, nulls, rowCount);
    }
  }

  /** Sorts a batch by slot, keeps the last row of each slot, and gathers the columns in that order. */
  #addUnordered(rowCount: number, slots: Pointer, columns: readonly BatchColumn[]): void {
    const kernels = this.#kernels;
    const { memory } = kernels;
    const mark = memory.mark();
    const pairs = memory.allocate(rowCount * PAIR_BYTES);
    const scratch = memory.allocate(rowCount * PAIR_BYTES);
    const histogram = memory.allocate(HISTOGRAM_BYTES);
    const sortedSlots = memory.allocate(rowCount * 4);
    const rows = memory.allocate(rowCount * 4);
    kernels.packSlotRows(slots, rowCount, pairs);
    const sorted = kernels.radixSortPairs(pairs, scratch, rowCount, histogram, 32);
    const kept = kernels.lastRows(sorted, rowCount, sortedSlots, rows);
    const sortedColumns = columns.map(({ keys, nulls }, i) => {
      if (this.#fields[i].many) return { keys, nulls };
      const sortedKeys = memory.allocate(kept * 4);
      kernels.gather32(keys, rows, kept, sortedKeys);
      if (nulls === 0) return { keys: sortedKeys, nulls };
      const sortedNulls = memory.allocate(kept);
      kernels.gather8(nulls, rows, kept, sortedNulls);
      return { keys: sortedKeys, nulls: sortedNulls };
    });
    this.#addAscending(kept, sortedSlots, sortedColumns);
    memory.release(mark);
  }

  #addAscending(rowCount: number, slots: Pointer, columns: readonly BatchColumn[]): void {
    const { pageEnd, nextDensePage, memory } = this.#kernels;
    const first = memory.u32[slots / 4];
    if (first <= this.#runSlotMax) this.#closeRun();
    if (this.#runSlotCount === 0) this.#runSlotMin = first;
    this.#runSlotMax = memory.u32[slots / 4 + rowCount - 1];
    this.#runSlotCount += rowCount;
    let at = 0;
    while (at < rowCount) {
      const pageKey = memory.u32[slots / 4 + at] >>> 16;
      const end = pageEnd(slots, at, rowCount);
      if (pageKey !== this.#page.key) {
        // The rest of a batch after a dense page will fill up with the next batch, however few rows it has
        // now.
        const isRestAfterPage = this.#page.key >= 0 && end === rowCount;
        this.#closePage();
        const dense = isRestAfterPage ? at : nextDensePage(slots, at, rowCount, DENSE_PAGE_ROWS_MIN);
        if (dense > at) {
          this.#addSparse(slots, columns, at, dense);
          at = dense;
          continue;
        }
        this.#page.key = pageKey;
      }
      this.#addPageRows(slots, columns, at, end);
      at = end;
    }
  }

  #addSparse(slots: Pointer, columns: readonly BatchColumn[], from: number, to: number): void {
    const writer = this.#writer;
    const run = writer.runCount;
    writer
      .addSlots(run, NO_FIELD, to - from)
      .set(this.#kernels.memory.u32.subarray(slots / 4 + from, slots / 4 + to));
    for (let i = 0; i < columns.length; i++) {
      const { many, filter, sort } = this.#fields[i];
      if (many) continue;
      const { keys, nulls } = columns[i];
      filter?.addSparse(writer, run, slots, keys, nulls, from, to);
      sort?.addSparse(writer, run, slots, keys, nulls, from, to);
    }
  }

  #addPageRows(slots: Pointer, columns: readonly BatchColumn[], from: number, to: number): void {
    const writer = this.#writer;
    const run = writer.runCount;
    for (let i = 0; i < columns.length; i++) {
      const { many, filter, sort } = this.#fields[i];
      if (many) continue;
      const { keys, nulls } = columns[i];
      filter?.addPageRows(writer, run, slots, keys, nulls, from, to);
      sort?.addPageRows(slots, keys, nulls, from, to);
    }
    this.#page.add(slots, from, to);
  }

  #closePage(): void {
    const page = this.#page;
    if (page.key < 0) return;
    const writer = this.#writer;
    const count = page.count();
    this.#touched.addBitset(0, page.key, page.bitset, count);
    for (const { many, filter, sort } of this.#fields) {
      if (many) continue;
      filter?.closePage(writer, writer.runCount, page.key, count);
      sort?.closePage(writer, writer.runCount, page.key);
    }
    page.clear();
  }

  #closeRun(): void {
    if (this.#runSlotCount === 0) return;
    this.#closePage();
    const writer = this.#writer;
    const run = writer.runCount;
    this.#touched.writePart(writer, run, NO_FIELD, KIND_BITMAPS, [0]);
    for (const { many, filter } of this.#fields) if (!many) filter?.closeRun(writer, run);
    writer.addRun(this.#runSlotMin, this.#runSlotMax, this.#runSlotCount);
    this.#runSlotCount = 0;
    this.#runSlotMax = -1;
  }
}
