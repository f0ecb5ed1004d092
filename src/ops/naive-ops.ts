/**
 * The naive model of a stream of ops: what an index must hold after it, with one Set of values per slot and field, one
 * op at a time, in the shape of the wire and with nothing shared with the resolved batch, dedup or the query engine.
 * Expects entities that `parseBatch` accepts.
 */
import type { FieldDefinition, IndexDefinition } from '../config/definition.ts';
import { epochSecondsOfText } from '../config/timestamp.ts';
import type { Entity, Op, SlotOp } from './op.ts';

/** A value as a query shows it; a timestamp is in epoch seconds. */
export type NaiveOpsValue = boolean | number | string;

export class NaiveOps {
  readonly alive = new Set<number>();
  /** field → slot → its values; a slot without a value is absent. Slots that are not alive keep theirs, hidden. */
  readonly fields = new Map<string, Map<number, Set<NaiveOpsValue>>>();
  readonly #definitions = new Map<string, FieldDefinition>();

  constructor(definition: IndexDefinition) {
    for (const field of definition.fields) {
      this.fields.set(field.name, new Map());
      this.#definitions.set(field.name, field);
    }
  }

  apply(entities: readonly Entity[]): void {
    for (const { slot, ops, alive } of entities) {
      if (alive === true) this.alive.add(slot);
      for (const op of ops) this.#applyOp(slot, op);
    }
  }

  /** Alive slots that match, ascending. */
  matches(where: unknown): number[] {
    return [...this.alive].filter((slot) => this.#isMatch(slot, where as object)).sort((a, b) => a - b);
  }

  /** Everything there is, in one order: equal states have equal JSON. Without `hidden` only what queries see. */
  state({ hidden = true } = {}): { alive: number[]; fields: Record<string, [number, NaiveOpsValue[]][]> } {
    const fields: Record<string, [number, NaiveOpsValue[]][]> = {};
    for (const [name, valuesOfSlot] of this.fields) {
      fields[name] = [...valuesOfSlot]
        .filter(([slot]) => hidden || this.alive.has(slot))
        .sort(([left], [right]) => left - right)
        .map(([slot, values]) => [slot, [...values].sort(compareValues)]);
    }
    return { alive: [...this.alive].sort((a, b) => a - b), fields };
  }

  #applyOp(slot: number, op: Op): void {
    if (op.op !== 'queryOpSet') {
      this.#applySlotOp(slot, op);
      return;
    }
    if (op.where === null) return;
    for (const match of this.matches(op.where)) {
      for (const each of op.ops) this.#applySlotOp(match, each);
    }
  }

  #applySlotOp(slot: number, op: SlotOp): void {
    if (op.op === 'delete') {
      this.alive.delete(slot);
      for (const valuesOfSlot of this.fields.values()) valuesOfSlot.delete(slot);
      return;
    }
    const field = this.#definitions.get(op.field)!;
    const values = this.#valuesOf(slot, op.field);
    const given = op.value === null ? [] : [op.value].flat().map((value) => normalised(field, value));
    if (op.op === 'remove') {
      for (const value of given) values.delete(value);
    } else {
      // An add says "has v", so on a field of one value it says the same as a set.
      if (op.op === 'set' || !field.many) values.clear();
      for (const value of given) values.add(value);
    }
    const valuesOfSlot = this.fields.get(op.field)!;
    if (values.size === 0) valuesOfSlot.delete(slot);
    else valuesOfSlot.set(slot, values);
  }

  #valuesOf(slot: number, field: string): Set<NaiveOpsValue> {
    return this.fields.get(field)!.get(slot) ?? new Set();
  }

  #isMatch(slot: number, where: object): boolean {
    return Object.entries(where).every(([key, operand]) => {
      const list = (Array.isArray(operand) ? operand : [operand]) as object[];
      if (key === 'AND') return list.every((each) => this.#isMatch(slot, each));
      if (key === 'OR') return list.some((each) => this.#isMatch(slot, each));
      if (key === 'NOT') return !list.some((each) => this.#isMatch(slot, each));
      return isFieldMatch(this.#definitions.get(key)!, this.#valuesOf(slot, key), operand);
    });
  }
}

function isFieldMatch(field: FieldDefinition, values: Set<NaiveOpsValue>, condition: unknown): boolean {
  if (typeof condition !== 'object' || condition === null) return has(field, values, condition);
  return Object.entries(condition).every(([operator, operand]) => {
    const list = operand as unknown[];
    const some = (isWanted: (value: NaiveOpsValue, bound: NaiveOpsValue) => boolean) =>
      [...values].some((value) => isWanted(value, normalised(field, operand)));
    switch (operator) {
      case 'equals':
        return has(field, values, operand);
      case 'in':
        return list.some((each) => has(field, values, each));
      case 'notIn':
        return !list.some((each) => has(field, values, each));
      case 'not':
        return !isFieldMatch(field, values, operand);
      case 'isNull':
        return (values.size === 0) === operand;
      case 'all':
        return list.every((each) => values.has(normalised(field, each)));
      case 'gt':
        return some((value, bound) => value > bound);
      case 'gte':
        return some((value, bound) => value >= bound);
      case 'lt':
        return some((value, bound) => value < bound);
      case 'lte':
        return some((value, bound) => value <= bound);
      default:
        throw new RangeError(`the naive model knows no operator ${operator}`);
    }
  });
}

function has(field: FieldDefinition, values: Set<NaiveOpsValue>, value: unknown): boolean {
  return value === null ? values.size === 0 : values.has(normalised(field, value));
}

/** Timestamps as epoch seconds; −0 as 0, as Set does. */
function normalised(field: FieldDefinition, value: unknown): NaiveOpsValue {
  if (field.type !== 'timestamp' || typeof value !== 'string') return value as NaiveOpsValue;
  return /^\+?\d+$/.test(value) ? Number(value) : epochSecondsOfText(value)!;
}

function compareValues(left: NaiveOpsValue, right: NaiveOpsValue): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
