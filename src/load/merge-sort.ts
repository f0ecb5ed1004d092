/**
 * Merges one sort field page by page: the last value of every slot, then one transposition of the page into
 * layers. Of what was spilled a page is read, or a window of a list, when its turn comes.
 */
import { BITSET_WORDS, frozenView, isRunsSmaller } from '../index/portable.ts';
import type { SegmentBytes } from '../index/segment.ts';
import { SortSegment } from '../index/sort-segment.ts';
import { PRESENT, SortSegmentBuilder, type TransposePage } from '../index/sort-segment-builder.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BITSET_BYTES, ENCODED_RUNS_BYTES, LAYER_STRIDE_BYTES } from '../kernels/page-kernels.ts';
import { PAGE_SLOTS } from '../limits.ts';
import { KIND_PAGE, KIND_ROWS } from './accumulator-message.ts';
import type { FieldMerge, FieldSource } from './merge.ts';
import { orderByKey } from './merge-entries.ts';
import { columnBytesOf, type MessagePart, PAGE_WORDS, pageOf, partsOf, slotsOf } from './merge-parts.ts';
import { type RowList, RowsInMemory, rowListOf, SegmentRows } from './merge-rows.ts';
import { firstRuns } from './merge-runs.ts';
import { SlotSet } from './merge-slot-set.ts';

/** Slots with their keys, or a whole page. */
interface Input {
  readonly rows: RowList;
  /** The part that is the page with its bitset; null: rows. */
  readonly page: MessagePart | null;
  /** Slots that a later run of the table has. */
  readonly lost: SlotSet | null;
}

const KEY_BITS = 32;
/** Rows of a page up to which they are merged as a list, in which each finds its place by stepping. */
const SPARSE_ROWS_MAX = 512;
/** Slots of the previous version that are cut into pages at a time. */
const PREVIOUS_SLOTS = 1 << 20;

const NO_ROWS = new RowsInMemory(new Uint32Array(0), new Uint32Array(0));

/** A sort segment. */
export function mergeSortField(kernels: Kernels, merge: FieldMerge): SegmentBytes {
  const list = new PageList();
  if (merge.previous !== null) list.addPrevious(new SortSegment(merge.previous));
  for (const source of merge.sources) addSource(list, source, merge.field);
  const mark = kernels.memory.mark();
  const transpose = pageTransposer(kernels);
  const { field, memory, space } = merge;
  const builder = new SortSegmentBuilder({ field, transpose, memory, space });
  list.build(builder);
  kernels.memory.release(mark);
  return builder.finish();
}

function addSource(list: PageList, source: FieldSource, field: string): void {
  const runs = firstRuns(source.messages);
  const lostSets = new Map<number, SlotSet>();
  source.messages.forEach((message, index) => {
    const fieldIndex = message.fields.findIndex(({ name }) => name === field);
    for (const part of partsOf(message, fieldIndex)) {
      if (part.kind !== KIND_ROWS && part.kind !== KIND_PAGE) continue;
      const run = runs[index] + part.run;
      const bytes = source.losses[run] ?? null;
      if (bytes !== null && !lostSets.has(run)) lostSets.set(run, new SlotSet(frozenView(bytes)));
      list.addPart(part, lostSets.get(run) ?? null);
    }
  });
}

/** Everything that goes into the pages, in the order in which later wins over earlier. */
class PageList {
  readonly #inputs: Input[] = [];
  /** Per stretch of an input within one page: page key, input, rows [from, to). */
  #pageKeys = new Uint32Array(64);
  #inputOf = new Uint32Array(64);
  #from = new Uint32Array(64);
  #to = new Uint32Array(64);
  #count = 0;
  /** For a page that has to be read. What is not touched costs nothing. */
  readonly #pageBuffer = new Uint32Array(PAGE_WORDS);

  addPrevious(segment: SortSegment): void {
    const slotCount = segment.present.size;
    for (let row = 0; row < slotCount; row += PREVIOUS_SLOTS) {
      this.#addStretches(segment.present.rangeUint32Array(row, PREVIOUS_SLOTS), row);
    }
    this.#inputs.push({ rows: new SegmentRows(segment), page: null, lost: null });
  }

