/** The meaning of operations, one at a time on a map of byte strings (one character for each byte). */
import { bytesToLatin1 } from '../../../src/commit/byte-order.ts';
import { VALUE_BYTES_MAX } from '../../../src/commit/commit-limits.ts';
import type { Operation } from '../../../src/commit/operation.ts';

export type NaiveStore = Map<string, string>;

export function applyNaively(store: NaiveStore, operations: readonly Operation[], version: number): void {
  const stamp = stampText(version);
  for (const operation of operations) {
    if (operation.type === 'set') store.set(bytesToLatin1(operation.key), bytesToLatin1(operation.value));
    else if (operation.type === 'clear') store.delete(bytesToLatin1(operation.key));
    else if (operation.type === 'clearRange') {
      const [begin, end] = [bytesToLatin1(operation.begin), bytesToLatin1(operation.end)];
      for (const key of store.keys()) if (key >= begin && key < end) store.delete(key);
    } else
      applyAtomic(
        store,
        operation.atomic,
        bytesToLatin1(operation.key),
        bytesToLatin1(operation.operand),
        stamp,
      );
  }
}

/** Half-open ranges of what operations of a commit write. */
export function writtenNaively(operations: readonly Operation[], version: number): [string, string][] {
  return operations.map((operation) => {
    if (operation.type === 'clearRange')
      return [bytesToLatin1(operation.begin), bytesToLatin1(operation.end)];
    const key = bytesToLatin1(operation.key);
    const isStamped = operation.type === 'atomic' && operation.atomic === 'SET_VERSIONSTAMPED_KEY';
    const written = isStamped ? stamped(key, stampText(version)) : key;
    return [written, `${written}\0`];
  });
}

export function scanNaively(
  store: NaiveStore,
  begin: string,
  end: string,
  limit: number,
  reverse: boolean,
): [string, string][] {
  const pairs = Array.from(store).filter(([key]) => key >= begin && key < end);
  pairs.sort(([left], [right]) => (left < right ? -1 : 1));
  if (reverse) pairs.reverse();
  return pairs.slice(0, limit);
}

function applyAtomic(store: NaiveStore, atomic: string, key: string, operand: string, stamp: string): void {
  const value = store.get(key) ?? '';
  if (atomic === 'ADD') store.set(key, addLittleEndian(value, operand));
  else if (atomic === 'APPEND_IF_FITS') {
    if (value.length + operand.length <= VALUE_BYTES_MAX) store.set(key, value + operand);
  } else if (atomic === 'SET_VERSIONSTAMPED_KEY') store.set(stamped(key, stamp), operand);
  else if (atomic === 'SET_VERSIONSTAMPED_VALUE') store.set(key, stamped(operand, stamp));
  else throw new Error(`the workload does not use ${atomic}`);
}

/** Modulo the width of the operand. */
function addLittleEndian(value: string, operand: string): string {
  let sum = '';
  let carry = 0;
  for (let at = 0; at < operand.length; at++) {
    const digit = (at < value.length ? value.charCodeAt(at) : 0) + operand.charCodeAt(at) + carry;
    sum += String.fromCharCode(digit & 0xff);
    carry = digit >> 8;
  }
  return sum;
}

function stampText(version: number): string {
  let text = '';
  for (let rest = version, at = 0; at < 8; at++, rest = Math.floor(rest / 256)) {
    text = String.fromCharCode(rest % 256) + text;
  }
  return `${text}\0\0`;
}

/** The last four bytes are the offset, little-endian; the workload keeps it below 256. */
function stamped(template: string, stamp: string): string {
  const offset = template.charCodeAt(template.length - 4);
  return template.slice(0, offset) + stamp + template.slice(offset + stamp.length, -4);
}
