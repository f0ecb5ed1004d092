/**
 * What one writes first to keep an index current: every batch as JSON lines, flushed to disk, then one call of a bitmap
 * per op, and one per bit of a sort value. The peer of the steady state; it takes `set`, with null, and `add`.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { IndexDefinition } from '../src/config/definition.ts';
import { RoaringBitmap32 } from '../src/index/roaring.ts';
import type { Batch, SlotOp } from '../src/index.ts';

type PlainValue = number | string | boolean;

interface PlainField {
  readonly many: boolean;
  readonly slots: Map<PlainValue, RoaringBitmap32> | null;
  readonly layers: readonly RoaringBitmap32[] | null;
  /** The value of a slot, to find what a `set` replaces. */
  readonly values: Map<number, PlainValue>;
}

const LAYERS = 32;

export class PlainIndex {
  readonly alive = new RoaringBitmap32();
  readonly #file: FileHandle;
  readonly #fields = new Map<string, PlainField>();

  private constructor(definition: IndexDefinition, file: FileHandle) {
    this.#file = file;
    for (const { name, filter, sort, many } of definition.fields) {
      this.#fields.set(name, {
        many,
        slots: filter ? new Map() : null,
        layers: sort ? Array.from({ length: LAYERS }, () => new RoaringBitmap32()) : null,
        values: new Map(),
      });
    }
  }

  static async open(definition: IndexDefinition, path: string): Promise<PlainIndex> {
    return new PlainIndex(definition, await open(path, 'w'));
  }

  async apply({ ops: entities }: Batch): Promise<void> {
    await this.#file.write(`${entities.map((entity) => JSON.stringify(entity)).join('\n')}\n`);
    await this.#file.datasync();
    for (const { slot, alive, ops } of entities) {
      if (alive === true) this.alive.add(slot);
      for (const op of ops) this.#applyOp(slot, op as SlotOp);
    }
  }

  /** Slots with the value. */
  count(field: string, value: PlainValue): number {
    return this.#fields.get(field)?.slots?.get(value)?.size ?? 0;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  #applyOp(slot: number, op: SlotOp): void {
    if (op.op === 'delete' || op.op === 'remove') throw new RangeError(`the plain index knows no ${op.op}`);
    const field = this.#fields.get(op.field)!;
    const value = op.value as PlainValue | null;
    const before = field.values.get(slot);
    if (!field.many && before !== undefined) {
      field.slots?.get(before)?.delete(slot);
      field.values.delete(slot);
    }
    if (value !== null) {
      if (field.slots !== null) bitmapOf(field.slots, value).add(slot);
      if (!field.many) field.values.set(slot, value);
    }
    for (let bit = 0; bit < (field.layers?.length ?? 0); bit++) {
      if (value !== null && ((Number(value) >>> bit) & 1) === 1) field.layers![bit].add(slot);
      else field.layers![bit].delete(slot);
    }
  }
}

function bitmapOf(slots: Map<PlainValue, RoaringBitmap32>, value: PlainValue): RoaringBitmap32 {
  let bitmap = slots.get(value);
  if (bitmap === undefined) {
    bitmap = new RoaringBitmap32();
    slots.set(value, bitmap);
  }
  return bitmap;
}
