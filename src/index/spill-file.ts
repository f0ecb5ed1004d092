/**
 * What a large load does not keep in memory until it is merged: bytes in a file that has no name any more, so that
 * nothing is left of it however the process ends. All threads write to it and read from it; every piece is written once.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { BitloomError } from '../errors.ts';

/** What a thread needs to write to the file. Structured-clonable: a file descriptor is the same in every thread. */
export interface SpillSpace {
  readonly fd: number;
  readonly directory: string;
  /** Shared: the first byte of the file that nobody has taken. */
  readonly end: BigInt64Array;
  /** Bytes that whoever reads much of the file should have in memory at a time. */
  readonly windowBytes: number;
}

/** Bytes in the file, to be read by any thread until the file is closed. */
export interface SpilledBytes {
  readonly fd: number;
  readonly directory: string;
  readonly offset: number;
  readonly byteLength: number;
}

export class SpillFile {
  readonly space: SpillSpace;

  private constructor(space: SpillSpace) {
    this.space = space;
  }

  /** @throws BitloomError SPILL_FAILED when no file can be created in the directory. */
  static open(directory: string, windowBytes: number): SpillFile {
    const path = join(directory, `bitloom-spill-${randomUUID()}.tmp`);
    try {
      const fd = openSync(path, 'wx+', 0o600);
      unlinkSync(path);
      return new SpillFile({ fd, directory, end: new BigInt64Array(new SharedArrayBuffer(8)), windowBytes });
    } catch (cause) {
      throw spillFailed(directory, 'created', cause);
    }
  }

  /** Nobody may read or write any more. */
  close(): void {
    closeSync(this.space.fd);
  }
}

/** Writes the bytes. @throws BitloomError SPILL_FAILED, above all when the disk is full. */
export function spill(space: SpillSpace, bytes: Uint8Array): SpilledBytes {
  const { fd, directory } = space;
  const { byteLength } = bytes;
  const offset = Number(Atomics.add(space.end, 0, BigInt(byteLength)));
  try {
    for (let at = 0; at < byteLength; ) at += writeSync(fd, bytes, at, byteLength - at, offset + at);
  } catch (cause) {
    throw spillFailed(directory, 'written', cause);
  }
  return { fd, directory, offset, byteLength };
}

/**
 * Fills `target` with what was spilled, from the byte `from` on.
 * @throws BitloomError SPILL_FAILED when the file cannot be read.
 */
export function readSpilled(
  { fd, directory, offset, byteLength }: SpilledBytes,
  from: number,
  target: Uint8Array,
): void {
  if (from + target.byteLength > byteLength) {
    throw new RangeError(`bytes ${from} to ${from + target.byteLength} of ${byteLength} spilled`);
  }
  for (let at = 0; at < target.byteLength; ) {
    const count = readSome(fd, directory, target, at, offset + from + at);
    if (count === 0) throw new RangeError(`the spill file ends at byte ${offset + from + at}`);
    at += count;
  }
}

/** Fills some of target[at …] and returns how many bytes. */
function readSome(fd: number, directory: string, target: Uint8Array, at: number, position: number): number {
  try {
    return readSync(fd, target, at, target.byteLength - at, position);
  } catch (cause) {
    throw spillFailed(directory, 'read', cause);
  }
}

/** Bytes that an array holds which is spilled whenever it is full: what is worth a write. */
const HELD_BYTES = 64 * 1024;

/** The bytes of an array that grows, as far as they have been spilled, in order. Without a space none are. */
export class Overflow {
  readonly #space: SpillSpace | null;
  #pieces: SpilledBytes[] = [];

  constructor(space: SpillSpace | null) {
    this.#space = space;
  }

  /** In order. */
  get pieces(): readonly SpilledBytes[] {
    return this.#pieces;
  }

  clear(): void {
    this.#pieces = [];
  }

  /** Bytes that the array has to hold at first of so many that it may have. */
  bytesToHold(byteLength: number): number {
    return this.#space === null ? byteLength : HELD_BYTES;
  }

  /** Takes the bytes, or says that they have to stay. */
  take(bytes: Uint8Array): boolean {
    if (this.#space === null || bytes.byteLength === 0) return false;
    this.#pieces.push(spill(this.#space, bytes));
    return true;
  }

  /** Everything, and behind it the bytes that are still with the array. */
  copyTo(target: Uint8Array, held: Uint8Array): void {
    let offset = 0;
    for (const piece of this.#pieces) {
      readSpilled(piece, 0, target.subarray(offset, offset + piece.byteLength));
      offset += piece.byteLength;
    }
    target.set(held, offset);
  }
}

function spillFailed(directory: string, what: string, cause: unknown): BitloomError {
  return new BitloomError(
    'SPILL_FAILED',
    `the temporary file of the load could not be ${what} in ${directory}`,
    {
      hint: 'free space there; an index in memory takes the directory of the environment variable TMPDIR',
      cause,
    },
  );
}
