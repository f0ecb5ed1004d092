/**
 * Reads the records after a position up to the end of the log, in order. Stretches of at most one segment are read one
 * after the other until the end, which may move meanwhile, is reached.
 */
import { BitloomError } from '../errors.ts';
import { type LogFile, readFully } from './log-file-system.ts';
import type { LogPosition } from './log-position.ts';
import { type DecodedDamage, type DecodedRecord, RecordDecoder } from './record-decoder.ts';
import {
  FRAGMENT_HEADER_BYTES,
  fragmentRecordOffset,
  fragmentSequence,
  isFragmentHeader,
  SEGMENT_HEADER_BYTES,
  skipPadding,
} from './segment-format.ts';
import { scanSegment } from './segment-scan.ts';
import type { LogSegment, SegmentStore } from './segment-store.ts';

export interface LogRecord {
  /** Where reading goes on behind this record. */
  readonly position: LogPosition;
  /** Belongs to the caller. */
  readonly payload: Uint8Array;
}

/** @throws BitloomError LOG_POSITION_REMOVED, LOG_FORMAT; errors of the file system other than a failing sector. */
export async function* readRecords(
  store: SegmentStore,
  from: LogPosition | null,
  end: () => LogPosition,
): AsyncGenerator<LogRecord> {
  let position = from ?? {
    sequence: (store.segments[0]?.firstSequence ?? end().sequence + 1) - 1,
    offset: 0,
  };
  while (position.sequence < end().sequence) {
    const segment = store.segmentOf(position.sequence + 1);
    if (segment === undefined) throw removed(store, position);
    // As it is now: up to these bytes the segment holds the records up to this sequence number, or they are lost.
    const stop = segment.bytes;
    const next = store.segmentAfter(segment);
    const lastSequence = next === undefined ? end().sequence : next.firstSequence - 1;
    const file = await openOrRemoved(store, segment, position);
    try {
      const { start, sequence } = await findStart(file, segment, position);
      const decoder = new RecordDecoder(segment.salt, start, sequence);
      for await (const events of scanSegment(file, decoder, start, stop)) {
        for (const event of events) {
          if (event.kind === 'record') {
            if (event.sequence > position.sequence) yield toRecord(event);
          } else await takeDamage(store, file, segment, event, position);
        }
      }
      const missing = missingAtEnd(decoder, stop, lastSequence);
      if (missing !== null) await takeDamage(store, file, segment, missing, position);
      position = { sequence: lastSequence, offset: missing === null ? decoder.goodEnd : 0 };
    } finally {
      await file.close();
    }
  }
}

/** What should be there behind the last good record and is not. */
function missingAtEnd(decoder: RecordDecoder, stop: number, lastSequence: number): DecodedDamage | null {
  const tail = decoder.tail();
  if (tail.kind === 'none' && decoder.expected > lastSequence) return null;
  return {
    kind: 'damage',
    start: tail.kind === 'none' ? stop : tail.start,
    end: stop,
    reason: tail.kind === 'damaged' ? tail.reason : 'the segment ends too early',
    lostFrom: decoder.expected,
    lostThrough: lastSequence,
  };
}

function toRecord({ sequence, end, payload }: DecodedRecord): LogRecord {
  return { position: { sequence, offset: end }, payload };
}

/** What is damaged before the position is of no interest to who reads on from there. */
async function takeDamage(
  store: SegmentStore,
  file: LogFile,
  segment: LogSegment,
  damage: DecodedDamage,
  position: LogPosition,
): Promise<void> {
  if (damage.lostFrom <= damage.lostThrough && damage.lostThrough <= position.sequence) return;
  await store.quarantine.take(file, segment.file, damage);
}

async function openOrRemoved(
  store: SegmentStore,
  segment: LogSegment,
  position: LogPosition,
): Promise<LogFile> {
  try {
    return await store.openForReading(segment);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw removed(store, position);
    throw error;
  }
}

/**
 * The offset of the position if the record after it does begin there, else the start of the segment. `sequence` is that
 * of the first record from there.
 */
async function findStart(
  file: LogFile,
  segment: LogSegment,
  { sequence, offset }: LogPosition,
): Promise<{ start: number; sequence: number }> {
  const start = skipPadding(offset);
  if (start > SEGMENT_HEADER_BYTES && start + FRAGMENT_HEADER_BYTES <= segment.bytes) {
    const header = Buffer.alloc(FRAGMENT_HEADER_BYTES);
    const isNext =
      (await readFully(file, header, start)) === header.length &&
      isFragmentHeader(header, 0, segment.salt) &&
      fragmentSequence(header, 0) === sequence + 1 &&
      fragmentRecordOffset(header, 0) === 0;
    if (isNext) return { start, sequence: sequence + 1 };
  }
  return { start: SEGMENT_HEADER_BYTES, sequence: segment.firstSequence };
}

function removed(store: SegmentStore, { sequence }: LogPosition): BitloomError {
  const first = store.segments[0];
  const kept = first === undefined ? 'holds no records' : `begins with record ${first.firstSequence}`;
  return new BitloomError(
    'LOG_POSITION_REMOVED',
    `op log ${store.directory} ${kept}, so it cannot be read on from record ${sequence}`,
    { hint: 'load the dump again: the index version is older than what the log still holds' },
  );
}
