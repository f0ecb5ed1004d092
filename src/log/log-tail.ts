/**
 * The end of the log, where records are written. `end` and the `bytes` of the segment only ever move in `#flush`, after
 * the device has confirmed everything up to there; what is behind them is not part of the log.
 *
 * After a failed write or flush the content of the file behind `end` is unknown, and what the operating system still
 * shows of it may never reach the device (a failed fsync drops dirty pages and forgets). `repair` therefore cuts the
 * segment back to `end`, reads all of it again, writes its last block anew, because the device may hold an older copy of
 * it, and goes on in a new segment.
 */
import { LOG_WINDOW_BYTES } from '../limits.ts';
import type { FlushTimes } from './flush-times.ts';
import { type LogFile, writeFully } from './log-file-system.ts';
import type { LogPosition } from './log-position.ts';
import { RecordDecoder } from './record-decoder.ts';
import {
  BLOCK_BYTES,
  FRAGMENT_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  skipPadding,
  writeFragmentHeader,
} from './segment-format.ts';
import { rewrite, scanSegment } from './segment-scan.ts';
import type { LogSegment, SegmentStore } from './segment-store.ts';

export interface TailStart {
  readonly end: LogPosition;
  readonly nextSequence: number;
  /** The last segment, if it can be written on; null: the next record starts a new one. */
  readonly segment: LogSegment | null;
}

/** A record on its way; `position` is set when it has been framed, and holds once the position is durable. */
export interface PendingRecord {
  readonly payload: Uint8Array;
  position: LogPosition | null;
}

export class LogTail {
  readonly #store: SegmentStore;
  readonly #segmentBytesMax: number;
  readonly #flushTimes: FlushTimes;
  readonly #onWarning: (message: string) => void;
  #end: LogPosition;
  #segment: LogSegment | null;
  #file: LogFile | null = null;
  /** Of the next record to frame, and of the first one that is not durable. */
  #nextSequence: number;
  #nextSequenceDurable: number;
  /** Framed bytes that are not written yet: `#frames` up to `#framedBytes`, to go to `#writeOffset` of the file. */
  #frames = Buffer.alloc(0);
  #framedBytes = 0;
  #writeOffset = 0;
  /** End of the last framed record. */
  #framedEnd: LogPosition | null = null;

  constructor(
    store: SegmentStore,
    start: TailStart,
    segmentBytesMax: number,
    flushTimes: FlushTimes,
    onWarning: (message: string) => void,
  ) {
    this.#store = store;
    this.#segmentBytesMax = segmentBytesMax;
    this.#flushTimes = flushTimes;
    this.#onWarning = onWarning;
    this.#end = start.end;
    this.#segment = start.segment;
    this.#nextSequence = start.nextSequence;
    this.#nextSequenceDurable = start.nextSequence;
  }

  /** End of the last durable record. */
  get end(): LogPosition {
    return this.#end;
  }

  isDurable({ position }: PendingRecord): boolean {
    return position !== null && position.sequence < this.#nextSequenceDurable;
  }

