/**
 * Values in a query: checked against the type of their field and turned into what the index compares (keys, and texts
 * for strings). Nothing is converted silently: a value the type cannot hold is an error, not an empty result.
 */
import type { FieldDefinition, FieldType } from '../config/definition.ts';
import { epochSecondsOfText } from '../config/timestamp.ts';
import { BitloomError } from '../errors.ts';
import { keyOfValue } from '../index/key.ts';

const EXPECTED: Record<FieldType, string> = {
  boolean: 'true or false',
  uint32: 'an integer from 0 to 4294967295',
  int32: 'an integer from -2147483648 to 2147483647',
  timestamp: 'epoch seconds (0 to 4294967295) or ISO 8601 text such as "2024-05-01T12:00:00Z"',
  string: 'a text',
};

/** Longest part of an offending value that a message repeats, in characters. */
const SHOWN_CHARACTERS_MAX = 60;

/**
 * @param path where the value stands in the query, for the message: `where.width.gte`
 * @returns the key of the value; for a string field the text
 * @throws BitloomError QUERY_TYPE
 */
export function parseLiteral(field: FieldDefinition, value: unknown, path: string): number | string {
  switch (field.type) {
    case 'boolean':
      if (typeof value === 'boolean') return keyOfValue('boolean', value);
      break;
    case 'uint32':
      if (isIntegerBetween(value, 0, 0xffffffff)) return keyOfValue('uint32', value);
      break;
    case 'int32':
      if (isIntegerBetween(value, -0x80000000, 0x7fffffff)) return keyOfValue('int32', value);
      break;
    case 'timestamp': {
      const seconds = typeof value === 'string' ? secondsOfText(value) : value;
      if (isIntegerBetween(seconds, 0, 0xffffffff)) return keyOfValue('timestamp', seconds);
      break;
    }
    case 'string':
      // A lone surrogate has no UTF-8 form, so no stored string can equal it.
      if (typeof value === 'string' && !/\p{Surrogate}/u.test(value)) return value;
      break;
  }
  throw new BitloomError(
    'QUERY_TYPE',
    `${path}: field "${field.name}" is ${field.type} and takes ${EXPECTED[field.type]}, got ${describeValue(value)}`,
    {
      hint: hintOf(field, value),
      details: { field: field.name, expected: field.type, path },
    },
  );
}

/** A value as a message shows it: its JSON, cut when long. */
export function describeValue(value: unknown): string {
  if (value === undefined || typeof value === 'function' || typeof value === 'symbol') return typeof value;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number') return String(value);
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = JSON.stringify(value);
  return text.length <= SHOWN_CHARACTERS_MAX ? text : `${text.slice(0, SHOWN_CHARACTERS_MAX)}…`;
}

function isIntegerBetween(value: unknown, low: number, high: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= low && (value as number) <= high;
}

/** As the loader reads a field: decimal digits are epoch seconds, anything else is ISO 8601 or Postgres text. */
function secondsOfText(text: string): number | null {
  return /^\+?\d{1,15}$/.test(text) ? Number(text) : epochSecondsOfText(text);
}

function hintOf(field: FieldDefinition, value: unknown): string {
  if (Array.isArray(value)) {
    return field.many ? 'use { in: [...] } for any of them or { all: [...] } for all' : 'use { in: [...] }';
  }
  if (value === null) return 'null is no value: use { isNull: true }, or null alone';
  if (typeof value === 'string' && field.type !== 'timestamp') return 'write the value without quotes';
  if (field.type === 'string') return 'write the value in quotes';
  return `give ${EXPECTED[field.type]}`;
}
