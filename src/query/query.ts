/**
 * The query a caller writes: its public shape, and the parser that checks untrusted JSON against the definition.
 */
import type { FieldDefinition, IndexDefinition } from '../config/definition.ts';
import { BitloomError } from '../errors.ts';
import { TAKE_DEFAULT, TAKE_MAX } from '../limits.ts';
import { type Clause, canonicalText } from './clause.ts';
import { decodeCursor } from './cursor.ts';
import { describeValue } from './literal.ts';
import type { Position } from './page-order.ts';
import { fieldOfQuery, parseWhere, type Where } from './where.ts';

export type Direction = 'asc' | 'desc';

export interface Query {
  /** Default: every alive slot. */
  where?: Where;
  /** One field with `sort` in its index. Ties are ordered by slot in the same direction, slots without a value come
   *  last in both. Default: by slot, ascending. */
  orderBy?: Record<string, Direction>;
  /** Ids in the page at most; default 50 (TAKE_DEFAULT), at most 10,000 (TAKE_MAX). 0: only the total. */
  take?: number;
  /** `nextCursor` of the page before; null or absent: the first page. */
  cursor?: string | null;
}

export interface Page {
  /** Matching slots in order. */
  ids: number[];
  /** All matches, whatever the cursor and the page. */
  total: number;
  /** Where the next page starts; null exactly when no match follows (and always with `take: 0`). */
  nextCursor: string | null;
}

/** A query that passed every check. */
export interface ParsedQuery {
  readonly clause: Clause;
  readonly order: { readonly field: FieldDefinition; readonly descending: boolean } | null;
  readonly take: number;
  /** Equal for queries with the same where and orderBy. */
  readonly text: string;
  readonly after: Position | null;
}

const QUERY_KEYS = ['where', 'orderBy', 'take', 'cursor'];

/**
 * @throws BitloomError QUERY_INVALID, QUERY_UNKNOWN_FIELD, QUERY_UNKNOWN_OPERATOR, QUERY_TYPE,
 *   QUERY_RANGE_WITHOUT_SORT, QUERY_ORDER_WITHOUT_SORT, WHERE_TOO_DEEP, WHERE_TOO_LARGE, TAKE_INVALID,
 *   TAKE_TOO_LARGE, CURSOR_INVALID, CURSOR_MISMATCH
 */
export function parseQuery(definition: IndexDefinition, query: unknown): ParsedQuery {
  if (typeof query !== 'object' || query === null || Array.isArray(query)) {
    throw new BitloomError('QUERY_INVALID', `query: expected an object, got ${describeValue(query)}`, {
      hint: `its keys are ${QUERY_KEYS.join(', ')}, all optional`,
    });
  }
  for (const key of Object.keys(query)) {
    if (QUERY_KEYS.includes(key)) continue;
    throw new BitloomError('QUERY_INVALID', `query: unknown key ${describeValue(key)}`, {
      hint: `the keys are ${QUERY_KEYS.join(', ')}; conditions on fields belong in where`,
    });
  }
  const { where, orderBy, take, cursor } = query as Record<string, unknown>;
  const clause = parseWhere(definition, where === undefined ? {} : where);
  const order = orderBy === undefined ? null : parseOrder(definition, orderBy);
  const orderText = order === null ? '' : `${order.field.name} ${order.field.type} ${order.descending}`;
  const text = `${orderText}\n${canonicalText(clause)}`;
  const after = cursor === undefined || cursor === null ? null : decodeCursor(text, order !== null, cursor);
  return { clause, order, take: parseTake(take), text, after };
}

function parseOrder(definition: IndexDefinition, orderBy: unknown): ParsedQuery['order'] {
  const entries = typeof orderBy === 'object' && orderBy !== null ? Object.entries(orderBy) : [];
  if (Array.isArray(orderBy) || entries.length !== 1) {
    throw new BitloomError(
      'QUERY_INVALID',
      `orderBy: expected an object with one field, got ${describeValue(orderBy)}`,
      {
        hint: "write { field: 'asc' } or { field: 'desc' }; ties are ordered by slot",
      },
    );
  }
  const [name, direction] = entries[0];
  const field = fieldOfQuery(definition, name, 'orderBy');
  if (direction !== 'asc' && direction !== 'desc') {
    const got = describeValue(direction);
    throw new BitloomError('QUERY_INVALID', `orderBy.${name}: expected 'asc' or 'desc', got ${got}`, {
      hint: "write { field: 'asc' } or { field: 'desc' }",
    });
  }
  if (!field.sort) {
    const orderless = field.type === 'string' || field.many;
    throw new BitloomError(
      'QUERY_ORDER_WITHOUT_SORT',
      `orderBy.${name}: field "${name}" has no sort index, so it gives no order`,
      {
        hint: orderless
          ? 'strings and fields with many values have no order: order by another field'
          : `give it \`index: [filter, sort]\` in the definition, then load again`,
        details: { field: name },
      },
    );
  }
  return { field, descending: direction === 'desc' };
}

function parseTake(take: unknown): number {
  if (take === undefined) return TAKE_DEFAULT;
  if (!Number.isSafeInteger(take) || (take as number) < 0) {
    throw new BitloomError(
      'TAKE_INVALID',
      `take: expected an integer from 0 to ${TAKE_MAX}, got ${describeValue(take)}`,
      {
        hint: 'leave it out for the default, or give 0 for the total alone',
      },
    );
  }
  if ((take as number) > TAKE_MAX) {
    throw new BitloomError(
      'TAKE_TOO_LARGE',
      `take: ${String(take)} is more than the maximum of ${TAKE_MAX}`,
      {
        hint: 'follow nextCursor for more',
        details: { takeMax: TAKE_MAX },
      },
    );
  }
  return take as number;
}
