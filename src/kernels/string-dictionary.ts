/**
 * The strings of one column of one chunk and their codes, which count from 0 in the order of first appearance. The
 * kernels look up and add; this class owns the memory they work in, grows it, and checks that new strings are UTF-8.
 *
 * The memory comes from the bump allocator of the kernels and is never given back by itself: use a dictionary only
 * while no mark is open that is older than its growth, and drop it together with the mark taken before it was made.
 */
import { isUtf8 } from 'node:buffer';
import { SCAN_SLACK_BYTES, SOME_FLAGGED } from './csv-kernels.ts';
import type { KernelMemory, Pointer } from './kernel-memory.ts';
import type { Kernels } from './kernels.ts';

const TABLE_SLOTS_FIRST = 1024;
const HEAP_BYTES_FIRST = 32 * 1024;
/** Linear probing stays short up to three quarters. */
const FILL_MAX = 0.75;

/** Word offsets into the state of workers/kernels/strings.ts. */
const STATE = {
  table: 0,
  tableMask: 1,
  size: 2,
  sizeMax: 3,
  heap: 4,
  heapBytes: 5,
  heapBytesMax: 6,
  offsets: 7,
  outcome: 8,
};
const STATE_BYTES = 36;

const MUST_GROW = -2;

/** A column of rows, as a decode kernel takes it. */
export interface StringColumn {
  base: Pointer;
  stride: number;
  column: number;
  rows: number;
  quote: number;
  escape: number;
  trimCarriageReturn: number;
  nullToken: Pointer;
  nullTokenBytes: number;
  /** u32 code per row; undefined for null and flagged rows. */
  out: Pointer;
  nulls: Pointer;
  flags: Pointer;
}

export class StringDictionary {
  private readonly kernels: Kernels;
  private readonly memory: KernelMemory;
  private readonly state: Pointer;
  /** Codes whose bytes are not UTF-8. */
  private readonly invalid = new Set<number>();
  private validatedSize = 0;

  constructor(kernels: Kernels) {
    this.kernels = kernels;
    this.memory = kernels.memory;
    this.state = this.memory.allocate(STATE_BYTES);
    this.memory.u8.fill(0, this.state, this.state + STATE_BYTES);
    this.growTable();
    this.growHeap();
  }

  get size(): number {
    return this.word(STATE.size);
  }

  /**
   * Encodes a column and returns the outcome bits SOME_FLAGGED and SOME_NULL. Flags rows whose quotes are malformed and
   * rows whose string is not UTF-8. May grow the kernel memory, which detaches earlier views of it.
   */
  encode(column: StringColumn): number {
    this.set(STATE.outcome, 0);
    let row = 0;
    while (true) {
      row = this.kernels.encodeStrings(
        column.base,
        column.stride,
        column.column,
        row,
        column.rows,
        column.quote,
        column.escape,
        column.trimCarriageReturn,
        column.nullToken,
        column.nullTokenBytes,
        column.out,
        column.nulls,
        column.flags,
        this.state,
      );
      if (row === column.rows) break;
      this.grow();
    }
    this.validate();
    const outcome = this.word(STATE.outcome);
    return this.invalid.size > 0 && this.flagInvalid(column) ? outcome | SOME_FLAGGED : outcome;
  }

  /** The code of the string, which it gets if it is new. The bytes must be UTF-8. */
  add(bytes: Uint8Array): number {
    while (true) {
      const code = this.intern(bytes, 1);
      if (code !== MUST_GROW) return code;
      this.grow();
    }
  }

  codeOf(text: string): number | undefined {
    const code = this.intern(Buffer.from(text), 0);
    return code < 0 ? undefined : code;
  }

  textOf(code: number): string {
    const { bytes, offsets } = this.strings();
    return Buffer.from(
      bytes.buffer,
      bytes.byteOffset + offsets[code],
      offsets[code + 1] - offsets[code],
    ).toString();
  }

