/**
 * Reads the parts of chunk messages in place: one small object per part, none per value.
 */
import { frozenView } from '../index/portable.ts';
import { RoaringBitmap32 } from '../index/roaring.ts';
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

export interface MessagePart {
  readonly run: number;
  readonly kind: number;
  readonly block: SharedArrayBuffer;
  readonly offset: number;
  readonly keys: number;
  readonly size: number;
}

/** Slots grouped by key: those of keys[i] are slots[starts[i] … starts[i + 1]). */
export interface PairsView {
  readonly keys: Uint32Array;
  readonly starts: Uint32Array;
  readonly slots: Uint32Array;
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
  const neededBlocks: SharedArrayBuffer[] = [];
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

export function slotsOf(part: MessagePart): Uint32Array {
  return new Uint32Array(part.block, part.offset, part.size);
}

export function pairsOf(part: MessagePart): PairsView {
  const { block, offset, keys } = part;
  return {
    keys: new Uint32Array(block, offset, keys),
    starts: new Uint32Array(block, offset + keys * 4, keys + 1),
    slots: new Uint32Array(block, offset + (2 * keys + 1) * 4, part.size),
  };
}

/** Slots and keys of a KIND_ROWS part. */
export function rowsOf(part: MessagePart): { slots: Uint32Array; keys: Uint32Array } {
  return {
    slots: new Uint32Array(part.block, part.offset, part.size),
    keys: new Uint32Array(part.block, part.offset + part.size * 4, part.size),
  };
}

export function bitmapKeysOf(part: MessagePart): Uint32Array {
  return new Uint32Array(part.block, part.offset, part.keys);
}

/** Frozen views, one per key. */
export function bitmapsOf(part: MessagePart): RoaringBitmap32[] {
  const ends = new Uint32Array(part.block, part.offset + part.keys * 4, part.keys);
  const base = part.offset + bitmapsHeaderWords(part.keys) * 4;
  const views: RoaringBitmap32[] = [];
  let start = 0;
  for (const end of ends) {
    views.push(frozenView(new Uint8Array(part.block, base + start, end - start)));
    start = Math.ceil(end / 8) * 8;
  }
  return views;
}

/** Folding in place: a union of thousands of bitmaps in a single native call takes ten times as long. */
export function unionOf(bitmaps: readonly RoaringBitmap32[]): RoaringBitmap32 {
  const union = new RoaringBitmap32();
  for (const bitmap of bitmaps) union.orInPlace(bitmap);
  return union;
}
