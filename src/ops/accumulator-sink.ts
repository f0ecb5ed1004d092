/**
 * The sink of a dump: ops become the accumulators that chunks of a CSV file become, merged once into the segments of a
 * version. It starts from an empty index.
 *
 * Statements that do not depend on what is there accumulate: alive, a value or null of a single-valued field, another
 * value of a `many` field; a dump consists of nothing else. The first statement that depends on it (a delete, a remove, the
 * clearing of a `many` field, a queryOpSet) settles: what has accumulated becomes a base, and from there on the stream
 * changes it as in the steady state. So any stream gives what the CoalescerSink gives, and a dump does so faster.
 */
import type { FieldDefinition, IndexDefinition } from '../config/definition.ts';
import { type BaseVersion, createVersion, emptyVersion } from '../index/base-version.ts';
import { DeltaDictionary } from '../index/delta-dictionary.ts';
import { DeltaVersion } from '../index/delta-version.ts';
import type { RoaringBitmap32 } from '../index/roaring.ts';
import type { SegmentBytes } from '../index/segment.ts';
import { SegmentMemory } from '../index/segment-memory.ts';
import type { FieldSegments, VersionSegments } from '../index/version.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { ChunkMessage } from '../load/accumulator-message.ts';
import { compactVersion, runCompaction } from '../load/compact.ts';
import { compactDictionary } from '../load/compact-dictionary.ts';
import { type FieldMerge, mergeAlive, mergeFilterField, mergeSortField, resolveRuns } from '../load/merge.ts';
import type { Clause } from '../query/clause.ts';
import type { BitmapSink } from './bitmap-sink.ts';
import { CoalescerSink } from './coalescer-sink.ts';
import { RowAccumulator } from './row-accumulator.ts';

/** What a stream goes on in once it has settled. */
interface Settled {
  readonly version: DeltaVersion;
  readonly sink: CoalescerSink;
}

export class AccumulatorSink implements BitmapSink {
  readonly #kernels: Kernels;
  readonly #empty: BaseVersion;
  readonly #fields: readonly FieldDefinition[];
  readonly #alive: RowAccumulator;
  /** By place in the definition, as the dictionaries of string fields. */
  readonly #rows: readonly RowAccumulator[];
  readonly #dictionaries: readonly (DeltaDictionary | null)[];
  #settled: Settled | null = null;

  constructor(definition: IndexDefinition, kernels: Kernels) {
    this.#kernels = kernels;
    this.#empty = emptyVersion(0, definition);
    this.#fields = definition.fields;
    this.#alive = new RowAccumulator(kernels, null);
    this.#rows = definition.fields.map((field) => new RowAccumulator(kernels, field));
    this.#dictionaries = definition.fields.map(({ name }) => {
      const base = this.#empty.dictionary(name);
      return base === undefined ? null : new DeltaDictionary(base);
    });
  }

  /** The segments of a version with everything so far. The sink is spent. */
  async finish(): Promise<VersionSegments> {
    if (this.#settled === null) return this.#merge();
    const { version } = this.#settled;
    return compactVersion(version.base, version.changes(), new SegmentMemory(), async (task) =>
      runCompaction(this.#kernels, task),
    );
  }

  keyOfText(field: number, text: string): number {
    if (this.#settled !== null) return this.#settled.sink.keyOfText(field, text);
    return this.#dictionaries[field]!.add(text);
  }

  knownKeyOfText(field: number, text: string): number {
    if (this.#settled !== null) return this.#settled.sink.knownKeyOfText(field, text);
    return this.#dictionaries[field]!.codeOf(text) ?? -1;
  }

  addAlive(slot: number): void {
    if (this.#settled !== null) this.#settled.sink.addAlive(slot);
    else this.#alive.add(slot, 0);
  }

  set(slot: number, field: number, key: number): void {
    if (this.#settled !== null) this.#settled.sink.set(slot, field, key);
    else this.#rows[field].add(slot, key);
  }

  add(slot: number, field: number, key: number): void {
    if (this.#settled !== null) this.#settled.sink.add(slot, field, key);
    else this.#rows[field].add(slot, key);
  }

  clear(slot: number, field: number): void {
    if (this.#settled !== null || this.#fields[field].many) this.#settle().clear(slot, field);
    else this.#rows[field].addNull(slot);
  }

  remove(slot: number, field: number, key: number): void {
    this.#settle().remove(slot, field, key);
  }

  deleteSlot(slot: number): void {
    this.#settle().deleteSlot(slot);
  }

  match(clause: Clause): RoaringBitmap32 {
    return this.#settle().match(clause);
  }

  setAll(slots: RoaringBitmap32, field: number, key: number): void {
    this.#settle().setAll(slots, field, key);
  }

  addAll(slots: RoaringBitmap32, field: number, key: number): void {
    this.#settle().addAll(slots, field, key);
  }

  removeAll(slots: RoaringBitmap32, field: number, key: number): void {
    this.#settle().removeAll(slots, field, key);
  }

  clearAll(slots: RoaringBitmap32, field: number): void {
    this.#settle().clearAll(slots, field);
  }

  deleteAll(slots: RoaringBitmap32): void {
    this.#settle().deleteAll(slots);
  }

  /** Keys stay what they are: the codes of strings are those of the dictionaries here, in the order they came. */
  #settle(): CoalescerSink {
    if (this.#settled === null) {
      const { definition } = this.#empty;
      const version = new DeltaVersion(createVersion({ id: 0, definition, segments: this.#merge() }));
      this.#settled = { version, sink: new CoalescerSink(version) };
    }
    return this.#settled.sink;
  }

  #merge(): VersionSegments {
    const fields: Record<string, FieldSegments> = {};
    this.#fields.forEach((field, index) => {
      const messages = this.#rows[index].finish();
      const dictionary = this.#dictionaries[index];
      fields[field.name] = {
        ...(messages.length === 0 ? {} : this.#mergeField(field, messages)),
        ...(dictionary?.isChanged === true ? { dictionary: segmentOf(dictionary) } : {}),
      };
    });
    const aliveMerge = { messages: this.#alive.finish(), previous: null, space: null };
    return { alive: mergeAlive(this.#kernels, aliveMerge), fields };
  }

  #mergeField({ name, many, filter, sort }: FieldDefinition, messages: ChunkMessage[]): FieldSegments {
    const { losses } = resolveRuns(messages);
    const sources = [{ messages, losses, translations: null }];
    const merge: FieldMerge = { field: name, many, sources, previous: null, memory: null, space: null };
    return {
      ...(filter ? { filter: mergeFilterField(this.#kernels, merge) } : {}),
      ...(sort ? { sort: mergeSortField(this.#kernels, merge) } : {}),
    };
  }
}

function segmentOf(dictionary: DeltaDictionary): SegmentBytes {
  return compactDictionary({ base: dictionary.base.content, texts: dictionary.addedTexts() });
}
