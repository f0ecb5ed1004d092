/**
 * Executes queries over one version. Totals are exact, ties are stable, and following cursors visits every match exactly
 * once.
 */
import type { RoaringBitmap32 } from '../index/roaring.ts';
import type { Version } from '../index/version.ts';
import { encodeCursor } from './cursor.ts';
import { countSlots, matchSlots } from './match.ts';
import { fillByField, fillBySlot, type SlotPage } from './page-order.ts';
import { type Page, type ParsedQuery, parseQuery, type Query } from './query.ts';
import { release } from './slot-set.ts';
import { parseWhere, type Where } from './where.ts';

/**
 * One page of matches. The query may be untrusted JSON: everything in it is checked.
 * @throws BitloomError QUERY_INVALID, QUERY_UNKNOWN_FIELD, QUERY_UNKNOWN_OPERATOR, QUERY_TYPE,
 *   QUERY_RANGE_WITHOUT_SORT, QUERY_ORDER_WITHOUT_SORT, WHERE_TOO_DEEP, WHERE_TOO_LARGE, TAKE_INVALID,
 *   TAKE_TOO_LARGE, CURSOR_INVALID, CURSOR_MISMATCH
 */
export function executeQuery(version: Version, query: Query): Page {
  const parsed = parseQuery(version.definition, query);
  if (parsed.take === 0) return { ids: [], total: countSlots(version, parsed.clause), nextCursor: null };
  const matches = matchSlots(version, parsed.clause);
  // One more than asked for tells whether anything follows.
  const page: SlotPage = { slots: new Uint32Array(Math.min(parsed.take + 1, matches.bitmap.size)), count: 0 };
  const total = matches.bitmap.size;
  if (total > 0) fillPage(version, parsed, matches.bitmap, page);
  release(matches);
  const ids = Array.from(page.slots.subarray(0, Math.min(page.count, parsed.take)));
  const nextCursor = page.count > parsed.take ? cursorAfter(version, parsed, ids[ids.length - 1]) : null;
  return { ids, total, nextCursor };
}

/**
 * The number of alive slots that match.
 * @throws BitloomError as `executeQuery`, as far as `where` goes
 */
export function executeCount(version: Version, where: Where = {}): number {
  return countSlots(version, parseWhere(version.definition, where));
}

function fillPage(version: Version, parsed: ParsedQuery, matches: RoaringBitmap32, page: SlotPage): void {
  const { order, after } = parsed;
  const field = order === null ? undefined : version.sort(order.field.name);
  if (order === null || field === undefined) {
    fillBySlot(page, matches, order?.descending ?? false, after === null ? null : after.slot);
    return;
  }
  const allValued = version.withinAlive(order.field.name) && field.present.size === version.aliveCount;
  fillByField(page, field, matches, order.descending, after, allValued);
}

function cursorAfter(version: Version, parsed: ParsedQuery, slot: number): string {
  const field = parsed.order === null ? undefined : version.sort(parsed.order.field.name);
  const key = field?.present.has(slot) ? field.keyOf(slot) : null;
  return encodeCursor(parsed.text, parsed.order !== null, { key, slot });
}
