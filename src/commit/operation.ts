/**
 * What a transaction does to keys, in program order, and the checks an operation passes twice: where it is called, and
 * where the leader decodes it. Whoever holds an `Operation` may rely on all of them.
 */
import { compareBytes } from './byte-order.ts';
import { CommitError } from './commit-error.ts';
import { KEY_BYTES_MAX, RANGE_BOUND_BYTES_MAX, VALUE_BYTES_MAX } from './commit-limits.ts';
import { checkStampOffset, STAMP_OFFSET_BYTES } from './versionstamp.ts';

/** Read-modify-write operations, with FoundationDB's results: see atomic.ts, and versionstamp.ts for the stamped two. */
export type Atomic =
  | 'ADD'
  | 'BIT_AND'
  | 'BIT_OR'
  | 'BIT_XOR'
  | 'APPEND_IF_FITS'
  | 'MAX'
  | 'MIN'
  | 'SET_VERSIONSTAMPED_KEY'
  | 'SET_VERSIONSTAMPED_VALUE'
  | 'BYTE_MIN'
  | 'BYTE_MAX'
  | 'COMPARE_AND_CLEAR';

export type Operation =
  | { readonly type: 'set'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'clear'; readonly key: Uint8Array }
  | { readonly type: 'clearRange'; readonly begin: Uint8Array; readonly end: Uint8Array }
  | {
      readonly type: 'atomic';
      readonly atomic: Atomic;
      readonly key: Uint8Array;
      readonly operand: Uint8Array;
    };

/** @throws CommitError KEY_TOO_LARGE, VALUE_TOO_LARGE, INVERTED_RANGE, VERSIONSTAMP_OFFSET_INVALID. */
export function checkOperation(operation: Operation): void {
  switch (operation.type) {
    case 'set':
      checkKey(operation.key);
      checkValue(operation.value, 'value');
      break;
    case 'clear':
      checkKey(operation.key);
      break;
    case 'clearRange':
      checkRange(operation.begin, operation.end);
      break;
    case 'atomic':
      checkAtomic(operation.atomic, operation.key, operation.operand);
  }
}

/** @throws CommitError KEY_TOO_LARGE. */
export function checkKey(key: Uint8Array, bytesMax = KEY_BYTES_MAX): void {
  if (key.length <= bytesMax) return;
  throw new CommitError('KEY_TOO_LARGE', `a key of ${key.length} bytes is more than ${bytesMax}`, {
    hint: 'keep long data in values, and use a hash of it in the key',
  });
}

/** @throws CommitError INVERTED_RANGE, KEY_TOO_LARGE. An empty range is a range. */
export function checkRange(begin: Uint8Array, end: Uint8Array): void {
  checkKey(begin, RANGE_BOUND_BYTES_MAX);
  checkKey(end, RANGE_BOUND_BYTES_MAX);
  if (compareBytes(begin, end) <= 0) return;
  throw new CommitError('INVERTED_RANGE', 'the end of a range comes before its begin', {
    hint: 'ranges are half-open, [begin, end) in byte order; use reverse to read one backwards',
  });
}

function checkAtomic(atomic: Atomic, key: Uint8Array, operand: Uint8Array): void {
  if (atomic === 'SET_VERSIONSTAMPED_KEY') {
    checkKey(key, KEY_BYTES_MAX + STAMP_OFFSET_BYTES);
    checkStampOffset(key, 'key');
    checkValue(operand, 'value');
    return;
  }
  checkKey(key);
  if (atomic === 'SET_VERSIONSTAMPED_VALUE') {
    checkValue(operand, 'value', VALUE_BYTES_MAX + STAMP_OFFSET_BYTES);
    checkStampOffset(operand, 'value');
    return;
  }
  checkValue(operand, 'operand');
}

function checkValue(value: Uint8Array, what: 'value' | 'operand', bytesMax = VALUE_BYTES_MAX): void {
  if (value.length <= bytesMax) return;
  throw new CommitError(
    'VALUE_TOO_LARGE',
    `${what === 'value' ? 'a value' : 'an operand'} of ${value.length} bytes is more than ${bytesMax}`,
    { hint: 'spread large data over several keys' },
  );
}
