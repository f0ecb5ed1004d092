/**
 * Reads the segment of a sort field: bit layers for ranges and ordering, and the forward column for single keys.
 *
 * A page of the column with more than COLUMN_SPARSE_SLOTS_MAX present slots is *dense*, 65,536 keys by position (zero
 * where absent); any other is *sparse*, ascending positions with their keys.
 *
 * Sections: summary u32 (smallest key, largest key, layer count); page keys u32[p], ascending; page sizes u32[p], the
 * present slots; page starts u32[p], in the dense keys or in the sparse lists; page key minima u32[p] and maxima u32[p];
 * dense keys u32; sparse positions u16; sparse keys u32; layer offsets f64[layer count + 1] within the layers section;
 * layers (portable roaring, each padded to 8 bytes; an empty layer has no bytes); the bitmap of present slots.
 */
import { COLUMN_SPARSE_SLOTS_MAX, PAGE_SLOTS } from '../limits.ts';
import { frozenView } from './portable.ts';
import { EMPTY_BITMAP, type RoaringBitmap32 } from './roaring.ts';
import { Segment, type SegmentBytes } from './segment.ts';
import type { SortField, SortPages } from './version.ts';

export const SORT_SECTIONS = {
  summary: 0,
  pageKeys: 1,
  pageSizes: 2,
  pageStarts: 3,
  pageKeyMins: 4,
  pageKeyMaxs: 5,
  denseKeys: 6,
  sparsePositions: 7,
  sparseKeys: 8,
  layerOffsets: 9,
  layers: 10,
  present: 11,
} as const;
export const SORT_SECTION_COUNT = 12;

export class SortSegment implements SortField {
  readonly content: SegmentBytes;
  readonly present: RoaringBitmap32;
  readonly keyMin: number;
  readonly keyMax: number;
  readonly layerCount: number;
  readonly #layers: readonly RoaringBitmap32[];
  readonly #pages: SortPages;
  readonly #column: Column;

  constructor(content: SegmentBytes) {
    const segment = Segment.open(content, 'sort', SORT_SECTION_COUNT);
    const [keyMin, keyMax, layerCount] = segment.words(SORT_SECTIONS.summary);
    this.content = content;
    this.keyMin = keyMin;
    this.keyMax = keyMax;
    this.layerCount = layerCount;
    this.present = frozenView(segment.bytes(SORT_SECTIONS.present));
    this.#layers = openLayers(segment, layerCount);
    const pageKeys = segment.words(SORT_SECTIONS.pageKeys);
    this.#pages = {
      pageKeys,
      keyMins: segment.words(SORT_SECTIONS.pageKeyMins),
      keyMaxs: segment.words(SORT_SECTIONS.pageKeyMaxs),
    };
    this.#column = {
      pageIndexes: indexPages(pageKeys),
      sizes: segment.words(SORT_SECTIONS.pageSizes),
      starts: segment.words(SORT_SECTIONS.pageStarts),
      denseKeys: segment.words(SORT_SECTIONS.denseKeys),
      sparsePositions: segment.shorts(SORT_SECTIONS.sparsePositions),
      sparseKeys: segment.words(SORT_SECTIONS.sparseKeys),
    };
  }

  layer(bit: number): RoaringBitmap32 {
    return bit < this.layerCount ? this.#layers[bit] : EMPTY_BITMAP;
  }

  keyOf(slot: number): number {
    return keyOfSlot(this.#column, slot);
  }

  gather(slots: Uint32Array, keys: Uint32Array, count: number): void {
    gatherKeys(this.#column, slots, keys, count);
  }

  pages(): SortPages {
    return this.#pages;
  }

  /** Copies the keys of a page, 65,536 by position and 0 where absent, into `target`. */
  copyPage(pageKey: number, target: Uint32Array): void {
    const { pageIndexes, sizes, starts, denseKeys, sparsePositions, sparseKeys } = this.#column;
    const page = pageKey < pageIndexes.length ? pageIndexes[pageKey] : -1;
    if (page >= 0 && sizes[page] > COLUMN_SPARSE_SLOTS_MAX) {
      target.set(denseKeys.subarray(starts[page], starts[page] + PAGE_SLOTS));
      return;
    }
    target.fill(0);
    if (page < 0) return;
    const end = starts[page] + sizes[page];
    for (let i = starts[page]; i < end; i++) target[sparsePositions[i]] = sparseKeys[i];
  }
}

interface Column {
  /** By page key: index in the page directory, or −1. */
  readonly pageIndexes: Int32Array;
  readonly sizes: Uint32Array;
  readonly starts: Uint32Array;
  readonly denseKeys: Uint32Array;
  readonly sparsePositions: Uint16Array;
  readonly sparseKeys: Uint32Array;
}

function keyOfSlot(column: Column, slot: number): number {
  const page = column.pageIndexes[slot >>> 16];
  const start = column.starts[page];
  const size = column.sizes[page];
  const position = slot & 0xffff;
  if (size > COLUMN_SPARSE_SLOTS_MAX) return column.denseKeys[start + position];
  return column.sparseKeys[lowerBound(column.sparsePositions, start, start + size, position)];
}

function gatherKeys(column: Column, slots: Uint32Array, keys: Uint32Array, count: number): void {
  const { pageIndexes, sizes, starts, denseKeys, sparsePositions, sparseKeys } = column;
  for (let i = 0; i < count; i++) {
    const slot = slots[i];
    const page = pageIndexes[slot >>> 16];
    const start = starts[page];
    const size = sizes[page];
    const position = slot & 0xffff;
    keys[i] =
      size > COLUMN_SPARSE_SLOTS_MAX
        ? denseKeys[start + position]
        : sparseKeys[lowerBound(sparsePositions, start, start + size, position)];
  }
}

function lowerBound(positions: Uint16Array, from: number, to: number, position: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (positions[middle] < position) low = middle + 1;
    else high = middle;
  }
  return low;
}

function indexPages(pageKeys: Uint32Array): Int32Array {
  const count = pageKeys.length === 0 ? 0 : pageKeys[pageKeys.length - 1] + 1;
  const indexes = new Int32Array(count).fill(-1);
  for (let i = 0; i < pageKeys.length; i++) indexes[pageKeys[i]] = i;
  return indexes;
}

function openLayers(segment: Segment, layerCount: number): RoaringBitmap32[] {
  const offsets = segment.doubles(SORT_SECTIONS.layerOffsets);
  const bytes = segment.bytes(SORT_SECTIONS.layers);
  const layers: RoaringBitmap32[] = [];
  for (let bit = 0; bit < layerCount; bit++) {
    const isEmpty = offsets[bit] === offsets[bit + 1];
    layers.push(isEmpty ? EMPTY_BITMAP : frozenView(bytes.subarray(offsets[bit], offsets[bit + 1])));
  }
  return layers;
}
