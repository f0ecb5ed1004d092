/**
 * Builds the segment of a sort field from its column, page by page in ascending order. The layers come from
 * transposing whole pages, never from setting single bits. Equal content gives equal bytes.
 */
import { COLUMN_SPARSE_SLOTS_MAX, PAGE_SLOTS } from '../limits.ts';
import { ByteBlocks, GrowableShorts, GrowableWords } from './growable.ts';
import { BITSET_WORDS, countBits, countRuns, isRunsSmaller, PortableWriter } from './portable.ts';
import { Segment, type SegmentBytes } from './segment.ts';
import { SORT_SECTIONS } from './sort-segment.ts';
import type { SpilledBytes, SpillSpace } from './spill-file.ts';

const KEY_BITS = 32;

/** Counts of a page. Whoever transposes it can have them at hand; otherwise the builder counts. */
export interface PageCounts {
  /** Of the present slots. */
  readonly keyMin: number;
  readonly keyMax: number;
  /** Set bits, and stretches of them, per layer; PRESENT is the entry of the present slots. */
  readonly cardinalities: Uint32Array;
  readonly runCounts: Uint32Array;
  /** The stretches of a layer where `isRunsSmaller`, see `PortableWriter.addRuns`; otherwise the builder finds them. */
  readonly runsOf?: (bit: number) => Uint16Array;
}

/** Index of the present slots in PageCounts, behind the layers. */
export const PRESENT = 32;

/**
 * Transposes a page of 65,536 keys into one bitset per bit: word w of bit b, layers[b · 2048 + w], has bit i
 * set when column[32 · w + i] has bit b. It writes all words of the bits that any key has, unless it gives the stretches
 * of their layers. The counts are valid until the next call.
 */
export type TransposePage = (
  column: Uint32Array,
  layers: Uint32Array,
  present: Uint32Array,
  // biome-ignore lint/suspicious/noConfusingVoidType: a transposer that counts nothing returns nothing
) => PageCounts | void;

export interface SortBuilderOptions {
  readonly field: string;
  readonly transpose: TransposePage;
  /** Where the segment may stand, see `Segment.allocate`. */
  readonly memory?: SharedArrayBuffer | null;
  /** Where its parts wait that are more than is kept in memory. */
  readonly space?: SpillSpace | null;
}

export class SortSegmentBuilder {
  readonly #field: string;
  readonly #memory: SharedArrayBuffer | null;
  readonly #transpose: TransposePage;
  readonly #pageKeys = new GrowableWords(64);
  readonly #pageSizes = new GrowableWords(64);
  readonly #pageStarts = new GrowableWords(64);
  readonly #pageKeyMins = new GrowableWords(64);
  readonly #pageKeyMaxs = new GrowableWords(64);
  readonly #denseKeys: ByteBlocks;
  readonly #sparsePositions: GrowableShorts;
  readonly #sparseKeys: GrowableWords;
  readonly #layers: PortableWriter[] = [];
  readonly #present: PortableWriter;
  readonly #layerWords = new Uint32Array(KEY_BITS * BITSET_WORDS);
  #keyMin = 0xffffffff;
  #keyMax = 0;

  constructor(options: SortBuilderOptions) {
    this.#field = options.field;
    this.#memory = options.memory ?? null;
    this.#transpose = options.transpose;
    const space = options.space ?? null;
    this.#present = new PortableWriter(space);
    this.#denseKeys = new ByteBlocks(space);
    this.#sparsePositions = new GrowableShorts(1024, space);
    this.#sparseKeys = new GrowableWords(1024, space);
    for (let bit = 0; bit < KEY_BITS; bit++) this.#layers.push(new PortableWriter(space));
  }

  /**
   * Adds the page of slots pageKey · 65,536 and up: its keys by position, 0 where absent, and the bitset of
   * present slots. Pages ascend. Both arrays stay the caller's. `lasting` is where the bytes of the column are until
   * `finish`, if anywhere: they are copied only then. A page without present slots is skipped.
   */
  addPage(
    pageKey: number,
    column: Uint32Array,
    present: Uint32Array,
    lasting: Uint8Array | SpilledBytes | null = null,
  ): void {
    this.#checkPage(pageKey);
    const layers = this.#layerWords;
    const counts = this.#transpose(column, layers, present) ?? countPage(column, present, layers);
    const size = counts.cardinalities[PRESENT];
    if (size === 0) return;
    this.#present.addBitset(pageKey, present, 0, size, counts.runCounts[PRESENT]);
    this.#pageKeys.push(pageKey);
    this.#pageSizes.push(size);
    this.#addColumn(column, present, size, lasting);
    this.#addKeyBounds(counts.keyMin, counts.keyMax);
    const bitsUsed = KEY_BITS - Math.clz32(counts.keyMax);
    for (let bit = 0; bit < bitsUsed; bit++) {
      const cardinality = counts.cardinalities[bit];
      const runCount = counts.runCounts[bit];
      if (cardinality === 0) continue;
      if (counts.runsOf !== undefined && isRunsSmaller(cardinality, runCount)) {
        this.#layers[bit].addRuns(pageKey, cardinality, counts.runsOf(bit));
      } else this.#layers[bit].addBitset(pageKey, layers, bit * BITSET_WORDS, cardinality, runCount);
    }
  }

