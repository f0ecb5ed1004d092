/**
 * The dumps that a server was asked to load, by name, and what became of each. It owns `dumps.json` in the directory of the
 * index, which is written whole, forced to disk and renamed at every change.
 *
 *   registered ──▶ loading ──▶ publishing ──▶ complete
 *       │             │             │
 *       ├─────────────┴─────────────┴──▶ failed (a code and a message)
 *       └─────────────┴─────────────┴──▶ cancelled
 *
 * Any other step is the error DUMP_STATE. The manifest of a version, not this file, says whether a dump was published: it
 * carries the id of the dump as the label of its load. So a dump found under way when the registry is opened is complete
 * if the index holds its version, and failed (DUMP_INTERRUPTED) with nothing published if not. A registered one still is.
 */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { BitloomError } from '../errors.ts';
import { syncDirectory, writeWhole } from '../index/directory/durable-files.ts';
import { DUMPS_KEPT_MAX } from '../limits.ts';
import type { LoadMode } from './options.ts';

export type DumpStatus = 'registered' | 'loading' | 'publishing' | 'complete' | 'failed' | 'cancelled';

export interface DumpCounts {
  readonly rows: number;
  readonly rejectedRows: number;
  /** Slots alive once it was published. */
  readonly alive: number;
  /** Number of the version that it made. */
  readonly version: number;
}

/** One dump; immutable, JSON only. Times are ISO 8601, null until they come. */
export interface DumpEntry {
  readonly name: string;
  /** Unique to this registration of the name: the label of its load. */
  readonly id: string;
  readonly status: DumpStatus;
  /** Why it failed or was cancelled, else null. */
  readonly reason: { readonly code: string; readonly message: string } | null;
  /** By table: its file, and the hash of the table's definition when the dump was registered. */
  readonly tables: Readonly<Record<string, { readonly file: string; readonly definitionHash: string }>>;
  readonly mode: LoadMode;
  /** Rejected rows that it tolerates; null: any number. */
  readonly maxRejects: number | null;
  readonly counts: DumpCounts | null;
  readonly registeredAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
}

/** What a caller says of a dump. */
export type DumpRequest = Pick<DumpEntry, 'name' | 'tables' | 'mode' | 'maxRejects'>;

/** What a step adds to an entry. */
export type DumpChange = Partial<Pick<DumpEntry, 'reason' | 'counts'>>;

/** A load that an index published, as its stats tell. */
export interface PublishedLoad extends DumpCounts {
  /** Id of the dump that it was the load of; null for a load that no registry began. */
  readonly label: string | null;
}

export interface DumpRegistryOptions {
  /** Directory of the index; null keeps the registry in memory, as the index is. */
  readonly directory: string | null;
  /** The last dump that the index published. */
  readonly lastLoad: PublishedLoad | null;
  /** Told when the file could not be written; the next change writes it whole. */
  readonly onWarning: (message: string) => void;
}

const REGISTRY_FILE = 'dumps.json';
const FORMAT = 'bitloom-dumps';
const FORMAT_VERSION = 1;

const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

const NEXT: Readonly<Record<DumpStatus, readonly DumpStatus[]>> = {
  registered: ['loading', 'failed', 'cancelled'],
  loading: ['publishing', 'failed', 'cancelled'],
  publishing: ['complete', 'failed', 'cancelled'],
  complete: [],
  failed: [],
  cancelled: [],
};

/** Opens the registry, and settles what was under way when it was last written. Errors: DUMP_REGISTRY_UNREADABLE. */
export async function openDumpRegistry(options: DumpRegistryOptions): Promise<DumpRegistry> {
  const entries = options.directory === null ? [] : await readEntries(options.directory);
  const settled = entries.map((entry) => settle(entry, options.lastLoad));
  const registry = new DumpRegistry(options, settled);
  if (settled.some((entry, i) => entry !== entries[i])) await registry.flush();
  return registry;
}

export function isDumpEnded(status: DumpStatus): boolean {
  return NEXT[status].length === 0;
}

export class DumpRegistry {
  readonly #options: DumpRegistryOptions;
  #entries: ReadonlyMap<string, DumpEntry>;
  /** The last of those who write. */
  #writing: Promise<unknown> = Promise.resolve();

