/**
 * Queries over the naive model: a flag per alive slot for every clause, combined one by one, and a plain sort. The
 * answers that the index must give. Expects well-formed queries of the public shape.
 */
import { BitloomError } from '../errors.ts';
import type { ModelField, ModelValue, NaiveModel } from './naive-model.ts';

/** A `where` of the public API; values of timestamp fields in epoch seconds. */
export interface ModelWhere {
  readonly [key: string]: unknown;
}

export type ModelOrder = Readonly<Record<string, 'asc' | 'desc'>>;

/** 1 for each alive slot that matches, by the slot's position among the alive slots. */
type Matches = Uint8Array;

/** Answers queries about one model; keeps the order of all alive slots per `orderBy`, which is most of the work. */
export class NaiveQueries {
  readonly #model: NaiveModel;
  /** Alive slots, ascending. */
  readonly #alive: Uint32Array;
  readonly #positionOf = new Map<number, number>();
  readonly #orders = new Map<string, Uint32Array>();

  constructor(model: NaiveModel) {
    this.#model = model;
    this.#alive = Uint32Array.from(model.alive).sort();
    this.#alive.forEach((slot, position) => {
      this.#positionOf.set(slot, position);
    });
  }

  /** All matches in the order of the pages: without `orderBy` by slot; ties by slot in the same direction, nulls last. */
  ordered(where: ModelWhere, orderBy: ModelOrder = {}): Uint32Array {
    const matches = this.#matchesOf(where);
    return this.#order(orderBy).filter((slot) => matches[this.#positionOf.get(slot)!] === 1);
  }

  #order(orderBy: ModelOrder): Uint32Array {
    const key = JSON.stringify(orderBy);
    let order = this.#orders.get(key);
    if (order === undefined) {
      order = orderOf(this.#model, this.#alive, orderBy);
      this.#orders.set(key, order);
    }
    return order;
  }

  #matchesOf(where: ModelWhere): Matches {
    return Object.entries(where)
      .map(([key, operand]) => this.#matchesOfKey(key, operand))
      .reduce(both, this.#everything());
  }

  #matchesOfKey(key: string, operand: unknown): Matches {
    if (key !== 'AND' && key !== 'OR' && key !== 'NOT')
      return this.#matchesOfField(fieldOf(this.#model, key), operand);
    const list = (Array.isArray(operand) ? operand : [operand]).map((where) =>
      this.#matchesOf(where as ModelWhere),
    );
    if (key === 'AND') return list.reduce(both, this.#everything());
    const anyOfThem = list.reduce(either, opposite(this.#everything()));
    return key === 'OR' ? anyOfThem : opposite(anyOfThem);
  }

  #matchesOfField(field: ModelField, operand: unknown): Matches {
    if (operand === null) return this.#matchesOfOperator(field, 'isNull', true);
    if (typeof operand !== 'object') return this.#withValue(field, (value) => value === operand);
    return Object.entries(operand)
      .map(([operator, argument]) => this.#matchesOfOperator(field, operator, argument))
      .reduce(both, this.#everything());
  }

  #matchesOfOperator(field: ModelField, operator: string, argument: unknown): Matches {
    const list = argument as ModelValue[];
    const bound = argument as number;
    switch (operator) {
      case 'equals':
        return this.#matchesOfField(field, argument);
      case 'not':
        return opposite(this.#matchesOfField(field, argument));
      case 'in':
        return this.#withValue(field, (value) => list.includes(value));
      case 'notIn':
        return opposite(this.#withValue(field, (value) => list.includes(value)));
      case 'all':
        return list.map((value) => this.#matchesOfField(field, value)).reduce(both, this.#everything());
      case 'isNull': {
        const present = this.#withValue(field, () => true);
        return argument === true ? opposite(present) : present;
      }
      case 'gt':
        return this.#withValue(field, (value) => Number(value) > bound);
      case 'gte':
        return this.#withValue(field, (value) => Number(value) >= bound);
      case 'lt':
        return this.#withValue(field, (value) => Number(value) < bound);
      case 'lte':
        return this.#withValue(field, (value) => Number(value) <= bound);
      default:
        throw new BitloomError('MODEL_QUERY', `the naive model knows no operator ${operator}`);
    }
  }

  /** Slots with a value that is wanted. */
  #withValue(field: ModelField, wanted: (value: ModelValue) => boolean): Matches {
    const matches = new Uint8Array(this.#alive.length);
    for (const [value, slots] of field.slotsOfValue) {
      if (!wanted(value)) continue;
      for (const slot of slots) {
        const position = this.#positionOf.get(slot);
        if (position !== undefined) matches[position] = 1;
      }
    }
    return matches;
  }

  #everything(): Matches {
    return new Uint8Array(this.#alive.length).fill(1);
  }
}

function orderOf(model: NaiveModel, alive: Uint32Array, orderBy: ModelOrder): Uint32Array {
  const [name, direction] = Object.entries(orderBy)[0] ?? [];
  if (name === undefined) return alive;
  const values = fieldOf(model, name).valueOfSlot;
  const sign = direction === 'desc' ? -1 : 1;
  return alive.toSorted((a, b) => {
    const left = values.get(a);
    const right = values.get(b);
    if (left === undefined && right === undefined) return sign * (a - b);
    if (left === undefined || right === undefined) return left === undefined ? 1 : -1;
    return sign * (Number(left) - Number(right) || a - b);
  });
}

function fieldOf(model: NaiveModel, name: string): ModelField {
  const field = model.fields.get(name);
  if (field !== undefined) return field;
  throw new BitloomError('MODEL_QUERY', `the naive model has no field ${name}`);
}

function both(left: Matches, right: Matches): Matches {
  return left.map((flag, position) => flag & right[position]);
}

function either(left: Matches, right: Matches): Matches {
  return left.map((flag, position) => flag | right[position]);
}

function opposite(matches: Matches): Matches {
  return matches.map((flag) => 1 - flag);
}
