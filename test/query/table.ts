/**
 * Tables of rows for query tests: a version built from them through the segment builders, and what a query over them
 * means, said with plain loops and comparisons.
 */
import type { FieldDefinition } from '../../src/config/definition.ts';
import { createVersion } from '../../src/index/base-version.ts';
import { DictionaryBuilder } from '../../src/index/dictionary-segment.ts';
import { keyOfValue } from '../../src/index/key.ts';
import type { FieldSegments, Version } from '../../src/index/version.ts';
import type { Direction } from '../../src/query/query.ts';
import type { FieldOperators, Scalar, Where } from '../../src/query/where.ts';
import { buildAlive, buildFilter, buildSort, definitionOf, fieldOf } from '../index/model.ts';

/** Timestamps are epoch seconds here. */
export type Value = boolean | number | string | null | (number | string)[];

export interface Row {
  slot: number;
  alive: boolean;
  values: Record<string, Value>;
}

export const fields: FieldDefinition[] = [
  fieldOf('flag', 'boolean', 'filter'),
  fieldOf('level', 'uint32', 'filter'),
  fieldOf('kind', 'string', 'filter'),
  fieldOf('tags', 'uint32', 'filter', true),
  fieldOf('labels', 'string', 'filter', true),
  fieldOf('score', 'int32', 'filter sort'),
  fieldOf('seenAt', 'timestamp', 'sort'),
  fieldOf('reactions', 'uint32', 'sort'),
  fieldOf('wild', 'uint32', 'sort'),
  fieldOf('delta', 'int32', 'sort'),
  fieldOf('pinned', 'boolean', 'sort'),
  fieldOf('void', 'uint32', 'filter sort'),
];

export const definition = definitionOf(fields);

export function versionOf(rows: readonly Row[], id = 1): Version {
  const segments: Record<string, FieldSegments> = {};
  for (const field of fields) segments[field.name] = segmentsOf(field, rows);
  const alive = rows.filter((row) => row.alive).map((row) => row.slot);
  return createVersion({ id, definition, segments: { alive: buildAlive(alive), fields: segments } });
}

function segmentsOf(field: FieldDefinition, rows: readonly Row[]): FieldSegments {
  const dictionary = new DictionaryBuilder();
  const slotsByKey = new Map<number, Set<number>>();
  const keyBySlot = new Map<number, number>();
  for (const row of rows) {
    for (const value of listOf(row.values[field.name])) {
      const bytes = Buffer.from(String(value));
      const key =
        field.type === 'string'
          ? dictionary.add(bytes, 0, bytes.length)
          : keyOfValue(field.type, value as number | boolean);
      const slots = slotsByKey.get(key);
      if (slots === undefined) slotsByKey.set(key, new Set([row.slot]));
      else slots.add(row.slot);
      keyBySlot.set(row.slot, key);
    }
  }
  return {
    ...(field.filter && { filter: buildFilter(slotsByKey) }),
    ...(field.sort && { sort: buildSort(keyBySlot) }),
    ...(field.type === 'string' && { dictionary: dictionary.finish() }),
  };
}

/** The values of a row in a field, as a list. */
export function listOf(value: Value | undefined): (boolean | number | string)[] {
  if (value === null || value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

export function matches(row: Row, where: Where): boolean {
  return Object.entries(where).every(([name, condition]) => {
    const list = (Array.isArray(condition) ? condition : [condition]) as Where[];
    if (name === 'AND') return list.every((each) => matches(row, each));
    if (name === 'OR') return list.some((each) => matches(row, each));
    if (name === 'NOT') return !list.some((each) => matches(row, each));
    return holds(listOf(row.values[name]), condition as Scalar | FieldOperators);
  });
}

function holds(values: (boolean | number | string)[], condition: Scalar | FieldOperators): boolean {
  if (condition === null) return values.length === 0;
  if (typeof condition !== 'object') return values.includes(condition);
  return Object.entries(condition).every(([operator, operand]) => {
    switch (operator) {
      case 'equals':
        return holds(values, operand);
      case 'in':
        return operand.some((each: Scalar) => holds(values, each));
      case 'notIn':
        return !operand.some((each: Scalar) => holds(values, each));
      case 'not':
        return !holds(values, operand);
      case 'all':
        return operand.every((each: Scalar) => holds(values, each));
      case 'isNull':
        return operand === (values.length === 0);
      case 'gt':
        return values.some((value) => value > operand);
      case 'gte':
        return values.some((value) => value >= operand);
      case 'lt':
        return values.some((value) => value < operand);
      case 'lte':
        return values.some((value) => value <= operand);
      default:
        throw new Error(operator);
    }
  });
}

/** Every match in order. */
export function answer(rows: readonly Row[], where: Where, orderBy?: Record<string, Direction>): number[] {
  const found = rows.filter((row) => row.alive && matches(row, where));
  const [name, direction] = Object.entries(orderBy ?? { '': 'asc' })[0];
  const sign = direction === 'asc' ? 1 : -1;
  found.sort((left, right) => {
    const leftValue = listOf(left.values[name])[0];
    const rightValue = listOf(right.values[name])[0];
    if (leftValue === rightValue) return sign * (left.slot - right.slot);
    if (leftValue === undefined) return 1;
    if (rightValue === undefined) return -1;
    return leftValue < rightValue ? -sign : sign;
  });
  return found.map((row) => row.slot);
}

/** Random numbers that a seed repeats (mulberry32): from 0 to 1. */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface TableShape {
  seed: number;
  rowCount: number;
  /** Slots between two rows: 1 is dense, larger spreads the same rows over more pages. */
  slotStride: number;
  slotStart: number;
  /** Part of the values that are null. */
  nullPart: number;
  /** Part of the rows that are not alive. */
  deadPart: number;
}

/** Rows as a real table has them: a time that ascends with the slot, wide ties, a heavy tail, signed numbers. */
export function makeRows(shape: TableShape): Row[] {
  const random = randomOf(shape.seed);
  const rows: Row[] = [];
  for (let index = 0; index < shape.rowCount; index++) {
    const orNull = (value: Value): Value => (random() < shape.nullPart ? null : value);
    rows.push({
      slot: shape.slotStart + index * shape.slotStride,
      alive: random() >= shape.deadPart,
      values: {
        flag: orNull(random() < 0.85),
        level: orNull(Math.floor(random() ** 3 * 6)),
        kind: orNull(['image', 'video', 'audio', ''][Math.floor(random() ** 2 * 4)]),
        tags: [...new Set(Array.from({ length: Math.floor(random() * 4) }, () => Math.floor(random() * 8)))],
        labels: random() < 0.7 ? [] : ['a', 'b', 'ä'].filter(() => random() < 0.5),
        score: orNull(Math.floor((random() - 0.5) * 40)),
        seenAt: orNull(1_700_000_000 + index * 3 + Math.floor(random() * 50)),
        reactions: orNull(Math.floor(random() ** -0.7) - 1),
        wild: orNull(Math.floor(random() * 2 ** 32)),
        delta: orNull(
          random() < 0.1 ? -(2 ** 31) : random() < 0.1 ? 2 ** 31 - 1 : Math.floor((random() - 0.5) * 2e6),
        ),
        pinned: orNull(random() < 0.02),
        void: null,
      },
    });
  }
  return rows;
}
