/**
 * Reads the parts of chunk messages: in place, or from the spill file a copy of what is asked for. One small object per
 * part, none per value.
 */
import { BITSET_WORDS } from '../index/portable.ts';
import { borrowWords, returnWords } from '../index/scratch-memory.ts';
import { readSpilled, type SpilledBytes } from '../index/spill-file.ts';
import { PAGE_SLOTS } from '../limits.ts';
import {
  type ChunkMessage,
  NO_FIELD,
  PART_BLOCK,
  PART_FIELD,
  PART_KEYS,
  PART_KIND,
  PART_OFFSET,
  PART_RUN,
  PART_SIZE,
  PART_WORDS,
} from './accumulator-message.ts';
import { bitmapsHeaderWords } from './accumulator-output.ts';
import type { BitmapList, Lists, StoredBitmap } from './merge-directory.ts';
import { isInMemory, type MessageBlock } from './message-blocks.ts';

export interface MessagePart {
  readonly run: number;
  readonly kind: number;
  readonly block: MessageBlock;
  readonly offset: number;
  readonly keys: number;
  readonly size: number;
}

/** The parts of one field (or NO_FIELD), in the order they were made. */
export function partsOf(message: ChunkMessage, field: number): MessagePart[] {
  const { parts, blocks } = message;
  const found: MessagePart[] = [];
  for (let at = 0; at < parts.length; at += PART_WORDS) {
    if (parts[at + PART_FIELD] !== field) continue;
    found.push({
      run: parts[at + PART_RUN],
      kind: parts[at + PART_KIND],
      block: blocks[parts[at + PART_BLOCK]],
      offset: parts[at + PART_OFFSET],
      keys: parts[at + PART_KEYS],
      size: parts[at + PART_SIZE],
    });
  }
  return found;
}

/**
 * The message with the parts of one field (or NO_FIELD) alone, as field 0, and the blocks that they are in: what its merge
 * is sent. Handing blocks to a thread is not free, and a chunk has dozens, most of them of other fields.
 */
export function narrowedTo(message: ChunkMessage, field: number): ChunkMessage {
  const { fields, parts, blocks } = message;
  let count = 0;
  for (let at = 0; at < parts.length; at += PART_WORDS) if (parts[at + PART_FIELD] === field) count++;
  const narrowed = new Uint32Array(count * PART_WORDS);
  const neededBlocks: MessageBlock[] = [];
  const placeOf = new Int32Array(blocks.length).fill(-1);
  for (let at = 0, target = 0; at < parts.length; at += PART_WORDS) {
    if (parts[at + PART_FIELD] !== field) continue;
    const block = parts[at + PART_BLOCK];
    if (placeOf[block] === -1) placeOf[block] = neededBlocks.push(blocks[block]) - 1;
    narrowed.set(parts.subarray(at, at + PART_WORDS), target);
    narrowed[target + PART_FIELD] = field === NO_FIELD ? NO_FIELD : 0;
    narrowed[target + PART_BLOCK] = placeOf[block];
    target += PART_WORDS;
  }
  return {
    ...message,
    fields: field === NO_FIELD ? [] : [fields[field]],
    parts: narrowed,
    blocks: neededBlocks,
  };
}

/** A part whose block is in the spill file. */
export interface SpilledPart extends MessagePart {
  readonly block: SpilledBytes;
}

export function isSpilled(part: MessagePart): part is SpilledPart {
  return !isInMemory(part.block);
}

/** Words [from, from + count) of the part. */
export function wordsOf({ block, offset }: MessagePart, from: number, count: number): Uint32Array {
  if (isInMemory(block)) return new Uint32Array(block, offset + from * 4, count);
  return readWords({ block, offset }, from, new Uint32Array(count));
}

/** Fills `target` with words of a part that was spilled, from the word `from` on, and returns it. */
export function readWords(
  { block, offset }: Pick<SpilledPart, 'block' | 'offset'>,
  from: number,
  target: Uint32Array,
): Uint32Array {
  readSpilled(block, offset + from * 4, new Uint8Array(target.buffer, target.byteOffset, target.byteLength));
  return target;
}

