/**
 * Runs rows through accumulators and merges, and computes what must come out with plain maps and sets.
 */
import { tmpdir } from 'node:os';
import { expect } from 'vitest';
import { openBitmapSegment } from '../../src/index/bitmap-segment.ts';
import { FilterSegment } from '../../src/index/filter-segment.ts';
import type { SegmentBytes } from '../../src/index/segment.ts';
import { SortSegment } from '../../src/index/sort-segment.ts';
import { SpillFile, type SpillSpace, spill } from '../../src/index/spill-file.ts';
import { loadKernels } from '../../src/kernels/kernels.ts';
import { ChunkAccumulator } from '../../src/load/accumulator.ts';
import { type AccumulatorField, type ChunkMessage, NO_FIELD } from '../../src/load/accumulator-message.ts';
import { mergeAlive, mergeFilterField, mergeSortField, resolveRuns } from '../../src/load/merge.ts';
import { narrowedTo } from '../../src/load/merge-parts.ts';
import { isInMemory } from '../../src/load/message-blocks.ts';
import { buildInUsedMemorySync } from '../index/used-memory.ts';

/** One value per field, null for none. */
export interface Row {
  readonly slot: number;
  readonly values: readonly (number | null)[];
}

export interface Cuts {
  /** Rows per chunk, cycled. */
  readonly chunks: readonly number[];
  /** Rows per batch, cycled. */
  readonly batches: readonly number[];
}

/** A table's segments by field and kind, and its alive segment. */
export interface Built {
  readonly filters: Map<string, SegmentBytes>;
  readonly sorts: Map<string, SegmentBytes>;
  readonly alive: SegmentBytes;
  readonly duplicateRows: number;
}

const kernels = loadKernels();

export function accumulate(
  fields: readonly AccumulatorField[],
  rows: readonly Row[],
  batches: readonly number[],
  singleValued = true,
): ChunkMessage {
  const { memory } = kernels;
  const mark = memory.mark();
  const accumulator = new ChunkAccumulator(kernels, { fields, singleValued });
  let at = 0;
  for (let batch = 0; at < rows.length; batch++) {
    const to = Math.min(rows.length, at + batches[batch % batches.length]);
    const batchMark = memory.mark();
    addRows(accumulator, fields.length, rows.slice(at, to));
    memory.release(batchMark);
    at = to;
  }
  const message = structuredClone(accumulator.finish());
  memory.release(mark);
  return message;
}

function addRows(accumulator: ChunkAccumulator, fieldCount: number, rows: readonly Row[]): void {
  const { memory } = kernels;
  const slots = memory.allocate(rows.length * 4);
  const columns = Array.from({ length: fieldCount }, (_, field) => ({
    keys: memory.allocate(rows.length * 4),
    nulls: rows.some(({ values }) => values[field] === null) ? memory.allocate(rows.length) : 0,
  }));
  rows.forEach(({ slot, values }, row) => {
    memory.u32[slots / 4 + row] = slot;
    columns.forEach(({ keys, nulls }, field) => {
      const value = values[field];
      // What stands under a null must not matter.
      memory.u32[keys / 4 + row] = value ?? 0xdeadbeef;
      if (nulls !== 0) memory.u8[nulls + row] = value === null ? 1 : 0;
    });
  });
  accumulator.addBatch(rows.length, slots, columns);
  memory.u8.fill(0xa5, slots, memory.mark());
}

export function accumulateChunks(
  fields: readonly AccumulatorField[],
  rows: readonly Row[],
  cuts: Cuts,
  singleValued = true,
): ChunkMessage[] {
  const messages: ChunkMessage[] = [];
  let at = 0;
  for (let chunk = 0; at < rows.length; chunk++) {
    const to = Math.min(rows.length, at + cuts.chunks[chunk % cuts.chunks.length]);
    messages.push(accumulate(fields, rows.slice(at, to), cuts.batches, singleValued));
    at = to;
  }
  return messages;
}

/**
 * Merges tables, in order, over an optional previous build: from memory, and again with every block in the spill file,
 * which has to make no difference. Translations are those of every table and field.
 */
export function build(
  fields: readonly AccumulatorField[],
  tables: readonly (readonly ChunkMessage[])[],
  previous: Built | null = null,
  translations: readonly Uint32Array[] | null = null,
): Built {
  const built = buildFrom(fields, tables, previous, translations, null);
  const spillFile = SpillFile.open(tmpdir(), 0);
  try {
    const { space } = spillFile;
    const spilledTables = tables.map((messages) => messages.map((message) => spilled(message, space)));
    expectSame(buildFrom(fields, spilledTables, previous, translations, space), built);
  } finally {
    spillFile.close();
  }
  return built;
}

/** The message with all of its blocks in the spill file. */
export function spilled(message: ChunkMessage, space: SpillSpace): ChunkMessage {
  const blocks = message.blocks.filter(isInMemory).map((block) => spill(space, new Uint8Array(block)));
  return { ...message, blocks };
}

