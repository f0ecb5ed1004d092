/**
 * The bytes of a segment file, format version 1. Integers are little-endian.
 *
 *   segment = header, then blocks of 32 KiB counted from the start of the file (the first block holds the header)
 *   header  = magic "BITLMLOG" | u32 format version | u32 salt | u64 first sequence | u32 zero | u32 checksum of these
 *   block   = fragments back to back; where 28 bytes or fewer are left of a block they are zero padding
 *   fragment= u32 checksum of the 24 bytes that follow it
 *             u32 checksum of the body
 *             u64 sequence number of the record
 *             u32 bytes of the whole record
 *             u32 offset of the body in the record
 *             u32 bytes of the segment that were flushed when this was written
 *             body: up to the end of the record or of the block, whichever comes first
 *
 * Whether a fragment is the FULL, FIRST, MIDDLE or LAST of the LevelDB log format follows from its offset and the bytes
 * of the record, and so does its length; nothing is said twice that could contradict itself. The header has a checksum of
 * its own, so that a damaged body does not hide where the next fragment begins, and an incomplete body can be told from a
 * damaged length. Every checksum is CRC-32 that starts from the salt of the segment, as in the SQLite WAL: bytes of another
 * segment, or of a payload made to look like a fragment, do not pass. The file name repeats first sequence and salt, so
 * that a damaged header costs no record.
 *
 * The flushed bytes tell who opens the log from where on the content may be in the memory of the operating system only.
 */
import { crc32 } from 'node:zlib';

export const BLOCK_BYTES = 32 * 1024;
export const SEGMENT_HEADER_BYTES = 32;
export const FRAGMENT_HEADER_BYTES = 28;

const LOG_FORMAT_VERSION = 1;
const MAGIC = Buffer.from('BITLMLOG', 'latin1');
const FILE_PATTERN = /^segment-([0-9]{16})-([0-9a-f]{8})\.log$/;
export const TEMPORARY_PATTERN = /^segment-[0-9]{16}-[0-9a-f]{8}\.log\.tmp$/;

export interface SegmentIdentity {
  /** Sequence number of its first record. */
  readonly firstSequence: number;
  /** Random; every checksum of the segment starts from it. */
  readonly salt: number;
}

export function segmentFile({ firstSequence, salt }: SegmentIdentity): string {
  return `segment-${String(firstSequence).padStart(16, '0')}-${salt.toString(16).padStart(8, '0')}.log`;
}

/** Null for any other file. */
export function identityOfFile(file: string): SegmentIdentity | null {
  const match = FILE_PATTERN.exec(file);
  return match === null ? null : { firstSequence: Number(match[1]), salt: Number.parseInt(match[2], 16) };
}

export function encodeSegmentHeader({ firstSequence, salt }: SegmentIdentity): Buffer {
  const header = Buffer.alloc(SEGMENT_HEADER_BYTES);
  MAGIC.copy(header, 0);
  header.writeUInt32LE(LOG_FORMAT_VERSION, 8);
  header.writeUInt32LE(salt, 12);
  header.writeBigUInt64LE(BigInt(firstSequence), 16);
  header.writeUInt32LE(crc32(header.subarray(0, 28), salt), 28);
  return header;
}

export type SegmentHeaderCheck = 'whole' | 'damaged' | { readonly unknownFormat: number };

/** Compares a header with what the file name says. */
export function checkSegmentHeader(header: Buffer, identity: SegmentIdentity): SegmentHeaderCheck {
  if (header.equals(encodeSegmentHeader(identity))) return 'whole';
  if (header.length < SEGMENT_HEADER_BYTES || !header.subarray(0, 8).equals(MAGIC)) return 'damaged';
  // Magic, format version, salt and checksum stay where they are in every later version.
  const checksum = crc32(header.subarray(0, 28), header.readUInt32LE(12));
  if (checksum !== header.readUInt32LE(28)) return 'damaged';
  const formatVersion = header.readUInt32LE(8);
  return formatVersion === LOG_FORMAT_VERSION ? 'damaged' : { unknownFormat: formatVersion };
}

/** Where the fragment after this offset begins: there, or behind the padding. */
export function skipPadding(offset: number): number {
  const left = BLOCK_BYTES - (offset % BLOCK_BYTES);
  return left <= FRAGMENT_HEADER_BYTES ? offset + left : offset;
}

/** Writes a fragment's header; its body already follows at `at + FRAGMENT_HEADER_BYTES`. */
export function writeFragmentHeader(
  target: Buffer,
  at: number,
  bodyBytes: number,
  salt: number,
  sequence: number,
  recordBytes: number,
  recordOffset: number,
  flushedBytes: number,
): void {
  const body = at + FRAGMENT_HEADER_BYTES;
  target.writeUInt32LE(crc32(target.subarray(body, body + bodyBytes), salt), at + 4);
  target.writeUInt32LE(sequence % 2 ** 32, at + 8);
  target.writeUInt32LE(Math.floor(sequence / 2 ** 32), at + 12);
  target.writeUInt32LE(recordBytes, at + 16);
  target.writeUInt32LE(recordOffset, at + 20);
  target.writeUInt32LE(flushedBytes, at + 24);
  target.writeUInt32LE(crc32(target.subarray(at + 4, body), salt), at);
}

/** Whether the header at this place is what a writer wrote. */
export function isFragmentHeader(source: Buffer, at: number, salt: number): boolean {
  // What cannot be is seen first: a search through a damaged block looks at every byte of it.
  if (fragmentRecordOffset(source, at) > fragmentRecordBytes(source, at)) return false;
  const sequence = fragmentSequence(source, at);
  if (sequence === 0 || sequence > Number.MAX_SAFE_INTEGER) return false;
  return crc32(source.subarray(at + 4, at + FRAGMENT_HEADER_BYTES), salt) === source.readUInt32LE(at);
}

export function isFragmentBody(source: Buffer, at: number, bodyBytes: number, salt: number): boolean {
  const body = at + FRAGMENT_HEADER_BYTES;
  return crc32(source.subarray(body, body + bodyBytes), salt) === source.readUInt32LE(at + 4);
}

export function fragmentSequence(source: Buffer, at: number): number {
  return source.readUInt32LE(at + 12) * 2 ** 32 + source.readUInt32LE(at + 8);
}

export function fragmentRecordBytes(source: Buffer, at: number): number {
  return source.readUInt32LE(at + 16);
}

export function fragmentRecordOffset(source: Buffer, at: number): number {
  return source.readUInt32LE(at + 20);
}

export function fragmentFlushedBytes(source: Buffer, at: number): number {
  return source.readUInt32LE(at + 24);
}
