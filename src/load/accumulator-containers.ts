/**
 * Page bitsets of a few keys to one roaring bitmap per key. Pages arrive in ascending order; their containers
 * are kept encoded (array or bitset, whichever is smaller) until the run ends and a bitmap's header can be
 * written.
 */
import { GrowableShorts, GrowableWords } from '../index/growable.ts';
import { ARRAY_CARDINALITY_MAX, COOKIE_WITHOUT_RUNS } from '../index/portable.ts';
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BITSET_BYTES } from '../kernels/page-kernels.ts';
import type { KIND_BITMAPS, KIND_PRESENT } from './accumulator-message.ts';
import { bitmapsHeaderWords, type MessageWriter } from './accumulator-output.ts';

/** Cookie and container count. */
const PREAMBLE_BYTES = 8;
/** Page key, cardinality − 1 (u16 each) and offset (u32). */
const CONTAINER_HEADER_BYTES = 8;
/** Words of an entry: code, page key, cardinality, place in the body. */
const ENTRY_WORDS = 4;

export class ContainerStore {
  readonly #kernels: Kernels;
  readonly #scratch: Pointer;
  /** Every container is a whole number of 16-bit units. */
  readonly #body = new GrowableShorts();
  readonly #entries = new GrowableWords(16 * ENTRY_WORDS);

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#scratch = kernels.memory.allocate(BITSET_BYTES);
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  get byteLength(): number {
    return this.#body.length * 2;
  }

  /** Adds the page of one code. */
  addBitset(code: number, pageKey: number, bitset: Pointer, cardinality: number): void {
    if (cardinality === 0) return;
    const { encodeArray, memory } = this.#kernels;
    const isArray = cardinality <= ARRAY_CARDINALITY_MAX;
    if (isArray) encodeArray(bitset, this.#scratch);
    const source = (isArray ? this.#scratch : bitset) >>> 1;
    const shorts = containerShorts(cardinality);
    const body = this.#body;
    body.reserve(shorts);
    body.values.set(memory.u16.subarray(source, source + shorts), body.length);
    for (const word of [code, pageKey, cardinality, body.length]) this.#entries.push(word);
    body.length += shorts;
  }

  /** Writes one bitmap per code as a part, keys[code] being its key, and empties the store. */
  writePart(
    writer: MessageWriter,
    run: number,
    field: number,
    kind: typeof KIND_BITMAPS | typeof KIND_PRESENT,
    keys: readonly number[],
  ): void {
    if (this.isEmpty) return;
    const entries = this.#entries.view();
    const containers = new Uint32Array(keys.length);
    const bodyBytes = new Float64Array(keys.length);
    const cardinalities = new Float64Array(keys.length);
    for (let entry = 0; entry < entries.length; entry += ENTRY_WORDS) {
      const code = entries[entry];
      const cardinality = entries[entry + 2];
      containers[code]++;
      cardinalities[code] += cardinality;
      bodyBytes[code] += containerShorts(cardinality) * 2;
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
    this.#body.release();
    this.#entries.length = 0;
  }

  #writeBitmap(code: number, containerCount: number, target: Uint8Array, start: number): void {
    const headerBytes = PREAMBLE_BYTES + containerCount * CONTAINER_HEADER_BYTES;
    const header = new DataView(target.buffer, target.byteOffset + start, headerBytes);
    header.setUint32(0, COOKIE_WITHOUT_RUNS, true);
    header.setUint32(4, containerCount, true);
    let container = 0;
    let offset = headerBytes;
    const entries = this.#entries.view();
    for (let entry = 0; entry < entries.length; entry += ENTRY_WORDS) {
      if (entries[entry] !== code) continue;
      const cardinality = entries[entry + 2];
      const bytes = containerShorts(cardinality) * 2;
      header.setUint16(PREAMBLE_BYTES + container * 4, entries[entry + 1], true);
      header.setUint16(PREAMBLE_BYTES + container * 4 + 2, cardinality - 1, true);
      header.setUint32(PREAMBLE_BYTES + containerCount * 4 + container * 4, offset, true);
      target.set(new Uint8Array(this.#body.values.buffer, entries[entry + 3] * 2, bytes), start + offset);
      container++;
      offset += bytes;
    }
  }
}

function containerShorts(cardinality: number): number {
  return cardinality <= ARRAY_CARDINALITY_MAX ? cardinality : BITSET_BYTES / 2;
}

function unalignedBytes(containerCount: number, bodyBytes: number): number {
  return PREAMBLE_BYTES + containerCount * CONTAINER_HEADER_BYTES + bodyBytes;
}

function alignedBytes(containerCount: number, bodyBytes: number): number {
  return Math.ceil(unalignedBytes(containerCount, bodyBytes) / 8) * 8;
}
