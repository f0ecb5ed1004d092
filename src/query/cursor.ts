/**
 * Cursors: where a page ended, as opaque text. A cursor holds a position in the order and not a count of slots, so it
 * goes on correctly in a later version: a slot that stays where it is in the order is visited exactly once.
 *
 * 18 bytes in base64url: format version u8, first 8 bytes of the SHA-256 of the query's text, kind u8 (0: by slot,
 * 1: key and slot, 2: slot without a value), key u32, slot u32, both little-endian.
 */
import { hash } from 'node:crypto';
import { BitloomError } from '../errors.ts';
import type { Position } from './page-order.ts';

const FORMAT_VERSION = 1;
const CURSOR_BYTES = 18;
const HASH_BYTES = 8;
const KINDS = { bySlot: 0, byKey: 1, withoutValue: 2 } as const;

/** @param position null key for a slot without a value; `isOrdered` false: ordered by slot alone */
export function encodeCursor(queryText: string, isOrdered: boolean, position: Position): string {
  const bytes = Buffer.alloc(CURSOR_BYTES);
  const kind = !isOrdered ? KINDS.bySlot : position.key === null ? KINDS.withoutValue : KINDS.byKey;
  bytes.writeUInt8(FORMAT_VERSION, 0);
  bytes.write(hashOf(queryText), 1, HASH_BYTES, 'hex');
  bytes.writeUInt8(kind, 9);
  bytes.writeUInt32LE(position.key ?? 0, 10);
  bytes.writeUInt32LE(position.slot, 14);
  return bytes.toString('base64url');
}

/**
 * The position in a cursor of the same query.
 * @throws BitloomError CURSOR_INVALID, CURSOR_MISMATCH
 */
export function decodeCursor(queryText: string, isOrdered: boolean, cursor: unknown): Position {
  if (typeof cursor !== 'string') throw invalidCursor();
  const bytes = Buffer.from(cursor, 'base64url');
  // Decoding skips what is not base64: only a text that encodes back to itself is one that was given out.
  if (bytes.length !== CURSOR_BYTES || bytes.toString('base64url') !== cursor) throw invalidCursor();
  if (bytes.readUInt8(0) !== FORMAT_VERSION) throw invalidCursor();
  const kind = bytes.readUInt8(9);
  if (kind > KINDS.withoutValue) throw invalidCursor();
  if (
    bytes.toString('hex', 1, 1 + HASH_BYTES) !== hashOf(queryText) ||
    (kind !== KINDS.bySlot) !== isOrdered
  ) {
    throw new BitloomError('CURSOR_MISMATCH', 'cursor: it belongs to a query with another where or orderBy', {
      hint: 'send a cursor with the same where and orderBy as the page it came with; take may change',
    });
  }
  return { key: kind === KINDS.byKey ? bytes.readUInt32LE(10) : null, slot: bytes.readUInt32LE(14) };
}

function hashOf(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 2 * HASH_BYTES);
}

function invalidCursor(): BitloomError {
  return new BitloomError('CURSOR_INVALID', 'cursor: it is not a cursor of this format', {
    hint: 'send nextCursor of the page before as it is, or no cursor for the first page',
  });
}
