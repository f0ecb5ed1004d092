/**
 * Builds the segment of a sort field from its column, page by page in ascending order. The layers come from transposing
 * whole pages, never from setting single bits. Equal content gives equal bytes.
 */
import { COLUMN_SPARSE_SLOTS_MAX, PAGE_SLOTS } from '../limits.ts';
import { ByteBlocks, GrowableShorts, GrowableWords } from './growable.ts';
import { BITSET_WORDS, PortableWriter } from './portable.ts';
import { Segment } from './segment.ts';
import { SORT_SECTIONS } from './sort-segment.ts';

const KEY_BITS = 32;

/**
 * Transposes a page of 65,536 keys into one bitset per bit: word w of bit b, layers[b · 2048 + w], has bit i set when
 * column[32 · w + i] has bit b. It writes all 32 · 2048 words.
 */
export type TransposePage = (column: Uint32Array, layers: Uint32Array) => void;

export class SortSegmentBuilder {
  readonly #field: string;
  readonly #transpose: TransposePage;
  readonly #pageKeys = new GrowableWords(64);
  readonly #pageSizes = new GrowableWords(64);
  readonly #pageStarts = new GrowableWords(64);
  readonly #pageKeyMins = new GrowableWords(64);
  readonly #pageKeyMaxs = new GrowableWords(64);
  readonly #denseKeys = new ByteBlocks();
  readonly #sparsePositions = new GrowableShorts();
  readonly #sparseKeys = new GrowableWords();
  readonly #layers: PortableWriter[] = [];
  readonly #present = new PortableWriter();
  readonly #layerWords = new Uint32Array(KEY_BITS * BITSET_WORDS);
  #keyMin = 0xffffffff;
  #keyMax = 0;

  constructor(options: { field: string; transpose: TransposePage }) {
    this.#field = options.field;
    this.#transpose = options.transpose;
    for (let bit = 0; bit < KEY_BITS; bit++) this.#layers.push(new PortableWriter());
  }

  /**
   * Adds the page of slots pageKey · 65,536 and up: its keys by position, 0 where absent, and the bitset of present
   * slots. Pages ascend. Both arrays stay the caller's. A page without present slots is skipped.
   */
  addPage(pageKey: number, column: Uint32Array, present: Uint32Array): void {
    const { length } = this.#pageKeys;
    if (length > 0 && pageKey <= this.#pageKeys.values[length - 1]) {
      throw new RangeError(`field ${this.#field}: page ${pageKey} is not above the one before`);
    }
    const presentBefore = this.#present.cardinality;
    this.#present.addBitset(pageKey, present, 0);
    const size = this.#present.cardinality - presentBefore;
    if (size === 0) return;
    this.#pageKeys.push(pageKey);
    this.#pageSizes.push(size);
    this.#addColumn(column, present, size);
    this.#addKeyBounds(column, present);
    this.#transpose(column, this.#layerWords);
    const bitsUsed = KEY_BITS - Math.clz32(this.#pageKeyMaxs.values[length]);
    for (let bit = 0; bit < bitsUsed; bit++) {
      this.#layers[bit].addBitset(pageKey, this.#layerWords, bit * BITSET_WORDS);
    }
  }

  /** The segment. The builder is spent. */
  finish(): SharedArrayBuffer {
    const isEmpty = this.#pageKeys.length === 0;
    const layerCount = KEY_BITS - Math.clz32(this.#keyMax);
    const layerOffsets = [0];
    for (let bit = 0; bit < layerCount; bit++) {
      const layer = this.#layers[bit];
      const bytes = layer.cardinality === 0 ? 0 : layer.byteLength;
      layerOffsets.push(layerOffsets[bit] + Math.ceil(bytes / 8) * 8);
    }
    const pageBytes = this.#pageKeys.length * 4;
    const segment = Segment.allocate('sort', [
      3 * 4,
      pageBytes,
      pageBytes,
      pageBytes,
      pageBytes,
      pageBytes,
      this.#denseKeys.byteLength,
      this.#sparsePositions.length * 2,
      this.#sparseKeys.length * 4,
      layerOffsets.length * 8,
      layerOffsets[layerCount],
      this.#present.byteLength,
    ]);
    segment.words(SORT_SECTIONS.summary).set([isEmpty ? 0 : this.#keyMin, this.#keyMax, layerCount]);
    segment.words(SORT_SECTIONS.pageKeys).set(this.#pageKeys.view());
    segment.words(SORT_SECTIONS.pageSizes).set(this.#pageSizes.view());
    segment.words(SORT_SECTIONS.pageStarts).set(this.#pageStarts.view());
    segment.words(SORT_SECTIONS.pageKeyMins).set(this.#pageKeyMins.view());
    segment.words(SORT_SECTIONS.pageKeyMaxs).set(this.#pageKeyMaxs.view());
    this.#denseKeys.copyTo(segment.bytes(SORT_SECTIONS.denseKeys));
    segment.shorts(SORT_SECTIONS.sparsePositions).set(this.#sparsePositions.view());
    segment.words(SORT_SECTIONS.sparseKeys).set(this.#sparseKeys.view());
    segment.doubles(SORT_SECTIONS.layerOffsets).set(layerOffsets);
    const layers = segment.bytes(SORT_SECTIONS.layers);
    for (let bit = 0; bit < layerCount; bit++) {
      const layer = this.#layers[bit];
      if (layer.cardinality > 0) layer.writeTo(layers.subarray(layerOffsets[bit], layerOffsets[bit + 1]));
    }
    this.#present.writeTo(segment.bytes(SORT_SECTIONS.present));
    return segment.buffer;
  }

  #addColumn(column: Uint32Array, present: Uint32Array, size: number): void {
    if (size > COLUMN_SPARSE_SLOTS_MAX) {
      this.#pageStarts.push(this.#denseKeys.byteLength / 4);
      const target = this.#denseKeys.take(PAGE_SLOTS * 4);
      target.set(new Uint8Array(column.buffer, column.byteOffset, PAGE_SLOTS * 4));
      return;
    }
    this.#pageStarts.push(this.#sparseKeys.length);
    this.#sparsePositions.reserve(size);
    this.#sparseKeys.reserve(size);
    writeSparsePage(
      column,
      present,
      this.#sparsePositions.values,
      this.#sparseKeys.values,
      this.#sparseKeys.length,
    );
    this.#sparsePositions.length += size;
    this.#sparseKeys.length += size;
  }

  #addKeyBounds(column: Uint32Array, present: Uint32Array): void {
    const keyMin = smallestKey(column, present);
    const keyMax = largestKey(column);
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
  keys: Uint32Array,
  start: number,
): void {
  let at = start;
  for (let i = 0; i < BITSET_WORDS; i++) {
    let word = present[i] | 0;
    while (word !== 0) {
      const position = (i << 5) | (31 - Math.clz32(word & -word));
      word &= word - 1;
      positions[at] = position;
      keys[at] = column[position];
      at++;
    }
  }
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
