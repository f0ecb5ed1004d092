/**
 * The directory of an index on disk: immutable segment files, and per published version a manifest that names them.
 *
 *   bitloom.json            says that this is an index directory, and its format version
 *   lock                    the process that may write
 *   manifest-<version>.json everything a version consists of, with sizes and checksums
 *   segment-<version>-<n>.bin   the bytes of a segment; later versions name it too where it did not change
 *
 * Publishing writes and flushes the new segments, then the manifest; its rename is the one step that makes the version.
 * A crash or a full disk at any byte leaves the versions before it. Opening verifies every byte before it is used and
 * falls back to the version before a damaged one. Only the holder of the lock writes or removes anything.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { IndexDefinition } from '../../config/definition.ts';
import { BitloomError } from '../../errors.ts';
import { READ_ONLY_OPEN_ATTEMPTS_MAX, VERSIONS_KEPT } from '../../limits.ts';
import type { VersionSegments } from '../version.ts';
import { syncDirectory, writeWhole } from './durable-files.ts';
import { acquireLock, type DirectoryLock, isLockFile, removeLockLeftovers } from './lock.ts';
import {
  DIRECTORY_FORMAT_VERSION,
  decodeManifest,
  encodeManifest,
  isSegmentFile,
  type Manifest,
  type ManifestReading,
  manifestFile,
  TEMPORARY_PATTERN,
  versionOfFile,
} from './manifest.ts';
import { type KnownSegments, readSegments, removeFiles, writeSegments } from './version-files.ts';

const MARKER_FILE = 'bitloom.json';
const MARKER = { format: 'bitloom-index', formatVersion: DIRECTORY_FORMAT_VERSION };

export interface OpenDirectoryOptions {
  /** Open without the lock and without changing anything. */
  readonly readOnly?: boolean;
}

/** A version as it was published. */
export interface StoredVersion {
  readonly id: number;
  /** The normalised definition, plain JSON, and its hash. */
  readonly definition: unknown;
  readonly definitionHash: string;
  readonly segments: VersionSegments;
  readonly extra: Readonly<Record<string, unknown>>;
}

export interface PublishOptions {
  /** Above the id of every version before. */
  readonly id: number;
  readonly definition: IndexDefinition;
  /** Segments that the directory wrote or read before are shared with their version, not written again. */
  readonly segments: VersionSegments;
  /** Plain JSON that becomes durable in the same step, such as the dump registry or the cursor. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

export interface IndexDirectory {
  /** The newest usable version at opening, or null when none was ever published. */
  readonly latest: StoredVersion | null;
  /** What was damaged and passed over while opening. */
  readonly warnings: readonly string[];
  /**
   * Stores a version durably; when it resolves the version survives a crash. On an error the previous one stays.
   * @throws BitloomError SNAPSHOT_WRITE_FAILED, DIRECTORY_READ_ONLY, DIRECTORY_CLOSED, VERSION_NOT_NEW.
   */
  publish(options: PublishOptions): Promise<void>;
  /** Gives the lock up, after a publish that is under way. */
  close(): Promise<void>;
}

/**
 * Opens the directory of an index; unless read-only, creates it and takes its lock.
 * @throws BitloomError DIRECTORY_LOCKED, DIRECTORY_MISSING, DIRECTORY_UNUSABLE, DIRECTORY_FOREIGN, DIRECTORY_FORMAT,
 *   SNAPSHOT_CORRUPT.
 */
export async function openDirectory(
  directory: string,
  options: OpenDirectoryOptions = {},
): Promise<IndexDirectory> {
  try {
    return options.readOnly === true ? await openForReading(directory) : await openForWriting(directory);
  } catch (error) {
    if (error instanceof BitloomError) throw error;
    throw new BitloomError('DIRECTORY_UNUSABLE', `${directory} cannot be used as an index directory`, {
      hint: 'check that it is a directory and that this user may read and write it',
      cause: error,
    });
  }
}

async function openForReading(directory: string): Promise<IndexDirectory> {
  const known: KnownSegments = new WeakMap();
  await assertDirectory(directory);
  await assertMarker(directory);
  const { latest, warnings } = await readLatestWhileWritten(directory, known);
  return new OpenDirectory(directory, null, latest, warnings, known);
}

