import { describe, expect, test } from 'vitest';
import { BitloomError } from '../../src/errors.ts';
import { TAKE_DEFAULT, TAKE_MAX } from '../../src/limits.ts';
import { executeCount, executeQuery } from '../../src/query/execute.ts';
import { answer, makeRows, type Row, versionOf } from './table.ts';

const shape = { seed: 7, slotStart: 0, slotStride: 3, rowCount: 400, nullPart: 0.2, deadPart: 0.1 };
const rows = makeRows(shape);
const version = versionOf(rows);

function errorOf(query: unknown): BitloomError {
  try {
    executeQuery(version, query as never);
  } catch (error) {
    if (error instanceof BitloomError) return error;
    throw error;
  }
  throw new Error(`no error for ${JSON.stringify(query)}`);
}

describe('the shape of a query', () => {
  test('without anything: every alive slot, ascending, TAKE_DEFAULT of them', () => {
    const page = executeQuery(version, {});
    const expected = answer(rows, {});
    expect(page).toMatchObject({ ids: expected.slice(0, TAKE_DEFAULT), total: expected.length });
    expect(executeCount(version)).toBe(expected.length);
  });

  test('take: 0 gives the total alone', () => {
    expect(executeQuery(version, { take: 0, where: { flag: true } })).toEqual({
      ids: [],
      total: answer(rows, { flag: true }).length,
      nextCursor: null,
    });
  });

  test('a take of exactly what there is leaves no cursor', () => {
    const expected = answer(rows, { flag: true });
    const query = { where: { flag: true }, orderBy: { score: 'asc' } } as const;
    expect(executeQuery(version, { ...query, take: expected.length }).nextCursor).toBeNull();
    expect(executeQuery(version, { ...query, take: expected.length - 1 }).nextCursor).not.toBeNull();
    expect(executeQuery(version, { ...query, take: TAKE_MAX }).ids).toHaveLength(expected.length);
  });

  test.each([
    [null, 'QUERY_INVALID', 'where, orderBy, take, cursor'],
    [[], 'QUERY_INVALID', 'where, orderBy, take, cursor'],
    [{ level: 1 }, 'QUERY_INVALID', 'belong in where'],
    [{ where: null }, 'QUERY_INVALID', 'write { field: value }'],
    [{ orderBy: 'seenAt' }, 'QUERY_INVALID', "{ field: 'asc' }"],
    [{ orderBy: {} }, 'QUERY_INVALID', "{ field: 'asc' }"],
    [{ orderBy: [{ seenAt: 'asc' }] }, 'QUERY_INVALID', "{ field: 'asc' }"],
    [{ orderBy: { seenAt: 'asc', score: 'asc' } }, 'QUERY_INVALID', "{ field: 'asc' }"],
    [{ orderBy: { seenAt: 'ASC' } }, 'QUERY_INVALID', "{ field: 'asc' }"],
    [{ orderBy: { seenat: 'asc' } }, 'QUERY_UNKNOWN_FIELD', 'did you mean "seenAt"?'],
    [{ orderBy: { level: 'asc' } }, 'QUERY_ORDER_WITHOUT_SORT', 'index: [filter, sort]'],
    [{ orderBy: { kind: 'asc' } }, 'QUERY_ORDER_WITHOUT_SORT', 'have no order'],
    [{ orderBy: { tags: 'asc' } }, 'QUERY_ORDER_WITHOUT_SORT', 'have no order'],
    [{ take: -1 }, 'TAKE_INVALID', 'default'],
    [{ take: 1.5 }, 'TAKE_INVALID', 'default'],
    [{ take: '5' }, 'TAKE_INVALID', 'default'],
    [{ take: null }, 'TAKE_INVALID', 'default'],
    [{ take: TAKE_MAX + 1 }, 'TAKE_TOO_LARGE', 'nextCursor'],
  ])('%j is %s', (query, code, hint) => {
    const error = errorOf(query);
    expect(error.code).toBe(code);
    expect(error.hint).toContain(hint);
  });
});

