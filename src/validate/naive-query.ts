/**
 * Queries over the naive model, as set algebra on Sets of alive slots and a plain sort: the answers that the index must
 * give. Expects well-formed queries of the public shape.
 */
import { BitloomError } from '../errors.ts';
import type { ModelField, ModelValue, NaiveModel } from './naive-model.ts';

/** A `where` of the public API; values of timestamp fields in epoch seconds. */
export interface ModelWhere {
  readonly [key: string]: unknown;
}

export type ModelOrder = Readonly<Record<string, 'asc' | 'desc'>>;

type Slots = ReadonlySet<number>;

/** Answers queries about one model; keeps the order of all alive slots per `orderBy`, which is most of the work. */
export class NaiveQueries {
  readonly #model: NaiveModel;
  readonly #orders = new Map<string, Uint32Array>();

  constructor(model: NaiveModel) {
    this.#model = model;
  }

  /** All matches in the order of the pages: without `orderBy` by slot; ties by slot in the same direction, nulls last. */
  ordered(where: ModelWhere, orderBy: ModelOrder = {}): Uint32Array {
    const matches = matchesOf(this.#model, where);
    return this.#order(orderBy).filter((slot) => matches.has(slot));
  }

  #order(orderBy: ModelOrder): Uint32Array {
    const key = JSON.stringify(orderBy);
    let order = this.#orders.get(key);
    if (order === undefined) {
      order = orderOf(this.#model, orderBy);
      this.#orders.set(key, order);
    }
    return order;
  }
}

function orderOf(model: NaiveModel, orderBy: ModelOrder): Uint32Array {
  const slots = Uint32Array.from(model.alive).sort();
  const [name, direction] = Object.entries(orderBy)[0] ?? [];
  if (name === undefined) return slots;
  const values = fieldOf(model, name).valueOfSlot;
  const sign = direction === 'desc' ? -1 : 1;
  return slots.sort((a, b) => {
    const left = values.get(a);
    const right = values.get(b);
    if (left === undefined && right === undefined) return sign * (a - b);
    if (left === undefined || right === undefined) return left === undefined ? 1 : -1;
    return sign * (Number(left) - Number(right) || a - b);
  });
}

/** Every alive slot that matches. */
function matchesOf(model: NaiveModel, where: ModelWhere): Slots {
  let matches = model.alive;
  for (const [key, operand] of Object.entries(where)) {
    matches = intersection(matches, matchesOfKey(model, key, operand));
  }
  return matches;
}

function matchesOfKey(model: NaiveModel, key: string, operand: unknown): Slots {
  const list = (Array.isArray(operand) ? operand : [operand]) as ModelWhere[];
  if (key === 'AND') return list.map((where) => matchesOf(model, where)).reduce(intersection, model.alive);
  if (key === 'OR') return list.map((where) => matchesOf(model, where)).reduce(union, new Set());
  if (key === 'NOT') return list.map((where) => matchesOf(model, where)).reduce(difference, model.alive);
  return matchesOfField(model, fieldOf(model, key), operand);
}

function matchesOfField(model: NaiveModel, field: ModelField, operand: unknown): Slots {
  if (operand === null) return matchesOfOperator(model, field, 'isNull', true);
  if (typeof operand !== 'object') return slotsWhere(model, field, (value) => value === operand);
  return Object.entries(operand)
    .map(([operator, argument]) => matchesOfOperator(model, field, operator, argument))
    .reduce(intersection, model.alive);
}

function matchesOfOperator(model: NaiveModel, field: ModelField, operator: string, argument: unknown): Slots {
  const list = argument as ModelValue[];
  const bound = argument as number;
  switch (operator) {
    case 'equals':
      return matchesOfField(model, field, argument);
    case 'not':
      return difference(model.alive, matchesOfField(model, field, argument));
    case 'in':
      return slotsWhere(model, field, (value) => list.includes(value));
    case 'notIn':
      return difference(
        model.alive,
        slotsWhere(model, field, (value) => list.includes(value)),
      );
    case 'all':
      return list.map((value) => matchesOfField(model, field, value)).reduce(intersection, model.alive);
    case 'isNull': {
      const present = slotsWhere(model, field, () => true);
      return argument === true ? difference(model.alive, present) : present;
    }
    case 'gt':
      return slotsWhere(model, field, (value) => Number(value) > bound);
    case 'gte':
      return slotsWhere(model, field, (value) => Number(value) >= bound);
    case 'lt':
      return slotsWhere(model, field, (value) => Number(value) < bound);
    case 'lte':
      return slotsWhere(model, field, (value) => Number(value) <= bound);
    default:
      throw new BitloomError('MODEL_QUERY', `the naive model knows no operator ${operator}`);
  }
}

/** Alive slots with a value that is wanted. */
function slotsWhere(model: NaiveModel, field: ModelField, wanted: (value: ModelValue) => boolean): Slots {
  const matches = new Set<number>();
  for (const [value, slots] of field.slotsOfValue) {
    if (!wanted(value)) continue;
    for (const slot of slots) if (model.alive.has(slot)) matches.add(slot);
  }
  return matches;
}

function fieldOf(model: NaiveModel, name: string): ModelField {
  const field = model.fields.get(name);
  if (field !== undefined) return field;
  throw new BitloomError('MODEL_QUERY', `the naive model has no field ${name}`);
}

function intersection(a: Slots, b: Slots): Slots {
  const [small, large] = a.size < b.size ? [a, b] : [b, a];
  const both = new Set<number>();
  for (const slot of small) if (large.has(slot)) both.add(slot);
  return both;
}

function union(a: Slots, b: Slots): Slots {
  const either = new Set(a);
  for (const slot of b) either.add(slot);
  return either;
}

function difference(a: Slots, b: Slots): Slots {
  const rest = new Set<number>();
  for (const slot of a) if (!b.has(slot)) rest.add(slot);
  return rest;
}
