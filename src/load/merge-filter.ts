/**
 * Merges one filter field: the directories of all parts, sorted by key together, then key by key the slots of
 * its entries. Entries of a dump in slot order are disjoint and ascending, so they are copied; anything else
 * is united.
 */
import { FilterSegment } from '../index/filter-segment.ts';
import { FilterSegmentBuilder } from '../index/filter-segment-builder.ts';
import { frozenView } from '../index/portable.ts';
import { RoaringBitmap32 } from '../index/roaring.ts';
import { borrowWords, returnWords } from '../index/scratch-memory.ts';
import type { SegmentBytes } from '../index/segment.ts';
import { unionOfSlots } from '../index/slot-union.ts';
import { SMALL_VALUE_SLOTS_MAX } from '../limits.ts';
import { KIND_BITMAPS, KIND_PAIRS, KIND_PRESENT, NO_RUN } from './accumulator-message.ts';
import type { FieldMerge, FieldSource } from './merge.ts';
import { orderByKey } from './merge-entries.ts';
import { firstAbove, mergeAscending, sortUnique, withRoom } from './merge-lists.ts';
import { bitmapKeysOf, bitmapsOf, pairsOf, partsOf, unionOf } from './merge-parts.ts';
import { firstRuns } from './merge-runs.ts';
import { SlotSet } from './merge-slot-set.ts';

/** Slots of a key up to which they are gathered in a list; a longer one is united as bitmaps. */
const GATHERED_SLOTS_MAX = 1 << 24;
const GATHERED_SLOTS_MIN = 65_536;
/** Slots from which a native copy pays for its call. */
const NATIVE_COPY_SLOTS_MIN = 128;
/** Slots of a key for each late one, from which it is worth merging the late ones in. */
const LATE_SHARE = 8;
/** Gathered slots out of order up to which sorting them beats uniting them page by page. */
const SORTED_SLOTS_MAX = 4096;

/** Slots that some entries do not get to keep: as a bitmap for bitmaps, as a set for lists. */
interface Loss {
  readonly bitmap: RoaringBitmap32;
  set: SlotSet | null;
}

/** A directory of keys with their slots, either lists or bitmaps. A class, so that all have one shape in the hot loops. */
class Directory {
  readonly keys: Uint32Array;
  /** Slots of keys[i]: slots[starts[i] … starts[i + 1]). Empty with bitmaps. */
  readonly starts: Uint32Array;
  readonly slots: Uint32Array;
  /** Null: lists. */
  readonly bitmaps: readonly RoaringBitmap32[] | null;
  loss: Loss | null;

  private constructor(
    keys: Uint32Array,
    starts: Uint32Array,
    slots: Uint32Array,
    bitmaps: readonly RoaringBitmap32[] | null,
    loss: Loss | null,
  ) {
    this.keys = keys;
    this.starts = starts;
    this.slots = slots;
    this.bitmaps = bitmaps;
    this.loss = loss;
  }

  static ofLists(keys: Uint32Array, starts: Uint32Array, slots: Uint32Array, loss: Loss | null): Directory {
    return new Directory(keys, starts, slots, null, loss);
  }

  static ofBitmaps(keys: Uint32Array, bitmaps: readonly RoaringBitmap32[], loss: Loss | null): Directory {
    return new Directory(keys, NO_WORDS, NO_WORDS, bitmaps, loss);
  }
}

/** One table, or the previous version. */
interface Layer {
  readonly directories: Directory[];
  /** Slots that have a value; null: to be found out from the directories. */
  present: RoaringBitmap32 | null;
}

const NO_WORDS = new Uint32Array(0);