  /**
   * All strings: string `code` is `bytes.subarray(offsets[code], offsets[code + 1])`. Views of the kernel memory, valid
   * until the next call that may grow it: copy to keep.
   */
  strings(): { bytes: Uint8Array; offsets: Uint32Array } {
    const heap = this.word(STATE.heap);
    const offsets = this.word(STATE.offsets) >>> 2;
    return {
      bytes: this.memory.u8.subarray(heap, heap + this.word(STATE.heapBytes)),
      offsets: this.memory.u32.subarray(offsets, offsets + this.size + 1),
    };
  }

  private intern(bytes: Uint8Array, add: 0 | 1): number {
    const mark = this.memory.mark();
    const source = this.memory.allocate(bytes.length + SCAN_SLACK_BYTES);
    this.memory.u8.set(bytes, source);
    const code = this.kernels.internString(this.state, source, bytes.length, add);
    this.memory.release(mark);
    return code;
  }

  private grow(): void {
    if (this.size === this.word(STATE.sizeMax)) this.growTable();
    else this.growHeap();
  }

  private growTable(): void {
    const oldTable = this.word(STATE.table);
    const oldOffsets = this.word(STATE.offsets);
    const oldMask = this.word(STATE.tableMask);
    const slots = oldTable === 0 ? TABLE_SLOTS_FIRST : 2 * (oldMask + 1);
    const sizeMax = Math.floor(slots * FILL_MAX);
    const table = this.memory.allocate(slots * 16);
    const offsets = this.memory.allocate((sizeMax + 1) * 4);
    const { u8 } = this.memory;
    u8.fill(0, table, table + slots * 16);
    if (oldTable === 0) {
      u8.fill(0, offsets, offsets + 4);
    } else {
      this.kernels.rehashStrings(oldTable, oldMask, table, slots - 1);
      u8.copyWithin(offsets, oldOffsets, oldOffsets + (this.size + 1) * 4);
    }
    this.set(STATE.table, table);
    this.set(STATE.tableMask, slots - 1);
    this.set(STATE.sizeMax, sizeMax);
    this.set(STATE.offsets, offsets);
  }

  private growHeap(): void {
    const oldHeap = this.word(STATE.heap);
    const bytesMax = oldHeap === 0 ? HEAP_BYTES_FIRST : 2 * this.word(STATE.heapBytesMax);
    const heap = this.memory.allocate(bytesMax + SCAN_SLACK_BYTES);
    this.memory.u8.copyWithin(heap, oldHeap, oldHeap + this.word(STATE.heapBytes));
    this.set(STATE.heap, heap);
    this.set(STATE.heapBytesMax, bytesMax);
  }

  /** Looks at the strings added since the last call. Concatenated UTF-8 is UTF-8, so one test passes the usual case. */
  private validate(): void {
    if (this.validatedSize === this.size) return;
    const { bytes, offsets } = this.strings();
    if (!isUtf8(bytes.subarray(offsets[this.validatedSize])) || this.startsInside(bytes, offsets)) {
      for (let code = this.validatedSize; code < this.size; code++) {
        if (!isUtf8(bytes.subarray(offsets[code], offsets[code + 1]))) this.invalid.add(code);
      }
    }
    this.validatedSize = this.size;
  }

  /** Some new string starts with a continuation byte, which concatenation could hide. */
  private startsInside(bytes: Uint8Array, offsets: Uint32Array): boolean {
    for (let code = this.validatedSize; code < this.size; code++) {
      if ((bytes[offsets[code]] & 0xc0) === 0x80) return true;
    }
    return false;
  }

  private flagInvalid(column: StringColumn): boolean {
    const { u8, u32 } = this.memory;
    const out = column.out >>> 2;
    let flagged = false;
    for (let row = 0; row < column.rows; row++) {
      if (u8[column.nulls + row] !== 0 || !this.invalid.has(u32[out + row])) continue;
      u8[column.flags + row] = 1;
      flagged = true;
    }
    return flagged;
  }

  private word(index: number): number {
    return this.memory.u32[(this.state >>> 2) + index];
  }

  private set(index: number, value: number): void {
    this.memory.u32[(this.state >>> 2) + index] = value;
  }
}
