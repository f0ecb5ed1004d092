/**
 * Requests as bytes, good and bad, written without the codec and without its checks: what a faulty or hostile program
 * could put into the queue. See request-codec.ts and range-codec.ts for the format.
 */
import type { KeyRange } from '../../../src/commit/commit-storage.ts';

/** Tags of the operations in format 1. */
export const TAGS = {
  set: 0,
  clear: 1,
  clearRange: 2,
  ADD: 16,
  BIT_AND: 17,
  BIT_OR: 18,
  BIT_XOR: 19,
  APPEND_IF_FITS: 20,
  MAX: 21,
  MIN: 22,
  SET_VERSIONSTAMPED_KEY: 23,
  SET_VERSIONSTAMPED_VALUE: 24,
  BYTE_MIN: 25,
  BYTE_MAX: 26,
  COMPARE_AND_CLEAR: 27,
} as const;

export type Tag = keyof typeof TAGS;

/** An operation is its tag and its byte strings. */
export type RawOperation = readonly [tag: Tag | number, ...strings: Uint8Array[]];

export interface RawRequest {
  readonly format?: number;
  readonly expiresAtMs?: number;
  readonly readVersion?: number;
  readonly readRanges?: readonly KeyRange[];
  readonly writeRanges?: readonly KeyRange[];
  readonly operations?: readonly RawOperation[];
}

/** Longer than any test, by the clock of a database that is not far from ours. */
const EXPIRY_MS = 600_000;

export function rawRequest(request: RawRequest): Uint8Array {
  const { operations = [] } = request;
  const header = Buffer.alloc(17);
  header[0] = request.format ?? 1;
  header.writeBigUInt64BE(BigInt(request.expiresAtMs ?? Date.now() + EXPIRY_MS), 1);
  header.writeBigUInt64BE(BigInt(request.readVersion ?? 0), 9);
  return Buffer.concat([
    header,
    ...ranges(request.readRanges ?? []),
    ...ranges(request.writeRanges ?? []),
    varint(operations.length),
    ...operations.flatMap(([tag, ...strings]) => [
      Buffer.from([typeof tag === 'number' ? tag : TAGS[tag]]),
      ...strings.flatMap((bytes) => [varint(bytes.length), bytes]),
    ]),
  ]);
}

/** Of one key and value, with the write range that the client would have added. */
export function rawSet(key: Uint8Array, value: Uint8Array): Uint8Array {
  return rawRequest({ writeRanges: [singleKey(key)], operations: [['set', key, value]] });
}

export function singleKey(key: Uint8Array): KeyRange {
  return { begin: key, end: Buffer.concat([key, Buffer.alloc(1)]) };
}

export function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

/** Each with both of its ends in full. */
function ranges(list: readonly KeyRange[]): Uint8Array[] {
  return [
    varint(list.length),
    ...list.flatMap(({ begin, end }) => [varint(begin.length * 2), begin, varint(end.length), end]),
  ];
}
