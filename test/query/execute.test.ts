import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RoaringBitmap32 } from '../../src/index/roaring.ts';
import type { Version } from '../../src/index/version.ts';
import { executeCount, executeQuery } from '../../src/query/execute.ts';
import type { Query } from '../../src/query/query.ts';
import type { FieldOperators, Scalar, Where } from '../../src/query/where.ts';
import { answer, fields, makeRows, type Row, versionOf } from './table.ts';

interface Table {
  rows: Row[];
  version: Version;
}

function tableOf(rows: Row[]): Table {
  return { rows, version: versionOf(rows) };
}

const small = { slotStart: 3, slotStride: 2, rowCount: 60, nullPart: 0.2, deadPart: 0.2 };
const tables: Record<string, Table> = {
  small: tableOf(makeRows({ ...small, seed: 1 })),
  'dense, no nulls': tableOf(
    makeRows({ seed: 2, slotStart: 0, slotStride: 1, rowCount: 12_000, nullPart: 0, deadPart: 0 }),
  ),
  'many pages': tableOf(
    makeRows({ seed: 3, slotStart: 65_000, slotStride: 101, rowCount: 9_000, nullPart: 0.05, deadPart: 0.1 }),
  ),
  'the last slots': tableOf(
    makeRows({
      seed: 4,
      slotStart: 2 ** 32 - 6_000,
      slotStride: 1,
      rowCount: 6_000,
      nullPart: 0.3,
      deadPart: 0,
    }),
  ),
  empty: tableOf([]),
};

const tableName = fc.constantFrom(...Object.keys(tables));

/** A value that may occur in the field, or may just not. */
function scalarOf(name: string): fc.Arbitrary<Exclude<Scalar, null>> {
  switch (name) {
    case 'flag':
    case 'pinned':
      return fc.boolean();
    case 'kind':
      return fc.constantFrom('image', 'video', 'audio', '', 'none');
    case 'labels':
      return fc.constantFrom('a', 'b', 'ä', 'z');
    case 'score':
      return fc.integer({ min: -25, max: 25 });
    case 'seenAt':
      return fc.oneof(
        fc.integer({ min: 1_699_999_990, max: 1_700_130_000 }),
        fc.constantFrom(0, 2 ** 32 - 1),
      );
    case 'wild':
      return fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.constantFrom(0, 2 ** 31, 2 ** 32 - 1));
    case 'delta':
      return fc.oneof(fc.integer({ min: -1e6, max: 1e6 }), fc.constantFrom(-(2 ** 31), -1, 0, 2 ** 31 - 1));
    default:
      return fc.oneof(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 2000 }));
  }
}

function conditionOf(name: string): fc.Arbitrary<Scalar | FieldOperators> {
  const field = fields.find((each) => each.name === name)!;
  const value = scalarOf(name);
  const orNull = fc.oneof({ arbitrary: value, weight: 9 }, { arbitrary: fc.constant(null), weight: 1 });
  const list = fc.array(orNull, { maxLength: 8 });
  const range = fc
    .tuple(fc.constantFrom('gt', 'gte', 'lt', 'lte'), value)
    .map(([operator, bound]) => ({ [operator]: bound }) as FieldOperators);
  const between = fc.tuple(value, value).map(([low, high]) => ({ gte: low, lt: high }));
  return fc.oneof(
    orNull,
    fc.record({ equals: orNull }),
    fc.record({ in: list }),
    fc.record({ notIn: list }),
    fc.record({ not: orNull }),
    fc.record({ isNull: fc.boolean() }),
    ...(field.many ? [fc.record({ all: fc.array(value, { maxLength: 3 }) })] : []),
    ...(field.sort ? [range, between, range.map((each) => ({ not: each }))] : []),
  );
}

const leaf: fc.Arbitrary<Where> = fc
  .constantFrom(...fields.map((field) => field.name))
  .chain((name) => conditionOf(name).map((condition) => ({ [name]: condition })));

const { where } = fc.letrec<{ where: Where }>((tie) => ({
  where: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    leaf,
    fc.tuple(leaf, leaf).map(([left, right]) => ({ ...left, ...right })),
    fc.record({ AND: fc.array(tie('where'), { maxLength: 4 }) }),
    fc.record({ OR: fc.array(tie('where'), { maxLength: 4 }) }),
    fc.record({ NOT: fc.oneof(tie('where'), fc.array(tie('where'), { maxLength: 2 })) }),
    fc.tuple(leaf, tie('where')).map(([left, right]) => ({ ...left, NOT: right })),
    fc.tuple(leaf, tie('where'), tie('where')).map(([left, a, b]) => ({ ...left, OR: [a, b] })),
  ),
}));