  /** Writes and flushes the records. When it throws, call `repair` before the next; `isDurable` tells which are safe. */
  async append(records: readonly PendingRecord[]): Promise<void> {
    if (this.#frames.length === 0) this.#frames = Buffer.allocUnsafeSlow(LOG_WINDOW_BYTES);
    for (const record of records) {
      const file = await this.#fileForNextRecord();
      await this.#frame(file, record.payload);
      this.#framedEnd = { sequence: this.#nextSequence++, offset: this.#writeOffset + this.#framedBytes };
      record.position = this.#framedEnd;
    }
    await this.#flush();
  }

  /** Makes the log fit to append to after a failure. Changes nothing that is durable; can be called again. */
  async repair(): Promise<void> {
    await this.close();
    this.#framedBytes = 0;
    this.#framedEnd = null;
    this.#nextSequence = this.#nextSequenceDurable;
    if (this.#segment !== null) {
      if (this.#segment.bytes > SEGMENT_HEADER_BYTES) await this.#cutBack(this.#segment);
      else await this.#store.remove(this.#segment);
      this.#segment = null;
    }
    await this.#startSegment();
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    // Everything that counts has been flushed.
    await file?.close().catch(() => {});
  }

  async #fileForNextRecord(): Promise<LogFile> {
    if (this.#segment === null) return await this.#startSegment();
    if (this.#file === null) {
      this.#file = await this.#store.openForWriting(this.#segment);
      this.#writeOffset = this.#segment.bytes;
    }
    if (this.#writeOffset + this.#framedBytes < this.#segmentBytesMax) return this.#file;
    // A segment is durable as a whole before there is another one, so a torn tail is in the last one only.
    await this.#flush();
    await this.close();
    return await this.#startSegment();
  }

  async #startSegment(): Promise<LogFile> {
    const { segment, file } = await this.#store.create(this.#nextSequence);
    this.#segment = segment;
    this.#file = file;
    this.#writeOffset = SEGMENT_HEADER_BYTES;
    return file;
  }

  async #frame(file: LogFile, payload: Uint8Array): Promise<void> {
    const { salt, bytes: flushedBytes } = this.#segment!;
    let recordOffset = 0;
    do {
      if (this.#frames.length - this.#framedBytes < 2 * BLOCK_BYTES) await this.#write(file);
      const offset = this.#writeOffset + this.#framedBytes;
      const start = skipPadding(offset);
      this.#frames.fill(0, this.#framedBytes, this.#framedBytes + start - offset);
      const at = this.#framedBytes + start - offset;
      const room = BLOCK_BYTES - (start % BLOCK_BYTES) - FRAGMENT_HEADER_BYTES;
      const bodyBytes = Math.min(payload.length - recordOffset, room);
      const body = at + FRAGMENT_HEADER_BYTES;
      this.#frames.set(payload.subarray(recordOffset, recordOffset + bodyBytes), body);
      writeFragmentHeader(
        this.#frames,
        at,
        bodyBytes,
        salt,
        this.#nextSequence,
        payload.length,
        recordOffset,
        flushedBytes,
      );
      this.#framedBytes = body + bodyBytes;
      recordOffset += bodyBytes;
    } while (recordOffset < payload.length);
  }

  async #write(file: LogFile): Promise<void> {
    await writeFully(file, this.#frames.subarray(0, this.#framedBytes), this.#writeOffset);
    this.#writeOffset += this.#framedBytes;
    this.#framedBytes = 0;
  }

  async #flush(): Promise<void> {
    if (this.#file === null || this.#framedEnd === null) return;
    await this.#write(this.#file);
    const startMs = performance.now();
    await this.#file.sync();
    this.#flushTimes.add((performance.now() - startMs) / 1000);
    this.#segment!.bytes = this.#framedEnd.offset;
    this.#end = this.#framedEnd;
    this.#nextSequenceDurable = this.#nextSequence;
    this.#framedEnd = null;
  }

  async #cutBack(segment: LogSegment): Promise<void> {
    const file = await this.#store.openForWriting(segment);
    try {
      await file.truncate(segment.bytes);
      const decoder = new RecordDecoder(segment.salt, SEGMENT_HEADER_BYTES, segment.firstSequence);
      for await (const _ of scanSegment(file, decoder, SEGMENT_HEADER_BYTES, segment.bytes));
      if (decoder.goodEnd === segment.bytes) {
        await rewrite(file, segment.bytes - 1, segment.bytes);
      } else {
        const found = `${segment.bytes} bytes were flushed, only ${decoder.goodEnd} hold`;
        this.#onWarning(`op log ${segment.file} is damaged after a failed write: ${found}`);
      }
      await file.sync();
    } finally {
      await file.close().catch(() => {});
    }
  }
}
