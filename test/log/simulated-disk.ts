/**
 * A file system in memory that forgets like a real one. Written bytes are in its cache until they are flushed; `crash`
 * keeps of the rest a random part, sector by sector, as a power failure does. A flush that fails drops what it should
 * have written and calls it clean, as Linux does. `fault` is asked before every operation and may throw.
 */
import path from 'node:path';
import type { LogFile, LogFileSystem } from '../../src/log/log-file-system.ts';

const SECTOR_BYTES = 512;

export type Operation =
  | 'makeDirectory'
  | 'list'
  | 'open'
  | 'read'
  | 'write'
  | 'truncate'
  | 'size'
  | 'sync'
  | 'close'
  | 'rename'
  | 'remove'
  | 'syncDirectory';

type PendingChange = { position: number; bytes: Buffer } | { truncateTo: number };

interface NameChange {
  created: (readonly [string, Inode])[];
  gone: string[];
}

interface Inode {
  cached: Buffer;
  durable: Buffer;
  /** What was done since the last flush, in order. */
  pending: PendingChange[];
}

export class SimulatedDisk implements LogFileSystem {
  /** May throw to make an operation fail. */
  fault: (operation: Operation, file: string) => void = () => {};
  /** Bytes that one write call takes at most. */
  writeBytesMax = Number.POSITIVE_INFINITY;
  /** Nothing can grow. */
  isFull = false;
  openFiles = 0;
  readonly #random: () => number;
  #files = new Map<string, Inode>();
  /** The directory as it is on the device, and the changes since it was flushed. */
  #durableFiles = new Map<string, Inode>();
  #pendingNames: NameChange[] = [];

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** The disk after a power failure. */
  crash(): SimulatedDisk {
    const names = this.#pendingNames.splice(0, Math.floor(this.#random() * (this.#pendingNames.length + 1)));
    this.#changeNames(names);
    const after = new SimulatedDisk(this.#random);
    for (const [file, inode] of this.#durableFiles) {
      this.#writePartly(inode);
      after.put(file, inode.durable);
    }
    return after;
  }

  /** The disk as another process finds it after this one was killed: nothing lost yet, nothing flushed either. */
  kill(): SimulatedDisk {
    const after = new SimulatedDisk(this.#random);
    const copies = new Map<Inode, Inode>();
    const copyOf = (inode: Inode) => {
      const copy = copies.get(inode) ?? { ...inode, pending: [...inode.pending] };
      copies.set(inode, copy);
      return copy;
    };
    for (const [file, inode] of this.#durableFiles) after.#durableFiles.set(file, copyOf(inode));
    for (const [file, inode] of this.#files) after.#files.set(file, copyOf(inode));
    for (const { created, gone } of this.#pendingNames) {
      after.#pendingNames.push({ created: created.map(([file, inode]) => [file, copyOf(inode)]), gone });
    }
    return after;
  }

  /** The content of all files by name. */
  contents(): Map<string, Buffer> {
    return new Map([...this.#files].map(([file, { cached }]) => [file, cached]));
  }

  /** Puts a durable file. */
  put(file: string, content: Buffer): void {
    // Contents are replaced, never changed.
    const inode = { cached: content, durable: content, pending: [] };
    this.#files.set(file, inode);
    this.#durableFiles.set(file, inode);
  }

  async makeDirectory(directory: string): Promise<void> {
    this.fault('makeDirectory', directory);
  }

  async list(directory: string): Promise<string[]> {
    this.fault('list', directory);
    return [...this.#files.keys()]
      .filter((file) => path.dirname(file) === directory)
      .map((file) => path.basename(file));
  }

  async open(file: string, mode: 'read' | 'write' | 'create'): Promise<LogFile> {
    this.fault('open', file);
    let inode = this.#files.get(file);
    if (mode === 'create') {
      if (inode !== undefined) throw systemError('EEXIST');
      const created = { cached: Buffer.alloc(0), durable: Buffer.alloc(0), pending: [] };
      inode = created;
      this.#files.set(file, created);
      this.#pendingNames.push({ created: [[file, created]], gone: [] });
    }
    if (inode === undefined) throw systemError('ENOENT');
    this.openFiles++;
    return this.#handle(file, inode);
  }

  async rename(source: string, target: string): Promise<void> {
    this.fault('rename', source);
    const inode = this.#files.get(source);
    if (inode === undefined) throw systemError('ENOENT');
    this.#files.delete(source);
    this.#files.set(target, inode);
    this.#pendingNames.push({ created: [[target, inode]], gone: [source] });
  }

  async remove(file: string): Promise<void> {
    this.fault('remove', file);
    if (!this.#files.delete(file)) throw systemError('ENOENT');
    this.#pendingNames.push({ created: [], gone: [file] });
  }

  async syncDirectory(directory: string): Promise<void> {
    this.fault('syncDirectory', directory);
    this.#changeNames(this.#pendingNames.splice(0));
  }

  #changeNames(changes: readonly NameChange[]): void {
    for (const { created, gone } of changes) {
      for (const file of gone) this.#durableFiles.delete(file);
      for (const [file, inode] of created) this.#durableFiles.set(file, inode);
    }
  }

  #handle(file: string, inode: Inode): LogFile {
    return {
      read: async (target, targetOffset, bytes, position) => {
        this.fault('read', file);
        return inode.cached.copy(target, targetOffset, position, position + bytes);
      },
      write: async (source, sourceOffset, bytes, position) => {
        this.fault('write', file);
        const count = Math.min(bytes, this.writeBytesMax);
        if (this.isFull && position + count > inode.cached.length) throw systemError('ENOSPC');
        const written = Buffer.from(source.subarray(sourceOffset, sourceOffset + count));
        inode.cached = overwrite(inode.cached, written, position);
        inode.pending.push({ position, bytes: written });
        return count;
      },
      truncate: async (bytes) => {
        this.fault('truncate', file);
        inode.cached = resize(inode.cached, bytes);
        inode.pending.push({ truncateTo: bytes });
      },
      size: async () => {
        this.fault('size', file);
        return inode.cached.length;
      },
      sync: async () => {
        // A turn of the event loop, so that others come to pass while the device works.
        await new Promise((resolve) => setImmediate(resolve));
        try {
          this.fault('sync', file);
        } catch (error) {
          this.#writePartly(inode);
          throw error;
        }
        for (const change of inode.pending.splice(0)) {
          inode.durable =
            'bytes' in change
              ? overwrite(inode.durable, change.bytes, change.position)
              : resize(inode.durable, change.truncateTo);
        }
      },
      close: async () => {
        this.openFiles--;
        this.fault('close', file);
      },
    };
  }

  /** Some of what is pending reaches the device, the rest never will. */
  #writePartly(inode: Inode): void {
    const all = this.#random() < 0.1;
    for (const change of inode.pending.splice(0)) {
      if ('truncateTo' in change) {
        if (this.#random() < 0.5) inode.durable = resize(inode.durable, change.truncateTo);
        continue;
      }
      // The size may be on the device before the bytes are; then they are zeros.
      if (this.#random() < 0.5) {
        const bytes = Math.max(inode.durable.length, change.position + change.bytes.length);
        inode.durable = resize(inode.durable, bytes);
      }
      for (let at = 0; at < change.bytes.length; ) {
        const room = SECTOR_BYTES - ((change.position + at) % SECTOR_BYTES);
        const sector = change.bytes.subarray(at, at + room);
        if (all || this.#random() < 0.7)
          inode.durable = overwrite(inode.durable, sector, change.position + at);
        at += room;
      }
    }
  }
}

export function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), { code });
}

function overwrite(content: Buffer, bytes: Buffer, position: number): Buffer {
  const result = resize(content, Math.max(content.length, position + bytes.length));
  bytes.copy(result, position);
  return result;
}

/** A copy: the content may still be read elsewhere. */
function resize(content: Buffer, bytes: number): Buffer {
  const result = Buffer.alloc(bytes);
  content.copy(result);
  return result;
}
