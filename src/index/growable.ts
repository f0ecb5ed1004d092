/**
 * Typed arrays that grow while a segment is built. They double, so appending is linear in all; `values`
 * changes its identity when they grow and is read again after every `reserve`. Their memory is scratch:
 * `release` passes it on.
 *
 * Of a large load they pass what they hold to a spill file whenever they are full: `values` and `length` are
 * then what came after, `total` counts all.
 */
import { borrowBuffer, returnBuffer } from './scratch-memory.ts';
import { Overflow, readSpilled, type SpilledBytes, type SpillSpace, spill } from './spill-file.ts';

export class GrowableWords {
  values: Uint32Array<ArrayBuffer>;
  length = 0;
  readonly #overflow: Overflow;
  #spilledLength = 0;

  constructor(capacity = 1024, space: SpillSpace | null = null) {
    this.#overflow = new Overflow(space);
    this.values = new Uint32Array(borrowBuffer(this.#overflow.bytesToHold(capacity * 4)));
  }

  /** Elements added, spilled or not. */
  get total(): number {
    return this.#spilledLength + this.length;
  }

  /** Makes room for `count` more; the caller writes at `length` and adds to it. */
  reserve(count: number): void {
    if (this.length + count <= this.values.length) return;
    if (this.#overflow.take(this.#heldBytes())) {
      this.#spilledLength += this.length;
      this.length = 0;
      if (count <= this.values.length) return;
    }
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

  /** All of an array that is not spilled. */
  view(): Uint32Array {
    return this.values.subarray(0, this.length);
  }

  /** Everything, to the start of `target`. */
  copyTo(target: Uint8Array): void {
    this.#overflow.copyTo(target, this.#heldBytes());
  }

  #heldBytes(): Uint8Array {
    return new Uint8Array(this.values.buffer, 0, this.length * 4);
  }
}

export class GrowableShorts {
  values: Uint16Array<ArrayBuffer>;
  length = 0;
  readonly #overflow: Overflow;
  #spilledLength = 0;

  constructor(capacity = 1024, space: SpillSpace | null = null) {
    this.#overflow = new Overflow(space);
    this.values = new Uint16Array(borrowBuffer(this.#overflow.bytesToHold(capacity * 2)));
  }

  /** Elements added, spilled or not. */
  get total(): number {
    return this.#spilledLength + this.length;
  }

  reserve(count: number): void {
    if (this.length + count <= this.values.length) return;
    if (this.#overflow.take(this.#heldBytes())) {
      this.#spilledLength += this.length;
      this.length = 0;
      if (count <= this.values.length) return;
    }
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

  /** All of an array that is not spilled. */
  view(): Uint16Array {
    return this.values.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
    this.#spilledLength = 0;
    this.#overflow.clear();
  }

  /** Everything, to the start of `target`. */
  copyTo(target: Uint8Array): void {
    this.#overflow.copyTo(target, this.#heldBytes());
  }

  /** Appends everything, of which what was spilled stays where it is. */
  appendTo(blocks: ByteBlocks): void {
    for (const piece of this.#overflow.pieces) blocks.addLasting(piece);
    blocks.takePart(this.length * 2).set(this.#heldBytes());
  }

  #heldBytes(): Uint8Array {
    return new Uint8Array(this.values.buffer, 0, this.length * 2);
  }
}

/**
 * Bytes appended piece by piece into blocks, for what may pass any one typed array. They stand one behind the other once
 * copied out. Those that are somewhere for long enough stay there.
 */
export class ByteBlocks {
  readonly #space: SpillSpace | null;
  /** What is there so far, in order; the open block is not among them. */
  #pieces: (Uint8Array | SpilledBytes)[] = [];
  /** The memory of the pieces, as far as it is ours. */
  #buffers: ArrayBuffer[] = [];
  #last = new Uint8Array(0);
  #lastUsed = 0;
  #total = 0;
  #ownBytes = 0;

  constructor(space: SpillSpace | null = null) {
    this.#space = space;
  }

  /** Bytes taken so far: the offset that the next piece will have. */
  get byteLength(): number {
    return this.#total;
  }

  /** As `takePart`, and pads. */
  take(byteCount: number): Uint8Array {
    const piece = this.takePart(byteCount);
    this.pad();
    return piece;
  }

  /** Bytes to write to, contents undefined; valid until `release`, of blocks that are spilled until the next ones. */
  takePart(byteCount: number): Uint8Array {
    if (this.#lastUsed + byteCount > this.#last.length) {
      this.#closeBlock();
      const bytesMax = this.#space === null ? BLOCK_BYTES_MAX : SPILLED_BLOCK_BYTES;
      const blockBytes = Math.max(byteCount, Math.min(this.#ownBytes + 65_536, bytesMax));
      this.#last = new Uint8Array(borrowBuffer(blockBytes));
    }
    const part = this.#last.subarray(this.#lastUsed, this.#lastUsed + byteCount);
    this.#lastUsed += byteCount;
    this.#total += byteCount;
    this.#ownBytes += byteCount;
    return part;
  }

  /** Zeros up to the next multiple of 8. */
  pad(): void {
    const byteCount = Math.ceil(this.#total / 8) * 8 - this.#total;
    if (byteCount > 0) this.takePart(byteCount).fill(0);
  }

  /** Adds bytes without a copy: they have to stay as they are until they are copied out. */
  addLasting(bytes: Uint8Array | SpilledBytes): void {
    this.#closeBlock();
    this.#pieces.push(bytes);
    this.#total += bytes.byteLength;
  }

  copyTo(target: Uint8Array): void {
    this.#closeBlock();
    let offset = 0;
    for (const piece of this.#pieces) {
      if (piece instanceof Uint8Array) target.set(piece, offset);
      else readSpilled(piece, 0, target.subarray(offset, offset + piece.byteLength));
      offset += piece.byteLength;
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
    if (this.#lastUsed === 0) return;
    const block = this.#last.subarray(0, this.#lastUsed);
    if (this.#space !== null) {
      this.#pieces.push(spill(this.#space, block));
      returnBuffer(block.buffer);
    } else {
      this.#pieces.push(block);
      this.#buffers.push(block.buffer);
    }
    this.#last = new Uint8Array(0);
    this.#lastUsed = 0;
  }
}

/** Elements a typed array can have; more fail with a RangeError of the engine. */
const WORDS_MAX = 2 ** 32 - 1;

/** Large enough to make blocks few, small enough to waste little. */
const BLOCK_BYTES_MAX = 8 * 1024 * 1024;
const SPILLED_BLOCK_BYTES = 1024 * 1024;
