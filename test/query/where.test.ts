import { describe, expect, test } from 'vitest';
import { BitloomError } from '../../src/errors.ts';
import { WHERE_CLAUSES_MAX, WHERE_DEPTH_MAX } from '../../src/limits.ts';
import { canonicalText } from '../../src/query/clause.ts';
import { parseWhere } from '../../src/query/where.ts';
import { definition } from './table.ts';

function parse(where: unknown) {
  return parseWhere(definition, where);
}

function errorOf(where: unknown): BitloomError {
  try {
    parse(where);
  } catch (error) {
    if (error instanceof BitloomError) return error;
    throw error;
  }
  throw new Error(`no error for ${JSON.stringify(where)}`);
}

describe('values', () => {
  test.each([
    ['level', 7, 7],
    ['level', 2 ** 32 - 1, 2 ** 32 - 1],
    ['level', -0, 0],
    ['score', -1, 0x7fffffff],
    ['score', -(2 ** 31), 0],
    ['score', 2 ** 31 - 1, 2 ** 32 - 1],
    ['flag', true, 1],
    ['kind', '', ''],
    ['kind', '7', '7'],
  ])('%s: %j becomes the key %j', (field, value, key) => {
    expect(parse({ [field]: value })).toEqual({ kind: 'values', field, values: [key] });
  });

  test.each([
    1_714_564_800,
    '1714564800',
    '2024-05-01T12:00:00Z',
    '2024-05-01 12:00:00+00',
    '2024-05-01T14:00:00.999+02:00',
    '2024-05-01 12:00',
  ])('a timestamp may be %j', (value) => {
    expect(parse({ seenAt: value })).toEqual({
      kind: 'ranges',
      field: 'seenAt',
      bounds: [1_714_564_800, 1_714_564_800],
    });
  });

  test.each([
    ['level', -1],
    ['level', 2 ** 32],
    ['level', 1.5],
    ['level', Number.NaN],
    ['level', 2 ** 53],
    ['level', '1'],
    ['level', true],
    ['level', [1]],
    ['level', undefined],
    ['score', 2 ** 31],
    ['score', -(2 ** 31) - 1],
    ['flag', 1],
    ['flag', 'true'],
    ['kind', 1],
    ['kind', '\ud800'],
    ['seenAt', '2024-02-30'],
    ['seenAt', 'yesterday'],
    ['seenAt', -1],
    ['seenAt', '1969-12-31T23:59:59Z'],
    ['seenAt', 2 ** 32],
  ])('%s: %j is QUERY_TYPE, naming field, type and value', (field, value) => {
    const error = errorOf({ [field]: value });
    expect(error.code).toBe('QUERY_TYPE');
    expect(error.message).toMatch(
      new RegExp(`^where\\.${field}: field "${field}" is \\w+ and takes .*, got .+`),
    );
    expect(error.hint).toBeTruthy();
  });

  test('a long value is cut in the message', () => {
    expect(errorOf({ level: 'x'.repeat(10_000) }).message.length).toBeLessThan(200);
  });

  test('the place of a value in a list is named', () => {
    expect(errorOf({ NOT: [{ level: { in: [1, 'x'] } }] }).message).toContain('where.NOT[0].level.in[1]:');
  });
});

describe('equal questions have one form', () => {
  test.each([
    [{ level: 1 }, { level: { equals: 1 } }],
    [{ level: 1 }, { level: { in: [1, 1] } }],
    [{ level: { in: [2, 1] } }, { OR: [{ level: 1 }, { level: 2 }] }],
    [{ level: { notIn: [1] } }, { NOT: { level: 1 } }],
    [{ level: { not: { not: 1 } } }, { level: 1 }],
    [{ level: null }, { level: { isNull: true } }],
    [{ level: { not: null } }, { level: { isNull: false } }],
    [{ level: { in: [null, 1] } }, { OR: [{ level: 1 }, { level: null }] }],
    [{ level: 1, kind: 'a' }, { AND: [{ kind: 'a' }, { AND: { level: 1 } }] }],
    [{ OR: { level: 1, kind: 'a' } }, { kind: 'a', level: 1 }],
    [{ NOT: [{ level: 1 }, { kind: 'a' }] }, { NOT: { OR: [{ kind: 'a' }, { level: 1 }] } }],
    [{ seenAt: { gt: 4, lte: 9 } }, { AND: [{ seenAt: { lt: 10 } }, { seenAt: { gte: 5 } }] }],
    [{ reactions: { in: [3, 1, 2] } }, { reactions: { gte: 1, lt: 4 } }],
    [{ tags: { all: [1, 2] } }, { AND: [{ tags: 2 }, { tags: 1 }] }],
    [{}, { AND: [] }],
    [{}, { NOT: [] }],
    [{}, { level: { notIn: [] } }],
    [{}, { tags: { all: [] } }],
    [{ OR: [] }, { level: { in: [] } }],
    [{ OR: [] }, { seenAt: { gt: 2 ** 32 - 1 } }],
    [{ OR: [] }, { seenAt: { gt: 5, lt: 5 } }],
    [{ OR: [] }, { score: { lt: -(2 ** 31) }, kind: 'a' }],
  ])('%j and %j', (left, right) => {
    expect(canonicalText(parse(left))).toBe(canonicalText(parse(right)));
  });
});