/** A filter segment. */
export function mergeFilterField(merge: FieldMerge): SegmentBytes {
  const layers: Layer[] = merge.sources.map((source) => layerOf(source, merge.field));
  if (merge.previous !== null) layers.unshift(previousLayer(merge.previous));
  if (!merge.many) dropOverwritten(layers);
  const directories = layers.flatMap((layer) => layer.directories);
  const builder = new FilterSegmentBuilder({
    field: merge.field,
    keyCountMax: directories.reduce((sum, { keys }) => sum + keys.length, 1),
    slotCountMax: directories.reduce((sum, { starts }) => sum + slotsOfSmallLists(starts), 0),
    memory: merge.memory,
  });
  new DirectoryMerge(directories, builder).run();
  const present = unionOfPresent(layers);
  const segment = builder.finish(present);
  // Native memory that would wait for the garbage collector; a view has none.
  for (const bitmap of [present, ...layers.map((layer) => layer.present)]) {
    if (bitmap?.isFrozen === false) bitmap.dispose();
  }
  return segment;
}

function layerOf(source: FieldSource, field: string): Layer {
  const directories: Directory[] = [];
  const present: RoaringBitmap32[] = [];
  let isPresentKnown = true;
  const runs = firstRuns(source.messages);
  const losses = new Map<number, Loss>();
  source.messages.forEach((message, index) => {
    const translation = source.translations?.[index] ?? null;
    const fieldIndex = message.fields.findIndex(({ name }) => name === field);
    const parts = partsOf(message, fieldIndex);
    const runsWithPresent = new Set(parts.filter(({ kind }) => kind === KIND_PRESENT).map(({ run }) => run));
    for (const part of parts) {
      const loss = part.run === NO_RUN ? null : lossOf(source, runs[index] + part.run, losses);
      if (part.kind === KIND_PAIRS) {
        const { keys, starts, slots } = pairsOf(part);
        directories.push(Directory.ofLists(translated(keys, translation), starts, slots, loss));
        isPresentKnown &&= runsWithPresent.has(part.run);
      } else if (part.kind === KIND_BITMAPS) {
        const keys = translated(bitmapKeysOf(part), translation);
        const bitmaps = bitmapsOf(part);
        directories.push(Directory.ofBitmaps(keys, bitmaps, loss));
        for (const bitmap of bitmaps) present.push(kept(bitmap, loss));
      } else if (part.kind === KIND_PRESENT) present.push(kept(bitmapsOf(part)[0], loss));
    }
  });
  return { directories, present: isPresentKnown ? unionOf(present) : null };
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
  const bitmaps = Array.from(bitmapKeys, (key) => segment.bitmap(key));
  const directories = [
    Directory.ofLists(runKeys, runStarts, runSlots, null),
    Directory.ofBitmaps(bitmapKeys, bitmaps, null),
  ];
  return { directories, present: segment.present };
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
  for (const directory of layer.directories) {
    const own = directory.loss;
    if (own === null) {
      directory.loss = shared;
      continue;
    }
    if (!widened.has(own)) widened.set(own, { bitmap: RoaringBitmap32.or(own.bitmap, slots), set: null });
    directory.loss = widened.get(own)!;
  }
}

function presentOf(layer: Layer): RoaringBitmap32 {
  return unionOf(
    layer.directories.map(({ slots, bitmaps, loss }) =>
      kept(bitmaps === null ? unionOfSlots(slots) : unionOf(bitmaps), loss),
    ),
  );
}

/** Undefined when the builder has to find out. A slot that one layer loses has a value in another. */
function unionOfPresent(layers: readonly Layer[]): RoaringBitmap32 | undefined {
  const present = layers.map((layer) => layer.present);
  if (present.length === 1) return present[0] ?? undefined;
  return present.every((bitmap) => bitmap !== null) ? unionOf(present) : undefined;
}

function kept(bitmap: RoaringBitmap32, loss: Loss | null): RoaringBitmap32 {
  return loss === null ? bitmap : RoaringBitmap32.andNot(bitmap, loss.bitmap);
}

