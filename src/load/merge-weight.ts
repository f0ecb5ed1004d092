/**
 * How much of its chunks a field merge has to read: what it costs in time and, roughly, in memory. Merges start with the
 * heaviest, so that none of them is left alone at the end.
 */
import {
  type ChunkMessage,
  KIND_BITMAPS,
  KIND_PAGE,
  PART_KIND,
  PART_SIZE,
  PART_WORDS,
} from './accumulator-message.ts';

const PAGE_BYTES = 4 * 65_536 + 8192;

/** Bytes of all parts of the messages. */
export function partBytes(messages: readonly ChunkMessage[]): number {
  let bytes = 0;
  for (const { parts } of messages) {
    for (let part = 0; part < parts.length; part += PART_WORDS) bytes += bytesOfPart(parts, part);
  }
  return bytes;
}

function bytesOfPart(parts: Uint32Array, part: number): number {
  const size = parts[part + PART_SIZE];
  if (parts[part + PART_KIND] === KIND_BITMAPS) return size;
  return parts[part + PART_KIND] === KIND_PAGE ? PAGE_BYTES : 4 * size;
}