describe('refused', () => {
  test.each([
    [{ levle: 1 }, 'QUERY_UNKNOWN_FIELD', 'did you mean "level"?'],
    [{ zzzzzz: 1 }, 'QUERY_UNKNOWN_FIELD', 'the fields are flag, level, '],
    [JSON.parse('{"__proto__": 1}'), 'QUERY_UNKNOWN_FIELD', 'the fields are'],
    [{ constructor: 1 }, 'QUERY_UNKNOWN_FIELD', 'the fields are'],
    [{ level: { greater: 1 } }, 'QUERY_UNKNOWN_OPERATOR', 'the operators are equals, '],
    [{ level: { note: 1 } }, 'QUERY_UNKNOWN_OPERATOR', 'did you mean "not"?'],
    [{ level: { gt: 1 } }, 'QUERY_RANGE_WITHOUT_SORT', 'index: [filter, sort]'],
    [{ kind: { lt: 'b' } }, 'QUERY_RANGE_WITHOUT_SORT', 'strings have no order'],
    [{ tags: { gte: 1 } }, 'QUERY_RANGE_WITHOUT_SORT', 'a field with many values has no order'],
    [{ seenAt: { gt: null } }, 'QUERY_TYPE', 'isNull'],
    [{ level: { isNull: 1 } }, 'QUERY_TYPE', 'isNull'],
    [{ level: { all: [1] } }, 'QUERY_INVALID', 'many: true'],
    [{ level: { in: 1 } }, 'QUERY_INVALID', 'write [value, value]'],
    [{ level: {} }, 'QUERY_INVALID', 'use one of equals'],
    [{ AND: 1 }, 'QUERY_INVALID', 'write { field: value }'],
    [{ OR: [[]] }, 'QUERY_INVALID', 'write { field: value }'],
    [null, 'QUERY_INVALID', 'write { field: value }'],
    [[], 'QUERY_INVALID', 'write { field: value }'],
    ['level', 'QUERY_INVALID', 'write { field: value }'],
  ])('%j is %s', (where, code, hint) => {
    const error = errorOf(where);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(/^where/);
    expect(error.hint).toContain(hint);
  });

  test('nesting deeper than WHERE_DEPTH_MAX', () => {
    const nest = (levels: number) => {
      let where: object = { level: 1 };
      for (let level = 1; level < levels; level++) where = { NOT: where };
      return where;
    };
    expect(() => parse(nest(WHERE_DEPTH_MAX))).not.toThrow();
    expect(errorOf(nest(WHERE_DEPTH_MAX + 1)).code).toBe('WHERE_TOO_DEEP');
    expect(errorOf(nest(100_000)).code).toBe('WHERE_TOO_DEEP');
    let condition: object = { equals: 1 };
    for (let level = 0; level < 100; level++) condition = { not: condition };
    expect(errorOf({ level: condition }).code).toBe('WHERE_TOO_DEEP');
  });

  test('more clauses and list members than WHERE_CLAUSES_MAX', () => {
    const values = Array.from({ length: WHERE_CLAUSES_MAX }, (_, index) => index);
    // The operator counts as well.
    expect(() => parse({ level: { in: values.slice(1) } })).not.toThrow();
    expect(errorOf({ level: { in: values } }).code).toBe('WHERE_TOO_LARGE');
    expect(errorOf({ OR: values.map((value) => ({ level: value })) }).code).toBe('WHERE_TOO_LARGE');
    expect(errorOf({ AND: values.concat(1).map(() => ({})) }).code).toBe('WHERE_TOO_LARGE');
  });
});
