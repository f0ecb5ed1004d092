/**
 * What atomic operations make of a value, exactly as FoundationDB does (fdbclient/Atomic.h, API version 510 and later).
 * Numbers are unsigned, little-endian and as wide as the operand: the existing value is cut off or extended with zeros.
 * Where nothing is there, the result is the operand. Results may be one of the inputs; none is written to.
 */
import { compareBytes, equalBytes } from './byte-order.ts';
import { VALUE_BYTES_MAX } from './commit-limits.ts';
import type { Atomic } from './operation.ts';

export type ReadingAtomic = Exclude<Atomic, 'SET_VERSIONSTAMPED_KEY' | 'SET_VERSIONSTAMPED_VALUE'>;

/** Operations that need no existing value, see versionstamp.ts. */
export function isStamped(atomic: Atomic): atomic is 'SET_VERSIONSTAMPED_KEY' | 'SET_VERSIONSTAMPED_VALUE' {
  return atomic === 'SET_VERSIONSTAMPED_KEY' || atomic === 'SET_VERSIONSTAMPED_VALUE';
}

/** @returns the new value; undefined when the key is cleared or stays absent. */
export function applyAtomic(
  atomic: ReadingAtomic,
  existing: Uint8Array | undefined,
  operand: Uint8Array,
): Uint8Array | undefined {
  if (existing === undefined) return atomic === 'COMPARE_AND_CLEAR' ? undefined : operand;
  switch (atomic) {
    case 'ADD':
      return add(existing, operand);
    case 'BIT_AND':
      return and(existing, operand);
    case 'BIT_OR':
      return or(existing, operand);
    case 'BIT_XOR':
      return xor(existing, operand);
    case 'MAX':
      return compareNumbers(existing, operand) > 0 ? resized(existing, operand.length) : operand;
    case 'MIN':
      return compareNumbers(existing, operand) < 0 ? resized(existing, operand.length) : operand;
    case 'APPEND_IF_FITS':
      return append(existing, operand);
    case 'BYTE_MIN':
      return compareBytes(existing, operand) < 0 ? existing : operand;
    case 'BYTE_MAX':
      return compareBytes(existing, operand) > 0 ? existing : operand;
    case 'COMPARE_AND_CLEAR':
      return equalBytes(existing, operand) ? undefined : existing;
  }
}

/** Whether APPEND_IF_FITS appends to a value of so many bytes; beyond the limit it leaves the value as it is. */
export function appendFits(existingBytes: number, operandBytes: number): boolean {
  return existingBytes + operandBytes <= VALUE_BYTES_MAX;
}

function append(existing: Uint8Array, operand: Uint8Array): Uint8Array {
  if (existing.length === 0) return operand;
  if (operand.length === 0 || !appendFits(existing.length, operand.length)) return existing;
  const result = new Uint8Array(existing.length + operand.length);
  result.set(existing);
  result.set(operand, existing.length);
  return result;
}

function add(existing: Uint8Array, operand: Uint8Array): Uint8Array {
  const result = resized(existing, operand.length);
  let carry = 0;
  for (let at = 0; at < result.length; at++) {
    const sum = result[at] + operand[at] + carry;
    result[at] = sum;
    carry = sum >> 8;
  }
  return result;
}

function and(existing: Uint8Array, operand: Uint8Array): Uint8Array {
  const result = resized(existing, operand.length);
  for (let at = 0; at < result.length; at++) result[at] &= operand[at];
  return result;
}

function or(existing: Uint8Array, operand: Uint8Array): Uint8Array {
  const result = resized(existing, operand.length);
  for (let at = 0; at < result.length; at++) result[at] |= operand[at];
  return result;
}

function xor(existing: Uint8Array, operand: Uint8Array): Uint8Array {
  const result = resized(existing, operand.length);
  for (let at = 0; at < result.length; at++) result[at] ^= operand[at];
  return result;
}

/** Compares as numbers of the operand's width, from the most significant byte. */
function compareNumbers(existing: Uint8Array, operand: Uint8Array): number {
  for (let at = operand.length - 1; at >= 0; at--) {
    const difference = (at < existing.length ? existing[at] : 0) - operand[at];
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A copy, cut off or extended with zeros. */
function resized(value: Uint8Array, byteCount: number): Uint8Array {
  const result = new Uint8Array(byteCount);
  result.set(value.length > byteCount ? value.subarray(0, byteCount) : value);
  return result;
}
