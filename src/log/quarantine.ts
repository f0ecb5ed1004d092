/**
 * Damaged ranges of segments are copied here before anything else can happen to them, one pair of files per range:
 *
 *   quarantine/<segment>-<start>.json   place, reason, and the sequence numbers of the records it cost
 *   quarantine/<segment>-<start>.bin    the bytes as they were found
 *
 * Each range is counted and warned of once per opening of the log and copied once. That the copy fails is a warning: it
 * must not keep the records behind the damage from being read.
 */
import path from 'node:path';
import { LOG_QUARANTINE_BYTES_MAX, LOG_WINDOW_BYTES } from '../limits.ts';
import { type LogFile, type LogFileSystem, writeFully } from './log-file-system.ts';
import type { DecodedDamage } from './record-decoder.ts';
import { readSurviving } from './segment-scan.ts';

const QUARANTINE_DIRECTORY = 'quarantine';

export class Quarantine {
  readonly #fileSystem: LogFileSystem;
  readonly #directory: string;
  readonly #onWarning: (message: string) => void;
  readonly #seen = new Set<string>();
  /** Bytes of all copies there are; null until the first is made. */
  #copiedBytes: number | null = null;
  #recordCount = 0;

  constructor(fileSystem: LogFileSystem, logDirectory: string, onWarning: (message: string) => void) {
    this.#fileSystem = fileSystem;
    this.#directory = path.join(logDirectory, QUARANTINE_DIRECTORY);
    this.#onWarning = onWarning;
  }

  /** Records lost to damage, as far as it was met since the log was opened. */
  get recordCount(): number {
    return this.#recordCount;
  }

  /** Takes note of damage in the segment file of this name, open as `source`. Never throws. */
  async take(source: LogFile, file: string, damage: DecodedDamage): Promise<void> {
    const name = `${path.basename(file, '.log')}-${damage.start}`;
    if (this.#seen.has(name)) return;
    this.#seen.add(name);
    this.#recordCount += Math.max(0, damage.lostThrough - damage.lostFrom + 1);
    this.#onWarning(describe(file, damage));
    try {
      await this.#copy(source, file, damage, name);
    } catch (error) {
      this.#onWarning(
        `${path.join(this.#directory, name)} could not be written: ${(error as Error).message}`,
      );
    }
  }

  async #copy(
    source: LogFile,
    file: string,
    { start, end, reason, lostFrom, lostThrough }: DecodedDamage,
    name: string,
  ): Promise<void> {
    await this.#fileSystem.makeDirectory(this.#directory);
    const names = await this.#fileSystem.list(this.#directory);
    // The description is written last, so it stands for the pair.
    if (names.includes(`${name}.json`)) return;
    this.#copiedBytes ??= await this.#sizeOfAll(names.filter((other) => other.endsWith('.bin')));
    const isCopied = this.#copiedBytes + end - start <= LOG_QUARANTINE_BYTES_MAX;
    if (isCopied) {
      this.#copiedBytes += end - start;
      await this.#write(`${name}.bin`, (target) => copyRange(source, target, start, end));
    }
    const description = { file, start, end, reason, lostFrom, lostThrough, isCopied };
    const text = Buffer.from(`${JSON.stringify(description, null, 1)}\n`);
    await this.#write(`${name}.json`, (target) => writeFully(target, text, 0));
    await this.#fileSystem.syncDirectory(this.#directory);
  }

  async #sizeOfAll(names: readonly string[]): Promise<number> {
    let bytes = 0;
    for (const name of names) {
      const file = await this.#fileSystem.open(path.join(this.#directory, name), 'read');
      try {
        bytes += await file.size();
      } finally {
        await file.close();
      }
    }
    return bytes;
  }

  /** Over what an attempt cut short may have left. */
  async #write(name: string, fill: (target: LogFile) => Promise<void>): Promise<void> {
    const file = path.join(this.#directory, name);
    await this.#fileSystem.remove(file).catch(() => {});
    const target = await this.#fileSystem.open(file, 'create');
    try {
      await fill(target);
      await target.sync();
    } finally {
      await target.close();
    }
  }
}

async function copyRange(source: LogFile, target: LogFile, start: number, end: number): Promise<void> {
  const window = Buffer.allocUnsafeSlow(Math.min(LOG_WINDOW_BYTES, end - start));
  for (let position = start; position < end; ) {
    const slice = window.subarray(0, Math.min(window.length, end - position));
    const count = await readSurviving(source, slice, position);
    await writeFully(target, slice.subarray(0, count), position - start);
    if (count < slice.length) return;
    position += count;
  }
}

function describe(file: string, { start, end, reason, lostFrom, lostThrough }: DecodedDamage): string {
  const lost =
    lostThrough < lostFrom
      ? 'no record is lost'
      : `records ${lostFrom} to ${lostThrough} (${lostThrough - lostFrom + 1}) are lost`;
  return `op log ${file}, bytes ${start} to ${end}: ${reason}; ${lost}`;
}
