/**
 * A segment: shared memory that holds one part of a version, the same bytes in memory, in every thread and in the
 * snapshot file. Immutable once built; a reader keeps nothing in it.
 *
 * Layout, little-endian: magic u32, format version u32, kind u32, section count u32, segment bytes f64; from byte 64 on
 * the section directory (offset f64, bytes f64 each); then the sections, each aligned to 64 bytes, the gaps zero.
 */
import { BitloomError } from '../errors.ts';
import { SPARE_SEGMENT_BYTES_MIN } from '../limits.ts';

/** What a segment holds. The numbers are part of the file format. */
export const SEGMENT_KINDS = { bitmap: 1, filter: 2, sort: 3, dictionary: 4 } as const;
export type SegmentKind = keyof typeof SEGMENT_KINDS;

/** Counts up when the bytes of any kind change their meaning. */
export const SEGMENT_FORMAT_VERSION = 1;

const MAGIC = 0x47534c42; // BLSG
const ALIGNMENT_BYTES = 64;
const DIRECTORY_ENTRY_BYTES = 16;
const ROOM_FACTOR = 17 / 16;

/**
 * The bytes of one segment, the whole of them, at the start of a buffer of their own, which may be longer. The view stands
 * for the segment: two views are two segments, even if one has been built over the memory of the other.
 */
export type SegmentBytes = Uint8Array<SharedArrayBuffer>;

/** A segment's bytes with its section directory. */
export class Segment {
  readonly content: SegmentBytes;
  readonly #buffer: SharedArrayBuffer;
  readonly #directory: Float64Array;

  private constructor(content: SegmentBytes, directory: Float64Array) {
    this.content = content;
    this.#buffer = content.buffer;
    this.#directory = directory;
  }

  /**
   * A segment of exactly the given sections, in this order. It stands in `memory` where that is of a fitting size; what
   * is in its sections then is undefined, and nobody may read the memory for anything else any more.
   */
  static allocate(
    kind: SegmentKind,
    sectionBytes: readonly number[],
    memory: SharedArrayBuffer | null = null,
  ): Segment {
    const directoryEnd = ALIGNMENT_BYTES + sectionBytes.length * DIRECTORY_ENTRY_BYTES;
    const directory = new Float64Array(sectionBytes.length * 2);
    let end = directoryEnd;
    for (let i = 0; i < sectionBytes.length; i++) {
      const offset = alignUp(end);
      directory[2 * i] = offset;
      directory[2 * i + 1] = sectionBytes[i];
      end = offset + sectionBytes[i];
    }
    const buffer = memory !== null && isFitting(memory, end) ? memory : new SharedArrayBuffer(roomFor(end));
    const content = new Uint8Array(buffer, 0, end);
    content.fill(0, 0, directoryEnd);
    new Uint32Array(buffer, 0, 4).set([
      MAGIC,
      SEGMENT_FORMAT_VERSION,
      SEGMENT_KINDS[kind],
      sectionBytes.length,
    ]);
    new Float64Array(buffer, 16, 1)[0] = end;
    new Float64Array(buffer, ALIGNMENT_BYTES, directory.length).set(directory);
    let gapStart = directoryEnd;
    for (let i = 0; i < directory.length; i += 2) {
      content.fill(0, gapStart, directory[i]);
      gapStart = directory[i] + directory[i + 1];
    }
    return new Segment(content, directory);
  }

  /**
   * Reads the header of a segment whose checksum has been verified where it came from a file.
   * @throws BitloomError SEGMENT_INVALID when the bytes are not a whole segment of this kind and format.
   */
  static open(content: SegmentBytes, kind: SegmentKind, sectionCount: number): Segment {
    const { buffer, byteLength } = content;
    if (byteLength < ALIGNMENT_BYTES) throw invalid(`${byteLength} bytes hold no header`);
    const [magic, format, kindFound, sections] = new Uint32Array(buffer, 0, 4);
    if (magic !== MAGIC) throw invalid('the magic number is missing');
    if (format !== SEGMENT_FORMAT_VERSION) {
      throw invalid(`format version ${format}, this program reads ${SEGMENT_FORMAT_VERSION}`);
    }
    if (kindFound !== SEGMENT_KINDS[kind]) throw invalid(`kind ${kindFound} where a ${kind} is expected`);
    if (sections !== sectionCount) throw invalid(`${sections} sections instead of ${sectionCount}`);
    const segmentBytes = new Float64Array(buffer, 16, 1)[0];
    if (segmentBytes !== byteLength) throw invalid(`${byteLength} bytes instead of ${segmentBytes}`);
    const directoryEnd = ALIGNMENT_BYTES + sections * DIRECTORY_ENTRY_BYTES;
    if (directoryEnd > segmentBytes) throw invalid('the section directory is cut off');
    const directory = new Float64Array(buffer, ALIGNMENT_BYTES, sections * 2);
    let end = directoryEnd;
    for (let i = 0; i < directory.length; i += 2) {
      if (directory[i] !== alignUp(end) || !isByteCount(directory[i + 1]))
        throw invalid(`section ${i / 2} is misplaced`);
      end = directory[i] + directory[i + 1];
    }
    if (end !== segmentBytes) throw invalid('the sections do not fill the segment');
    return new Segment(content, directory);
  }

  bytes(section: number): Uint8Array {
    return new Uint8Array(this.#buffer, this.#directory[2 * section], this.#directory[2 * section + 1]);
  }

  shorts(section: number): Uint16Array {
    return new Uint16Array(this.#buffer, this.#directory[2 * section], this.#directory[2 * section + 1] / 2);
  }

  words(section: number): Uint32Array {
    return new Uint32Array(this.#buffer, this.#directory[2 * section], this.#directory[2 * section + 1] / 4);
  }

  doubles(section: number): Float64Array {
    return new Float64Array(this.#buffer, this.#directory[2 * section], this.#directory[2 * section + 1] / 8);
  }
}

/** Not too short, nor so long that most of it would be idle. */
function isFitting(memory: SharedArrayBuffer, bytes: number): boolean {
  return memory.byteLength >= bytes && memory.byteLength <= 2 * roomFor(bytes);
}

/** Somewhat more than asked for: a table that grows from dump to dump then fits where it was. What is not touched costs nothing. */
function roomFor(bytes: number): number {
  return bytes < SPARE_SEGMENT_BYTES_MIN ? bytes : alignUp(Math.ceil(bytes * ROOM_FACTOR));
}

function isByteCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function alignUp(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}

function invalid(reason: string): BitloomError {
  return new BitloomError('SEGMENT_INVALID', `not a usable index segment: ${reason}`, {
    hint: 'load the dump again into a fresh directory',
  });
}
