/**
 * Builds the segment of a filter field from its keys in ascending order. The bytes depend on the content
 * only: whether a key comes as slots or as a bitmap, and in which container forms, makes no difference.
 *
 * Millions of keys with a few slots cost a copy each, no object and no native call.
 */
import { SMALL_VALUE_SLOTS_MAX } from '../limits.ts';
import { FILTER_SECTIONS } from './filter-segment.ts';
import { ByteBlocks, GrowableWords } from './growable.ts';
import { frozenView, type Portable, PortableWriter, SpentBitmap } from './portable.ts';
import type { RoaringBitmap32 } from './roaring.ts';
import { Segment, type SegmentBytes } from './segment.ts';
import { unionOfSlots } from './slot-union.ts';
import type { SpillSpace } from './spill-file.ts';

/** Slots from which a native copy pays for its call. */
const NATIVE_COPY_SLOTS_MIN = 64;

export interface FilterBuilderOptions {
  readonly field: string;
  /**
   * Bounds on what small values will hold together, where known: their memory is then reserved once instead
   * of grown. Far too much costs garbage collections.
   */
  readonly keyCountMax?: number;
  readonly slotCountMax?: number;
  /** Where the segment may stand, see `Segment.allocate`. */
  readonly memory?: SharedArrayBuffer | null;
  /** Where its parts wait that are more than is kept in memory. `finish` has to be given `present` then. */
  readonly space?: SpillSpace | null;
}

export class FilterSegmentBuilder {
  readonly #field: string;
  readonly #memory: SharedArrayBuffer | null;
  readonly #runKeys: GrowableWords;
  readonly #runStarts: GrowableWords;
  readonly #runSlots: GrowableWords;
  readonly #bitmapKeys = new GrowableWords();
  readonly #bitmapOffsets: number[] = [0];
  readonly #bitmapCardinalities: number[] = [];
  /** What `present` is computed from; null: it will be given. */
  readonly #bitmapBytes: Uint8Array[] | null;
  readonly #blocks: ByteBlocks;
  readonly #writer: PortableWriter;
  #keyLast = -1;

  constructor(options: FilterBuilderOptions) {
    this.#field = options.field;
    this.#memory = options.memory ?? null;
    const space = options.space ?? null;
    this.#runKeys = new GrowableWords(options.keyCountMax, space);
    this.#runStarts = new GrowableWords(options.keyCountMax, space);
    this.#runSlots = new GrowableWords(options.slotCountMax, space);
    this.#blocks = new ByteBlocks(space);
    this.#writer = new PortableWriter(space);
    this.#bitmapBytes = space === null ? [] : null;
  }

  /** Adds slots[from…to), ascending and unique, as the slots of a key above every key added before. */
  addSlots(key: number, slots: Uint32Array, from: number, to: number): void {
    if (to <= from) return;
    if (to - from <= SMALL_VALUE_SLOTS_MAX) {
      this.#addRun(key, slots, from, to);
      return;
    }
    this.#writer.reset();
    this.#writer.addSlots(slots, from, to);
    this.#addLarge(key, this.#writer);
  }

  /**
   * As `addSlots` for each entry [from, to) of a directory: the slots of keys[i] are slots[starts[i] …
   * starts[i + 1]).
   */
  addDirectory(keys: Uint32Array, starts: Uint32Array, slots: Uint32Array, from: number, to: number): void {
    let at = from;
    while (at < to) {
      let end = at;
      while (end < to && starts[end + 1] - starts[end] <= SMALL_VALUE_SLOTS_MAX) end++;
      this.#addRuns(keys, starts, slots, at, end);
      if (end < to) this.addSlots(keys[end], slots, starts[end], starts[end + 1]);
      at = end + 1;
    }
  }

  /** Adds a bitmap, which stays the caller's, as the slots of a key above every key added before. */
  addBitmap(key: number, bitmap: RoaringBitmap32): void {
    if (bitmap.size <= SMALL_VALUE_SLOTS_MAX) this.#addSmallBitmap(key, bitmap);
    else this.takeBitmap(key, bitmap.clone());
  }

  /** As `addBitmap`, for a bitmap of its own, not a view, that is spent by it. */
  takeBitmap(key: number, bitmap: RoaringBitmap32): void {
    if (bitmap.size <= SMALL_VALUE_SLOTS_MAX) {
      this.#addSmallBitmap(key, bitmap);
      bitmap.dispose();
    } else this.#addLarge(key, new SpentBitmap(bitmap));
  }

  /** As `addBitmap`, for what can be written once and is spent by it. */
  takePortable(key: number, portable: Portable): void {
    if (portable.cardinality > SMALL_VALUE_SLOTS_MAX) {
      this.#addLarge(key, portable);
      return;
    }
    const bytes = new Uint8Array(portable.byteLength);
    portable.writeTo(bytes);
    this.#addSmallBitmap(key, frozenView(bytes));
  }

