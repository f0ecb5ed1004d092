/**
 * Collects the parts of a chunk message in shared memory. Every byte is written once, straight into its final place,
 * until the messages of a load are more than is kept in memory: from then on a block that is full is spilled.
 */
import { BITSET_WORDS } from '../index/portable.ts';
import { spill } from '../index/spill-file.ts';
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
import {
  type BlockRoom,
  countBlock,
  isFull,
  MESSAGE_BLOCK_BYTES,
  type MessageBlock,
} from './message-blocks.ts';

/** A part that may be cut takes what is left of a block from so many words on; what is less stays empty. */
const ROOM_WORDS_MIN = 1024;

export class MessageWriter {
  readonly #blocks: MessageBlock[] = [];
  readonly #spareBlocks: SharedArrayBuffer[];
  readonly #room: BlockRoom | null;
  /** The block that is being filled, its place in `#blocks`, and how far. */
  #open: SharedArrayBuffer | null = null;
  #openBlock = -1;
  #openBytesUsed = MESSAGE_BLOCK_BYTES;
  /** The last block of `#blocks` is being filled and belongs to one part that is larger than others. */
  #large: SharedArrayBuffer | null = null;
  #runs: Uint32Array = new Uint32Array(16 * RUN_WORDS);
  #runWords = 0;
  #parts: Uint32Array = new Uint32Array(64 * PART_WORDS);
  #partWords = 0;

  /**
   * `spareBlocks`: memory to write to before any other; the writer takes blocks out of the list. `room`: what the load
   * may keep in memory; null: everything.
   */
  constructor(spareBlocks: SharedArrayBuffer[], room: BlockRoom | null) {
    this.#spareBlocks = spareBlocks;
    this.#room = room;
  }

  /** Words that a part can have without starting a block of its own, for parts that may be cut. */
  get roomWords(): number {
    const left = Math.floor((MESSAGE_BLOCK_BYTES - this.#openBytesUsed) / 4);
    return left >= ROOM_WORDS_MIN ? left : MESSAGE_BLOCK_BYTES / 4;
  }

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
   * Each `add` returns the words of the part, for the caller to fill before the next one; see the kinds in
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
    this.#closeLarge();
    const open = this.#spareBlocks.length === 0 ? this.#spillOpenBlock() : null;
    // Spare from now on, else every chunk would add a block.
    if (open !== null) this.#spareBlocks.push(open);
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
    const { memory, block, offset } = this.#reserve(words * 4);
    this.#parts = withRoom(this.#parts, this.#partWords + PART_WORDS);
    this.#parts.set([run, field, kind, block, offset, keys, size], this.#partWords);
    this.#partWords += PART_WORDS;
    return new Uint32Array(memory, offset, words);
  }

  /** Room in the open block, or in a new one; what is larger than a block gets one of its own size. */
  #reserve(bytes: number): { memory: SharedArrayBuffer; block: number; offset: number } {
    this.#closeLarge();
    if (bytes > MESSAGE_BLOCK_BYTES) {
      this.#large = this.#made(bytes);
      return { memory: this.#large, block: this.#blocks.push(this.#large) - 1, offset: 0 };
    }
    if (this.#open === null || this.#openBytesUsed + bytes > MESSAGE_BLOCK_BYTES)
      this.#open = this.#nextBlock();
    const offset = this.#openBytesUsed;
    this.#openBytesUsed += Math.ceil(bytes / 8) * 8;
    return { memory: this.#open, block: this.#openBlock, offset };
  }

  /** Memory for another block: a spare one, or that of the full one, if there may be no further one. */
  #nextBlock(): SharedArrayBuffer {
    const next = this.#spareBlocks.pop() ?? this.#spillOpenBlock() ?? this.#made(MESSAGE_BLOCK_BYTES);
    this.#openBlock = this.#blocks.push(next) - 1;
    this.#openBytesUsed = 0;
    return next;
  }

  /** The memory of the open block, once its bytes are where they do not need it; null where they may stay. */
  #spillOpenBlock(): SharedArrayBuffer | null {
    const open = this.#open;
    if (open === null || this.#room === null || !isFull(this.#room)) return null;
    this.#blocks[this.#openBlock] = spill(this.#room.space, new Uint8Array(open, 0, this.#openBytesUsed));
    return open;
  }

  #made(bytes: number): SharedArrayBuffer {
    const block = new SharedArrayBuffer(bytes);
    if (this.#room !== null) countBlock(this.#room, block, 1);
    return block;
  }

  #closeLarge(): void {
    const large = this.#large;
    this.#large = null;
    if (large === null || this.#room === null || !isFull(this.#room)) return;
    this.#blocks[this.#blocks.length - 1] = spill(this.#room.space, new Uint8Array(large));
    countBlock(this.#room, large, -1);
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