const sortFields = fields.filter((field) => field.sort).map((field) => field.name);
const orderBy = fc.option(
  fc
    .tuple(fc.constantFrom(...sortFields), fc.constantFrom('asc', 'desc'))
    .map(([name, direction]) => ({ [name]: direction as 'asc' | 'desc' })),
  { nil: undefined },
);

function queryOf(where: Where, orderBy: Query['orderBy'], rest: Query = {}): Query {
  return orderBy === undefined ? { where, ...rest } : { where, orderBy, ...rest };
}

/** Follows the cursors to the end; the sizes of the pages repeat `takes`. */
function readAll(
  version: Version,
  query: Query,
  takes: readonly number[],
): { ids: number[]; totals: Set<number> } {
  const ids: number[] = [];
  const totals = new Set<number>();
  let cursor: string | null = null;
  for (let index = 0; index === 0 || cursor !== null; index++) {
    const page = executeQuery(version, { ...query, cursor, take: takes[index % takes.length] });
    expect(page.ids.length).toBeGreaterThan(index === 0 ? -1 : 0);
    ids.push(...page.ids);
    totals.add(page.total);
    cursor = page.nextCursor;
  }
  return { ids, totals };
}

describe('executeQuery against plain loops over the rows', () => {
  test('total, count, first page and order of any query', () => {
    fc.assert(
      fc.property(
        tableName,
        where,
        orderBy,
        fc.integer({ min: 1, max: 300 }),
        (name, where, orderBy, take) => {
          const { rows, version } = tables[name];
          const expected = answer(rows, where, orderBy);
          const page = executeQuery(version, queryOf(where, orderBy, { take }));
          expect(page.total).toBe(expected.length);
          expect(page.ids).toEqual(expected.slice(0, take));
          expect(page.nextCursor === null).toBe(expected.length <= take);
          expect(executeCount(version, where)).toBe(expected.length);
        },
      ),
      { numRuns: 250 },
    );
  });

  test('the page after any match is what follows it', () => {
    fc.assert(
      fc.property(
        tableName,
        where,
        orderBy,
        fc.integer({ min: 1, max: 300 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (name, where, orderBy, take, part) => {
          const { rows, version } = tables[name];
          const expected = answer(rows, where, orderBy);
          const start = Math.min(10_000, Math.max(1, Math.floor(part * expected.length)));
          const { nextCursor } = executeQuery(version, queryOf(where, orderBy, { take: start }));
          fc.pre(nextCursor !== null);
          const page = executeQuery(version, queryOf(where, orderBy, { cursor: nextCursor, take }));
          expect(page.total).toBe(expected.length);
          expect(page.ids).toEqual(expected.slice(start, start + take));
          expect(page.nextCursor === null).toBe(expected.length <= start + take);
        },
      ),
      { numRuns: 250 },
    );
  });

  test('following cursors visits every match exactly once', () => {
    fc.assert(
      fc.property(
        tableName,
        where,
        orderBy,
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
        (name, where, orderBy, parts) => {
          const { rows, version } = tables[name];
          const expected = answer(rows, where, orderBy);
          const takes = parts.map((part) => Math.min(10_000, Math.ceil((expected.length * part) / 60) + 1));
          const { ids, totals } = readAll(version, queryOf(where, orderBy), takes);
          expect(ids).toEqual(expected);
          expect([...totals]).toEqual([expected.length]);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('a query frees every bitmap that it makes', () => {
    // A disposed bitmap keeps its empty object until it is collected; what it must not keep are its containers.
    const { version } = tables['dense, no nulls'];
    const emptyBytes = bytesOfEmptyBitmap();
    const containerBytes = () =>
      RoaringBitmap32.getRoaringUsedMemory() - emptyBytes * RoaringBitmap32.getInstancesCount();
    fc.assert(
      fc.property(where, orderBy, (where, orderBy) => {
        const query = queryOf(where, orderBy, { take: 3 });
        // The first time fills the caches of the readers.
        executeQuery(version, query);
        executeCount(version, where);
        const before = containerBytes();
        executeQuery(version, { ...query, cursor: executeQuery(version, query).nextCursor });
        executeCount(version, where);
        // Less than the container of half a page, more than what the package allocates around them.
        expect(containerBytes() - before).toBeLessThan(4000);
      }),
      { numRuns: 150 },
    );
  });
});

function bytesOfEmptyBitmap(): number {
  const before = RoaringBitmap32.getRoaringUsedMemory();
  const bitmaps = Array.from({ length: 100 }, () => new RoaringBitmap32());
  const bytes = (RoaringBitmap32.getRoaringUsedMemory() - before) / bitmaps.length;
  for (const bitmap of bitmaps) bitmap.dispose();
  return bytes;
}
