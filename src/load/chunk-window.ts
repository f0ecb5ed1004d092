/**
 * The bytes of a chunk, a window at a time, in kernel memory. What a scan did not consume is moved to the front and
 * the rest of the window filled behind it, so memory does not grow with the chunk and a record that crosses windows is
 * whole in the next one.
 */
import { closeSync, createReadStream, openSync, type ReadStream, readSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { BitloomError } from '../errors.ts';
import type { KernelMemory, Pointer } from '../kernels/kernel-memory.ts';
import { WINDOW_BYTES } from '../limits.ts';
import type { ScanTask } from './chunk-messages.ts';

/** Kernels may read this far beyond the last byte. */
const READABLE_BEYOND_BYTES = 64;
/**
 * Read at a time: what is read stays in the second-level cache until it is scanned and decoded, which is worth a tenth of
 * the scan. The window is larger so that it holds any record.
 */
const READ_BYTES = 1024 * 1024;
/** Read beyond the end of the range at a time to complete its last record. */
const LOOKAHEAD_BYTES = 64 * 1024;
const LINE_FEED = 10;

export class ChunkWindow {
  /** Where the window starts in kernel memory; the bytes before it are readable too. */
  readonly pointer: Pointer;
  /** Bytes in the window. */
  bytes = 0;
  /** Offset in the (decompressed) source of the first byte of the window. */
  offset: number;
  /** The source has nothing after the window. */
  atEnd = false;
  /** The source did not end with a line feed and one was appended, so that its last record ends like any other. */
  endAppended = false;
  readonly #memory: KernelMemory;
  readonly #input: PlainInput | GzipInput;

  constructor(memory: KernelMemory, task: ScanTask) {
    this.#memory = memory;
    this.pointer =
      memory.allocate(READABLE_BEYOND_BYTES + WINDOW_BYTES + READABLE_BEYOND_BYTES) + READABLE_BEYOND_BYTES;
    // Whether a record begins at a cut shows in the byte before it.
    this.offset = task.startExact ? task.start : task.start - 1;
    this.#input = task.gzip ? new GzipInput(task) : new PlainInput(task, this.offset);
  }

  /** Bytes taken from the file on disk so far (compressed bytes for gzip). */
  get sourceBytesRead(): number {
    return this.#input.bytesRead;
  }

  /** Drops the first `consumedBytes` of the window and fills it up. */
  async advance(consumedBytes: number): Promise<void> {
    const { u8 } = this.#memory;
    const tailBytes = this.bytes - consumedBytes;
    u8.copyWithin(this.pointer, this.pointer + consumedBytes, this.pointer + this.bytes);
    this.offset += consumedBytes;
    this.bytes = tailBytes;
    if (this.atEnd) return;
    const room = Math.min(WINDOW_BYTES - 1 - tailBytes, READ_BYTES);
    const target = u8.subarray(this.pointer + tailBytes, this.pointer + tailBytes + room);
    const readBytes =
      this.#input instanceof PlainInput ? this.#input.read(target) : await this.#input.read(target);
    this.bytes += readBytes;
    this.atEnd = this.#input.atEnd;
    if (this.atEnd && this.bytes > 0 && this.#memory.u8[this.pointer + this.bytes - 1] !== LINE_FEED) {
      this.#memory.u8[this.pointer + this.bytes++] = LINE_FEED;
      this.endAppended = true;
    }
  }

  close(): void {
    this.#input.close();
  }
}

/** Synchronous positioned reads: the thread has nothing else to do, and there is no faster way into kernel memory. */
class PlainInput {
  bytesRead = 0;
  atEnd = false;
  readonly #task: ScanTask;
  readonly #descriptor: number;
  #position: number;

  constructor(task: ScanTask, offset: number) {
    this.#task = task;
    this.#position = offset;
    try {
      this.#descriptor = openSync(task.path, 'r');
    } catch (cause) {
      throw readFailure(task, cause);
    }
  }

  read(target: Uint8Array): number {
    const wanted = Math.min(target.length, Math.max(this.#task.end - this.#position, 0) + LOOKAHEAD_BYTES);
    let filled = 0;
    while (filled < wanted && this.#position < this.#task.fileBytes) {
      const count = this.#readOnce(target.subarray(filled, wanted));
      if (count === 0) throw truncated(this.#task);
      filled += count;
      this.#position += count;
    }
    this.bytesRead += filled;
    this.atEnd = this.#position >= this.#task.fileBytes;
    return filled;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #readOnce(target: Uint8Array): number {
    const room = Math.min(target.length, this.#task.fileBytes - this.#position);
    try {
      return readSync(this.#descriptor, target, 0, room, this.#position);
    } catch (cause) {
      throw readFailure(this.#task, cause);
    }
  }
}

/** A gzip stream, decompressed as the scan asks for more. */
class GzipInput {
  atEnd = false;
  readonly #task: ScanTask;
  readonly #file: ReadStream;
  readonly #blocks: AsyncIterator<Buffer>;
  #block: Uint8Array = new Uint8Array(0);

  constructor(task: ScanTask) {
    this.#task = task;
    this.#file = createReadStream(task.path, { highWaterMark: 256 * 1024 });
    const gunzip = createGunzip({ chunkSize: 256 * 1024 });
    this.#file.on('error', (error) => gunzip.destroy(error));
    this.#blocks = this.#file.pipe(gunzip)[Symbol.asyncIterator]();
  }

  get bytesRead(): number {
    return this.#file.bytesRead;
  }

  async read(target: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < target.length && !this.atEnd) {
      if (this.#block.length === 0) await this.#nextBlock();
      const part = this.#block.subarray(0, target.length - filled);
      target.set(part, filled);
      filled += part.length;
      this.#block = this.#block.subarray(part.length);
    }
    return filled;
  }

  close(): void {
    this.#file.destroy();
  }

  async #nextBlock(): Promise<void> {
    try {
      const next = await this.#blocks.next();
      if (next.done === true) this.atEnd = true;
      else this.#block = next.value;
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? '';
      if (code === 'Z_BUF_ERROR') throw truncated(this.#task, cause);
      throw readFailure(this.#task, cause);
    }
  }
}

function truncated(task: ScanTask, cause?: unknown): BitloomError {
  return new BitloomError(
    'SOURCE_TRUNCATED',
    `table ${task.table.name}: ${task.file} ends before it should`,
    {
      hint: 'export or copy the file again; it was cut off or is still being written',
      at: { file: task.file },
      cause,
    },
  );
}

function readFailure(task: ScanTask, cause: unknown): BitloomError {
  return new BitloomError('SOURCE_UNREADABLE', `table ${task.table.name}: reading ${task.file} failed`, {
    hint: task.gzip
      ? 'check that the file is intact gzip (gzip -t)'
      : 'check the disk and the permissions of the file',
    at: { file: task.file },
    cause,
  });
}
