/**
 * Finds the records in the bytes of a segment, whatever happened to them. Pure: bytes in, events out.
 *
 * A record is given out whole and verified or not at all. What lies between two good records and is not padding is one
 * damaged range; it ends at the next fragment header that holds, searched for byte by byte within the block and at the
 * start of each block after it. Sequence numbers tell how many records it cost. Memory is one record at a time.
 */
import {
  BLOCK_BYTES,
  FRAGMENT_HEADER_BYTES,
  fragmentFlushedBytes,
  fragmentRecordBytes,
  fragmentRecordOffset,
  fragmentSequence,
  isFragmentBody,
  isFragmentHeader,
  skipPadding,
} from './segment-format.ts';

/** Offsets are those of the file. */
export interface DecodedRecord {
  readonly kind: 'record';
  readonly sequence: number;
  readonly end: number;
  /** Bytes of the segment that were flushed when it was written. */
  readonly flushedBytes: number;
  /** Memory of its own. */
  readonly payload: Uint8Array;
}

export interface DecodedDamage {
  readonly kind: 'damage';
  readonly start: number;
  readonly end: number;
  readonly reason: string;
  /** The records it cost: from `lostFrom` up to and including `lostThrough`, none if that is lower. */
  readonly lostFrom: number;
  readonly lostThrough: number;
}

export type DecodedEvent = DecodedRecord | DecodedDamage;

/** What follows the last good record. */
export type SegmentTail =
  | { readonly kind: 'none' }
  /** The beginning of a record whose rest was never written: every byte of it holds, or the rest is zeros. */
  | { readonly kind: 'torn'; readonly start: number }
  /** `sequenceSeen` is the highest sequence number read there, 0 if none could be. */
  | {
      readonly kind: 'damaged';
      readonly start: number;
      readonly reason: string;
      readonly sequenceSeen: number;
    };

interface PartialRecord {
  readonly sequence: number;
  readonly start: number;
  readonly flushedBytes: number;
  readonly payload: Buffer;
  filledBytes: number;
}

export class RecordDecoder {
  readonly #salt: number;
  #events: DecodedEvent[] = [];
  /** Sequence number of the next record if nothing is lost. */
  #expected: number;
  /** End of the last good record. */
  #goodEnd: number;
  #dataEnd: number;
  #partial: PartialRecord | null = null;
  /** Why the bytes since the last good record are damaged; null while they are not. */
  #reason: string | null = null;
  #sequenceSeen = 0;
  /** While there is a reason: all bytes since the first bad one are zeros. */
  #isZeroSinceBad = false;

  /** Starts at the beginning of a record: its offset, and the sequence number it should have. */
  constructor(salt: number, offset: number, expectedSequence: number) {
    this.#salt = salt;
    this.#goodEnd = offset;
    this.#dataEnd = offset;
    this.#expected = expectedSequence;
  }

  /** Sequence number of the next record if nothing is lost. */
  get expected(): number {
    return this.#expected;
  }

  /** End of the last good record. */
  get goodEnd(): number {
    return this.#goodEnd;
  }

