/**
 * Files that are whole or absent after a crash: written under a temporary name, flushed, then renamed. The rename itself
 * is durable after `syncDirectory`.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { FILE_SLICE_BYTES } from '../../limits.ts';
import type { SegmentBytes } from '../segment.ts';

/** Writes a file of the directory and returns the CRC-32 of its bytes. A failure leaves no file. */
export async function writeWhole(directory: string, file: string, bytes: Uint8Array): Promise<number> {
  const target = path.join(directory, file);
  const temporary = `${target}.tmp`;
  try {
    const handle = await open(temporary, 'w');
    let checksum: number;
    try {
      checksum = await writeSlices(handle, bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
    return checksum;
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}

export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What reading a file into shared memory gave; `damage` says why it cannot be used. */
export type FileReading = { readonly content: SegmentBytes } | { readonly damage: string };

/**
 * Reads a file that must have this size and checksum. A missing file or an unreadable sector is damage; errors that say
 * nothing about the file's content throw.
 */
export async function readVerified(file: string, bytes: number, checksum: number): Promise<FileReading> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, 'r');
    const { size } = await handle.stat();
    if (size !== bytes) return { damage: `${size} bytes instead of ${bytes}` };
    const content = new Uint8Array(new SharedArrayBuffer(bytes));
    const found = await readSlices(handle, content);
    return found === checksum ? { content } : { damage: 'checksum mismatch' };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { damage: 'missing' };
    if (code === 'EIO') return { damage: 'the device cannot read it' };
    throw error;
  } finally {
    await handle?.close();
  }
}

/** The checksum of a slice is taken while the next one is on its way. */
async function writeSlices(handle: FileHandle, bytes: Uint8Array): Promise<number> {
  let checksum = 0;
  for (let offset = 0; offset < bytes.length; ) {
    const slice = bytes.subarray(offset, offset + FILE_SLICE_BYTES);
    const writing = writeFully(handle, slice, offset);
    // Awaited below; this keeps a rejection in between from counting as unhandled.
    writing.catch(() => {});
    checksum = crc32(slice, checksum);
    await writing;
    offset += slice.length;
  }
  return checksum;
}

async function writeFully(handle: FileHandle, slice: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < slice.length; ) {
    const rest = slice.length - written;
    written += (await handle.write(slice, written, rest, position + written)).bytesWritten;
  }
}

/** The checksum of what was read; a file that became shorter meanwhile gives another one. */
async function readSlices(handle: FileHandle, target: Uint8Array): Promise<number> {
  let checksum = 0;
  for (let offset = 0; offset < target.length; ) {
    const length = Math.min(FILE_SLICE_BYTES, target.length - offset);
    const { bytesRead } = await handle.read(target, offset, length, offset);
    if (bytesRead === 0) return -1;
    checksum = crc32(target.subarray(offset, offset + bytesRead), checksum);
    offset += bytesRead;
  }
  return checksum;
}
