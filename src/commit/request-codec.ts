/**
 * What a transaction asks of the leader, and its bytes in the queue.
 *
 * Format 1: a version byte, the expiry and the read version as u64 big-endian, read ranges, write ranges (see
 * range-codec.ts), a varint count of operations, then for each a tag and its byte strings, each after its length. Tags
 * are never reused; a reader that does not know a version or a tag refuses the request.
 *
 * The leader trusts no payload: decoding checks every limit that the client checks, and every length before memory is
 * taken. Whatever the bytes are, they decode to a request within the limits or throw a CommitError.
 */
import { CommitError } from './commit-error.ts';
import { REQUEST_BYTES_MAX, TRANSACTION_BYTES_MAX } from './commit-limits.ts';
import type { KeyRange } from './commit-storage.ts';
import { MessageReader, MessageWriter, writeLong } from './message-bytes.ts';
import { type Atomic, checkOperation, type Operation } from './operation.ts';
import { rangesBytesMax, readRanges, writeRanges } from './range-codec.ts';

export interface CommitRequest {
  /** The version of the snapshot that the transaction read; 0 when it read nothing. */
  readonly readVersion: number;
  /** Milliseconds since the epoch by the database's clock, after which the request must not be committed. */
  readonly expiresAtMs: number;
  readonly readRanges: readonly KeyRange[];
  /** What the operations write, except for SET_VERSIONSTAMPED_KEY: the leader adds the key that it becomes. */
  readonly writeRanges: readonly KeyRange[];
  /** In program order. */
  readonly operations: readonly Operation[];
}

const FORMAT = 1;
const EXPIRY_OFFSET = 1;
const HEADER_BYTES = 17;
const OPERATION_OVERHEAD_BYTES_MAX = 11;

const SET = 0;
const CLEAR = 1;
const CLEAR_RANGE = 2;
const FIRST_ATOMIC = 16;
/** The tag of an atomic operation is FIRST_ATOMIC and its place here: append only. */
const ATOMICS: readonly Atomic[] = [
  'ADD',
  'BIT_AND',
  'BIT_OR',
  'BIT_XOR',
  'APPEND_IF_FITS',
  'MAX',
  'MIN',
  'SET_VERSIONSTAMPED_KEY',
  'SET_VERSIONSTAMPED_VALUE',
  'BYTE_MIN',
  'BYTE_MAX',
  'COMPARE_AND_CLEAR',
];

/** @throws CommitError TRANSACTION_TOO_LARGE. Operations and ranges must be within their limits already. */
export function encodeRequest(request: CommitRequest): Uint8Array {
  checkTransactionBytes(requestBytes(request));
  const { readRanges, writeRanges: written, operations } = request;
  let bytesMax = HEADER_BYTES + rangesBytesMax(readRanges) + rangesBytesMax(written);
  for (const operation of operations) bytesMax += OPERATION_OVERHEAD_BYTES_MAX + operationBytes(operation);
  const writer = new MessageWriter(bytesMax + 5);
  writer.byte(FORMAT);
  writer.long(Math.floor(request.expiresAtMs));
  writer.long(request.readVersion);
  writeRanges(writer, readRanges);
  writeRanges(writer, written);
  writer.varint(operations.length);
  for (const operation of operations) writeOperation(writer, operation);
  const payload = writer.finish();
  checkRequestBytes(payload.length);
  return payload;
}

/** Sets the expiry of an encoded request, just before it is sent. */
export function setExpiry(payload: Uint8Array, expiresAtMs: number): void {
  const target = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  writeLong(target, EXPIRY_OFFSET, Math.floor(expiresAtMs));
}

/**
 * Byte strings of the request are views of `payload`.
 * @throws CommitError with a permanent code: COMMIT_REJECTED for bytes that are no request, else the limit's own.
 */
export function decodeRequest(payload: Uint8Array): CommitRequest {
  checkRequestBytes(payload.length);
  const reader = new MessageReader(payload);
  const format = reader.byte();
  if (format !== FORMAT) {
    throw reader.corrupt(`format ${format} is unknown here (${FORMAT} is known)`);
  }
  const expiresAtMs = reader.long('expiry');
  const readVersion = reader.long('read version');
  const readRangeList = readRanges(reader);
  const writeRangeList = readRanges(reader);
  const count = reader.count(2);
  const operations: Operation[] = [];
  for (let index = 0; index < count; index++) operations.push(readOperation(reader));
  reader.end();
  const request = {
    readVersion,
    expiresAtMs,
    readRanges: readRangeList,
    writeRanges: writeRangeList,
    operations,
  };
  checkTransactionBytes(requestBytes(request));
  return request;
}

/** Bytes that count against TRANSACTION_BYTES_MAX. */
export function operationBytes(operation: Operation): number {
  switch (operation.type) {
    case 'set':
      return operation.key.length + operation.value.length;
    case 'clear':
      return operation.key.length;
    case 'clearRange':
      return operation.begin.length + operation.end.length;
    case 'atomic':
      return operation.key.length + operation.operand.length;
  }
}

/** @throws CommitError TRANSACTION_TOO_LARGE. */
export function checkTransactionBytes(bytes: number): void {
  if (bytes > TRANSACTION_BYTES_MAX) throw tooLarge('a transaction', bytes, TRANSACTION_BYTES_MAX);
}

function checkRequestBytes(bytes: number): void {
  if (bytes > REQUEST_BYTES_MAX) throw tooLarge('an encoded request', bytes, REQUEST_BYTES_MAX);
}

function tooLarge(what: string, bytes: number, bytesMax: number): CommitError {
  return new CommitError('TRANSACTION_TOO_LARGE', `${what} of ${bytes} bytes is more than ${bytesMax}`, {
    hint: 'split it into several transactions; ranges read without snapshot count too',
  });
}

function requestBytes(request: CommitRequest): number {
  let bytes = 0;
  for (const { begin, end } of request.readRanges) bytes += begin.length + end.length;
  for (const { begin, end } of request.writeRanges) bytes += begin.length + end.length;
  for (const operation of request.operations) bytes += operationBytes(operation);
  return bytes;
}

function writeOperation(writer: MessageWriter, operation: Operation): void {
  switch (operation.type) {
    case 'set':
      writer.byte(SET);
      writer.counted(operation.key);
      writer.counted(operation.value);
      break;
    case 'clear':
      writer.byte(CLEAR);
      writer.counted(operation.key);
      break;
    case 'clearRange':
      writer.byte(CLEAR_RANGE);
      writer.counted(operation.begin);
      writer.counted(operation.end);
      break;
    case 'atomic':
      writer.byte(FIRST_ATOMIC + ATOMICS.indexOf(operation.atomic));
      writer.counted(operation.key);
      writer.counted(operation.operand);
  }
}

function readOperation(reader: MessageReader): Operation {
  const tag = reader.byte();
  const operation = operationOf(tag, reader);
  checkOperation(operation);
  return operation;
}

function operationOf(tag: number, reader: MessageReader): Operation {
  if (tag === SET) return { type: 'set', key: reader.counted(), value: reader.counted() };
  if (tag === CLEAR) return { type: 'clear', key: reader.counted() };
  if (tag === CLEAR_RANGE) return { type: 'clearRange', begin: reader.counted(), end: reader.counted() };
  const atomic = ATOMICS[tag - FIRST_ATOMIC];
  if (atomic === undefined) throw reader.corrupt(`operation ${tag} is unknown here`);
  return { type: 'atomic', atomic, key: reader.counted(), operand: reader.counted() };
}
