/**
 * Text to typed values for the naive model, by regular expressions and the JavaScript Date, one value at a time.
 * Integers are bigint, so that nothing can wrap or round.
 */
import type { ColumnType } from '../config/expression.ts';
import { INVALID_TEXT, type NaiveText } from './naive-records.ts';

export type NaiveValue = bigint | boolean | string | null;

/** Thrown inside the model to reject the row at hand. */
export class NaiveReject extends Error {
  readonly code: string;
  readonly column: string | null;

  constructor(code: string, column: string | null) {
    super(code);
    this.code = code;
    this.column = column;
  }
}

const INTEGER = /^[+-]?[0-9]+$/;
const INTEGER_MAX = BigInt(Number.MAX_SAFE_INTEGER);
const SECONDS_MAX = 0xffffffffn;
const TIMESTAMP =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]+)?)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?$/;

/** Errors: NaiveReject. */
export function decodeNaive(text: NaiveText, type: ColumnType, column: string): NaiveValue {
  if (text === null) return null;
  if (type === 'string') {
    if (text === INVALID_TEXT) throw new NaiveReject('INVALID_UTF8', column);
    return text;
  }
  const known = text === INVALID_TEXT ? '\ufffd' : text;
  if (type === 'integer') return decodeInteger(known, column);
  return type === 'boolean' ? decodeBoolean(known, column) : decodeTimestamp(known, column);
}

function decodeInteger(text: string, column: string): bigint {
  if (!INTEGER.test(text)) throw new NaiveReject('INVALID_INTEGER', column);
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
  if (value > INTEGER_MAX || value < -INTEGER_MAX) throw new NaiveReject('OUT_OF_RANGE', column);
  return value;
}

function decodeBoolean(text: string, column: string): boolean {
  if (text === 't' || text === 'true' || text === '1') return true;
  if (text === 'f' || text === 'false' || text === '0') return false;
  throw new NaiveReject('INVALID_BOOLEAN', column);
}

function decodeTimestamp(text: string, column: string): bigint {
  const seconds = INTEGER.test(text) ? BigInt(text.replace('+', '')) : epochSeconds(text, column);
  if (seconds < 0n || seconds > SECONDS_MAX) throw new NaiveReject('OUT_OF_RANGE', column);
  return seconds;
}

function epochSeconds(text: string, column: string): bigint {
  const match = TIMESTAMP.exec(text);
  if (match === null) throw new NaiveReject('INVALID_TIMESTAMP', column);
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const survived =
    date.getUTCFullYear() === year &&
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second;
  if (!survived) throw new NaiveReject('INVALID_TIMESTAMP', column);
  return BigInt(date.getTime() / 1000 - zoneSeconds(match[7], column));
}

function zoneSeconds(zone: string | undefined, column: string): number {
  if (zone === undefined || zone === 'Z') return 0;
  const digits = zone.slice(1).replace(':', '');
  const hours = Number(digits.slice(0, 2));
  const minutes = Number(digits.slice(2) || 0);
  if (hours > 23 || minutes > 59) throw new NaiveReject('INVALID_TIMESTAMP', column);
  return (zone.startsWith('-') ? -1 : 1) * (hours * 3600 + minutes * 60);
}
