/**
 * Page bitsets of a few keys to one roaring bitmap per key. Pages arrive in ascending order; their containers
 * are kept encoded (array or bitset, whichever is smaller) until the run ends and a bitmap's header can be
 * written.
 */
import { borrowBuffer, returnBuffer } from '../index/scratch-memory.ts';
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BITSET_BYTES } from '../kernels/page-kernels.ts';
import type { KIND_BITMAPS, KIND_PRESENT } from './accumulator-message.ts';
import { bitmapsHeaderWords, type MessageWriter } from './accumulator-output.ts';

/** Positions up to which a container is an array in roaring's format. */
const ARRAY_CARDINALITY_MAX = 4096;
const COOKIE_WITHOUT_RUNS = 12_346;
/** Cookie and container count. */
const PREAMBLE_BYTES = 8;
/** Page key, cardinality − 1 (u16 each) and offset (u32). */
const CONTAINER_HEADER_BYTES = 8;
/** Words of an entry: code, page key, cardinality, byte offset in the store. */
const ENTRY_WORDS = 4;
const BYTES_MIN = 1024;

export class ContainerStore {
  readonly #kernels: Kernels;
  readonly #scratch: Pointer;
  #bytes = new Uint8Array(0);
  #bytesUsed = 0;
  #entries = new Uint32Array(16 * ENTRY_WORDS);
  #entryCount = 0;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#scratch = kernels.memory.allocate(BITSET_BYTES);
  }

  get isEmpty(): boolean {
    return this.#entryCount === 0;
  }

  /** Adds the page of one code. */
  addBitset(code: number, pageKey: number, bitset: Pointer, cardinality: number): void {
    if (cardinality === 0) return;
    const { encodeArray, memory } = this.#kernels;
    const isArray = cardinality <= ARRAY_CARDINALITY_MAX;
    const bytes = isArray ? cardinality * 2 : BITSET_BYTES;
    if (isArray) encodeArray(bitset, this.#scratch);
    const source = isArray ? this.#scratch : bitset;
    this.#reserve(bytes);
    this.#bytes.set(memory.u8.subarray(source, source + bytes), this.#bytesUsed);
    const entry = this.#entryCount++ * ENTRY_WORDS;
    this.#entries[entry] = code;
    this.#entries[entry + 1] = pageKey;
    this.#entries[entry + 2] = cardinality;
    this.#entries[entry + 3] = this.#bytesUsed;
    this.#bytesUsed += bytes;
  }

  /** Writes one bitmap per code as a part, keys[code] being its key, and empties the store. */
  writePart(
    writer: MessageWriter,
    run: number,
    field: number,
    kind: typeof KIND_BITMAPS | typeof KIND_PRESENT,
    keys: readonly number[],
  ): void {
    const count = this.#entryCount;
    if (count === 0) return;
    const containers = new Uint32Array(keys.length);
    const bodyBytes = new Float64Array(keys.length);
    const cardinalities = new Float64Array(keys.length);
    for (let i = 0; i < count; i++) {
      const entry = i * ENTRY_WORDS;
      const code = this.#entries[entry];
      const cardinality = this.#entries[entry + 2];
      containers[code]++;
      cardinalities[code] += cardinality;
      bodyBytes[code] += containerBytes(cardinality);
    }
    const codes = keys.map((_, code) => code).filter((code) => containers[code] > 0);
    codes.sort((a, b) => keys[a] - keys[b]);
    let bitmapBytes = 0;
    for (const code of codes) bitmapBytes += alignedBytes(containers[code], bodyBytes[code]);

    const words = writer.addBitmaps(run, field, kind, codes.length, bitmapBytes);
    const headerWords = bitmapsHeaderWords(codes.length);
    const bitmaps = new Uint8Array(words.buffer, words.byteOffset + headerWords * 4, bitmapBytes);
    let offset = 0;
    for (let i = 0; i < codes.length; i++) {
      const code = codes[i];
      this.#writeBitmap(code, containers[code], bitmaps, offset);
      words[i] = keys[code];
      words[codes.length + i] = offset + unalignedBytes(containers[code], bodyBytes[code]);
      words[2 * codes.length + i] = cardinalities[code];
      offset += alignedBytes(containers[code], bodyBytes[code]);
    }
    this.clear();
  }

  clear(): void {
    returnBuffer(this.#bytes.buffer);
    this.#bytes = new Uint8Array(0);
    this.#entryCount = 0;
    this.#bytesUsed = 0;
  }

  #writeBitmap(code: number, containerCount: number, target: Uint8Array, start: number): void {
    const headerBytes = PREAMBLE_BYTES + containerCount * CONTAINER_HEADER_BYTES;
    const header = new DataView(target.buffer, target.byteOffset + start, headerBytes);
    header.setUint32(0, COOKIE_WITHOUT_RUNS, true);
    header.setUint32(4, containerCount, true);
    let container = 0;
    let offset = headerBytes;
    for (let i = 0; i < this.#entryCount; i++) {
      const entry = i * ENTRY_WORDS;
      if (this.#entries[entry] !== code) continue;
      const cardinality = this.#entries[entry + 2];
      const from = this.#entries[entry + 3];
      const bytes = containerBytes(cardinality);
      header.setUint16(PREAMBLE_BYTES + container * 4, this.#entries[entry + 1], true);
      header.setUint16(PREAMBLE_BYTES + container * 4 + 2, cardinality - 1, true);
      header.setUint32(PREAMBLE_BYTES + containerCount * 4 + container * 4, offset, true);
      target.set(this.#bytes.subarray(from, from + bytes), start + offset);
      container++;
      offset += bytes;
    }
  }

  #reserve(bytes: number): void {
    if (this.#bytesUsed + bytes > this.#bytes.length) {
      const bytesMin = Math.max(BYTES_MIN, this.#bytes.length * 2, this.#bytesUsed + bytes);
      const grown = new Uint8Array(borrowBuffer(bytesMin));
      grown.set(this.#bytes.subarray(0, this.#bytesUsed));
      returnBuffer(this.#bytes.buffer);
      this.#bytes = grown;
    }
    if ((this.#entryCount + 1) * ENTRY_WORDS > this.#entries.length) {
      const grown = new Uint32Array(this.#entries.length * 2);
      grown.set(this.#entries);
      this.#entries = grown;
    }
  }
}

function containerBytes(cardinality: number): number {
  return cardinality <= ARRAY_CARDINALITY_MAX ? cardinality * 2 : BITSET_BYTES;
}

function unalignedBytes(containerCount: number, bodyBytes: number): number {
  return PREAMBLE_BYTES + containerCount * CONTAINER_HEADER_BYTES + bodyBytes;
}

function alignedBytes(containerCount: number, bodyBytes: number): number {
  return Math.ceil(unalignedBytes(containerCount, bodyBytes) / 8) * 8;
}
