/**
 * Ranges of keys as bytes. Format 1: a version byte, a varint count, then the ranges. A range is a varint of the begin's
 * length times two, and the begin; most ranges hold a single key, so that the end is the begin and a zero byte: the
 * varint is odd then and the zero byte follows. Else follow the length of the end and the end.
 */
import type { KeyRange } from './commit-storage.ts';
import { MessageReader, MessageWriter } from './message-bytes.ts';
import { checkRange } from './operation.ts';

const FORMAT = 1;
const VARINT_BYTES_MAX = 5;

export function encodeRanges(ranges: readonly KeyRange[]): Uint8Array {
  const writer = new MessageWriter(1 + rangesBytesMax(ranges));
  writer.byte(FORMAT);
  writeRanges(writer, ranges);
  return writer.finish();
}

/**
 * The ranges are views of `bytes`.
 * @throws CommitError COMMIT_REJECTED, INVERTED_RANGE, KEY_TOO_LARGE.
 */
export function decodeRanges(bytes: Uint8Array): KeyRange[] {
  const reader = new MessageReader(bytes);
  const format = reader.byte();
  if (format !== FORMAT) throw reader.corrupt(`ranges of unknown format ${format}`);
  const ranges = readRanges(reader);
  reader.end();
  return ranges;
}

/** The most bytes that `writeRanges` writes. */
export function rangesBytesMax(ranges: readonly KeyRange[]): number {
  let bytes = VARINT_BYTES_MAX;
  for (const { begin, end } of ranges) bytes += 2 * VARINT_BYTES_MAX + begin.length + end.length;
  return bytes;
}

export function writeRanges(writer: MessageWriter, ranges: readonly KeyRange[]): void {
  writer.varint(ranges.length);
  for (const { begin, end } of ranges) {
    if (isSingleKey(begin, end)) {
      writer.varint(begin.length * 2 + 1);
      writer.raw(end);
    } else {
      writer.varint(begin.length * 2);
      writer.raw(begin);
      writer.counted(end);
    }
  }
}

/** @throws CommitError COMMIT_REJECTED, INVERTED_RANGE, KEY_TOO_LARGE. */
export function readRanges(reader: MessageReader): KeyRange[] {
  const count = reader.count(2);
  const ranges: KeyRange[] = [];
  for (let index = 0; index < count; index++) {
    const head = reader.varint();
    const begin = reader.raw(head >>> 1);
    let end: Uint8Array;
    if (head % 2 === 1) {
      reader.back(begin.length);
      end = reader.raw(begin.length + 1);
      if (end[begin.length] !== 0) throw reader.corrupt('the end of a single key is not zero');
    } else {
      end = reader.counted();
    }
    checkRange(begin, end);
    ranges.push({ begin, end });
  }
  return ranges;
}

function isSingleKey(begin: Uint8Array, end: Uint8Array): boolean {
  if (end.length !== begin.length + 1 || end[begin.length] !== 0) return false;
  for (let at = begin.length - 1; at >= 0; at--) if (begin[at] !== end[at]) return false;
  return true;
}
