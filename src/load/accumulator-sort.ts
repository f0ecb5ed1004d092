/**
 * One sort field of a chunk: a column per page. The layers are not made here but once per page, when the
 * pages of all chunks have come together. Pages with few rows travel as (slot, key) lists, so sparse slots
 * cost by rows and not by pages.
 */
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BITSET_BYTES } from '../kernels/page-kernels.ts';
import { PAGE_SLOTS } from '../limits.ts';
import type { MessageWriter } from './accumulator-output.ts';
import { PageBits } from './accumulator-page-bits.ts';

const COLUMN_BYTES = PAGE_SLOTS * 4;
/** Rows from which a page is smaller as a column with its bitset than as a list of 8 bytes a row. */
const COLUMN_ROWS_MIN = (COLUMN_BYTES + BITSET_BYTES) / 8;

export class SortAccumulator {
  readonly #kernels: Kernels;
  readonly #field: number;
  readonly #column: Pointer;
  readonly #bits: PageBits;
  readonly #slots: Pointer;
  readonly #keys: Pointer;

  /** `touched`: see PageBits. */
  constructor(kernels: Kernels, touched: Pointer, field: number) {
    this.#kernels = kernels;
    this.#field = field;
    this.#bits = new PageBits(kernels, touched);
    const { memory } = kernels;
    this.#column = memory.allocate(COLUMN_BYTES);
    this.#slots = memory.allocate(COLUMN_ROWS_MIN * 4);
    this.#keys = memory.allocate(COLUMN_ROWS_MIN * 4);
    memory.u8.fill(0, this.#column, this.#column + COLUMN_BYTES);
  }

  /** Rows of many pages. */
  addSparse(
    writer: MessageWriter,
    run: number,
    slots: Pointer,
    keys: Pointer,
    nulls: Pointer,
    from: number,
    to: number,
  ): void {
    const { memory } = this.#kernels;
    const mark = memory.mark();
    // compactValues writes one entry beyond the last.
    const slotsOut = memory.allocate((to - from + 1) * 4);
    const keysOut = memory.allocate((to - from + 1) * 4);
    const count = this.#kernels.compactValues(slots, keys, nulls, from, to, slotsOut, keysOut);
    if (count > 0) this.#writeRows(writer, run, slotsOut, keysOut, count);
    memory.release(mark);
  }

  /** Rows of one page, which stays open until `closePage`. */
  addPageRows(slots: Pointer, keys: Pointer, nulls: Pointer, from: number, to: number): void {
    this.#kernels.scatterKeys(slots, keys, nulls, from, to, this.#column);
    this.#bits.add(slots, nulls, from, to);
  }

  closePage(writer: MessageWriter, run: number, pageKey: number): void {
    const { countBits, takePage, memory } = this.#kernels;
    const column = this.#column;
    const present = this.#bits.close();
    const count = countBits(present);
    if (count === 0) return;
    if (count < COLUMN_ROWS_MIN) {
      takePage(column, present, pageKey * PAGE_SLOTS, this.#slots, this.#keys);
      this.#writeRows(writer, run, this.#slots, this.#keys, count);
      return;
    }
    const page = writer.addPage(run, this.#field, pageKey, count);
    page.set(memory.u32.subarray(column / 4, column / 4 + PAGE_SLOTS));
    page.set(memory.u32.subarray(present / 4, present / 4 + BITSET_BYTES / 4), PAGE_SLOTS);
    memory.u8.fill(0, column, column + COLUMN_BYTES);
  }

  #writeRows(writer: MessageWriter, run: number, slots: Pointer, keys: Pointer, count: number): void {
    const { u32 } = this.#kernels.memory;
    const rows = writer.addRows(run, this.#field, count);
    rows.set(u32.subarray(slots / 4, slots / 4 + count), 0);
    rows.set(u32.subarray(keys / 4, keys / 4 + count), count);
  }
}