/** One pass over all directories in the order of their keys. */
class DirectoryMerge {
  readonly #directories: readonly Directory[];
  readonly #builder: FilterSegmentBuilder;
  readonly #keys: Uint32Array<ArrayBuffer>;
  /** Per entry its directory, and its position there. */
  readonly #directoryOf: Uint32Array<ArrayBuffer>;
  readonly #positionOf: Uint32Array<ArrayBuffer>;
  readonly #entryCount: number;
  /** Entries of one directory that are waiting to be added, or directory −1. */
  #stretchDirectory = -1;
  #stretchFrom = 0;
  #stretchTo = 0;
  #gathered = borrowWords(GATHERED_SLOTS_MIN);
  #late = borrowWords(GATHERED_SLOTS_MIN);
  #united = borrowWords(GATHERED_SLOTS_MIN);

  constructor(directories: readonly Directory[], builder: FilterSegmentBuilder) {
    this.#directories = directories;
    this.#builder = builder;
    this.#entryCount = directories.reduce((sum, { keys }) => sum + keys.length, 0);
    this.#keys = borrowWords(this.#entryCount);
    this.#directoryOf = borrowWords(this.#entryCount);
    this.#positionOf = borrowWords(this.#entryCount);
    let next = 0;
    directories.forEach(({ keys }, directory) => {
      this.#keys.set(keys, next);
      this.#directoryOf.fill(directory, next, next + keys.length);
      for (let i = 0; i < keys.length; i++) this.#positionOf[next + i] = i;
      next += keys.length;
    });
  }

