/**
 * The op log: batches of ops, durable before they are acknowledged, read again after a restart. It stores opaque records
 * and knows nothing of what is in them. docs/op-log.md describes it as a whole.
 *
 * One owner: the process that holds the lock of the index directory. Appends, repair and removal take turns; reading runs
 * beside them and sees what is durable.
 */
import { BitloomError } from '../errors.ts';
import {
  LOG_FLUSH_DELAY_MS_MAX,
  LOG_RETRY_DELAY_MS,
  LOG_SEGMENT_BYTES_MAX,
  LOG_SEGMENT_BYTES_MAX_DEFAULT,
} from '../limits.ts';
import { type FlushSeconds, FlushTimes } from './flush-times.ts';
import { GroupCommit } from './group-commit.ts';
import { type LogFileSystem, nodeFileSystem } from './log-file-system.ts';
import { assertLogPosition, LOG_START, type LogPosition } from './log-position.ts';
import { type LogRecord, readRecords } from './log-reader.ts';
import { LogTail } from './log-tail.ts';
import { type OpenedTail, openTail } from './open-tail.ts';
import { Quarantine } from './quarantine.ts';
import { SegmentStore } from './segment-store.ts';

export interface OpLogOptions {
  /** Bytes from which the next record starts a new segment file. Default 64 MiB. */
  readonly segmentBytesMax?: number;
  /** Milliseconds to hold appends back so that more share a flush. Default 0: a flush takes along what waits for it. */
  readonly flushDelayMs?: number;
  /** Milliseconds after a failure during which appends are refused without another try. Default 1000. */
  readonly retryDelayMs?: number;
  /** The cursor stored with the index. Sequence numbers up to it are never given out again, whatever became of the log. */
  readonly fromPosition?: LogPosition;
  /** Told of damage, each place once, and of files that cannot be removed. */
  readonly onWarning?: (message: string) => void;
  readonly fileSystem?: LogFileSystem;
}

export interface OpLogStats {
  readonly state: 'writable' | 'failed' | 'closed';
  /** Why the log is failed, else null. */
  readonly failure: string | null;
  readonly end: LogPosition;
  readonly segments: number;
  readonly bytes: number;
  /** Bytes of records that wait to be durable. */
  readonly queuedBytes: number;
  /** Since the log was opened: acknowledged records and their bytes, and flushes. */
  readonly appends: number;
  readonly appendedBytes: number;
  readonly flushSeconds: FlushSeconds;
  /** Records lost to damage, as far as it was met since the log was opened. */
  readonly quarantinedRecords: number;
  /** Bytes of an unfinished record that were cut off when the log was opened. */
  readonly tornBytes: number;
}

export interface OpLog {
  /** End of the last durable record. */
  readonly end: LogPosition;
  /**
   * Resolves when the record is durable; concurrent appends share a flush, and are in the log in the order of the calls.
   * The payload must not change until then. A record whose append failed is not in the log, unless the process ends
   * before the log was repaired: then it may be, whole.
   * @throws BitloomError LOG_UNWRITABLE (try again later), LOG_OVERLOADED (try again later), LOG_RECORD_TOO_LARGE,
   *   LOG_CLOSED.
   */
  append(payload: Uint8Array): Promise<LogPosition>;
  /**
   * The durable records after a position, in order, up to the end of the log; null: all there are. Damage is passed over,
   * counted and set aside.
   * @throws BitloomError LOG_POSITION_REMOVED, LOG_POSITION_INVALID, LOG_FORMAT.
   */
  read(from: LogPosition | null): AsyncIterable<LogRecord>;
  /** Removes the segments that hold nothing after the position, which must be a durable cursor. */
  removeBelow(position: LogPosition): Promise<void>;
  /** Makes a failed log writable again. @throws BitloomError LOG_UNWRITABLE when it still fails. */
  recover(): Promise<void>;
  stats(): OpLogStats;
  /** Flushes what was appended, then refuses. */
  close(): Promise<void>;
}

/**
 * Opens the op log in this directory, makes it if there is none, and cuts off what a crash left unfinished.
 * @throws BitloomError OPTION_INVALID, LOG_POSITION_INVALID, LOG_FORMAT, LOG_UNUSABLE.
 */