function expectSame(actual: Built, expected: Built): void {
  const segmentsOf = ({ filters, sorts, alive }: Built) => [...filters.values(), ...sorts.values(), alive];
  const pairs = segmentsOf(actual).map((segment, index) => [segment, segmentsOf(expected)[index]]);
  expect(pairs.filter(([left, right]) => Buffer.compare(left, right) !== 0)).toHaveLength(0);
  expect(actual.duplicateRows).toBe(expected.duplicateRows);
}

function buildFrom(
  fields: readonly AccumulatorField[],
  tables: readonly (readonly ChunkMessage[])[],
  previous: Built | null,
  translations: readonly Uint32Array[] | null,
  space: SpillSpace | null,
): Built {
  const resolutions = tables.map((messages) => resolveRuns(messages));
  const sourcesOf = (field: number) =>
    tables.map((messages, table) => ({
      messages: messages.map((message) => narrowedTo(message, field)),
      losses: resolutions[table].losses,
      translations,
    }));
  const filters = new Map<string, SegmentBytes>();
  const sorts = new Map<string, SegmentBytes>();
  for (const [index, { name, many, filter, sort }] of fields.entries()) {
    const merge = { field: name, many, sources: sourcesOf(index), space };
    if (filter) {
      const merged = { ...merge, previous: previous?.filters.get(name) ?? null };
      filters.set(
        name,
        buildInUsedMemorySync((memory) => mergeFilterField(kernels, { ...merged, memory })),
      );
    }
    if (sort) {
      const merged = { ...merge, previous: previous?.sorts.get(name) ?? null };
      sorts.set(
        name,
        buildInUsedMemorySync((memory) => mergeSortField(kernels, { ...merged, memory })),
      );
    }
  }
  const alive = mergeAlive(kernels, {
    messages: tables.flat().map((message) => narrowedTo(message, NO_FIELD)),
    previous: previous?.alive ?? null,
    space,
  });
  const duplicateRows = resolutions.reduce((sum, resolution) => sum + resolution.duplicateRows, 0);
  return { filters, sorts, alive, duplicateRows };
}

/** The state of one field: the values of every slot that has any. */
export type Model = Map<number, Set<number>>;

export class ModelIndex {
  readonly fields: readonly AccumulatorField[];
  readonly values: Model[];
  readonly alive = new Set<number>();
  duplicateRows = 0;

  constructor(fields: readonly AccumulatorField[]) {
    this.fields = fields;
    this.values = fields.map(() => new Map());
  }

  /**
   * A table: the last row of a slot counts, except for `many` fields; then its non-null values go over what
   * is there.
   */
  addTable(rows: readonly Row[]): void {
    const last = new Map<number, Row>();
    for (const row of rows) {
      if (last.has(row.slot)) this.duplicateRows++;
      last.set(row.slot, row);
      this.alive.add(row.slot);
    }
    this.fields.forEach(({ many }, field) => {
      for (const row of many ? rows : last.values()) {
        const value = row.values[field];
        if (value === null) continue;
        const held = this.values[field].get(row.slot);
        if (many && held !== undefined) held.add(value);
        else this.values[field].set(row.slot, new Set([value]));
      }
    });
  }
}

/** `slot:value` of everything in a filter segment, in slot order. */
export function filterContents(segment: SegmentBytes): string[] {
  const filter = new FilterSegment(segment);
  const found: [number, number][] = [];
  for (const { key } of filter.keys()) for (const slot of filter.slots(key)) found.push([slot, key]);
  return lines(found);
}

export function sortContents(segment: SegmentBytes): string[] {
  const sort = new SortSegment(segment);
  const slots = sort.present.toUint32Array();
  const indexes = new Map<number, number>();
  for (let i = 0; i < slots.length; i++) indexes.set(slots[i], i);
  const keys = new Float64Array(slots.length);
  for (let bit = 0; bit < sort.layerCount; bit++) {
    for (const slot of sort.layer(bit).toUint32Array()) keys[indexes.get(slot)!] += 2 ** bit;
  }
  slots.forEach((slot, i) => {
    if (keys[i] !== sort.keyOf(slot))
      throw new Error(`slot ${slot}: column ${sort.keyOf(slot)}, layers ${keys[i]}`);
  });
  return lines(Array.from(slots, (slot, i) => [slot, keys[i]]));
}

export function aliveContents(segment: SegmentBytes): number[] {
  return [...openBitmapSegment(segment).toUint32Array()];
}

export function modelContents(model: Model): string[] {
  const found: [number, number][] = [];
  for (const [slot, values] of model) for (const value of values) found.push([slot, value]);
  return lines(found);
}

export function presentContents(segment: SegmentBytes): number[] {
  return [...new FilterSegment(segment).present.toUint32Array()];
}

function lines(found: [number, number][]): string[] {
  return found.sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([slot, value]) => `${slot}:${value}`);
}