  /**
   * The segment. `present`, the union of all slots, is computed unless the caller has it. The builder is
   * spent.
   */
  finish(present: Portable = new SpentBitmap(this.#present())): SegmentBytes {
    this.#runStarts.push(this.#runSlots.total);
    const bitmapCount = this.#bitmapKeys.length;
    const sectionBytes = [
      this.#runKeys.total * 4,
      this.#runStarts.total * 4,
      this.#runSlots.total * 4,
      bitmapCount * 4,
      (bitmapCount + 1) * 8,
      bitmapCount * 8,
      this.#blocks.byteLength,
      present.byteLength,
    ];
    const segment = Segment.allocate('filter', sectionBytes, this.#memory);
    this.#runKeys.copyTo(segment.bytes(FILTER_SECTIONS.runKeys));
    this.#runStarts.copyTo(segment.bytes(FILTER_SECTIONS.runStarts));
    this.#runSlots.copyTo(segment.bytes(FILTER_SECTIONS.runSlots));
    segment.words(FILTER_SECTIONS.bitmapKeys).set(this.#bitmapKeys.view());
    segment.doubles(FILTER_SECTIONS.bitmapOffsets).set(this.#bitmapOffsets);
    segment.doubles(FILTER_SECTIONS.bitmapCardinalities).set(this.#bitmapCardinalities);
    this.#blocks.copyTo(segment.bytes(FILTER_SECTIONS.bitmaps));
    present.writeTo(segment.bytes(FILTER_SECTIONS.present));
    for (const words of [this.#runKeys, this.#runStarts, this.#runSlots, this.#bitmapKeys]) words.release();
    this.#blocks.release();
    this.#writer.release();
    return segment.content;
  }

  #checkKey(key: number): void {
    if (key <= this.#keyLast) throw unordered(this.#field, this.#keyLast, key);
    this.#keyLast = key;
  }

  /** Small values, none of them empty. */
  #addRuns(keys: Uint32Array, starts: Uint32Array, slots: Uint32Array, from: number, to: number): void {
    if (from === to) return;
    const slotsFrom = starts[from];
    const slotsTo = starts[to];
    this.#runKeys.reserve(to - from);
    this.#runStarts.reserve(to - from);
    this.#runSlots.reserve(slotsTo - slotsFrom);
    this.#checkKey(keys[from]);
    copyKeys(keys, from, to, this.#runKeys.values, this.#runKeys.length, this.#field);
    this.#keyLast = keys[to - 1];
    copyShifted(
      starts,
      from,
      to,
      this.#runSlots.total - slotsFrom,
      this.#runStarts.values,
      this.#runStarts.length,
    );
    copySlots(slots, slotsFrom, slotsTo, this.#runSlots.values, this.#runSlots.length);
    this.#runKeys.length += to - from;
    this.#runStarts.length += to - from;
    this.#runSlots.length += slotsTo - slotsFrom;
  }

  #addSmallBitmap(key: number, bitmap: RoaringBitmap32): void {
    if (bitmap.isEmpty) return;
    this.#addRun(key, bitmap.toUint32Array(), 0, bitmap.size);
  }

  #addRun(key: number, slots: Uint32Array, from: number, to: number): void {
    this.#checkKey(key);
    this.#runSlots.reserve(to - from);
    this.#runKeys.push(key);
    this.#runStarts.push(this.#runSlots.total);
    copySlots(slots, from, to, this.#runSlots.values, this.#runSlots.length);
    this.#runSlots.length += to - from;
  }

  /** A value that owns a bitmap. */
  #addLarge(key: number, portable: Portable): void {
    this.#checkKey(key);
    this.#bitmapKeys.push(key);
    this.#bitmapCardinalities.push(portable.cardinality);
    if (this.#bitmapBytes === null) portable.moveTo(this.#blocks);
    else {
      const bytes = this.#blocks.take(portable.byteLength);
      portable.writeTo(bytes);
      this.#bitmapBytes.push(bytes);
    }
    this.#bitmapOffsets.push(this.#blocks.byteLength);
  }

  /** Folding in place: one union of thousands of bitmaps in a single native call takes ten times as long. */
  #present(): RoaringBitmap32 {
    if (this.#bitmapBytes === null) throw new RangeError(`field ${this.#field}: present slots are not given`);
    const union = unionOfSlots(this.#runSlots.view()).clone();
    for (const bytes of this.#bitmapBytes) union.orInPlace(frozenView(bytes));
    return union;
  }
}

/** Copies ascending keys[from … to) to target[at …]. */
function copyKeys(
  keys: Uint32Array,
  from: number,
  to: number,
  target: Uint32Array,
  at: number,
  field: string,
): void {
  const shift = at - from;
  let last = keys[from];
  target[at] = last;
  for (let i = from + 1; i < to; i++) {
    const key = keys[i];
    if (key <= last) throw unordered(field, last, key);
    target[i + shift] = key;
    last = key;
  }
}

function unordered(field: string, before: number, key: number): RangeError {
  return new RangeError(`field ${field}: key ${key} after ${before}, keys ascend`);
}

function copyShifted(
  starts: Uint32Array,
  from: number,
  to: number,
  added: number,
  target: Uint32Array,
  at: number,
): void {
  const shift = at - from;
  for (let i = from; i < to; i++) target[i + shift] = starts[i] + added;
}

function copySlots(slots: Uint32Array, from: number, to: number, target: Uint32Array, at: number): void {
  if (to - from >= NATIVE_COPY_SLOTS_MIN) target.set(slots.subarray(from, to), at);
  else for (let i = from, shift = at - from; i < to; i++) target[i + shift] = slots[i];
}
