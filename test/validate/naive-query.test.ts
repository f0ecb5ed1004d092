import { expect, test } from 'vitest';
import { parseDefinition } from '../../src/config/parse.ts';
import type { ModelField, ModelValue, NaiveModel } from '../../src/validate/naive-model.ts';
import { NaiveQueries } from '../../src/validate/naive-query.ts';

const definition = parseDefinition(
  `
name: small
fields:
  level: { type: int32, index: [filter, sort] }
  label: { type: string, index: filter }
  tagIds: { type: uint32, index: filter, many: true }
tables:
  rows:
    csv: { columns: [id, level, label] }
    slot: id
    alive: true
    fields: { level: level, label: label }
  tags:
    csv: { columns: [tagId, id] }
    slot: id
    fields: { tagIds: tagId }
`,
  'small.yaml',
);

/** Slot 9 has fields but is not alive; slot 5 is alive and has none. */
function smallModel(): NaiveModel {
  const level = new Map<number, ModelValue>([
    [1, -2],
    [2, 7],
    [3, 7],
    [4, 0],
    [9, 7],
  ]);
  const field = (
    name: string,
    values: [ModelValue, number[]][],
    valueOfSlot = new Map<number, ModelValue>(),
  ) => {
    const slotsOfValue = new Map(values.map(([value, slots]) => [value, Uint32Array.from(slots)]));
    const found = definition.fields.find((each) => each.name === name)!;
    return [name, { definition: found, slotsOfValue, valueOfSlot }] as [string, ModelField];
  };
  const fields = new Map([
    field(
      'level',
      [
        [-2, [1]],
        [7, [2, 3, 9]],
        [0, [4]],
      ],
      level,
    ),
    field('label', [
      ['a', [1, 2, 9]],
      ['', [3]],
    ]),
    field('tagIds', [
      [10, [1, 2, 9]],
      [11, [2, 4]],
    ]),
  ]);
  return { definition, alive: new Set([5, 3, 1, 2, 4]), fields, tables: {}, rejects: [] };
}

const queries = new NaiveQueries(smallModel());

test.each<[object, number[]]>([
  [{}, [1, 2, 3, 4, 5]],
  [{ level: 7 }, [2, 3]],
  [{ level: { equals: 7 }, label: 'a' }, [2]],
  [{ label: '' }, [3]],
  [{ label: null }, [4, 5]],
  [{ label: { not: 'a' } }, [3, 4, 5]],
  [{ label: { not: null } }, [1, 2, 3]],
  [{ level: { in: [0, 7] } }, [2, 3, 4]],
  [{ level: { notIn: [0, 7] } }, [1, 5]],
  [{ level: { gt: -2, lte: 7 } }, [2, 3, 4]],
  [{ level: { gte: -2, lt: 0 } }, [1]],
  [{ level: { isNull: false } }, [1, 2, 3, 4]],
  [{ tagIds: 10 }, [1, 2]],
  [{ tagIds: { all: [10, 11] } }, [2]],
  [{ AND: [{ tagIds: 10 }, { level: 7 }] }, [2]],
  [{ AND: [] }, [1, 2, 3, 4, 5]],
  [{ OR: [{ label: '' }, { level: 0 }] }, [3, 4]],
  [{ OR: [] }, []],
  [{ NOT: { tagIds: 10 } }, [3, 4, 5]],
  [{ NOT: [{ tagIds: 10 }, { label: '' }] }, [4, 5]],
])('%o matches %o', (where, expected) => {
  expect([...queries.ordered(where as Record<string, unknown>)]).toEqual(expected);
});

test('order: ties by slot in the same direction, nulls last in both', () => {
  expect([...queries.ordered({}, { level: 'asc' })]).toEqual([1, 4, 2, 3, 5]);
  expect([...queries.ordered({}, { level: 'desc' })]).toEqual([3, 2, 4, 1, 5]);
  expect([...queries.ordered({ tagIds: 10 }, { level: 'desc' })]).toEqual([2, 1]);
});

test('what the model does not know is an error, not an empty answer', () => {
  expect(() => queries.ordered({ nope: 1 })).toThrow('no field nope');
  expect(() => queries.ordered({ level: { near: 1 } })).toThrow('no operator near');
});
