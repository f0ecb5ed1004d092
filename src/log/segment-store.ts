/**
 * The segment files of one log directory, oldest first: finding, making and removing them. A segment file is there
 * under its name with a whole header, or not at all; all of this is durable when it resolves.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { BitloomError } from '../errors.ts';
import { type LogFile, type LogFileSystem, writeFully } from './log-file-system.ts';
import type { Quarantine } from './quarantine.ts';
import {
  checkSegmentHeader,
  encodeSegmentHeader,
  identityOfFile,
  SEGMENT_HEADER_BYTES,
  type SegmentIdentity,
  segmentFile,
  TEMPORARY_PATTERN,
} from './segment-format.ts';
import { readSurviving } from './segment-scan.ts';

export interface LogSegment extends SegmentIdentity {
  readonly file: string;
  /** Bytes to read: of the segment that is written, up to the end of the last durable record. */
  bytes: number;
}

export class SegmentStore {
  readonly directory: string;
  readonly quarantine: Quarantine;
  readonly #fileSystem: LogFileSystem;
  /** Ascending by first sequence. */
  #segments: LogSegment[] = [];

  constructor(fileSystem: LogFileSystem, directory: string, quarantine: Quarantine) {
    this.#fileSystem = fileSystem;
    this.directory = directory;
    this.quarantine = quarantine;
  }

  get segments(): readonly LogSegment[] {
    return this.#segments;
  }

  /** The segment that holds, or will hold, the record with this sequence number. */
  segmentOf(sequence: number): LogSegment | undefined {
    return this.#segments.findLast((segment) => segment.firstSequence <= sequence);
  }

  /** The segment behind this one, also when this one has been removed meanwhile. */
  segmentAfter({ firstSequence }: LogSegment): LogSegment | undefined {
    return this.#segments.find((segment) => segment.firstSequence > firstSequence);
  }

  /** Lists the segments that are there and clears away what a crash left of making one. */
  async list(): Promise<void> {
    await this.#fileSystem.makeDirectory(this.directory);
    const names = await this.#fileSystem.list(this.directory);
    for (const name of names.filter((name) => TEMPORARY_PATTERN.test(name))) await this.#removeFile(name);
    const segments: LogSegment[] = [];
    for (const name of names) {
      const identity = identityOfFile(name);
      if (identity !== null) segments.push({ ...identity, file: name, bytes: await this.#sizeOf(name) });
    }
    segments.sort((a, b) => a.firstSequence - b.firstSequence || a.bytes - b.bytes);
    // A segment without records was made just before a crash or a failure. The last one says how far the sequence is.
    const isKept = (segment: LogSegment) =>
      segment.bytes > SEGMENT_HEADER_BYTES ||
      (segment === segments.at(-1) && segment.bytes === SEGMENT_HEADER_BYTES);
    for (const segment of segments) if (!isKept(segment)) await this.#removeFile(segment.file);
    this.#segments = segments.filter(isKept);
    await this.#fileSystem.syncDirectory(this.directory);
  }

  async create(firstSequence: number): Promise<{ segment: LogSegment; file: LogFile }> {
    const identity = { firstSequence, salt: randomBytes(4).readUInt32LE() };
    const name = segmentFile(identity);
    const temporary = `${name}.tmp`;
    let file: LogFile | undefined;
    try {
      file = await this.#fileSystem.open(this.#path(temporary), 'create');
      await writeFully(file, encodeSegmentHeader(identity), 0);
      await file.sync();
      await this.#fileSystem.rename(this.#path(temporary), this.#path(name));
      await this.#fileSystem.syncDirectory(this.directory);
    } catch (error) {
      await file?.close().catch(() => {});
      // What cannot be removed now holds no record and goes when the log is opened.
      await this.#removeFile(temporary).catch(() => {});
      await this.#removeFile(name).catch(() => {});
      throw error;
    }
    const segment = { ...identity, file: name, bytes: SEGMENT_HEADER_BYTES };
    this.#segments.push(segment);
    return { segment, file };
  }

  async remove(segment: LogSegment): Promise<void> {
    await this.#removeFile(segment.file);
    await this.#fileSystem.syncDirectory(this.directory);
    this.#segments = this.#segments.filter((other) => other !== segment);
  }

  openForWriting(segment: LogSegment): Promise<LogFile> {
    return this.#fileSystem.open(this.#path(segment.file), 'write');
  }

  /**
   * Opens a segment and checks its header; a damaged one is noted, its file name says the same.
   * @throws BitloomError LOG_FORMAT; ENOENT when it was removed.
   */
  async openForReading(segment: LogSegment): Promise<LogFile> {
    const file = await this.#fileSystem.open(this.#path(segment.file), 'read');
    try {
      await this.#checkHeader(segment, file);
      return file;
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
  }

  async #checkHeader(segment: LogSegment, file: LogFile): Promise<void> {
    const header = Buffer.alloc(SEGMENT_HEADER_BYTES);
    const check = checkSegmentHeader(header.subarray(0, await readSurviving(file, header, 0)), segment);
    if (check === 'whole') return;
    if (check === 'damaged') {
      await this.quarantine.take(file, segment.file, {
        kind: 'damage',
        start: 0,
        end: SEGMENT_HEADER_BYTES,
        reason: 'the segment header is damaged',
        lostFrom: segment.firstSequence,
        lostThrough: segment.firstSequence - 1,
      });
      return;
    }
    throw new BitloomError(
      'LOG_FORMAT',
      `${this.#path(segment.file)} has format version ${check.unknownFormat}, which this program does not read`,
      { hint: 'use the program version that wrote it' },
    );
  }

  async #sizeOf(name: string): Promise<number> {
    const file = await this.#fileSystem.open(this.#path(name), 'read');
    try {
      return await file.size();
    } finally {
      await file.close();
    }
  }

  /** A file that is not there is removed. */
  async #removeFile(name: string): Promise<void> {
    try {
      await this.#fileSystem.remove(this.#path(name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  #path(name: string): string {
    return path.join(this.directory, name);
  }
}