export async function openOpLog(directory: string, options: OpLogOptions = {}): Promise<OpLog> {
  const {
    segmentBytesMax = LOG_SEGMENT_BYTES_MAX_DEFAULT,
    flushDelayMs = 0,
    retryDelayMs = LOG_RETRY_DELAY_MS,
    fromPosition = LOG_START,
    onWarning = () => {},
    fileSystem = nodeFileSystem,
  } = options;
  assertNumber('segmentBytesMax', segmentBytesMax, 1, LOG_SEGMENT_BYTES_MAX);
  assertNumber('flushDelayMs', flushDelayMs, 0, LOG_FLUSH_DELAY_MS_MAX);
  assertNumber('retryDelayMs', retryDelayMs, 0, Number.MAX_SAFE_INTEGER);
  assertLogPosition(fromPosition);
  const store = new SegmentStore(fileSystem, directory, new Quarantine(fileSystem, directory, onWarning));
  let opened: OpenedTail;
  try {
    await store.list();
    opened = await openTail(store, fromPosition, onWarning);
  } catch (error) {
    if (error instanceof BitloomError) throw error;
    throw new BitloomError('LOG_UNUSABLE', `the op log in ${directory} cannot be opened`, {
      hint: 'check that it is a directory on a working disk which this user may read and write',
      cause: error,
    });
  }
  const flushTimes = new FlushTimes();
  const tail = new LogTail(store, opened, segmentBytesMax, flushTimes, onWarning);
  const commit = new GroupCommit(tail, directory, flushDelayMs, retryDelayMs);
  return new FileOpLog(store, tail, commit, flushTimes, opened.tornBytes, onWarning);
}

class FileOpLog implements OpLog {
  readonly #store: SegmentStore;
  readonly #tail: LogTail;
  readonly #commit: GroupCommit;
  readonly #flushTimes: FlushTimes;
  readonly #tornBytes: number;
  readonly #onWarning: (message: string) => void;

  constructor(
    store: SegmentStore,
    tail: LogTail,
    commit: GroupCommit,
    flushTimes: FlushTimes,
    tornBytes: number,
    onWarning: (message: string) => void,
  ) {
    this.#store = store;
    this.#tail = tail;
    this.#commit = commit;
    this.#flushTimes = flushTimes;
    this.#tornBytes = tornBytes;
    this.#onWarning = onWarning;
  }

  get end(): LogPosition {
    return this.#tail.end;
  }

  append(payload: Uint8Array): Promise<LogPosition> {
    return this.#commit.append(payload);
  }

  async *read(from: LogPosition | null): AsyncGenerator<LogRecord> {
    if (from !== null) assertLogPosition(from);
    yield* readRecords(this.#store, from, () => this.#tail.end);
  }

  async removeBelow(position: LogPosition): Promise<void> {
    assertLogPosition(position);
    await this.#commit.inTurn(async () => {
      for (const segment of this.#store.segments) {
        const next = this.#store.segmentAfter(segment);
        if (next === undefined || next.firstSequence > position.sequence + 1) return;
        try {
          await this.#store.remove(segment);
        } catch (error) {
          // It is below the cursor and harms nobody; the next removal tries again.
          this.#onWarning(`op log ${segment.file} could not be removed: ${(error as Error).message}`);
          return;
        }
      }
    });
  }

  recover(): Promise<void> {
    return this.#commit.recover();
  }

  stats(): OpLogStats {
    const { segments } = this.#store;
    const { state, failure, queuedBytes, appends, appendedBytes } = this.#commit;
    return {
      state,
      failure: failure?.message ?? null,
      end: this.#tail.end,
      segments: segments.length,
      bytes: segments.reduce((sum, segment) => sum + segment.bytes, 0),
      queuedBytes,
      appends,
      appendedBytes,
      flushSeconds: this.#flushTimes.snapshot(),
      quarantinedRecords: this.#store.quarantine.recordCount,
      tornBytes: this.#tornBytes,
    };
  }

  close(): Promise<void> {
    return this.#commit.close();
  }
}

function assertNumber(option: string, value: unknown, min: number, max: number): void {
  if (typeof value === 'number' && value >= min && value <= max) return;
  throw new BitloomError('OPTION_INVALID', `${option} is ${String(value)}`, {
    hint: `pass a number from ${min} to ${max}`,
  });
}