export function slotsOf(part: MessagePart): Uint32Array {
  return wordsOf(part, 0, part.size);
}

/** The lists of a KIND_PAIRS part. */
export function pairsOf(part: MessagePart): Lists {
  const { keys, size } = part;
  const words = wordsOf(part, 0, 2 * keys + 1 + size);
  return {
    keys: words.subarray(0, keys),
    starts: words.subarray(keys, 2 * keys + 1),
    slots: words.subarray(2 * keys + 1),
  };
}

/** Slots and keys of a KIND_ROWS part. */
export function rowsOf(part: MessagePart): { slots: Uint32Array; keys: Uint32Array } {
  return { slots: slotsOf(part), keys: wordsOf(part, part.size, part.size) };
}

/** Words of a KIND_PAGE part. */
export const PAGE_WORDS = PAGE_SLOTS + BITSET_WORDS;

/** Column and bitset of a KIND_PAGE part, in `buffer` if they have to be read. */
export function pageOf(
  part: MessagePart,
  buffer: Uint32Array,
): { column: Uint32Array; present: Uint32Array } {
  const words = isSpilled(part) ? readWords(part, 0, buffer) : wordsOf(part, 0, PAGE_WORDS);
  return { column: words.subarray(0, PAGE_SLOTS), present: words.subarray(PAGE_SLOTS) };
}

/** Where the bytes of the column of a KIND_PAGE part are. */
export function columnBytesOf({ block, offset }: MessagePart): Uint8Array | SpilledBytes {
  return bytesOfBlock(block, offset, PAGE_SLOTS * 4);
}

/** Memory that one thing after the other is read to. */
export class ReadBuffer {
  #words = new Uint32Array(0);

  /** So many words, which are those of the call before. */
  take(count: number): Uint32Array {
    if (count > this.#words.length) {
      this.release();
      this.#words = borrowWords(count);
    }
    return this.#words.subarray(0, count);
  }

  /** Bytes [from, from + count) of what was spilled. */
  read(source: SpilledBytes, from: number, count: number): Uint8Array {
    const words = this.take(Math.ceil(count / 4));
    const bytes = new Uint8Array(words.buffer, words.byteOffset, count);
    readSpilled(source, from, bytes);
    return bytes;
  }

  /** What was read is spent. */
  release(): void {
    if (this.#words.length > 0) returnWords(this.#words);
    this.#words = new Uint32Array(0);
  }
}

/** The bitmaps of a KIND_BITMAPS or KIND_PRESENT part. */
export class PartBitmaps implements BitmapList {
  readonly keys: Uint32Array;
  readonly #part: MessagePart;
  /** Of each bitmap, in bytes from the first one. */
  readonly #ends: Uint32Array;

  constructor(part: MessagePart) {
    this.#part = part;
    this.keys = wordsOf(part, 0, part.keys);
    this.#ends = wordsOf(part, part.keys, part.keys);
  }

  at(position: number): StoredBitmap {
    const start = position === 0 ? 0 : Math.ceil(this.#ends[position - 1] / 8) * 8;
    const { block, offset, keys } = this.#part;
    const from = offset + bitmapsHeaderWords(keys) * 4 + start;
    return bytesOfBlock(block, from, this.#ends[position] - start);
  }
}

/** Where words [from, from + count) of a part are that was spilled. */
export function bytesInFile({ block, offset }: SpilledPart, from: number, count: number): SpilledBytes {
  return { ...block, offset: block.offset + offset + from * 4, byteLength: count * 4 };
}

function bytesOfBlock(block: MessageBlock, offset: number, byteLength: number): StoredBitmap {
  if (isInMemory(block)) return new Uint8Array(block, offset, byteLength);
  return { ...block, offset: block.offset + offset, byteLength };
}