  constructor(options: DumpRegistryOptions, entries: readonly DumpEntry[]) {
    this.#options = options;
    this.#entries = new Map(entries.map((entry) => [entry.name, entry]));
  }

  /** In the order of registration. */
  list(): DumpEntry[] {
    return [...this.#entries.values()];
  }

  /** Error DUMP_UNKNOWN. */
  get(name: string): DumpEntry {
    const entry = this.#entries.get(name);
    if (entry !== undefined) return entry;
    throw new BitloomError('DUMP_UNKNOWN', `no dump is registered as ${JSON.stringify(name)}`, {
      hint: 'list the dumps for the names there are',
    });
  }

  /**
   * Registers a dump; durable when it resolves. The same request again gives the entry as it stands, so that it can be
   * repeated safely; one that failed or was cancelled starts anew.
   *
   * Errors: DUMP_NAME_INVALID, DUMP_EXISTS, DUMPS_TOO_MANY, DUMP_REGISTRY_UNWRITABLE.
   */
  register(request: DumpRequest): Promise<{ entry: DumpEntry; isNew: boolean }> {
    assertName(request.name);
    return this.#inTurn(async () => {
      const known = this.#entries.get(request.name);
      if (known !== undefined && known.status !== 'failed' && known.status !== 'cancelled') {
        if (isSameRequest(known, request)) return { entry: known, isNew: false };
        throw new BitloomError(
          'DUMP_EXISTS',
          `another dump is registered as ${known.name} (${known.status})`,
          {
            hint: 'give this dump a name of its own, or delete the other once it has ended',
          },
        );
      }
      if (known === undefined && this.#entries.size >= DUMPS_KEPT_MAX) {
        throw new BitloomError('DUMPS_TOO_MANY', `${DUMPS_KEPT_MAX} dumps are registered already`, {
          hint: 'delete dumps that have ended',
        });
      }
      const { name, tables, mode, maxRejects } = request;
      const entry: DumpEntry = {
        name,
        id: randomUUID(),
        status: 'registered',
        reason: null,
        tables,
        mode,
        maxRejects,
        counts: null,
        registeredAt: new Date().toISOString(),
        startedAt: null,
        endedAt: null,
      };
      const next = new Map(this.#entries);
      next.delete(name);
      await this.#write(next.set(name, entry));
      return { entry, isNew: true };
    });
  }

  /** Takes a step that must be durable before what it announces begins. Errors: DUMP_STATE, DUMP_REGISTRY_UNWRITABLE. */
  begin(name: string, status: DumpStatus, change: DumpChange = {}): Promise<DumpEntry> {
    return this.#inTurn(async () => {
      const entry = stepped(this.get(name), status, change);
      await this.#write(new Map(this.#entries).set(name, entry));
      return entry;
    });
  }

  /** Records a step that has happened. It stands even if the file cannot be written now. Error DUMP_STATE. */
  record(name: string, status: DumpStatus, change: DumpChange = {}): Promise<DumpEntry> {
    return this.#inTurn(async () => {
      const entry = stepped(this.get(name), status, change);
      this.#entries = new Map(this.#entries).set(name, entry);
      await this.#write(this.#entries).catch((error: Error) => this.#options.onWarning(error.message));
      return entry;
    });
  }

  /** Forgets a dump that has ended; what it published stays. Errors: DUMP_UNKNOWN, DUMP_STATE, DUMP_REGISTRY_UNWRITABLE. */
  remove(name: string): Promise<DumpEntry> {
    return this.#inTurn(async () => {
      const entry = this.get(name);
      if (!isDumpEnded(entry.status)) {
        throw new BitloomError('DUMP_STATE', `dump ${name} is ${entry.status} and cannot be deleted`, {
          hint: 'cancel it first, or wait for its end',
        });
      }
      const next = new Map(this.#entries);
      next.delete(name);
      await this.#write(next);
      return entry;
    });
  }

  /** Writes the registry as it stands. */
  flush(): Promise<void> {
    return this.#inTurn(() => this.#write(this.#entries));
  }

  /** The entries become these once they are durable. */
  async #write(entries: ReadonlyMap<string, DumpEntry>): Promise<void> {
    const { directory } = this.#options;
    if (directory !== null) {
      try {
        await writeWhole(directory, REGISTRY_FILE, Buffer.from(encodeEntries([...entries.values()])));
        await syncDirectory(directory);
      } catch (cause) {
        throw new BitloomError(
          'DUMP_REGISTRY_UNWRITABLE',
          `${path.join(directory, REGISTRY_FILE)} cannot be written: ${(cause as Error).message}`,
          { hint: 'check free space and permissions there, then try again', cause },
        );
      }
    }
    this.#entries = entries;
  }

  #inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const acting = this.#writing.then(act);
    this.#writing = acting.catch(() => {});
    return acting;
  }
}