  /** To be called once. */
  run(): void {
    const keys = this.#keys.subarray(0, this.#entryCount);
    const order = orderByKey(keys);
    let from = 0;
    while (from < keys.length) {
      const first = order === null ? from : order[from];
      const key = keys[first];
      let to = from + 1;
      while (to < keys.length && keys[order === null ? to : order[to]] === key) to++;
      if (to - from > 1 || !this.#addSingle(key, first)) {
        this.#addStretch();
        this.#addUnited(key, order, from, to);
      }
      from = to;
    }
    this.#addStretch();
    const lists = [this.#gathered, this.#late, this.#united];
    for (const words of [this.#keys, this.#directoryOf, this.#positionOf, ...lists]) returnWords(words);
    if (order !== null) returnWords(order);
  }

  /** A key in one directory from which nothing is lost; false when it is not that simple. */
  #addSingle(key: number, entry: number): boolean {
    const directory = this.#directoryOf[entry];
    const { bitmaps, loss } = this.#directories[directory];
    const position = this.#positionOf[entry];
    if (loss !== null) return false;
    if (bitmaps !== null) {
      this.#addStretch();
      this.#builder.addBitmap(key, bitmaps[position]);
      return true;
    }
    if (directory !== this.#stretchDirectory || position !== this.#stretchTo) {
      this.#addStretch();
      this.#stretchDirectory = directory;
      this.#stretchFrom = position;
    }
    this.#stretchTo = position + 1;
    return true;
  }

  /** Neighbours of one directory that stay neighbours are added at once. */
  #addStretch(): void {
    if (this.#stretchDirectory < 0) return;
    const { keys, starts, slots } = this.#directories[this.#stretchDirectory];
    this.#builder.addDirectory(keys, starts, slots, this.#stretchFrom, this.#stretchTo);
    this.#stretchDirectory = -1;
  }

  /** Entries order[from … to) together. */
  #addUnited(key: number, order: Uint32Array | null, from: number, to: number): void {
    // Of each list the slots above all before it are appended; the others, of rows that came late, are put aside.
    let count = 0;
    let lateCount = 0;
    for (let i = from; i < to; i++) {
      const entry = order === null ? i : order[i];
      const { bitmaps, starts, slots, loss } = this.#directories[this.#directoryOf[entry]];
      const position = this.#positionOf[entry];
      const start = starts[position];
      const end = starts[position + 1];
      if (bitmaps !== null || count + lateCount + end - start > GATHERED_SLOTS_MAX) {
        this.#addBitmaps(key, order, from, to);
        return;
      }
      const split = count === 0 ? start : firstAbove(slots, start, end, this.#gathered[count - 1]);
      if (split > start) {
        this.#late = withRoom(this.#late, lateCount + split - start);
        lateCount = take(slots, start, split, loss, this.#late, lateCount);
      }
      this.#gathered = withRoom(this.#gathered, count + end - split);
      count = take(slots, split, end, loss, this.#gathered, count);
    }
    if (lateCount * LATE_SHARE <= count) this.#addNearlyOrdered(key, count, lateCount);
    else this.#addUnordered(key, count, lateCount);
  }

  #addNearlyOrdered(key: number, count: number, lateCount: number): void {
    if (lateCount === 0) {
      this.#builder.addSlots(key, this.#gathered, 0, count);
      return;
    }
    const lateUnique = sortUnique(this.#late, lateCount);
    this.#united = withRoom(this.#united, count + lateUnique);
    const united = mergeAscending(this.#gathered, count, this.#late, lateUnique, this.#united);
    this.#builder.addSlots(key, this.#united, 0, united);
  }

  #addUnordered(key: number, count: number, lateCount: number): void {
    const total = count + lateCount;
    this.#gathered = withRoom(this.#gathered, total);
    const gathered = this.#gathered;
    gathered.set(this.#late.subarray(0, lateCount), count);
    if (total > SORTED_SLOTS_MAX) {
      this.#builder.addBitmap(key, unionOfSlots(gathered.subarray(0, total)));
    } else this.#builder.addSlots(key, gathered, 0, sortUnique(gathered, total));
  }

  #addBitmaps(key: number, order: Uint32Array | null, from: number, to: number): void {
    const united: RoaringBitmap32[] = [];
    for (let i = from; i < to; i++) {
      const entry = order === null ? i : order[i];
      const { bitmaps, starts, slots, loss } = this.#directories[this.#directoryOf[entry]];
      const position = this.#positionOf[entry];
      const bitmap =
        bitmaps === null
          ? new RoaringBitmap32(slots.subarray(starts[position], starts[position + 1]))
          : bitmaps[position];
      united.push(kept(bitmap, loss));
    }
    const [first] = united;
    if (united.length > 1) this.#builder.takeBitmap(key, unionOf(united));
    else if (first.isFrozen) this.#builder.addBitmap(key, first);
    else this.#builder.takeBitmap(key, first);
  }
}

/** Slots that values kept in the runs can have, except where a long list loses most of its slots to another layer. */
function slotsOfSmallLists(starts: Uint32Array): number {
  let slots = 0;
  for (let i = 1; i < starts.length; i++) {
    const count = starts[i] - starts[i - 1];
    if (count <= SMALL_VALUE_SLOTS_MAX) slots += count;
  }
  return slots;
}

function setOf(loss: Loss): SlotSet {
  loss.set ??= new SlotSet(loss.bitmap);
  return loss.set;
}

/** Copies slots[start … end) that are not lost to target from `at` on and returns the end. */
function take(
  slots: Uint32Array,
  start: number,
  end: number,
  loss: Loss | null,
  target: Uint32Array,
  at: number,
): number {
  if (loss === null) return copy(slots, start, end, target, at);
  return copyKept(slots, start, end, setOf(loss), target, at);
}

/** Copies slots[start … end) to target from `at` on and returns the end. */
function copy(slots: Uint32Array, start: number, end: number, target: Uint32Array, at: number): number {
  const shift = at - start;
  if (end - start >= NATIVE_COPY_SLOTS_MIN) target.set(slots.subarray(start, end), at);
  else for (let i = start; i < end; i++) target[i + shift] = slots[i];
  return end + shift;
}

function copyKept(
  slots: Uint32Array,
  start: number,
  end: number,
  lost: SlotSet,
  target: Uint32Array,
  at: number,
): number {
  let next = at;
  for (let i = start; i < end; i++) if (!lost.has(slots[i])) target[next++] = slots[i];
  return next;
}
