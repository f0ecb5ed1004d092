/**
 * Sets of slots taken page by page, in ascending order: portable bitmaps and ascending lists, in memory or, through a
 * window, in the spill file.
 */
import {
  ARRAY_CARDINALITY_MAX,
  COOKIE_WITHOUT_RUNS,
  OFFSET_HEADER_CONTAINERS_MIN,
} from '../index/portable.ts';
import type { SpilledBytes } from '../index/spill-file.ts';
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BITSET_BYTES } from '../kernels/page-kernels.ts';
import { ReadBuffer } from './merge-parts.ts';
import type { SlotSet } from './merge-slot-set.ts';

export interface PageCursor {
  /** Of the page that is next; NO_PAGE: there is none any more. */
  readonly pageKey: number;
  /** ORs the slots of that page into a bitset in kernel memory and goes on. */
  take(bitset: Pointer): void;
  /** The cursor is spent. */
  release(): void;
}

/** Above every page. */
export const NO_PAGE = 65_536;

/** Kernel memory in which a container finds its place, whatever its alignment. */
export const CONTAINER_STAGE_BYTES = BITSET_BYTES + 8;

/** A bitmap in portable bytes. */
export class PortablePages implements PageCursor {
  pageKey = NO_PAGE;
  readonly #kernels: Kernels;
  readonly #stage: Pointer;
  readonly #window: ByteWindow;
  /** Per container its page and its cardinality − 1. */
  readonly #descriptors: Uint16Array;
  /** A bit per container; null: none has runs. */
  readonly #runFlags: Uint8Array | null;
  #container = 0;
  /** Where its bytes are. */
  #offset: number;

  /** `stage`: CONTAINER_STAGE_BYTES that nobody else needs during `take`. */
  constructor(kernels: Kernels, stage: Pointer, bytes: Uint8Array | SpilledBytes, windowBytes: number) {
    this.#kernels = kernels;
    this.#stage = stage;
    this.#window = new ByteWindow(bytes, windowBytes);
    const cookie = this.#word(0);
    const hasRuns = cookie !== COOKIE_WITHOUT_RUNS;
    const count = hasRuns ? (cookie >>> 16) + 1 : this.#word(4);
    const flagBytes = hasRuns ? Math.ceil(count / 8) : 0;
    this.#runFlags = hasRuns ? this.#window.copy(4, flagBytes) : null;
    const descriptorsAt = hasRuns ? 4 + flagBytes : 8;
    this.#descriptors = new Uint16Array(this.#window.copy(descriptorsAt, count * 4).buffer);
    const hasOffsets = !hasRuns || count >= OFFSET_HEADER_CONTAINERS_MIN;
    this.#offset = descriptorsAt + count * (hasOffsets ? 8 : 4);
    this.#moveTo(0);
  }

  take(bitset: Pointer): void {
    const { orArray, orBitset, orRuns } = this.#kernels;
    const container = this.#container;
    const cardinality = this.#descriptors[2 * container + 1] + 1;
    if (this.#runFlags !== null && ((this.#runFlags[container >> 3] >> (container & 7)) & 1) === 1) {
      const runCount = this.#short(this.#offset);
      orRuns(this.#staged(2, runCount * 4), runCount, bitset);
    } else if (cardinality <= ARRAY_CARDINALITY_MAX) {
      orArray(this.#staged(0, cardinality * 2), cardinality, bitset);
    } else orBitset(this.#staged(0, BITSET_BYTES), bitset);
    this.#moveTo(container + 1);
  }

  release(): void {
    this.#window.release();
  }

  #moveTo(container: number): void {
    this.#container = container;
    this.pageKey = 2 * container < this.#descriptors.length ? this.#descriptors[2 * container] : NO_PAGE;
  }

  /** Copies the container, `headerBytes` and what follows, and goes behind it. */
  #staged(headerBytes: number, byteCount: number): Pointer {
    const bytes = this.#window.view(this.#offset + headerBytes, byteCount);
    // What is copied from shared memory goes byte by byte unless source and target are in step in words of 64 bits.
    const at = this.#stage + (bytes.byteOffset & 7);
    this.#kernels.memory.u8.set(bytes, at);
    this.#offset += headerBytes + byteCount;
    return at;
  }

  #word(at: number): number {
    return (this.#short(at) | (this.#short(at + 2) << 16)) >>> 0;
  }

  #short(at: number): number {
    const bytes = this.#window.view(at, 2);
    return bytes[0] | (bytes[1] << 8);
  }
}

