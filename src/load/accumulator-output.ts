/**
 * Collects the parts of a chunk message in shared memory. Every byte is written once, straight into its final
 * place; blocks grow with what is there so that a large chunk has few.
 */
import { BITSET_WORDS } from '../index/portable.ts';
import { PAGE_SLOTS } from '../limits.ts';
import {
  type AccumulatorField,
  type ChunkMessage,
  type KIND_BITMAPS,
  KIND_PAGE,
  KIND_PAIRS,
  type KIND_PRESENT,
  KIND_ROWS,
  KIND_SLOTS,
  PART_WORDS,
  RUN_WORDS,
} from './accumulator-message.ts';

const BLOCK_BYTES_MIN = 64 * 1024;
const BLOCK_BYTES_MAX = 16 * 1024 * 1024;
/** A block is this part of all before it, so that little is left unused at the end. */
const BLOCK_SHARE = 4;

export class MessageWriter {
  readonly #blocks: SharedArrayBuffer[] = [];
  #blockUsed = 0;
  #blockBytes = 0;
  #totalBytes = 0;
  #runs: Uint32Array = new Uint32Array(16 * RUN_WORDS);
  #runWords = 0;
  #parts: Uint32Array = new Uint32Array(64 * PART_WORDS);
  #partWords = 0;

  get runCount(): number {
    return this.#runWords / RUN_WORDS;
  }

  addRun(slotMin: number, slotMax: number, slotCount: number): void {
    this.#runs = withRoom(this.#runs, this.#runWords + RUN_WORDS);
    this.#runs[this.#runWords] = slotMin;
    this.#runs[this.#runWords + 1] = slotMax;
    this.#runs[this.#runWords + 2] = slotCount;
    this.#runWords += RUN_WORDS;
  }

  /**
   * Each `add` returns the words of the part, for the caller to fill; see the kinds in
   * accumulator-message.ts.
   */
  addSlots(run: number, field: number, slotCount: number): Uint32Array {
    return this.#addPart(run, field, KIND_SLOTS, 0, slotCount, slotCount);
  }

  addPairs(run: number, field: number, keyCount: number, slotCount: number): Uint32Array {
    return this.#addPart(run, field, KIND_PAIRS, keyCount, slotCount, 2 * keyCount + 1 + slotCount);
  }

  addRows(run: number, field: number, rowCount: number): Uint32Array {
    return this.#addPart(run, field, KIND_ROWS, 0, rowCount, 2 * rowCount);
  }

  addPage(run: number, field: number, pageKey: number, slotCount: number): Uint32Array {
    return this.#addPart(run, field, KIND_PAGE, pageKey, slotCount, PAGE_SLOTS + BITSET_WORDS);
  }

  /** `bitmapBytes` is the sum of the bitmaps' bytes, each rounded up to 8. */
  addBitmaps(
    run: number,
    field: number,
    kind: typeof KIND_BITMAPS | typeof KIND_PRESENT,
    keyCount: number,
    bitmapBytes: number,
  ): Uint32Array {
    const words = bitmapsHeaderWords(keyCount) + bitmapBytes / 4;
    return this.#addPart(run, field, kind, keyCount, bitmapBytes, words);
  }

  finish(fields: readonly AccumulatorField[], singleValued: boolean, rowCount: number): ChunkMessage {
    return {
      fields,
      singleValued,
      rowCount,
      runs: this.#runs.slice(0, this.#runWords),
      parts: this.#parts.slice(0, this.#partWords),
      blocks: this.#blocks,
    };
  }

  #addPart(run: number, field: number, kind: number, keys: number, size: number, words: number): Uint32Array {
    const bytes = words * 4;
    if (this.#blockUsed + bytes > this.#blockBytes) {
      const share = Math.ceil(this.#totalBytes / BLOCK_SHARE / 8) * 8;
      this.#blockBytes = Math.max(bytes, Math.min(BLOCK_BYTES_MAX, Math.max(BLOCK_BYTES_MIN, share)));
      this.#totalBytes += this.#blockBytes;
      this.#blocks.push(new SharedArrayBuffer(this.#blockBytes));
      this.#blockUsed = 0;
    }
    const block = this.#blocks.length - 1;
    this.#parts = withRoom(this.#parts, this.#partWords + PART_WORDS);
    this.#parts.set([run, field, kind, block, this.#blockUsed, keys, size], this.#partWords);
    this.#partWords += PART_WORDS;
    const part = new Uint32Array(this.#blocks[block], this.#blockUsed, words);
    this.#blockUsed += Math.ceil(bytes / 8) * 8;
    return part;
  }
}

/** Words before the first bitmap of a KIND_BITMAPS part: keys, ends and cardinalities, padded to 8 bytes. */
export function bitmapsHeaderWords(keyCount: number): number {
  return Math.ceil((3 * keyCount) / 2) * 2;
}

function withRoom(words: Uint32Array, length: number): Uint32Array {
  if (length <= words.length) return words;
  const grown = new Uint32Array(words.length * 2);
  grown.set(words);
  return grown;
}