async function openForWriting(directory: string): Promise<IndexDirectory> {
  const known: KnownSegments = new WeakMap();
  await mkdir(directory, { recursive: true });
  await assertOwn(directory);
  const lock = await acquireLock(directory);
  try {
    await assertMarkerOrWrite(directory);
    const { latest, warnings, readable } = await readLatest(directory, known);
    if (readable) await removeUnreferenced(directory);
    await removeLockLeftovers(directory);
    return new OpenDirectory(directory, lock, latest, warnings, known);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

class OpenDirectory implements IndexDirectory {
  readonly latest: StoredVersion | null;
  readonly warnings: readonly string[];
  readonly #path: string;
  readonly #lock: DirectoryLock | null;
  readonly #known: KnownSegments;
  /** Versions that can be opened, newest first. */
  #kept: number[];
  #publishing: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(
    directory: string,
    lock: DirectoryLock | null,
    latest: StoredVersion | null,
    warnings: readonly string[],
    known: KnownSegments,
  ) {
    this.#path = directory;
    this.#lock = lock;
    this.latest = latest;
    this.warnings = warnings;
    this.#known = known;
    this.#kept = latest === null ? [] : [latest.id];
  }

  publish(options: PublishOptions): Promise<void> {
    const publishing = this.#publishing.then(() => this.#publish(options));
    this.#publishing = publishing.catch(() => {});
    return publishing;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#publishing;
    await this.#lock?.release();
  }

  async #publish({ id, definition, segments, extra = {} }: PublishOptions): Promise<void> {
    this.#assertWritable(id);
    try {
      const files = await readdir(this.#path);
      const entries = await writeSegments(this.#path, id, segments, this.#known, new Set(files));
      // Versions from this id on were found damaged when the directory was opened. They go before the new one comes, so
      // that none of them can ever be taken for the latest again.
      const damaged = files.filter((file) => (versionOfFile(file) ?? -1) >= id);
      await removeFiles(this.#path, damaged);
      await syncDirectory(this.#path);
      const manifest: Manifest = {
        version: id,
        definitionHash: definition.hash,
        definition: definition.normalised,
        extra,
        segments: entries,
      };
      await writeWhole(this.#path, manifestFile(id), Buffer.from(encodeManifest(manifest)));
      await syncDirectory(this.#path);
      for (const entry of entries) {
        const field = entry.field === null ? undefined : segments.fields[entry.field];
        const content = entry.role === 'alive' ? segments.alive : field?.[entry.role];
        if (content !== undefined) this.#known.set(content, entry);
      }
    } catch (error) {
      await removeFiles(this.#path, [manifestFile(id)]);
      await removeUnreferenced(this.#path).catch(() => {});
      throw new BitloomError('SNAPSHOT_WRITE_FAILED', `version ${id} could not be stored in ${this.#path}`, {
        hint: 'check free space and permissions there; the version before it is untouched',
        cause: error,
      });
    }
    this.#kept = [id, ...this.#kept].slice(0, VERSIONS_KEPT);
    // The version is stored; what cannot be removed now is removed after the next one.
    await this.#prune().catch(() => {});
  }

  #assertWritable(id: number): void {
    if (this.#isClosed) {
      throw new BitloomError('DIRECTORY_CLOSED', `${this.#path} is closed`, { hint: 'open the index again' });
    }
    if (this.#lock === null) {
      throw new BitloomError('DIRECTORY_READ_ONLY', `${this.#path} was opened for reading only`, {
        hint: 'open it without readOnly',
      });
    }
    if (id <= (this.#kept[0] ?? -1)) {
      throw new BitloomError('VERSION_NOT_NEW', `version ${id} does not follow version ${this.#kept[0]}`);
    }
  }

  async #prune(): Promise<void> {
    const files = await readdir(this.#path);
    const old = files.filter((file) => {
      const version = versionOfFile(file);
      return version !== null && !this.#kept.includes(version);
    });
    await removeFiles(this.#path, old);
    await removeUnreferenced(this.#path);
  }
}

/** A directory without marker and manifests must be empty, dot files and leftovers of an opening cut short aside. */
async function assertOwn(directory: string): Promise<void> {
  const files = await readdir(directory);
  if (files.includes(MARKER_FILE) || files.some((file) => versionOfFile(file) !== null)) return;
  const foreign = files.filter(
    (file) => !file.startsWith('.') && !isLockFile(file) && !TEMPORARY_PATTERN.test(file),
  );
  if (foreign.length === 0) return;
  throw new BitloomError(
    'DIRECTORY_FOREIGN',
    `${directory} is not an index directory: it holds ${foreign.slice(0, 3).join(', ')}${foreign.length > 3 ? ', …' : ''}`,
    { hint: 'name an empty or a new directory' },
  );
}

async function assertMarkerOrWrite(directory: string): Promise<void> {
  if (await assertMarker(directory)) return;
  await writeWhole(directory, MARKER_FILE, Buffer.from(`${JSON.stringify(MARKER)}\n`));
  await syncDirectory(directory);
}

/** False when there is no marker. */
async function assertMarker(directory: string): Promise<boolean> {
  let text: string;
  try {
    text = await readFile(path.join(directory, MARKER_FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  let marker: Partial<typeof MARKER> | null = null;
  try {
    marker = JSON.parse(text);
  } catch {
    // Said below.
  }
  if (marker?.format !== MARKER.format || typeof marker.formatVersion !== 'number') {
    throw new BitloomError(
      'DIRECTORY_FOREIGN',
      `${path.join(directory, MARKER_FILE)} does not describe an index`,
      {
        hint: 'name an empty or a new directory',
      },
    );
  }
  if (marker.formatVersion !== DIRECTORY_FORMAT_VERSION)
    throw unknownFormat(directory, MARKER_FILE, marker.formatVersion);
  return true;
}

async function assertDirectory(directory: string): Promise<void> {
  try {
    await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new BitloomError('DIRECTORY_MISSING', `there is no directory ${directory}`, {
      hint: 'load a dump into it first, or check the path',
    });
  }
}

interface LatestReading {
  readonly latest: StoredVersion | null;
  readonly warnings: string[];
  /** Every manifest could be read, so a file that none names is garbage. */
  readonly readable: boolean;
}

/** The newest version whose files are all whole. */
async function readLatest(directory: string, known: KnownSegments): Promise<LatestReading> {
  const warnings: string[] = [];
  let latest: StoredVersion | null = null;
  let readable = true;
  for (const version of await listVersions(directory)) {
    const file = manifestFile(version);
    const reading = await readManifest(directory, version);
    if (reading === null) continue;
    if ('unknownFormat' in reading) throw unknownFormat(directory, file, reading.unknownFormat);
    if ('damage' in reading) {
      warnings.push(`${path.join(directory, file)}: ${reading.damage}`);
      readable = false;
      continue;
    }
    if (latest !== null) continue;
    const { manifest } = reading;
    const content = await readSegments(directory, manifest, known);
    if ('segments' in content) {
      const { definition, definitionHash, extra } = manifest;
      latest = { id: version, definition, definitionHash, extra, segments: content.segments };
    } else {
      warnings.push(...content.damages.map((damage) => path.join(directory, damage)));
    }
  }
  if (latest === null && warnings.length > 0) {
    throw new BitloomError('SNAPSHOT_CORRUPT', `no stored version is whole: ${warnings.join('; ')}`, {
      hint: 'restore the files from a backup, or load the dump again into a fresh directory',
      details: { damages: warnings },
    });
  }
  return { latest, warnings, readable };
}

/** Null when the file is gone: to a reader without the lock, a version may be removed between two looks. */
async function readManifest(directory: string, version: number): Promise<ManifestReading | null> {
  try {
    return decodeManifest(await readFile(path.join(directory, manifestFile(version)), 'utf8'), version);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Without the lock the writer may remove a version while it is read; then a newer one is there. */
async function readLatestWhileWritten(directory: string, known: KnownSegments): Promise<LatestReading> {
  for (let attempt = 1; ; attempt++) {
    const [newest] = await listVersions(directory);
    let reading: LatestReading | null = null;
    let failure: unknown;
    try {
      reading = await readLatest(directory, known);
      if (reading.warnings.length === 0) return reading;
    } catch (error) {
      failure = error;
    }
    const [newestNow] = await listVersions(directory);
    if (newestNow !== newest && attempt < READ_ONLY_OPEN_ATTEMPTS_MAX) continue;
    if (reading === null) throw failure;
    return reading;
  }
}

async function listVersions(directory: string): Promise<number[]> {
  const versions: number[] = [];
  for (const file of await readdir(directory)) {
    const version = versionOfFile(file);
    if (version !== null) versions.push(version);
  }
  return versions.sort((a, b) => b - a);
}

/** Removes temporary files, and segments that no manifest names. Needs the lock and readable manifests. */
async function removeUnreferenced(directory: string): Promise<void> {
  const files = await readdir(directory);
  const referenced = new Set<string>();
  for (const file of files) {
    const version = versionOfFile(file);
    if (version === null) continue;
    const reading = await readManifest(directory, version);
    if (reading === null || !('manifest' in reading)) return;
    for (const segment of reading.manifest.segments) referenced.add(segment.file);
  }
  const garbage = files.filter(
    (file) => (isSegmentFile(file) && !referenced.has(file)) || TEMPORARY_PATTERN.test(file),
  );
  await removeFiles(directory, garbage);
}

function unknownFormat(directory: string, file: string, formatVersion: unknown): BitloomError {
  return new BitloomError(
    'DIRECTORY_FORMAT',
    `${path.join(directory, file)} has format version ${formatVersion}, this program reads ${DIRECTORY_FORMAT_VERSION}`,
    { hint: 'use the program version that wrote it, or load the dump again into a fresh directory' },
  );
}
