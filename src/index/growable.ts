/**
 * Typed arrays that grow while a segment is built. They double, so appending is linear in all; `values` changes its
 * identity when they grow and is read again after every `reserve`.
 */

export class GrowableWords {
  values: Uint32Array;
  length = 0;

  constructor(capacity = 1024) {
    this.values = new Uint32Array(capacity);
  }

  /** Makes room for `count` more; the caller writes at `length` and adds to it. */
  reserve(count: number): void {
    if (this.length + count <= this.values.length) return;
    const doubled = Math.min(this.values.length * 2, WORDS_MAX);
    const grown = new Uint32Array(Math.max(this.length + count, doubled));
    grown.set(this.values.subarray(0, this.length));
    this.values = grown;
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
  values: Uint16Array;
  length = 0;

  constructor(capacity = 1024) {
    this.values = new Uint16Array(capacity);
  }

  reserve(count: number): void {
    if (this.length + count <= this.values.length) return;
    const grown = new Uint16Array(Math.max(this.length + count, this.values.length * 2));
    grown.set(this.values.subarray(0, this.length));
    this.values = grown;
  }

  view(): Uint16Array {
    return this.values.subarray(0, this.length);
  }
}

/**
 * Bytes appended piece by piece into blocks, for what may pass any one typed array. Pieces are padded to 8 bytes and
 * stand one after the other once copied out.
 */
export class ByteBlocks {
  readonly #blocks: Uint8Array[] = [];
  #last = new Uint8Array(0);
  #lastUsed = 0;
  #total = 0;

  /** Bytes taken so far: the offset that the next piece will have. */
  get byteLength(): number {
    return this.#total;
  }

  /** A zeroed piece to write to; valid as long as this object. */
  take(byteCount: number): Uint8Array {
    const padded = Math.ceil(byteCount / 8) * 8;
    if (this.#lastUsed + padded > this.#last.length) {
      this.#closeBlock();
      this.#last = new Uint8Array(Math.max(padded, Math.min(this.#total + 65_536, BLOCK_BYTES_MAX)));
    }
    const piece = this.#last.subarray(this.#lastUsed, this.#lastUsed + byteCount);
    this.#lastUsed += padded;
    this.#total += padded;
    return piece;
  }

  copyTo(target: Uint8Array): void {
    this.#closeBlock();
    let offset = 0;
    for (const block of this.#blocks) {
      target.set(block, offset);
      offset += block.length;
    }
  }

  #closeBlock(): void {
    if (this.#lastUsed > 0) this.#blocks.push(this.#last.subarray(0, this.#lastUsed));
    this.#last = new Uint8Array(0);
    this.#lastUsed = 0;
  }
}

/** Elements a typed array can have; more fail with a RangeError of the engine. */
const WORDS_MAX = 2 ** 32 - 1;

/** Large enough to make blocks few, small enough to waste little. */
const BLOCK_BYTES_MAX = 8 * 1024 * 1024;
