/**
 * What one writes first to keep an index current: every batch as JSON lines, flushed to disk, then one call of a bitmap
 * per op, and one per bit of a sort value. A query combines bitmaps and looks through the matches for those of its page.
 * The peer of the steady state and of the server; it takes `set`, with null, and `add`.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { IndexDefinition } from '../src/config/definition.ts';
import { RoaringBitmap32 } from '../src/index/roaring.ts';
import type { Batch, Entity, Page, Query, SlotOp, Where } from '../src/index.ts';

type PlainValue = number | string | boolean;

interface PlainField {
  readonly many: boolean;
  readonly slots: Map<PlainValue, RoaringBitmap32> | null;
  readonly layers: readonly RoaringBitmap32[] | null;
  /** The value of a slot, to find what a `set` replaces. */
  readonly values: Map<number, PlainValue>;
}

interface PlainCondition {
  readonly in?: PlainValue[];
  readonly all?: PlainValue[];
  readonly gte?: number;
  readonly lt?: number;
}

/** A slot and its sort value. */
interface Placed {
  readonly slot: number;
  readonly value: number | undefined;
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
    this.fill(entities);
  }

  /** Applies without keeping it. */
  fill(entities: readonly Entity[]): void {
    for (const { slot, alive, ops } of entities) {
      if (alive === true) this.alive.add(slot);
      for (const op of ops) this.#applyOp(slot, op as SlotOp);
    }
  }

  /** First pages of the queries of the bench. */
  query({ where = {}, orderBy = {}, take = 50 }: Query): Page {
    const matches = this.#match(where);
    const [[field, direction] = [null, 'asc']] = Object.entries(orderBy);
    const ids =
      field === null ? matches.rangeUint32Array(0, take) : this.#first(matches, field, direction, take);
    return { ids: [...ids], total: matches.size, nextCursor: null };
  }

  /** Slots with the value. */
  count(field: string, value: PlainValue): number {
    return this.#fields.get(field)?.slots?.get(value)?.size ?? 0;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Every part combined with what is alive. */
  #match(where: Where): RoaringBitmap32 {
    const matches = this.alive.clone();
    for (const [name, condition] of Object.entries(where)) {
      if (name === 'OR') {
        const parts = (condition as Where[]).map((part) => this.#match(part));
        matches.andInPlace(RoaringBitmap32.orMany(parts));
      } else if (name === 'NOT') {
        matches.andNotInPlace(this.#match(condition as Where));
      } else {
        this.#matchField(matches, name, condition);
      }
    }
    return matches;
  }

  #matchField(matches: RoaringBitmap32, name: string, condition: unknown): void {
    const { slots, values } = this.#fields.get(name)!;
    const having = (value: PlainValue) => slots?.get(value) ?? new RoaringBitmap32();
    if (typeof condition !== 'object') {
      matches.andInPlace(having(condition as PlainValue));
      return;
    }
    const { in: list, all, gte = 0, lt = Infinity } = condition as PlainCondition;
    if (list !== undefined) {
      matches.andInPlace(RoaringBitmap32.orMany(list.map(having)));
    } else if (all !== undefined) {
      for (const value of all) matches.andInPlace(having(value));
    } else {
      const outside: number[] = [];
      for (const slot of matches) {
        const value = values.get(slot);
        if (value === undefined || Number(value) < gte || Number(value) >= lt) outside.push(slot);
      }
      matches.removeMany(outside);
    }
  }

  #first(matches: RoaringBitmap32, field: string, direction: 'asc' | 'desc', take: number): number[] {
    const { values } = this.#fields.get(field)!;
    const sign = direction === 'asc' ? 1 : -1;
    const page: Placed[] = [];
    for (const slot of matches) {
      const placed = { slot, value: values.get(slot) as number | undefined };
      if (page.length === take && !isBefore(placed, page[take - 1], sign)) continue;
      let at = page.length === take ? take - 1 : page.length;
      for (; at > 0 && isBefore(placed, page[at - 1], sign); at--) page[at] = page[at - 1];
      page[at] = placed;
    }
    return page.map(({ slot }) => slot);
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

/** `a` comes before `b`: slots without a value last, ties by slot in the same direction. */
function isBefore(a: Placed, b: Placed, sign: number): boolean {
  if (a.value === undefined || b.value === undefined) {
    if (a.value !== b.value) return b.value === undefined;
    return (a.slot - b.slot) * sign < 0;
  }
  return (a.value - b.value || a.slot - b.slot) * sign < 0;
}

function bitmapOf(slots: Map<PlainValue, RoaringBitmap32>, value: PlainValue): RoaringBitmap32 {
  let bitmap = slots.get(value);
  if (bitmap === undefined) {
    bitmap = new RoaringBitmap32();
    slots.set(value, bitmap);
  }
  return bitmap;
}
