/**
 * Which rows of a single-valued table win: the later run, for every slot both have. Where runs do not
 * overlap, as in any dump in slot order, that is seen from their bounds alone; where they interleave without
 * a common slot, as in a shuffled dump, from their sizes.
 */
import { RoaringBitmap32 } from '../index/roaring.ts';
import {
  type ChunkMessage,
  RUN_SLOT_COUNT,
  RUN_SLOT_MAX,
  RUN_SLOT_MIN,
  RUN_WORDS,
} from './accumulator-message.ts';
import type { RunResolution } from './merge.ts';
import { touchedByAny, touchedByRuns } from './merge-touched.ts';
import { unitedInMemory } from './merge-union.ts';

/**
 * What the bounds of the runs alone decide, or null: too little to be worth a task. `messages`: all chunks of one table,
 * in file order.
 */
export function resolveByBounds(messages: readonly ChunkMessage[]): RunResolution | null {
  const runCount = runsOf(messages);
  return areDisjoint(messages, runCount) ? withoutLosses(messages, runCount) : null;
}

/** `messages`: all chunks of one table, in file order. Needed before the fields of the table are merged. */
export function resolveRuns(messages: readonly ChunkMessage[]): RunResolution {
  const byBounds = resolveByBounds(messages);
  if (byBounds !== null) return byBounds;
  const runCount = runsOf(messages);
  const touchedSlots = unitedInMemory(touchedByAny(messages));
  const areApart = touchedSlots.size === slotsOfRuns(messages);
  touchedSlots.dispose();
  if (areApart) return withoutLosses(messages, runCount);
  const losses: (Uint8Array | null)[] = new Array(runCount).fill(null);
  const seen = new RoaringBitmap32();
  let run = runCount;
  for (let i = messages.length - 1; i >= 0; i--) {
    const runs = touchedByRuns(messages[i]);
    for (let local = runs.length - 1; local >= 0; local--) {
      const touched = unitedInMemory(runs[local]);
      const lost = RoaringBitmap32.and(touched, seen);
      losses[--run] = lost.isEmpty ? null : sharedBytes(lost);
      lost.dispose();
      seen.orInPlace(touched);
      touched.dispose();
    }
  }
  return { losses, duplicateRows: rowsOf(messages) - seen.size };
}

/** The index in `losses` of the first run of each message. */
export function firstRuns(messages: readonly ChunkMessage[]): number[] {
  let next = 0;
  return messages.map((message) => {
    const first = next;
    next += message.runs.length / RUN_WORDS;
    return first;
  });
}

/** No slot is in two runs. */
function withoutLosses(messages: readonly ChunkMessage[], runCount: number): RunResolution {
  return {
    losses: new Array(runCount).fill(null),
    duplicateRows: rowsOf(messages) - slotsOfRuns(messages),
  };
}

function runsOf(messages: readonly ChunkMessage[]): number {
  return messages.reduce((sum, { runs }) => sum + runs.length / RUN_WORDS, 0);
}

function rowsOf(messages: readonly ChunkMessage[]): number {
  return messages.reduce((sum, message) => sum + (message.singleValued ? message.rowCount : 0), 0);
}

function areDisjoint(messages: readonly ChunkMessage[], runCount: number): boolean {
  const starts = new Float64Array(runCount);
  const ends = new Float64Array(runCount);
  let count = 0;
  for (const { runs } of messages) {
    for (let at = 0; at < runs.length; at += RUN_WORDS, count++) {
      starts[count] = runs[at + RUN_SLOT_MIN];
      ends[count] = runs[at + RUN_SLOT_MAX];
    }
  }
  // Stretches are disjoint exactly if the k-th smallest start lies behind the (k − 1)-th smallest end for
  // every k.
  starts.sort();
  ends.sort();
  for (let i = 1; i < runCount; i++) if (starts[i] <= ends[i - 1]) return false;
  return true;
}

function slotsOfRuns(messages: readonly ChunkMessage[]): number {
  let count = 0;
  for (const { runs } of messages) {
    for (let at = 0; at < runs.length; at += RUN_WORDS) count += runs[at + RUN_SLOT_COUNT];
  }
  return count;
}

function sharedBytes(bitmap: RoaringBitmap32): Uint8Array {
  const bytes = bitmap.serialize('portable');
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return shared;
}
