/**
 * The text of one field to its value, row by row: the exact lane's decoders, with the same results as the decode kernels
 * and a reason where there is none.
 */
import type { FieldType } from '../config/definition.ts';
import type { ColumnType } from '../config/expression.ts';
import { calendarSecondsOfText } from '../config/timestamp.ts';
import type { Failure } from './reject.ts';

/** An integer, boolean, string, timestamp in epoch seconds, or null. */
export type FieldValue = number | boolean | string | null;

export type Decoded =
  | { readonly ok: true; readonly value: FieldValue }
  | { readonly ok: false; readonly failure: Failure };

const UINT32_MAX = 0xffff_ffff;
const INTEGER = /^[+-]?\d+$/;
/** Characters of a value quoted in a message. */
const SHOWN_CHARACTERS_MAX = 60;

/** `quoted`: the field was in quotes, so it is never null. `nullText`: the unquoted text that means null. */
export function decodeText(
  text: string,
  quoted: boolean,
  type: ColumnType | FieldType,
  nullText: string,
): Decoded {
  if (!quoted && text === nullText) return { ok: true, value: null };
  switch (type) {
    case 'string':
      return { ok: true, value: text };
    case 'boolean':
      return decodeBoolean(text);
    case 'timestamp':
      return decodeTimestamp(text);
    case 'uint32':
      return decodeInteger(text, 0, UINT32_MAX);
    case 'int32':
      return decodeInteger(text, -0x8000_0000, 0x7fff_ffff);
    case 'integer':
      return decodeInteger(text, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  }
}

function decodeBoolean(text: string): Decoded {
  if (text === 't' || text === 'true' || text === '1') return { ok: true, value: true };
  if (text === 'f' || text === 'false' || text === '0') return { ok: true, value: false };
  return failed('INVALID_BOOLEAN', `${shown(text)} is not a boolean (t, f, true, false, 0, 1)`);
}

function decodeInteger(text: string, min: number, max: number): Decoded {
  if (!INTEGER.test(text)) return failed('INVALID_INTEGER', `${shown(text)} is not an integer`);
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
  if (value >= min && value <= max) return { ok: true, value: Number(value) };
  return failed('OUT_OF_RANGE', `${shown(text)} is outside ${min} to ${max}`);
}

function decodeTimestamp(text: string): Decoded {
  if (INTEGER.test(text)) return decodeInteger(text, 0, UINT32_MAX);
  const seconds = calendarSecondsOfText(text);
  if (seconds === null) {
    return failed('INVALID_TIMESTAMP', `${shown(text)} is neither epoch seconds nor YYYY-MM-DD HH:MM:SS+ZZ`);
  }
  if (seconds >= 0 && seconds <= UINT32_MAX) return { ok: true, value: seconds };
  return failed('OUT_OF_RANGE', `${shown(text)} is outside 1970-01-01 to 2106-02-07`);
}

function failed(code: Failure['code'], message: string): Decoded {
  return { ok: false, failure: { code, message } };
}

function shown(text: string): string {
  return JSON.stringify(
    text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text,
  );
}
