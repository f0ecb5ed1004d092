/**
 * Touched slots: those that have a row. Lists are united together, in time by their slots and not by lists
 * times pages, which matters when sparse slots come in random order.
 */
import { bytesOfSlots } from '../index/slot-union.ts';
import { type ChunkMessage, KIND_SLOTS, NO_FIELD, RUN_WORDS } from './accumulator-message.ts';
import type { SlotSource } from './merge-directory.ts';
import { type MessagePart, PartBitmaps, partsOf, slotsOf } from './merge-parts.ts';

/** Slots united at a time. */
const UNITED_SLOTS_MAX = 1 << 22;

/** Slots touched by any row of the chunks. */
export function touchedByAny(messages: readonly ChunkMessage[]): SlotSource[] {
  return touchedByParts(messages.flatMap((message) => partsOf(message, NO_FIELD)));
}

/** Slots touched by each run of a chunk. */
export function touchedByRuns(message: ChunkMessage): SlotSource[][] {
  const parts: MessagePart[][] = [];
  for (let run = 0; run < message.runs.length / RUN_WORDS; run++) parts.push([]);
  for (const part of partsOf(message, NO_FIELD)) parts[part.run].push(part);
  return parts.map(touchedByParts);
}

function touchedByParts(parts: readonly MessagePart[]): SlotSource[] {
  const sources: SlotSource[] = [];
  let lists: Uint32Array[] = [];
  let total = 0;
  const addLists = (): void => {
    // One list alone is ascending.
    if (lists.length === 1) sources.push({ kind: 'list', slots: lists[0], loss: null });
    else if (lists.length > 1) {
      sources.push({ kind: 'bitmap', bytes: bytesOfSlots(concatenated(lists, total)), loss: null });
    }
    lists = [];
    total = 0;
  };
  for (const part of parts) {
    if (part.kind === KIND_SLOTS) {
      if (total + part.size > UNITED_SLOTS_MAX) addLists();
      lists.push(slotsOf(part));
      total += part.size;
    } else sources.push({ kind: 'bitmap', bytes: new PartBitmaps(part).at(0), loss: null });
  }
  addLists();
  return sources;
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
