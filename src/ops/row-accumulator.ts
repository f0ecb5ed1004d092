/**
 * The statements about one field, or about which slots are alive, as a table of its own: rows of a slot and its key or
 * null, where the later row of a slot wins. Rows wait in plain arrays; so many as make a chunk go through the loader's
 * accumulator, so kernel memory is needed for one chunk of one field at a time.
 */
import type { Kernels } from '../kernels/kernels.ts';
import { BATCH_ROWS_MAX } from '../limits.ts';
import { ChunkAccumulator } from '../load/accumulator.ts';
import type { AccumulatorField, ChunkMessage } from '../load/accumulator-message.ts';

const ROWS_FIRST = 4096;
/** Enough that merging chunks costs little, and a few megabytes per field. */
const CHUNK_ROWS = 1 << 18;

export class RowAccumulator {
  readonly #kernels: Kernels;
  /** Null: the slots alone. */
  readonly #field: AccumulatorField | null;
  #slots = new Uint32Array(ROWS_FIRST);
  #keys = new Uint32Array(ROWS_FIRST);
  #nulls = new Uint8Array(ROWS_FIRST);
  #count = 0;
  #someNull = false;
  #messages: ChunkMessage[] = [];

  constructor(kernels: Kernels, field: AccumulatorField | null) {
    this.#kernels = kernels;
    this.#field = field;
  }

  /** The slot has the key: of a `many` field besides others, of any other as its only one. */
  add(slot: number, key: number): void {
    if (this.#count === this.#slots.length) this.#makeRoom();
    const row = this.#count++;
    this.#slots[row] = slot;
    this.#keys[row] = key;
    this.#nulls[row] = 0;
  }

  /** The slot has no key; not for `many` fields. */
  addNull(slot: number): void {
    this.add(slot, 0);
    this.#nulls[this.#count - 1] = 1;
    this.#someNull = true;
  }

  /** Everything so far, in the order of the rows, handed over. */
  finish(): ChunkMessage[] {
    if (this.#count > 0) this.#accumulate();
    const messages = this.#messages;
    this.#messages = [];
    return messages;
  }

  #makeRoom(): void {
    if (this.#count >= CHUNK_ROWS) {
      this.#accumulate();
      return;
    }
    const capacity = this.#slots.length * 2;
    this.#slots = grown(this.#slots, new Uint32Array(capacity));
    this.#keys = grown(this.#keys, new Uint32Array(capacity));
    this.#nulls = grown(this.#nulls, new Uint8Array(capacity));
  }

  /** Makes a chunk of the rows. */
  #accumulate(): void {
    const { memory } = this.#kernels;
    const mark = memory.mark();
    const isSingleValued = this.#field?.many !== true;
    const accumulator = new ChunkAccumulator(this.#kernels, {
      fields: this.#field === null ? [] : [this.#field],
      singleValued: isSingleValued,
    });
    const slots = memory.allocate(BATCH_ROWS_MAX * 4);
    const keys = memory.allocate(BATCH_ROWS_MAX * 4);
    const nulls = memory.allocate(BATCH_ROWS_MAX);
    const columns = this.#field === null ? [] : [{ keys, nulls: this.#someNull ? nulls : 0 }];
    for (let from = 0; from < this.#count; from += BATCH_ROWS_MAX) {
      const to = Math.min(this.#count, from + BATCH_ROWS_MAX);
      memory.u32.set(this.#slots.subarray(from, to), slots / 4);
      memory.u32.set(this.#keys.subarray(from, to), keys / 4);
      memory.u8.set(this.#nulls.subarray(from, to), nulls);
      accumulator.addBatch(to - from, slots, columns);
    }
    this.#messages.push(accumulator.finish());
    memory.release(mark);
    this.#count = 0;
    this.#someNull = false;
  }
}

function grown<Words extends Uint32Array | Uint8Array>(from: Words, to: Words): Words {
  to.set(from);
  return to;
}