/** A list of slots, ascending, without those that are lost. */
export class ListPages implements PageCursor {
  pageKey = NO_PAGE;
  readonly #kernels: Kernels;
  readonly #window: ByteWindow;
  readonly #windowSlots: number;
  readonly #lost: SlotSet | null;
  /** The stretch of the list that is at hand, how far it is taken, and where the list goes on. */
  #slots: Uint32Array = new Uint32Array(0);
  #at = 0;
  #nextByte = 0;

  constructor(
    kernels: Kernels,
    slots: Uint32Array | SpilledBytes,
    lost: SlotSet | null,
    windowBytes: number,
  ) {
    this.#kernels = kernels;
    this.#lost = lost;
    const isInMemory = slots instanceof Uint32Array;
    this.#windowSlots = isInMemory ? slots.length : windowBytes >>> 2;
    const bytes = isInMemory ? new Uint8Array(slots.buffer, slots.byteOffset, slots.byteLength) : slots;
    this.#window = new ByteWindow(bytes, windowBytes);
    this.#findPage();
  }

  take(bitset: Pointer): void {
    const { u32 } = this.#kernels.memory;
    const page = this.pageKey;
    const lost = this.#lost;
    const firstWord = bitset / 4;
    do {
      const slots = this.#slots;
      let at = this.#at;
      for (; at < slots.length && slots[at] >>> 16 === page; at++) {
        const slot = slots[at];
        if (lost?.has(slot)) continue;
        u32[firstWord + ((slot & 0xffff) >>> 5)] |= 1 << (slot & 31);
      }
      this.#at = at;
      this.#findPage();
    } while (this.pageKey === page);
  }

  release(): void {
    this.#window.release();
  }

  #findPage(): void {
    const { byteLength } = this.#window;
    if (this.#at === this.#slots.length && this.#nextByte < byteLength) {
      const count = Math.min(this.#windowSlots, (byteLength - this.#nextByte) / 4);
      const bytes = this.#window.view(this.#nextByte, count * 4);
      this.#slots = new Uint32Array(bytes.buffer, bytes.byteOffset, count);
      this.#at = 0;
      this.#nextByte += count * 4;
    }
    this.pageKey = this.#at < this.#slots.length ? this.#slots[this.#at] >>> 16 : NO_PAGE;
  }
}

/** Bytes in memory, or a window on those in the spill file. */
class ByteWindow {
  readonly byteLength: number;
  readonly #source: Uint8Array | SpilledBytes;
  readonly #windowBytes: number;
  readonly #buffer = new ReadBuffer();
  /** The bytes of the source from `#start` on. */
  #window: Uint8Array = new Uint8Array(0);
  #start = 0;

  constructor(source: Uint8Array | SpilledBytes, windowBytes: number) {
    this.byteLength = source.byteLength;
    this.#source = source;
    this.#windowBytes = windowBytes;
  }

  /** Valid until the next call. */
  view(from: number, count: number): Uint8Array {
    const source = this.#source;
    if (source instanceof Uint8Array) return source.subarray(from, from + count);
    if (from < this.#start || from + count > this.#start + this.#window.length) {
      const countRead = Math.min(Math.max(count, this.#windowBytes), this.byteLength - from);
      this.#window = this.#buffer.read(source, from, countRead);
      this.#start = from;
    }
    return this.#window.subarray(from - this.#start, from - this.#start + count);
  }

  copy(from: number, count: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(count);
    bytes.set(this.view(from, count));
    return bytes;
  }

  release(): void {
    this.#buffer.release();
  }
}