  /**
   * As `addPage`, for a page of few slots: slots[from … to), ascending and unique, all of one page, and their
   * keys. At most COLUMN_SPARSE_SLOTS_MAX; the cost goes by the slots and not by the page.
   */
  addSparsePage(slots: Uint32Array, keys: Uint32Array, from: number, to: number): void {
    const size = to - from;
    if (size === 0) return;
    const pageKey = slots[from] >>> 16;
    this.#checkPage(pageKey);
    this.#present.addSlots(slots, from, to);
    this.#pageKeys.push(pageKey);
    this.#pageSizes.push(size);
    this.#pageStarts.push(this.#sparseKeys.total);
    this.#sparsePositions.reserve(size);
    this.#sparseKeys.reserve(size);
    let keyMin = 0xffffffff;
    let keyMax = 0;
    for (let i = from; i < to; i++) {
      const key = keys[i];
      if (key < keyMin) keyMin = key;
      if (key > keyMax) keyMax = key;
      this.#sparsePositions.values[this.#sparsePositions.length++] = slots[i];
      this.#sparseKeys.values[this.#sparseKeys.length++] = key;
    }
    this.#addKeyBounds(keyMin, keyMax);
    const bitsUsed = KEY_BITS - Math.clz32(keyMax);
    const slotsOfLayer = this.#layerWords;
    for (let bit = 0; bit < bitsUsed; bit++) {
      let count = 0;
      for (let i = from; i < to; i++) {
        slotsOfLayer[count] = slots[i];
        count += (keys[i] >>> bit) & 1;
      }
      this.#layers[bit].addSlots(slotsOfLayer, 0, count);
    }
  }

