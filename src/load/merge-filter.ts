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
import { kept, type Loss, type SlotSource } from './merge-directory.ts';
import { isSpilled, type MessagePart, PartBitmaps, pairsOf, partsOf, ReadBuffer } from './merge-parts.ts';
import {
  BitmapsCursor,
  type Cursor,
  inKeyOrder,
  type ListCursor,
  ListsCursor,
  roundsOf,
  SpilledListsCursor,
  spillLists,
  windowWordsFor,
} from './merge-rounds.ts';
import { firstRuns } from './merge-runs.ts';
import { SlotUnion, unitedInMemory } from './merge-union.ts';

/** One table, or the previous version. */
interface Layer {
  readonly cursors: Cursor[];
  /** The slots that have a value, but for those of `unlisted`. */
  readonly present: SlotSource[];
  /** The cursors whose slots have to be found out by reading them. */
  unlisted: readonly ListCursor[];
}

/** A filter segment. */
export function mergeFilterField(kernels: Kernels, merge: FieldMerge): SegmentBytes {
  const { field, memory, space } = merge;
  const mark = kernels.memory.mark();
  const windowWords = space === null ? 0 : windowWordsFor(space.windowBytes, countSpilledLists(merge));
  const layers: Layer[] = merge.sources.map((source) => layerOf(source, merge, windowWords));
  if (merge.previous !== null) layers.unshift(previousLayer(merge.previous));
  // Otherwise the builder finds out, which has not all of it in memory here.
  if (space !== null) for (const layer of layers) listPresent(layer);
  if (!merge.many) dropOverwritten(layers);
  const cursors = layers.flatMap((layer) => layer.cursors);
  const builder = new FilterSegmentBuilder({
    field,
    keyCountMax: cursors.reduce((sum, { keyCount }) => sum + keyCount, 1),
    slotCountMax: cursors.reduce((sum, cursor) => sum + cursor.countSmallSlots(), 0),
    memory,
    space,
  });
  const slotUnion = new SlotUnion(kernels, space);
  const directoryMerge = new DirectoryMerge(kernels, slotUnion, builder);
  for (const directories of roundsOf(cursors)) directoryMerge.add(directories);
  for (const cursor of cursors) cursor.release();
  // A slot that one layer loses has a value in another.
  const present = layers.flatMap((layer) => layer.present);
  const isListed = layers.every((layer) => layer.unlisted.length === 0);
  const segment = builder.finish(isListed ? slotUnion.unite(present) : undefined);
  slotUnion.release();
  kernels.memory.release(mark);
  return segment;
}

function layerOf(source: FieldSource, { field, space }: FieldMerge, windowWords: number): Layer {
  const cursors: Cursor[] = [];
  const present: SlotSource[] = [];
  const unlisted: ListCursor[] = [];
  const runs = firstRuns(source.messages);
  const losses = new Map<number, Loss>();
  source.messages.forEach((message, index) => {
    const parts = fieldParts(message, field);
    const listedRuns = new Set(parts.filter(({ kind }) => kind === KIND_PRESENT).map(({ run }) => run));
    const translation = source.translations?.[index] ?? null;
    for (const part of parts) {
      const loss = part.run === NO_RUN ? null : lossOf(source, runs[index] + part.run, losses);
      if (part.kind === KIND_PAIRS) {
        const cursor = listsCursor(part, translation, loss, space, windowWords);
        cursors.push(cursor);
        if (!listedRuns.has(part.run)) unlisted.push(cursor);
      } else if (part.kind === KIND_BITMAPS || part.kind === KIND_PRESENT) {
        const bitmaps = new PartBitmaps(part);
        const { keys } = bitmaps;
        if (part.kind === KIND_BITMAPS)
          cursors.push(new BitmapsCursor(translated(keys, translation), bitmaps, loss));
        for (let i = 0; i < keys.length; i++) present.push({ kind: 'bitmap', bytes: bitmaps.at(i), loss });
      }
    }
  });
  return { cursors, present, unlisted };
}

function fieldParts(message: ChunkMessage, field: string): MessagePart[] {
  return partsOf(
    message,
    message.fields.findIndex(({ name }) => name === field),
  );
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
): ListCursor {
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
  const bitmaps = { at: (position: number) => segment.bitmapBytes(position) };
  const cursors = [
    new ListsCursor({ keys: runKeys, starts: runStarts, slots: runSlots }, null),
    new BitmapsCursor(bitmapKeys, bitmaps, null),
  ];
  const present: SlotSource[] = [{ kind: 'bitmap', bytes: segment.presentBytes, loss: null }];
  return { cursors, present, unlisted: [] };
}

/** Every layer loses the slots for which a later layer has a value. */
function dropOverwritten(layers: Layer[]): void {
  if (layers.length < 2) return;
  let later: RoaringBitmap32 | null = null;
  for (const layer of layers.toReversed()) {
    listPresent(layer);
    if (later !== null) loseSlots(layer, later);
    const present = unitedInMemory(layer.present);
    later = later === null ? present : RoaringBitmap32.or(later, present);
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

/** All slots that have a value become known. */
function listPresent(layer: Layer): void {
  if (layer.unlisted.length === 0) return;
  const buffer = new ReadBuffer();
  const found = new RoaringBitmap32();
  for (const cursor of layer.unlisted) {
    found.orInPlace(kept(cursor.union(buffer), cursor.loss));
  }
  buffer.release();
  layer.present.push({ kind: 'bitmap', bytes: found.serialize('portable'), loss: null });
  found.dispose();
  layer.unlisted = [];
}
