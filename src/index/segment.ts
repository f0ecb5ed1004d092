/**
 * A segment: one SharedArrayBuffer that holds one part of a version, the same bytes in memory, in every thread and in
 * the snapshot file. Immutable once built; a reader keeps nothing in it.
 *
 * Layout, little-endian: magic u32, format version u32, kind u32, section count u32, segment bytes f64; from byte 64 on
 * the section directory (offset f64, bytes f64 each); then the sections, each aligned to 64 bytes, the gaps zero.
 */
import { BitloomError } from '../errors.ts';

/** What a segment holds. The numbers are part of the file format. */
export const SEGMENT_KINDS = { bitmap: 1, filter: 2, sort: 3, dictionary: 4 } as const;
export type SegmentKind = keyof typeof SEGMENT_KINDS;

/** Counts up when the bytes of any kind change their meaning. */
export const SEGMENT_FORMAT_VERSION = 1;

const MAGIC = 0x47534c42; // BLSG
const ALIGNMENT_BYTES = 64;
const DIRECTORY_ENTRY_BYTES = 16;

/** A segment's bytes with its section directory. */
export class Segment {
  readonly buffer: SharedArrayBuffer;
  readonly #directory: Float64Array;

  private constructor(buffer: SharedArrayBuffer, directory: Float64Array) {
    this.buffer = buffer;
    this.#directory = directory;
  }

  /** A segment of exactly the given sections, in this order, all zero. */
  static allocate(kind: SegmentKind, sectionBytes: readonly number[]): Segment {
    const directoryEnd = ALIGNMENT_BYTES + sectionBytes.length * DIRECTORY_ENTRY_BYTES;
    const directory = new Float64Array(sectionBytes.length * 2);
    let end = directoryEnd;
    for (let i = 0; i < sectionBytes.length; i++) {
      const offset = alignUp(end);
      directory[2 * i] = offset;
      directory[2 * i + 1] = sectionBytes[i];
      end = offset + sectionBytes[i];
    }
    const buffer = new SharedArrayBuffer(end);
    new Uint32Array(buffer, 0, 4).set([
      MAGIC,
      SEGMENT_FORMAT_VERSION,
      SEGMENT_KINDS[kind],
      sectionBytes.length,
    ]);
    new Float64Array(buffer, 16, 1)[0] = end;
    new Float64Array(buffer, ALIGNMENT_BYTES, directory.length).set(directory);
    return new Segment(buffer, directory);
  }

  /**
   * Reads the header of a segment whose checksum has been verified where it came from a file.
   * @throws BitloomError SEGMENT_INVALID when the bytes are not a whole segment of this kind and format.
   */
  static open(buffer: SharedArrayBuffer, kind: SegmentKind, sectionCount: number): Segment {
    if (buffer.byteLength < ALIGNMENT_BYTES) throw invalid(`${buffer.byteLength} bytes hold no header`);
    const [magic, format, kindFound, sections] = new Uint32Array(buffer, 0, 4);
    if (magic !== MAGIC) throw invalid('the magic number is missing');
    if (format !== SEGMENT_FORMAT_VERSION) {
      throw invalid(`format version ${format}, this program reads ${SEGMENT_FORMAT_VERSION}`);
    }
    if (kindFound !== SEGMENT_KINDS[kind]) throw invalid(`kind ${kindFound} where a ${kind} is expected`);
    if (sections !== sectionCount) throw invalid(`${sections} sections instead of ${sectionCount}`);
    const segmentBytes = new Float64Array(buffer, 16, 1)[0];
    if (segmentBytes !== buffer.byteLength) {
      throw invalid(`${buffer.byteLength} bytes instead of ${segmentBytes}`);
    }
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
    return new Segment(buffer, directory);
  }

  bytes(section: number): Uint8Array {
    return new Uint8Array(this.buffer, this.#directory[2 * section], this.#directory[2 * section + 1]);
  }

  shorts(section: number): Uint16Array {
    return new Uint16Array(this.buffer, this.#directory[2 * section], this.#directory[2 * section + 1] / 2);
  }

  words(section: number): Uint32Array {
    return new Uint32Array(this.buffer, this.#directory[2 * section], this.#directory[2 * section + 1] / 4);
  }

  doubles(section: number): Float64Array {
    return new Float64Array(this.buffer, this.#directory[2 * section], this.#directory[2 * section + 1] / 8);
  }
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
