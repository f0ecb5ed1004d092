/**
 * The files of a log directory as they are now, for reading the op log of another process: what that one writes, cuts off
 * or removes from here on does not show, and nothing is ever written. Changes asked for are done as far as anybody here can
 * see, so that opening settles a torn tail as always, and damage is told and counted, but the files stay the writer's.
 *
 * The files are held open, so those that the writer removes can still be read. Whoever freezes the log first and looks for
 * the version that it belongs to afterwards finds every record that this version needs.
 */
import path from 'node:path';
import { type LogFile, type LogFileSystem, nodeFileSystem } from './log-file-system.ts';
import { identityOfFile } from './segment-format.ts';

interface Held extends Pick<LogFile, 'read' | 'close'> {
  readonly bytes: number;
}

export class FrozenFiles implements LogFileSystem {
  /** Segments by path, with their size when they were frozen. */
  readonly #held = new Map<string, Held>();

  /** A directory that is not there has no files. */
  static async freeze(directory: string): Promise<FrozenFiles> {
    const files = new FrozenFiles();
    try {
      for (const name of await namesIn(directory)) {
        if (identityOfFile(name) !== null) await files.#hold(path.join(directory, name));
      }
      return files;
    } catch (error) {
      await files.release();
      throw error;
    }
  }

  async list(directory: string): Promise<string[]> {
    const held = [...this.#held.keys()].filter((file) => path.dirname(file) === path.normalize(directory));
    return held.map((file) => path.basename(file));
  }

  async open(name: string): Promise<LogFile> {
    const { read, bytes } = this.#held.get(path.normalize(name)) ?? NOTHING;
    return {
      // Nobody reads beyond the size.
      read,
      write: async (_source, _sourceOffset, written) => written,
      truncate: async () => {},
      size: async () => bytes,
      sync: async () => {},
      close: async () => {},
    };
  }

  async makeDirectory(): Promise<void> {}

  async rename(): Promise<void> {}

  async remove(): Promise<void> {}

  async syncDirectory(): Promise<void> {}

  async release(): Promise<void> {
    for (const { close } of this.#held.values()) await close();
    this.#held.clear();
  }

  async #hold(name: string): Promise<void> {
    let file: LogFile;
    try {
      file = await nodeFileSystem.open(name, 'read');
    } catch (error) {
      // Removed since it was listed: the versions that are there now do not need it.
      if (isMissing(error)) return;
      throw error;
    }
    try {
      this.#held.set(path.normalize(name), { read: file.read, close: file.close, bytes: await file.size() });
    } catch (error) {
      await file.close();
      throw error;
    }
  }
}

/** What has been created here, which nobody keeps. */
const NOTHING = { read: async () => 0, bytes: 0 };

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await nodeFileSystem.list(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
