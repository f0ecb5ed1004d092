/**
 * Finds the end of the log when it is opened. The last segment is read through: a torn tail is cut off, a damaged one
 * stays where it is and the log goes on in a new segment. A sequence number that an acknowledged record may have had is
 * never given out again: one at least is left out behind a damaged tail, and all up to `cursor`.
 */
import { LOG_START, type LogPosition } from './log-position.ts';
import type { TailStart } from './log-tail.ts';
import { RecordDecoder, type SegmentTail } from './record-decoder.ts';
import { SEGMENT_HEADER_BYTES } from './segment-format.ts';
import { rewrite, scanSegment } from './segment-scan.ts';
import type { LogSegment, SegmentStore } from './segment-store.ts';

export interface OpenedTail extends TailStart {
  /** Bytes of an unfinished record that were cut off. */
  readonly tornBytes: number;
}

export async function openTail(
  store: SegmentStore,
  cursor: LogPosition,
  onWarning: (message: string) => void,
): Promise<OpenedTail> {
  const last = store.segments.at(-1);
  const found =
    last === undefined
      ? { end: LOG_START, nextSequence: 1, segment: null, tornBytes: 0 }
      : await openLastSegment(store, last);
  if (found.nextSequence > cursor.sequence) return found;
  onWarning(
    `op log ${store.directory} ends at record ${found.nextSequence - 1}, but record ${cursor.sequence} was there: ` +
      'acknowledged records are missing',
  );
  const end = { sequence: cursor.sequence, offset: 0 };
  return { ...found, end, nextSequence: cursor.sequence + 1, segment: null };
}

async function openLastSegment(store: SegmentStore, segment: LogSegment): Promise<OpenedTail> {
  const fileBytes = segment.bytes;
  const { end, flushedBytes, tail, nextSequence } = await inspect(store, segment);
  const isWritableOn = tail !== 'damaged';
  const file = await store.openForWriting(segment);
  try {
    if (isWritableOn && fileBytes > end.offset) await file.truncate(end.offset);
    // What a process wrote that was killed before it flushed is part of the log from here on.
    await rewrite(file, flushedBytes, end.offset);
    await file.sync();
  } finally {
    await file.close().catch(() => {});
  }
  if (isWritableOn) segment.bytes = end.offset;
  return {
    end,
    nextSequence,
    segment: isWritableOn ? segment : null,
    tornBytes: tail === 'torn' ? fileBytes - end.offset : 0,
  };
}

interface Inspection {
  readonly end: LogPosition;
  /** Of the bytes before `end`, those known to be on the device. */
  readonly flushedBytes: number;
  readonly tail: SegmentTail['kind'];
  readonly nextSequence: number;
}

async function inspect(store: SegmentStore, segment: LogSegment): Promise<Inspection> {
  const decoder = new RecordDecoder(segment.salt, SEGMENT_HEADER_BYTES, segment.firstSequence);
  let flushedBytes = SEGMENT_HEADER_BYTES;
  const { file: name, bytes } = segment;
  const file = await store.openForReading(segment);
  try {
    for await (const events of scanSegment(file, decoder, SEGMENT_HEADER_BYTES, bytes)) {
      for (const event of events) {
        if (event.kind === 'record') ({ flushedBytes } = event);
        else await store.quarantine.take(file, name, event);
      }
    }
    const tail = decoder.tail();
    const end = { sequence: decoder.expected - 1, offset: decoder.goodEnd };
    if (tail.kind !== 'damaged')
      return { end, flushedBytes, tail: tail.kind, nextSequence: decoder.expected };
    const { start, reason, sequenceSeen } = tail;
    const lost = { lostFrom: decoder.expected, lostThrough: Math.max(decoder.expected, sequenceSeen) };
    await store.quarantine.take(file, name, { kind: 'damage', start, end: bytes, reason, ...lost });
    return { end, flushedBytes, tail: tail.kind, nextSequence: lost.lostThrough + 1 };
  } finally {
    await file.close();
  }
}
