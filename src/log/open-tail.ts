/**
 * Finds the end of the log when it is opened. The last segment is read through: a torn tail is cut off, a damaged one
 * stays where it is and the log goes on in a new segment. A sequence number that an acknowledged record may have had is
 * never given out again: one at least is left out behind a damaged tail, and all up to `cursor`.
 */
import type { LogFile } from './log-file-system.ts';
import { LOG_START, type LogPosition } from './log-position.ts';
import type { TailStart } from './log-tail.ts';
import { RecordDecoder, type SegmentTail } from './record-decoder.ts';
import { SEGMENT_HEADER_BYTES } from './segment-format.ts';
import { scanSegment } from './segment-scan.ts';
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
  const decoder = new RecordDecoder(segment.salt, SEGMENT_HEADER_BYTES, segment.firstSequence);
  const reader = await store.openForReading(segment);
  let tail: SegmentTail;
  let nextSequence: number;
  try {
    for await (const events of scanSegment(reader, decoder, SEGMENT_HEADER_BYTES, fileBytes)) {
      for (const event of events) {
        if (event.kind === 'damage') await store.quarantine.take(reader, { ...event, file: segment.file });
      }
    }
    tail = decoder.tail();
    nextSequence = decoder.expected;
    if (tail.kind === 'damaged') {
      const { start, reason, sequenceSeen } = tail;
      const lost = { lostFrom: nextSequence, lostThrough: Math.max(nextSequence, sequenceSeen) };
      nextSequence = lost.lostThrough + 1;
      await store.quarantine.take(reader, { file: segment.file, start, end: fileBytes, reason, ...lost });
    }
  } finally {
    await reader.close();
  }
  const end = { sequence: decoder.expected - 1, offset: decoder.goodEnd };
  const isDamaged = tail.kind === 'damaged';
  const writer = await store.openForWriting(segment);
  try {
    if (!isDamaged && fileBytes > decoder.goodEnd) await writer.truncate(decoder.goodEnd);
    // What a killed process wrote may be in memory only; it counts as durable from here on.
    await writer.sync();
  } finally {
    await closeQuietly(writer);
  }
  if (isDamaged) return { end, nextSequence, segment: null, tornBytes: 0 };
  segment.bytes = decoder.goodEnd;
  return { end, nextSequence, segment, tornBytes: tail.kind === 'torn' ? fileBytes - decoder.goodEnd : 0 };
}

async function closeQuietly(file: LogFile): Promise<void> {
  await file.close().catch(() => {});
}
