/**
 * A naive model of an index, and segments built from it.
 */
import type { FieldDefinition, FieldType, IndexDefinition } from '../../src/config/definition.ts';
import { buildBitmapSegment } from '../../src/index/bitmap-segment.ts';
import { FilterSegmentBuilder } from '../../src/index/filter-segment-builder.ts';
import { RoaringBitmap32 } from '../../src/index/roaring.ts';
import type { SegmentBytes } from '../../src/index/segment.ts';
import { SortSegmentBuilder } from '../../src/index/sort-segment-builder.ts';

/** key → slots */
export type FilterModel = Map<number, Set<number>>;
/** slot → key */
export type SortModel = Map<number, number>;

export function fieldOf(name: string, type: FieldType, index: string, many = false): FieldDefinition {
  return { name, type, filter: index.includes('filter'), sort: index.includes('sort'), many };
}

export function definitionOf(fields: FieldDefinition[]): IndexDefinition {
  return { name: 'test', fields, tables: [], hash: 'test-hash', normalised: { name: 'test' } };
}

export function ascending(slots: Iterable<number>): Uint32Array {
  return Uint32Array.from(slots).sort();
}

/** Compares bytes: `toEqual` walks long arrays element by element. */
export function sameBytes(a: Uint32Array | Uint8Array, b: Uint32Array | Uint8Array): boolean {
  return Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

export function buildFilter(model: FilterModel): SegmentBytes {
  const builder = new FilterSegmentBuilder({ field: 'field' });
  for (const key of ascending(model.keys())) {
    const slots = ascending(model.get(key)!);
    builder.addSlots(key, slots, 0, slots.length);
  }
  return builder.finish();
}

export function buildSort(model: SortModel): SegmentBytes {
  const builder = new SortSegmentBuilder({ field: 'field', transpose: transposeNaively });
  const pages = new Map<number, number[]>();
  for (const slot of ascending(model.keys())) {
    const page = pages.get(slot >>> 16);
    if (page === undefined) pages.set(slot >>> 16, [slot]);
    else page.push(slot);
  }
  const column = new Uint32Array(65_536);
  const present = new Uint32Array(2048);
  for (const [pageKey, slots] of pages) {
    column.fill(0);
    present.fill(0);
    for (const slot of slots) {
      column[slot & 0xffff] = model.get(slot)!;
      present[(slot & 0xffff) >>> 5] |= 1 << (slot & 31);
    }
    builder.addPage(pageKey, column, present);
  }
  return builder.finish();
}

export function buildAlive(slots: Iterable<number>): SegmentBytes {
  return buildBitmapSegment(new RoaringBitmap32(ascending(slots)));
}

export function transposeNaively(column: Uint32Array, layers: Uint32Array): void {
  layers.fill(0);
  for (let i = 0; i < 65_536; i++) {
    for (let key = column[i]; key !== 0; key = (key & (key - 1)) >>> 0) {
      const bit = 31 - Math.clz32(key & -key);
      layers[bit * 2048 + (i >>> 5)] |= 1 << (i & 31);
    }
  }
}

function bytesOf(data: Uint32Array | Uint8Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
