/**
 * Typed arrays that grow while a segment is built. They double, so appending is linear in all; `values`
 * changes its identity when they grow and is read again after every `reserve`. Their memory is scratch:
 * `release` passes it on.
 */
import { borrowBuffer, returnBuffer } from './scratch-memory.ts';

export class GrowableWords {
  values: Uint32Array<ArrayBuffer>;
  length = 0;

  constructor(capacity = 1024) {
    this.values = new Uint32Array(borrowBuffer(capacity * 4));
  }

  /** Makes room for `count` more; the caller writes at `length` and adds to it. */
  reserve(count: number): void {
    if (this.length + count <= this.values.length) return;
    const doubled = Math.min(this.values.length * 2, WORDS_MAX);
    const grown = new Uint32Array(borrowBuffer(Math.max(this.length + count, doubled) * 4));
    grown.set(this.values.subarray(0, this.length));
    returnBuffer(this.values.buffer);
    this.values = grown;
  }

  /** The array is spent, and so is every view of it. */
  release(): void {
    returnBuffer(this.values.buffer);
    this.values = new Uint32Array(0);
    this.length = 0;
  }

  push(value: number): void {
    this.reserve(1);
    this.values[this.length++] = value;
  }

  view(): Uint32Array {
    return this.values.subarray(0, this.length);
  }
}

export class GrowableShorts {
  values: Uint16Array<ArrayBuffer>;
  length = 0;

  constructor(capacity = 1024) {
    this.values = new Uint16Array(borrowBuffer(capacity * 2));
  }

  reserve(count: number): void {
    if (this.length + count <= this.values.length) return;
    const grown = new Uint16Array(borrowBuffer(Math.max(this.length + count, this.values.length * 2) * 2));
    grown.set(this.values.subarray(0, this.length));
    returnBuffer(this.values.buffer);
    this.values = grown;
  }

  /** The array is spent, and so is every view of it. */
  release(): void {
    returnBuffer(this.values.buffer);
    this.values = new Uint16Array(0);
    this.length = 0;
  }

  view(): Uint16Array {
    return this.values.subarray(0, this.length);
  }
}

/**
 * Bytes appended piece by piece into blocks, for what may pass any one typed array. Pieces are padded to 8
 * bytes and stand one after the other once copied out. Those that are somewhere for long enough stay there.
 */
export class ByteBlocks {
  /** What is there so far, in order; the open block is not among them. */
  #pieces: Uint8Array[] = [];
  /** The memory of the pieces, as far as it is ours. */
  #buffers: ArrayBuffer[] = [];
  #last = new Uint8Array(0);
  #lastUsed = 0;
  #total = 0;
  #viewed = 0;

  /** Bytes taken so far: the offset that the next piece will have. */
  get byteLength(): number {
    return this.#total;
  }

  /** A piece to write to, contents undefined; valid until `release`. */
  take(byteCount: number): Uint8Array {
    const padded = Math.ceil(byteCount / 8) * 8;
    if (this.#lastUsed + padded > this.#last.length) {
      this.#closeBlock();
      const blockBytes = Math.max(padded, Math.min(this.#total - this.#viewed + 65_536, BLOCK_BYTES_MAX));
      this.#last = new Uint8Array(borrowBuffer(blockBytes));
    }
    const piece = this.#last.subarray(this.#lastUsed, this.#lastUsed + byteCount);
    this.#last.fill(0, this.#lastUsed + byteCount, this.#lastUsed + padded);
    this.#lastUsed += padded;
    this.#total += padded;
    return piece;
  }

  /** Adds a piece, a multiple of 8 bytes, without a copy: it has to stay as it is until it is copied out. */
  addView(piece: Uint8Array): void {
    this.#closeBlock();
    this.#pieces.push(piece);
    this.#total += piece.length;
    this.#viewed += piece.length;
  }

  copyTo(target: Uint8Array): void {
    this.#closeBlock();
    let offset = 0;
    for (const piece of this.#pieces) {
      target.set(piece, offset);
      offset += piece.length;
    }
  }

  /** All pieces are spent. */
  release(): void {
    this.#closeBlock();
    for (const buffer of this.#buffers) returnBuffer(buffer);
    this.#buffers = [];
    this.#pieces = [];
  }

  #closeBlock(): void {
    if (this.#lastUsed > 0) {
      this.#pieces.push(this.#last.subarray(0, this.#lastUsed));
      this.#buffers.push(this.#last.buffer);
    }
    this.#last = new Uint8Array(0);
    this.#lastUsed = 0;
  }
}

/** Elements a typed array can have; more fail with a RangeError of the engine. */
const WORDS_MAX = 2 ** 32 - 1;

/** Large enough to make blocks few, small enough to waste little. */
const BLOCK_BYTES_MAX = 8 * 1024 * 1024;
