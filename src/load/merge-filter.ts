/**
 * Merges one filter field: the previous version and the tables of the dump as layers, of which a later one wins, and
 * their directories together in rounds.
 */
import { FilterSegment } from '../index/filter-segment.ts';
import { FilterSegmentBuilder } from '../index/filter-segment-builder.ts';
import { frozenView } from '../index/portable.ts';
import { RoaringBitmap32 } from '../index/roaring.ts';
import type { SegmentBytes } from '../index/segment.ts';
import type { SpillSpace } from '../index/spill-file.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { type ChunkMessage, KIND_BITMAPS, KIND_PAIRS, KIND_PRESENT, NO_RUN } from './accumulator-message.ts';
import type { FieldMerge, FieldSource } from './merge.ts';
import { DirectoryMerge } from './merge-directories.ts';
import { kept, type Loss } from './merge-directory.ts';
import {
  isSpilled,
  type MessagePart,
  PartBitmaps,
  pairsOf,
  partsOf,
  ReadBuffer,
  unionOf,
} from './merge-parts.ts';
import {
  BitmapsCursor,
  type Cursor,
  inKeyOrder,
  ListsCursor,
  roundsOf,
  SpilledListsCursor,
  spillLists,
  windowWordsFor,
} from './merge-rounds.ts';
import { firstRuns } from './merge-runs.ts';

/** One table, or the previous version. */
interface Layer {
  readonly cursors: Cursor[];
  /** Slots that have a value; null: to be found out from the directories. */
  present: RoaringBitmap32 | null;
}

/** A filter segment. */
export function mergeFilterField(kernels: Kernels, merge: FieldMerge): SegmentBytes {
  const windowWords =
    merge.space === null ? 0 : windowWordsFor(merge.space.windowBytes, countSpilledLists(merge));
  const layers: Layer[] = merge.sources.map((source) => layerOf(source, merge, windowWords));
  if (merge.previous !== null) layers.unshift(previousLayer(merge.previous));
  // Otherwise the builder finds out, which has not all of it in memory here.
  if (merge.space !== null) for (const layer of layers) layer.present ??= presentOf(layer);
  if (!merge.many) dropOverwritten(layers);
  const cursors = layers.flatMap((layer) => layer.cursors);
  const builder = new FilterSegmentBuilder({
    field: merge.field,
    keyCountMax: cursors.reduce((sum, { keyCount }) => sum + keyCount, 1),
    slotCountMax: cursors.reduce((sum, cursor) => sum + cursor.countSmallSlots(), 0),
    memory: merge.memory,
    space: merge.space,
  });
  const directoryMerge = new DirectoryMerge(kernels, builder);
  for (const directories of roundsOf(cursors)) directoryMerge.add(directories);
  directoryMerge.release();
  const present = unionOfPresent(layers);
  const segment = builder.finish(present);
  // Native memory that would wait for the garbage collector; a view has none.
  for (const bitmap of [present, ...layers.map((layer) => layer.present)]) {
    if (bitmap?.isFrozen === false) bitmap.dispose();
  }
  return segment;
}

function layerOf(source: FieldSource, { field, space }: FieldMerge, windowWords: number): Layer {
  const cursors: Cursor[] = [];
  const partsOfMessages = source.messages.map((message) => fieldParts(message, field));
  const present = partsOfMessages.every(hasPresent) ? new RoaringBitmap32() : null;
  const runs = firstRuns(source.messages);
  const losses = new Map<number, Loss>();
  const buffer = new ReadBuffer();
  partsOfMessages.forEach((parts, index) => {
    const translation = source.translations?.[index] ?? null;
    for (const part of parts) {
      const loss = part.run === NO_RUN ? null : lossOf(source, runs[index] + part.run, losses);
      if (part.kind === KIND_PAIRS) cursors.push(listsCursor(part, translation, loss, space, windowWords));
      if (part.kind !== KIND_BITMAPS && part.kind !== KIND_PRESENT) continue;
      const bitmaps = new PartBitmaps(part, buffer);
      const { keys } = bitmaps;
      if (part.kind === KIND_BITMAPS)
        cursors.push(new BitmapsCursor(translated(keys, translation), bitmaps, loss));
      for (let i = 0; present !== null && i < keys.length; i++) present.orInPlace(kept(bitmaps.at(i), loss));
    }
  });
  return { cursors, present };
}

