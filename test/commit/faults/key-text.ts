/**
 * Keys and values of the fault tests as text, for histories and the model. Two kinds are not text in the database: keys
 * of the log, which hold a versionstamp, and counters.
 */
import { versionstampOf } from '../../../src/commit/versionstamp.ts';
import { LOG_PREFIX, logKey } from './history-checker.ts';

export const COUNTER_PREFIX = 'c/';

export function keyOf(text: string): Uint8Array {
  if (!text.startsWith(LOG_PREFIX)) return Buffer.from(text);
  const digits = text.slice(LOG_PREFIX.length);
  return Buffer.concat([
    Buffer.from(LOG_PREFIX),
    digits === '' ? Buffer.alloc(0) : versionstampOf(Number(digits)),
  ]);
}

export function pairText(key: Uint8Array, value: Uint8Array): [key: string, value: string] {
  const text = Buffer.from(key).toString();
  if (!text.startsWith(LOG_PREFIX)) return [text, valueText(text, value)];
  return [logKey(Number(Buffer.from(key).readBigUInt64BE(LOG_PREFIX.length))), valueText(text, value)];
}

export function valueText(key: string, value: Uint8Array): string {
  if (key.startsWith(COUNTER_PREFIX)) return String(Buffer.from(value).readBigUInt64LE());
  return Buffer.from(value).toString();
}

/** The key that becomes the next entry of the log: a stamp after the prefix, and its offset. */
export function logKeyTemplate(): Uint8Array {
  const template = Buffer.alloc(LOG_PREFIX.length + 10 + 4);
  template.write(LOG_PREFIX);
  template.writeUInt32LE(LOG_PREFIX.length, LOG_PREFIX.length + 10);
  return template;
}

export function counterOperand(amount: number): Uint8Array {
  const operand = Buffer.alloc(8);
  operand.writeBigUInt64LE(BigInt(amount));
  return operand;
}
