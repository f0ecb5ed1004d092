/**
 * Keys: every value of a field is an unsigned 32-bit integer that preserves the order of the values. The index, the
 * loader and the queries work on keys only; values appear at the edges.
 *
 * boolean: 0 or 1. uint32 and timestamp: the value. int32: the value with its sign bit flipped. string: the code of the
 * field's dictionary (which has no order), so strings do not pass through here.
 */
import type { FieldType } from '../config/definition.ts';

/** Field types whose keys need no dictionary. */
export type NumericFieldType = Exclude<FieldType, 'string'>;

/** The key of a value the type can hold; the caller has checked that it does. */
export function keyOfValue(type: NumericFieldType, value: number | boolean): number {
  if (type === 'boolean') return value ? 1 : 0;
  return type === 'int32' ? (Number(value) ^ 0x80000000) >>> 0 : Number(value);
}

/** The value of a key: the inverse of `keyOfValue`. A timestamp is in epoch seconds. */
export function valueOfKey(type: NumericFieldType, key: number): number | boolean {
  if (type === 'boolean') return key !== 0;
  return type === 'int32' ? (key ^ 0x80000000) | 0 : key;
}