test('a value of a slot that is not alive does not stand in for the missing one of a slot that is', () => {
  const few: Row[] = [
    { slot: 1, alive: true, values: { seenAt: null } },
    { slot: 2, alive: true, values: { seenAt: 5 } },
    { slot: 3, alive: false, values: { seenAt: 6 } },
  ];
  const page = executeQuery(versionOf(few), { orderBy: { seenAt: 'asc' } });
  expect(page).toEqual({ ids: [2, 1], total: 2, nextCursor: null });
});

describe('cursors', () => {
  const query = {
    where: { flag: true, level: { in: [0, 1] } },
    orderBy: { score: 'desc' },
    take: 5,
  } as const;
  const cursor = executeQuery(version, query).nextCursor as string;

  test('the same question in other words, and another take, go on', () => {
    const expected = answer(rows, query.where, query.orderBy);
    const again = { AND: [{ OR: [{ level: 1 }, { level: 0 }] }, { flag: { not: { not: true } } }] };
    const page = executeQuery(version, { where: again, orderBy: { score: 'desc' }, take: 9, cursor });
    expect(page.ids).toEqual(expected.slice(5, 14));
  });

  test.each([
    [{ ...query, where: { flag: true } }],
    [{ ...query, where: { flag: true, level: { in: [0, 2] } } }],
    [{ ...query, orderBy: { score: 'asc' } }],
    [{ ...query, orderBy: { seenAt: 'desc' } }],
    [{ where: query.where }],
  ])('%j is another query', (other) => {
    expect(errorOf({ ...other, cursor }).code).toBe('CURSOR_MISMATCH');
  });

  test('texts that were never given out are refused', () => {
    const bytes = Buffer.from(cursor, 'base64url');
    const withByte = (offset: number, value: number) => {
      const changed = Buffer.from(bytes);
      changed[offset] = value;
      return changed.toString('base64url');
    };
    const garbage = [
      '',
      'garbage',
      5,
      {},
      cursor.slice(0, -1),
      `${cursor}A`,
      `${cursor}=`,
      ` ${cursor}`,
      cursor.replace(/^./, '*'),
      withByte(0, 2),
      withByte(9, 3),
      'A'.repeat(1_000_000),
    ];
    for (const each of garbage) expect(errorOf({ ...query, cursor: each }).code).toBe('CURSOR_INVALID');
    expect(errorOf({ ...query, cursor: withByte(1, bytes[1] ^ 1) }).code).toBe('CURSOR_MISMATCH');
  });

  test('no change of a byte does anything but an error or a page', () => {
    for (let offset = 0; offset < Buffer.from(cursor, 'base64url').length; offset++) {
      for (const flip of [1, 128, 255]) {
        const bytes = Buffer.from(cursor, 'base64url');
        bytes[offset] ^= flip;
        try {
          const page = executeQuery(version, { ...query, cursor: bytes.toString('base64url') });
          expect(page.ids.length).toBeLessThanOrEqual(query.take);
        } catch (error) {
          expect((error as BitloomError).code).toMatch(/^CURSOR_(INVALID|MISMATCH)$/);
        }
      }
    }
  });

  test.each(['asc', 'desc'] as const)('a cursor goes on in a later version, %s', (direction) => {
    // The rest is what stands after the last slot of the page where that slot stood, wherever slots have moved since.
    for (const name of ['score', 'reactions', 'seenAt'] as const) {
      const orderBy = { [name]: direction };
      const first = executeQuery(version, { where: {}, orderBy, take: 100 });
      const last = rows.find((row) => row.slot === first.ids.at(-1)) as Row;
      const changed: Row[] = rows.map((row, index) => ({
        ...row,
        alive: index % 7 === 0 ? !row.alive : row.alive,
        values:
          index % 11 === 0 && row !== last
            ? { ...row.values, [name]: index % 2 === 0 ? 1_000_000 : null }
            : row.values,
      }));
      const later = versionOf(changed, 2);
      const rest = executeQuery(later, { where: {}, orderBy, take: TAKE_MAX, cursor: first.nextCursor });
      const withLast = [...changed.filter((row) => row.slot !== last.slot), { ...last, alive: true }];
      const order = answer(withLast, {}, orderBy);
      expect(rest.ids).toEqual(order.slice(order.indexOf(last.slot) + 1));
      expect(rest.total).toBe(answer(changed, {}).length);
    }
  });
});
