/**
 * A place in the op log: after the record with this sequence number. The sequence number alone decides what comes after;
 * the offset only saves looking for the place, so a position stays true when the offset is not.
 */
import { BitloomError } from '../errors.ts';

/** Plain JSON; ordered by `sequence`. `{ sequence: 0, offset: 0 }` is before the first record there ever was. */
export interface LogPosition {
  /** Sequence number of the record; records count from 1. */
  readonly sequence: number;
  /** Byte offset of the record's end in its segment file. */
  readonly offset: number;
}

export const LOG_START: LogPosition = { sequence: 0, offset: 0 };

/**
 * For positions that come from outside, such as a stored cursor.
 * @throws BitloomError LOG_POSITION_INVALID.
 */
export function assertLogPosition(value: unknown): asserts value is LogPosition {
  const { sequence, offset } = (value ?? {}) as Partial<LogPosition>;
  if (isCount(sequence) && isCount(offset)) return;
  throw new BitloomError('LOG_POSITION_INVALID', `${JSON.stringify(value)} is no position in an op log`, {
    hint: 'pass a position that append or read gave, as it was',
  });
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
