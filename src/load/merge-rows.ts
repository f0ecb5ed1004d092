/**
 * Lists of slots with their keys, as a sort merge goes through them: from the first row to the last, page by page. Of a
 * list that was spilled a window is in memory.
 */
import type { SortSegment } from '../index/sort-segment.ts';
import { isSpilled, type MessagePart, readWords, rowsOf, type SpilledPart } from './merge-parts.ts';

/** Slots and keys of the rows [from, to). */
export interface RowStretch {
  readonly slots: Uint32Array;
  readonly keys: Uint32Array;
  readonly from: number;
  readonly to: number;
}

export interface RowList {
  /** Rows [from, to), which do not begin before those that were taken last. Valid until the next call. */
  take(from: number, to: number): RowStretch;
}

/** Rows read at a time. */
const WINDOW_ROWS = 2048;

export class RowsInMemory implements RowList {
  readonly #slots: Uint32Array;
  readonly #keys: Uint32Array;

  constructor(slots: Uint32Array, keys: Uint32Array) {
    this.#slots = slots;
    this.#keys = keys;
  }

  take(from: number, to: number): RowStretch {
    return { slots: this.#slots, keys: this.#keys, from, to };
  }
}

class SpilledRows implements RowList {
  readonly #part: SpilledPart;
  /** Rows [start, start + slots.length) of the part. */
  #slots = new Uint32Array(0);
  #keys = new Uint32Array(0);
  #start = 0;

  constructor(part: SpilledPart) {
    this.#part = part;
  }

  take(from: number, to: number): RowStretch {
    if (from < this.#start || to > this.#start + this.#slots.length) this.#read(from, to);
    return { slots: this.#slots, keys: this.#keys, from: from - this.#start, to: to - this.#start };
  }

  #read(from: number, to: number): void {
    const { size } = this.#part;
    const count = Math.min(Math.max(to - from, WINDOW_ROWS), size - from);
    if (this.#slots.length !== count) {
      this.#slots = new Uint32Array(count);
      this.#keys = new Uint32Array(count);
    }
    readWords(this.#part, from, this.#slots);
    readWords(this.#part, size + from, this.#keys);
    this.#start = from;
  }
}

/** The rows of a sort segment: its slots in ascending order, with their keys. */
export class SegmentRows implements RowList {
  readonly #segment: SortSegment;

  constructor(segment: SortSegment) {
    this.#segment = segment;
  }

  take(from: number, to: number): RowStretch {
    // By rank, not by slot.
    const slots = this.#segment.present.rangeUint32Array(from, to - from);
    const keys = new Uint32Array(slots.length);
    this.#segment.gather(slots, keys, slots.length);
    return { slots, keys, from: 0, to: slots.length };
  }
}

/** The rows of a KIND_ROWS part. */
export function rowListOf(part: MessagePart): RowList {
  if (isSpilled(part)) return new SpilledRows(part);
  const { slots, keys } = rowsOf(part);
  return new RowsInMemory(slots, keys);
}