  addPart(part: MessagePart, lost: SlotSet | null): void {
    if (part.kind === KIND_ROWS) {
      this.#addStretches(slotsOf(part), 0);
      this.#inputs.push({ rows: rowListOf(part), page: null, lost });
      return;
    }
    this.#addStretch(part.keys, 0, 0);
    this.#inputs.push({ rows: NO_ROWS, page: part, lost });
  }

  build(builder: SortSegmentBuilder): void {
    const sparse = new SparsePage();
    const pageKeys = this.#pageKeys.subarray(0, this.#count);
    const order = orderByKey(pageKeys);
    const column = new Uint32Array(PAGE_SLOTS);
    const present = new Uint32Array(BITSET_WORDS);
    let at = 0;
    while (at < this.#count) {
      const pageKey = pageKeys[order === null ? at : order[at]];
      let to = at + 1;
      while (to < this.#count && pageKeys[order === null ? to : order[to]] === pageKey) to++;
      const only = this.#inputs[this.#inputOf[order === null ? at : order[at]]];
      if (to - at === 1 && only.page !== null && only.lost === null) {
        const page = pageOf(only.page, this.#pageBuffer);
        builder.addPage(pageKey, page.column, page.present, columnBytesOf(only.page));
      } else if (this.#fillSparse(sparse, order, at, to)) {
        builder.addSparsePage(sparse.slots, sparse.keys, 0, sparse.count);
      } else {
        column.fill(0);
        present.fill(0);
        for (let i = at; i < to; i++) this.#apply(order === null ? i : order[i], pageKey, column, present);
        builder.addPage(pageKey, column, present);
      }
      at = to;
    }
  }

  /** Puts the stretches order[at … to) into a list; false when they are too many for that. */
  #fillSparse(sparse: SparsePage, order: Uint32Array | null, at: number, to: number): boolean {
    let rows = 0;
    for (let i = at; i < to; i++) {
      const stretch = order === null ? i : order[i];
      rows += this.#to[stretch] - this.#from[stretch];
      if (rows > SPARSE_ROWS_MAX || this.#inputs[this.#inputOf[stretch]].page !== null) return false;
    }
    sparse.count = 0;
    for (let i = at; i < to; i++) {
      const stretch = order === null ? i : order[i];
      const { rows: list, lost } = this.#inputs[this.#inputOf[stretch]];
      const { slots, keys, from, to } = list.take(this.#from[stretch], this.#to[stretch]);
      for (let row = from; row < to; row++) if (!lost?.has(slots[row])) sparse.set(slots[row], keys[row]);
    }
    return true;
  }

  #apply(stretch: number, pageKey: number, column: Uint32Array, present: Uint32Array): void {
    const { rows, page, lost } = this.#inputs[this.#inputOf[stretch]];
    if (page !== null) {
      const read = pageOf(page, this.#pageBuffer);
      applyPage(read.column, read.present, pageKey * PAGE_SLOTS, lost, column, present);
    } else {
      const { slots, keys, from, to } = rows.take(this.#from[stretch], this.#to[stretch]);
      applyRows(slots, keys, from, to, lost, column, present);
    }
  }

  /** Cuts ascending slots, those of the rows from `firstRow` on of the input to be added next, into pages. */
  #addStretches(slots: Uint32Array, firstRow: number): void {
    let from = 0;
    while (from < slots.length) {
      const pageKey = slots[from] >>> 16;
      let to = from + 1;
      while (to < slots.length && slots[to] >>> 16 === pageKey) to++;
      this.#addStretch(pageKey, firstRow + from, firstRow + to);
      from = to;
    }
  }

  #addStretch(pageKey: number, from: number, to: number): void {
    const at = this.#count++;
    if (at === this.#pageKeys.length) {
      this.#pageKeys = doubled(this.#pageKeys);
      this.#inputOf = doubled(this.#inputOf);
      this.#from = doubled(this.#from);
      this.#to = doubled(this.#to);
    }
    this.#pageKeys[at] = pageKey;
    this.#inputOf[at] = this.#inputs.length;
    this.#from[at] = from;
    this.#to[at] = to;
  }
}

/** A page of few slots as an ordered list. */
class SparsePage {
  readonly slots = new Uint32Array(SPARSE_ROWS_MAX);
  readonly keys = new Uint32Array(SPARSE_ROWS_MAX);
  count = 0;

  set(slot: number, key: number): void {
    const { slots, keys, count } = this;
    let at = count;
    while (at > 0 && slots[at - 1] >= slot) at--;
    if (at === count || slots[at] !== slot) {
      slots.copyWithin(at + 1, at, count);
      keys.copyWithin(at + 1, at, count);
      slots[at] = slot;
      this.count++;
    }
    keys[at] = key;
  }
}

function doubled(words: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(words.length * 2);
  grown.set(words);
  return grown;
}

function applyRows(
  slots: Uint32Array,
  keys: Uint32Array,
  from: number,
  to: number,
  lost: SlotSet | null,
  column: Uint32Array,
  present: Uint32Array,
): void {
  for (let i = from; i < to; i++) {
    if (lost?.has(slots[i])) continue;
    const position = slots[i] & 0xffff;
    column[position] = keys[i];
    present[position >>> 5] |= 1 << (position & 31);
  }
}

function applyPage(
  pageColumn: Uint32Array,
  pagePresent: Uint32Array,
  firstSlot: number,
  lost: SlotSet | null,
  column: Uint32Array,
  present: Uint32Array,
): void {
  for (let word = 0; word < BITSET_WORDS; word++) {
    let bits = pagePresent[word] | 0;
    while (bits !== 0) {
      const position = (word << 5) | (31 - Math.clz32(bits & -bits));
      bits &= bits - 1;
      if (lost?.has(firstSlot + position)) continue;
      column[position] = pageColumn[position];
      present[word] |= 1 << (position & 31);
    }
  }
}

/** Transposes, counts and finds stretches in kernel memory, which the caller releases. */
export function pageTransposer(kernels: Kernels): TransposePage {
  const { memory } = kernels;
  const columnAt = memory.allocate(PAGE_SLOTS * 4);
  const presentAt = memory.allocate(BITSET_BYTES);
  const layersAt = memory.allocate(KEY_BITS * LAYER_STRIDE_BYTES);
  const runsAt = memory.allocate(ENCODED_RUNS_BYTES);
  const cardinalities = new Uint32Array(KEY_BITS + 1);
  const runCounts = new Uint32Array(KEY_BITS + 1);
  const runsOf = (bit: number): Uint16Array => {
    const runCount = kernels.encodeRuns(layersAt + bit * LAYER_STRIDE_BYTES, runsAt);
    return memory.u16.subarray(runsAt / 2, runsAt / 2 + 2 * runCount);
  };
  return (column, layers, present) => {
    memory.u32.set(column, columnAt / 4);
    memory.u32.set(present, presentAt / 4);
    const bits = kernels.transposePage(columnAt, layersAt);
    for (let bit = 0; bit < KEY_BITS; bit++) {
      cardinalities[bit] = 0;
      if (((bits >>> bit) & 1) === 0) continue;
      const layer = layersAt + bit * LAYER_STRIDE_BYTES;
      cardinalities[bit] = kernels.countBits(layer);
      runCounts[bit] = kernels.countRuns(layer);
      if (isRunsSmaller(cardinalities[bit], runCounts[bit])) continue;
      layers.set(memory.u32.subarray(layer / 4, layer / 4 + BITSET_WORDS), bit * BITSET_WORDS);
    }
    cardinalities[PRESENT] = kernels.countBits(presentAt);
    runCounts[PRESENT] = kernels.countRuns(presentAt);
    const keyMin = kernels.pageKeyMin(columnAt, cardinalities[PRESENT]) >>> 0;
    return { keyMin, keyMax: kernels.pageKeyMax(columnAt) >>> 0, cardinalities, runCounts, runsOf };
  };
}