function fieldParts(message: ChunkMessage, field: string): MessagePart[] {
  return partsOf(
    message,
    message.fields.findIndex(({ name }) => name === field),
  );
}

/** The slots of all lists are there as bitmaps, too. */
function hasPresent(parts: readonly MessagePart[]): boolean {
  const runs = new Set(parts.filter(({ kind }) => kind === KIND_PRESENT).map(({ run }) => run));
  return parts.every(({ kind, run }) => kind !== KIND_PAIRS || runs.has(run));
}

function countSpilledLists({ sources, field }: FieldMerge): number {
  const parts = sources.flatMap(({ messages }) => messages.flatMap((message) => fieldParts(message, field)));
  return parts.filter((part) => part.kind === KIND_PAIRS && isSpilled(part)).length;
}

function listsCursor(
  part: MessagePart,
  translation: Uint32Array | null,
  loss: Loss | null,
  space: SpillSpace | null,
  windowWords: number,
): Cursor {
  if (isSpilled(part) && translation === null) return new SpilledListsCursor(part, windowWords, loss);
  const lists = pairsOf(part);
  const ordered =
    translation === null ? lists : inKeyOrder({ ...lists, keys: translated(lists.keys, translation) });
  return isSpilled(part) && space !== null
    ? new SpilledListsCursor(spillLists(space, part, ordered), windowWords, loss)
    : new ListsCursor(ordered, loss);
}

function lossOf(source: FieldSource, run: number, losses: Map<number, Loss>): Loss | null {
  const bytes = source.losses[run] ?? null;
  if (bytes === null) return null;
  let loss = losses.get(run);
  if (loss === undefined) {
    loss = { bitmap: frozenView(bytes), set: null };
    losses.set(run, loss);
  }
  return loss;
}

function translated(keys: Uint32Array, translation: Uint32Array | null): Uint32Array {
  return translation === null ? keys : keys.map((code) => translation[code]);
}

function previousLayer(previous: SegmentBytes): Layer {
  const segment = new FilterSegment(previous);
  const { runKeys, runStarts, runSlots, bitmapKeys } = segment;
  const bitmaps = { at: (position: number) => segment.bitmap(bitmapKeys[position]) };
  const cursors = [
    new ListsCursor({ keys: runKeys, starts: runStarts, slots: runSlots }, null),
    new BitmapsCursor(bitmapKeys, bitmaps, null),
  ];
  return { cursors, present: segment.present };
}

/** Every layer loses the slots for which a later layer has a value. */
function dropOverwritten(layers: Layer[]): void {
  if (layers.length < 2) return;
  let later: RoaringBitmap32 | null = null;
  for (const layer of layers.toReversed()) {
    layer.present ??= presentOf(layer);
    if (later !== null) loseSlots(layer, later);
    later = later === null ? layer.present : RoaringBitmap32.or(later, layer.present);
  }
}

function loseSlots(layer: Layer, slots: RoaringBitmap32): void {
  const shared: Loss = { bitmap: slots, set: null };
  const widened = new Map<Loss, Loss>();
  for (const cursor of layer.cursors) {
    const own = cursor.loss;
    if (own === null) {
      cursor.loss = shared;
      continue;
    }
    if (!widened.has(own)) widened.set(own, { bitmap: RoaringBitmap32.or(own.bitmap, slots), set: null });
    cursor.loss = widened.get(own)!;
  }
}

function presentOf(layer: Layer): RoaringBitmap32 {
  const present = new RoaringBitmap32();
  for (const cursor of layer.cursors) present.orInPlace(kept(cursor.union(), cursor.loss));
  return present;
}

/** Undefined when the builder has to find out. A slot that one layer loses has a value in another. */
function unionOfPresent(layers: readonly Layer[]): RoaringBitmap32 | undefined {
  const present = layers.map((layer) => layer.present);
  if (present.length === 1) return present[0] ?? undefined;
  return present.every((bitmap) => bitmap !== null) ? unionOf(present) : undefined;
}