function stepped(entry: DumpEntry, status: DumpStatus, change: DumpChange): DumpEntry {
  if (!NEXT[entry.status].includes(status)) {
    throw new BitloomError(
      'DUMP_STATE',
      `dump ${entry.name} is ${entry.status} and cannot become ${status}`,
      {
        hint: isDumpEnded(entry.status)
          ? 'it has ended: register it again for another attempt'
          : `from ${entry.status} it becomes ${NEXT[entry.status].join(' or ')}`,
        details: { status: entry.status },
      },
    );
  }
  const now = new Date().toISOString();
  const startedAt = status === 'loading' ? now : entry.startedAt;
  return { ...entry, ...change, status, startedAt, endedAt: isDumpEnded(status) ? now : null };
}

/** What became of an entry that the file leaves under way. */
function settle(entry: DumpEntry, lastLoad: PublishedLoad | null): DumpEntry {
  if (isDumpEnded(entry.status)) return entry;
  const endedAt = new Date().toISOString();
  if (lastLoad !== null && lastLoad.label === entry.id) {
    const { rows, rejectedRows, alive, version } = lastLoad;
    return { ...entry, status: 'complete', counts: { rows, rejectedRows, alive, version }, endedAt };
  }
  if (entry.status === 'registered') return entry;
  const message = 'interrupted: the server ended during the load, and nothing of it was published';
  return { ...entry, status: 'failed', reason: { code: 'DUMP_INTERRUPTED', message }, endedAt };
}

function assertName(name: string): void {
  if (NAME_PATTERN.test(name)) return;
  throw new BitloomError('DUMP_NAME_INVALID', `${JSON.stringify(name).slice(0, 200)} is no name for a dump`, {
    hint: 'up to 128 letters, digits, ".", "_" and "-", the first a letter or digit',
  });
}

function isSameRequest(entry: DumpEntry, request: DumpRequest): boolean {
  const names = Object.keys(request.tables);
  return (
    entry.mode === request.mode &&
    entry.maxRejects === request.maxRejects &&
    names.length === Object.keys(entry.tables).length &&
    names.every((name) => {
      const table = Object.hasOwn(entry.tables, name) ? entry.tables[name] : undefined;
      const { file, definitionHash } = request.tables[name];
      return table?.file === file && table.definitionHash === definitionHash;
    })
  );
}

function encodeEntries(dumps: readonly DumpEntry[]): string {
  const content = { format: FORMAT, formatVersion: FORMAT_VERSION, dumps };
  return `${JSON.stringify({ crc32: crc32(JSON.stringify(content)), ...content }, null, 1)}\n`;
}

async function readEntries(directory: string): Promise<DumpEntry[]> {
  const file = path.join(directory, REGISTRY_FILE);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw unreadable(file, (cause as Error).message, cause);
  }
  let parsed: Record<string, unknown>;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw unreadable(file, 'it is not JSON', cause);
  }
  const { crc32: checksum, ...content } = parsed ?? {};
  if (checksum !== crc32(JSON.stringify(content))) throw unreadable(file, 'its checksum does not match');
  if (content.format !== FORMAT || content.formatVersion !== FORMAT_VERSION) {
    throw unreadable(file, `its format is ${content.format} ${content.formatVersion}`);
  }
  // The checksum holds, so the content is what a program of this format wrote.
  return content.dumps as DumpEntry[];
}

function unreadable(file: string, reason: string, cause?: unknown): BitloomError {
  return new BitloomError('DUMP_REGISTRY_UNREADABLE', `${file} cannot be read: ${reason}`, {
    hint: 'restore it from a backup, or remove it: it holds the history of dumps, not the index',
    cause,
  });
}
