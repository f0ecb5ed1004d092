/**
 * Numbers and text as ASCII bytes at a position of a buffer. Every writer returns the position after what it wrote and
 * trusts the caller for room; none allocates.
 */

const DIGIT_PAIRS = asciiBytes(
  Array.from({ length: 100 }, (_, pair) => String(pair).padStart(2, '0')).join(''),
);
const HEX_PAIRS = asciiBytes(
  Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0')).join(''),
);
const HYPHEN = 0x2d;

export function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}

/** Decimal digits of an unsigned 32-bit integer. */
export function writeDecimal(bytes: Uint8Array, at: number, value: number): number {
  const end = at + decimalDigits(value);
  let position = end;
  let rest = value;
  while (rest >= 100) {
    const quotient = (rest / 100) | 0;
    const pair = (rest - quotient * 100) * 2;
    bytes[--position] = DIGIT_PAIRS[pair + 1];
    bytes[--position] = DIGIT_PAIRS[pair];
    rest = quotient;
  }
  if (rest >= 10) bytes[--position] = DIGIT_PAIRS[rest * 2 + 1];
  bytes[--position] = rest >= 10 ? DIGIT_PAIRS[rest * 2] : 0x30 + rest;
  return end;
}

/** 128 bits as a hyphenated UUID, 36 bytes. */
export function writeUuid(
  bytes: Uint8Array,
  at: number,
  first: number,
  second: number,
  third: number,
  fourth: number,
): number {
  let position = writeHex16(bytes, writeHex16(bytes, at, first >>> 16), first & 0xffff);
  bytes[position] = HYPHEN;
  position = writeHex16(bytes, position + 1, second >>> 16);
  bytes[position] = HYPHEN;
  position = writeHex16(bytes, position + 1, second & 0xffff);
  bytes[position] = HYPHEN;
  position = writeHex16(bytes, position + 1, third >>> 16);
  bytes[position] = HYPHEN;
  position = writeHex16(bytes, position + 1, third & 0xffff);
  return writeHex16(bytes, writeHex16(bytes, position, fourth >>> 16), fourth & 0xffff);
}

/** Copies short text; for a handful of bytes a loop beats `set`. */
export function writeBytes(bytes: Uint8Array, at: number, text: Uint8Array): number {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text[index];
  return at + text.length;
}

function writeHex16(bytes: Uint8Array, at: number, value: number): number {
  const high = (value >>> 8) * 2;
  const low = (value & 0xff) * 2;
  bytes[at] = HEX_PAIRS[high];
  bytes[at + 1] = HEX_PAIRS[high + 1];
  bytes[at + 2] = HEX_PAIRS[low];
  bytes[at + 3] = HEX_PAIRS[low + 1];
  return at + 4;
}

function decimalDigits(value: number): number {
  if (value < 100_000) {
    if (value < 100) return value < 10 ? 1 : 2;
    if (value < 1_000) return 3;
    return value < 10_000 ? 4 : 5;
  }
  if (value < 10_000_000) return value < 1_000_000 ? 6 : 7;
  if (value < 100_000_000) return 8;
  return value < 1_000_000_000 ? 9 : 10;
}