  /** The segment. The builder is spent. */
  finish(): SegmentBytes {
    const isEmpty = this.#pageKeys.length === 0;
    const layerCount = KEY_BITS - Math.clz32(this.#keyMax);
    const layerOffsets = [0];
    for (let bit = 0; bit < layerCount; bit++) {
      const layer = this.#layers[bit];
      const bytes = layer.cardinality === 0 ? 0 : layer.byteLength;
      layerOffsets.push(layerOffsets[bit] + Math.ceil(bytes / 8) * 8);
    }
    const pageBytes = this.#pageKeys.length * 4;
    const sectionBytes = [
      3 * 4,
      pageBytes,
      pageBytes,
      pageBytes,
      pageBytes,
      pageBytes,
      this.#denseKeys.byteLength,
      this.#sparsePositions.total * 2,
      this.#sparseKeys.total * 4,
      layerOffsets.length * 8,
      layerOffsets[layerCount],
      this.#present.byteLength,
    ];
    const segment = Segment.allocate('sort', sectionBytes, this.#memory);
    segment.words(SORT_SECTIONS.summary).set([isEmpty ? 0 : this.#keyMin, this.#keyMax, layerCount]);
    segment.words(SORT_SECTIONS.pageKeys).set(this.#pageKeys.view());
    segment.words(SORT_SECTIONS.pageSizes).set(this.#pageSizes.view());
    segment.words(SORT_SECTIONS.pageStarts).set(this.#pageStarts.view());
    segment.words(SORT_SECTIONS.pageKeyMins).set(this.#pageKeyMins.view());
    segment.words(SORT_SECTIONS.pageKeyMaxs).set(this.#pageKeyMaxs.view());
    this.#denseKeys.copyTo(segment.bytes(SORT_SECTIONS.denseKeys));
    this.#sparsePositions.copyTo(segment.bytes(SORT_SECTIONS.sparsePositions));
    this.#sparseKeys.copyTo(segment.bytes(SORT_SECTIONS.sparseKeys));
    segment.doubles(SORT_SECTIONS.layerOffsets).set(layerOffsets);
    const layers = segment.bytes(SORT_SECTIONS.layers);
    for (let bit = 0; bit < layerCount; bit++) {
      const layer = this.#layers[bit];
      if (layer.cardinality === 0) continue;
      const end = layerOffsets[bit + 1];
      layer.writeTo(layers.subarray(layerOffsets[bit], end));
      layers.fill(0, layerOffsets[bit] + layer.byteLength, end);
    }
    this.#present.writeTo(segment.bytes(SORT_SECTIONS.present));
    this.#release();
    return segment.content;
  }

  #release(): void {
    for (const layer of this.#layers) layer.release();
    this.#present.release();
    this.#denseKeys.release();
    this.#sparsePositions.release();
    this.#sparseKeys.release();
  }

  #addColumn(
    column: Uint32Array,
    present: Uint32Array,
    size: number,
    lasting: Uint8Array | SpilledBytes | null,
  ): void {
    if (size > COLUMN_SPARSE_SLOTS_MAX) {
      this.#pageStarts.push(this.#denseKeys.byteLength / 4);
      if (lasting !== null) this.#denseKeys.addLasting(lasting);
      else {
        const bytes = new Uint8Array(column.buffer, column.byteOffset, PAGE_SLOTS * 4);
        this.#denseKeys.take(PAGE_SLOTS * 4).set(bytes);
      }
      return;
    }
    this.#pageStarts.push(this.#sparseKeys.total);
    this.#sparsePositions.reserve(size);
    this.#sparseKeys.reserve(size);
    writeSparsePage(
      column,
      present,
      this.#sparsePositions.values,
      this.#sparsePositions.length,
      this.#sparseKeys.values,
      this.#sparseKeys.length,
    );
    this.#sparsePositions.length += size;
    this.#sparseKeys.length += size;
  }

  #checkPage(pageKey: number): void {
    const { length } = this.#pageKeys;
    if (length > 0 && pageKey <= this.#pageKeys.values[length - 1]) {
      throw new RangeError(`field ${this.#field}: page ${pageKey} is not above the one before`);
    }
  }

  #addKeyBounds(keyMin: number, keyMax: number): void {
    this.#pageKeyMins.push(keyMin);
    this.#pageKeyMaxs.push(keyMax);
    this.#keyMin = Math.min(this.#keyMin, keyMin);
    this.#keyMax = Math.max(this.#keyMax, keyMax);
  }
}

function writeSparsePage(
  column: Uint32Array,
  present: Uint32Array,
  positions: Uint16Array,
  positionsStart: number,
  keys: Uint32Array,
  keysStart: number,
): void {
  let at = 0;
  for (let i = 0; i < BITSET_WORDS; i++) {
    let word = present[i] | 0;
    while (word !== 0) {
      const position = (i << 5) | (31 - Math.clz32(word & -word));
      word &= word - 1;
      positions[positionsStart + at] = position;
      keys[keysStart + at] = column[position];
      at++;
    }
  }
}

function countPage(column: Uint32Array, present: Uint32Array, layers: Uint32Array): PageCounts {
  const keyMax = largestKey(column);
  const cardinalities = new Uint32Array(KEY_BITS + 1);
  const runCounts = new Uint32Array(KEY_BITS + 1);
  for (let bit = 0; bit < KEY_BITS - Math.clz32(keyMax); bit++) {
    cardinalities[bit] = countBits(layers, bit * BITSET_WORDS);
    runCounts[bit] = countRuns(layers, bit * BITSET_WORDS);
  }
  cardinalities[PRESENT] = countBits(present, 0);
  runCounts[PRESENT] = countRuns(present, 0);
  return { keyMin: smallestKey(column, present), keyMax, cardinalities, runCounts };
}

function smallestKey(column: Uint32Array, present: Uint32Array): number {
  let smallest = 0xffffffff;
  for (let i = 0; i < BITSET_WORDS; i++) {
    let word = present[i] | 0;
    if (word === -1) {
      for (let position = i << 5; position < (i + 1) << 5; position++) {
        if (column[position] < smallest) smallest = column[position];
      }
      continue;
    }
    while (word !== 0) {
      const key = column[(i << 5) | (31 - Math.clz32(word & -word))];
      word &= word - 1;
      if (key < smallest) smallest = key;
    }
  }
  return smallest;
}

/** Absent positions hold 0, which is never above a present key. */
function largestKey(column: Uint32Array): number {
  let largest = 0;
  for (let i = 0; i < PAGE_SLOTS; i++) if (column[i] > largest) largest = column[i];
  return largest;
}
