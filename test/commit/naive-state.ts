/** Keys and values as latin1 strings in a plain map, and operations applied to it one by one. */
import { applyAtomic, type ReadingAtomic } from '../../src/commit/atomic.ts';
import { bytesToLatin1 } from '../../src/commit/byte-order.ts';
import type { Operation } from '../../src/commit/operation.ts';

export type State = Map<string, string>;

export function applyOne(state: State, operation: Operation, version: number): void {
  if (operation.type === 'clearRange') {
    const [begin, end] = [bytesToLatin1(operation.begin), bytesToLatin1(operation.end)];
    for (const key of state.keys()) if (begin <= key && key < end) state.delete(key);
    return;
  }
  const key = bytesToLatin1(operation.key);
  if (operation.type === 'set') state.set(key, bytesToLatin1(operation.value));
  else if (operation.type === 'clear') state.delete(key);
  else if (operation.atomic === 'SET_VERSIONSTAMPED_KEY') {
    state.set(stamped(operation.key, version), bytesToLatin1(operation.operand));
  } else if (operation.atomic === 'SET_VERSIONSTAMPED_VALUE') {
    state.set(key, stamped(operation.operand, version));
  } else {
    const old = state.get(key);
    const existing = old === undefined ? undefined : Buffer.from(old, 'latin1');
    const value = applyAtomic(operation.atomic as ReadingAtomic, existing, operation.operand);
    if (value === undefined) state.delete(key);
    else state.set(key, bytesToLatin1(value));
  }
}

/** By string surgery: 8 bytes of version, two zeros, at the offset that the last four bytes give. */
function stamped(template: Uint8Array, version: number): string {
  const stamp = Buffer.from(`${version.toString(16).padStart(16, '0')}0000`, 'hex').toString('latin1');
  return stampedWith(template, stamp);
}

export function stampedWith(template: Uint8Array, stamp: string): string {
  const text = bytesToLatin1(template);
  const offset = Buffer.from(text.slice(-4), 'latin1').readUInt32LE();
  return text.slice(0, offset) + stamp + text.slice(offset + 10, -4);
}