  /** Takes the bytes that follow; they end at the end of a block or of the data. */
  push(bytes: Buffer): void {
    const origin = this.#dataEnd;
    this.#dataEnd += bytes.length;
    let at = 0;
    while (at < bytes.length) {
      const room = BLOCK_BYTES - ((origin + at) % BLOCK_BYTES);
      const left = Math.min(room, bytes.length - at);
      if (room <= FRAGMENT_HEADER_BYTES) at += room;
      else if (left < FRAGMENT_HEADER_BYTES) return;
      else if (isFragmentHeader(bytes, at, this.#salt))
        at += this.#takeFragment(bytes, at, origin + at, left);
      else at = this.#searchHeader(bytes, at, at + left);
    }
  }

  /** The events since the last call. */
  takeEvents(): DecodedEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** Call when all bytes were pushed. */
  tail(): SegmentTail {
    const start = skipPadding(this.#goodEnd);
    if (start >= this.#dataEnd) return { kind: 'none' };
    if (this.#reason === null || this.#isZeroSinceBad) return { kind: 'torn', start };
    return { kind: 'damaged', start, reason: this.#reason, sequenceSeen: this.#sequenceSeen };
  }

  /** Returns the bytes it takes; more than `left` when it is incomplete. */
  #takeFragment(bytes: Buffer, at: number, fileOffset: number, left: number): number {
    const room = BLOCK_BYTES - (fileOffset % BLOCK_BYTES);
    const sequence = fragmentSequence(bytes, at);
    const recordBytes = fragmentRecordBytes(bytes, at);
    const recordOffset = fragmentRecordOffset(bytes, at);
    const bodyBytes = Math.min(recordBytes - recordOffset, room - FRAGMENT_HEADER_BYTES);
    const fragmentBytes = FRAGMENT_HEADER_BYTES + bodyBytes;
    if (this.#reason !== null) this.#isZeroSinceBad = false;
    this.#sequenceSeen = Math.max(this.#sequenceSeen, sequence);
    if (fragmentBytes > left) return fragmentBytes;
    const partial = this.#partial;
    if (!isFragmentBody(bytes, at, bodyBytes, this.#salt)) {
      this.#damage('a body does not match its checksum');
    } else if (recordOffset === 0) {
      if (partial !== null) this.#damage('a record has no end');
      if (sequence < this.#expected) this.#damage('a record is out of order');
      else {
        this.#partial = {
          sequence,
          start: fileOffset,
          flushedBytes: fragmentFlushedBytes(bytes, at),
          payload: Buffer.allocUnsafeSlow(recordBytes),
          filledBytes: 0,
        };
      }
    } else if (
      partial === null ||
      partial.sequence !== sequence ||
      partial.payload.length !== recordBytes ||
      partial.filledBytes !== recordOffset
    ) {
      this.#damage('a fragment does not follow the one before');
    }
    if (this.#partial !== null) {
      const body = at + FRAGMENT_HEADER_BYTES;
      this.#partial.filledBytes += bytes.copy(this.#partial.payload, recordOffset, body, body + bodyBytes);
      if (this.#partial.filledBytes === recordBytes)
        this.#complete(this.#partial, fileOffset + fragmentBytes);
    }
    return fragmentBytes;
  }

  #complete(record: PartialRecord, end: number): void {
    const start = skipPadding(this.#goodEnd);
    if (record.start !== start || record.sequence !== this.#expected) {
      this.#events.push({
        kind: 'damage',
        start,
        end: record.start,
        reason: this.#reason ?? 'records are missing',
        lostFrom: this.#expected,
        lostThrough: record.sequence - 1,
      });
    }
    const { sequence, flushedBytes, payload } = record;
    this.#events.push({ kind: 'record', sequence, end, flushedBytes, payload });
    this.#goodEnd = end;
    this.#expected = record.sequence + 1;
    this.#partial = null;
    this.#reason = null;
    this.#sequenceSeen = 0;
  }

  #damage(reason: string): void {
    this.#reason ??= reason;
    this.#isZeroSinceBad = false;
    this.#partial = null;
  }

  /** Where the next fragment header that holds is, or `stop`. */
  #searchHeader(bytes: Buffer, from: number, stop: number): number {
    const wasZero = this.#reason === null || this.#isZeroSinceBad;
    this.#damage('a fragment header does not match its checksum');
    let at = from + 1;
    const last = stop - FRAGMENT_HEADER_BYTES;
    while (at <= last && !isFragmentHeader(bytes, at, this.#salt)) at++;
    const found = at <= last ? at : stop;
    this.#isZeroSinceBad = wasZero && isZero(bytes, from, found);
    return found;
  }
}

function isZero(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}
