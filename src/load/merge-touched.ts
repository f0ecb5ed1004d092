/**
 * Touched slots: those that have a row. Lists are united together, in time by their slots and not by lists
 * times pages, which matters when sparse slots come in random order.
 */
import { RoaringBitmap32 } from '../index/roaring.ts';
import { unionOfSlots } from '../index/slot-union.ts';
import { type ChunkMessage, KIND_SLOTS, NO_FIELD, RUN_WORDS } from './accumulator-message.ts';
import { bitmapsOf, type MessagePart, partsOf, slotsOf, unionOf } from './merge-parts.ts';

/** Slots united at a time. */
const UNITED_SLOTS_MAX = 1 << 22;

/** Slots touched by any row of the chunks. */
export function touchedByAny(messages: readonly ChunkMessage[]): RoaringBitmap32 {
  return touchedByParts(messages.flatMap((message) => partsOf(message, NO_FIELD)));
}

/** Slots touched by each run of a chunk. */
export function touchedByRuns(message: ChunkMessage): RoaringBitmap32[] {
  const parts: MessagePart[][] = [];
  for (let run = 0; run < message.runs.length / RUN_WORDS; run++) parts.push([]);
  for (const part of partsOf(message, NO_FIELD)) parts[part.run].push(part);
  return parts.map(touchedByParts);
}

function touchedByParts(parts: readonly MessagePart[]): RoaringBitmap32 {
  const union = unionOf(parts.filter(({ kind }) => kind !== KIND_SLOTS).flatMap(bitmapsOf));
  let lists: Uint32Array[] = [];
  let total = 0;
  for (const part of parts) {
    if (part.kind !== KIND_SLOTS) continue;
    if (total + part.size > UNITED_SLOTS_MAX) {
      union.orInPlace(unionOfSlots(concatenated(lists, total)));
      lists = [];
      total = 0;
    }
    lists.push(slotsOf(part));
    total += part.size;
  }
  // One list alone is ascending.
  if (lists.length === 1) union.orInPlace(new RoaringBitmap32(lists[0]));
  else if (lists.length > 1) union.orInPlace(unionOfSlots(concatenated(lists, total)));
  return union;
}

function concatenated(lists: readonly Uint32Array[], total: number): Uint32Array {
  const slots = new Uint32Array(total);
  let at = 0;
  for (const list of lists) {
    slots.set(list, at);
    at += list.length;
  }
  return slots;
}
