/**
 * What the op log asks of a file system, and nothing more, so that tests can put a disk in its place that is full, fails,
 * or loses what was not flushed.
 */
import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import path from 'node:path';

export interface LogFile {
  /** Returns the bytes read, 0 at the end of the file. */
  read(target: Buffer, targetOffset: number, bytes: number, position: number): Promise<number>;
  /** Returns the bytes written, which may be fewer. */
  write(source: Buffer, sourceOffset: number, bytes: number, position: number): Promise<number>;
  truncate(bytes: number): Promise<void>;
  size(): Promise<number>;
  /** Flushes content and size to the device. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface LogFileSystem {
  /** Makes it and what is missing above it, durably. */
  makeDirectory(directory: string): Promise<void>;
  list(directory: string): Promise<string[]>;
  /** `create` fails when the file exists, the others when it does not. */
  open(file: string, mode: 'read' | 'write' | 'create'): Promise<LogFile>;
  rename(source: string, target: string): Promise<void>;
  remove(file: string): Promise<void>;
  /** Makes creations, renames and removals in the directory durable. */
  syncDirectory(directory: string): Promise<void>;
}

const FLAGS = { read: 'r', write: 'r+', create: 'wx+' } as const;

export const nodeFileSystem: LogFileSystem = {
  async makeDirectory(directory) {
    const topmost = await mkdir(directory, { recursive: true });
    if (topmost === undefined) return;
    for (let made = path.resolve(directory); made.length >= topmost.length; made = path.dirname(made)) {
      await syncDirectory(path.dirname(made));
    }
  },
  list: (directory) => readdir(directory),
  async open(file, mode) {
    const handle = await open(file, FLAGS[mode]);
    return {
      read: async (target, targetOffset, bytes, position) =>
        (await handle.read(target, targetOffset, bytes, position)).bytesRead,
      write: async (source, sourceOffset, bytes, position) =>
        (await handle.write(source, sourceOffset, bytes, position)).bytesWritten,
      truncate: (bytes) => handle.truncate(bytes),
      size: async () => (await handle.stat()).size,
      sync: () => handle.datasync(),
      close: () => handle.close(),
    };
  },
  rename,
  remove: unlink,
  syncDirectory,
};

export async function writeFully(file: LogFile, source: Buffer, position: number): Promise<void> {
  for (let written = 0; written < source.length; ) {
    const count = await file.write(source, written, source.length - written, position + written);
    if (count === 0) throw new Error('the file system takes no more bytes');
    written += count;
  }
}

/** Reads until `target` is full or the file ends; returns the bytes read. */
export async function readFully(file: LogFile, target: Buffer, position: number): Promise<number> {
  let filled = 0;
  while (filled < target.length) {
    const count = await file.read(target, filled, target.length - filled, position + filled);
    if (count === 0) break;
    filled += count;
  }
  return filled;
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
