/**
 * The engine owns one index: the current version, its directory, and the pool that loads into it. One engine per index,
 * on one thread; everything it serves is immutable, so a query never waits for a load.
 *
 * Publishing is one assignment: a version is complete, durable where there is a directory, and only then current.
 */
import type { FieldDefinition, IndexDefinition } from '../config/definition.ts';
import { normaliseDefinition, readDefinition } from '../config/parse.ts';
import { BitloomError } from '../errors.ts';
import { type BaseVersion, createVersion, emptyVersion } from '../index/base-version.ts';
import { digestVersion } from '../index/digest.ts';
import { type IndexDirectory, openDirectory } from '../index/directory/directory.ts';
import { fieldStatistics } from '../index/statistics.ts';
import type { FieldSegments, VersionSegments } from '../index/version.ts';
import { type StagedDump, stageDump } from '../load/coordinator.ts';
import { type LoadOptions, type LoadReport, type LoadSettings, resolveLoadOptions } from '../load/options.ts';
import { LoadPool } from '../load/pool.ts';
import { executeCount, executeQuery } from '../query/execute.ts';
import type { Page, Query } from '../query/query.ts';
import type { Where } from '../query/where.ts';
import type { BitloomIndex, IndexStats, LastLoad, OpenOptions } from './index-api.ts';

export class Engine implements BitloomIndex {
  /** What the next load is read by; the current version keeps the one it was loaded with. */
  readonly #definition: IndexDefinition;
  readonly #directory: IndexDirectory | null;
  readonly #readOnly: boolean;
  #current: BaseVersion;
  /** Goes into every manifest, so that it is known for as long as its dump is. */
  #lastLoad: LastLoad | null;
  #pool: LoadPool | null = null;
  #loading: { readonly cancel: AbortController; readonly ended: Promise<unknown> } | null = null;
  #closing: Promise<void> | null = null;

  private constructor(
    definition: IndexDefinition,
    directory: IndexDirectory | null,
    current: BaseVersion,
    lastLoad: LastLoad | null,
    readOnly: boolean,
  ) {
    this.#definition = definition;
    this.#directory = directory;
    this.#current = current;
    this.#lastLoad = lastLoad;
    this.#readOnly = readOnly;
  }

  /** Errors: DEFINITION_*, DIRECTORY_*, SNAPSHOT_*. */
  static async open(options: OpenOptions): Promise<Engine> {
    const given = await readGivenDefinition(options.definition);
    const readOnly = options.readOnly ?? false;
    if (options.directory === undefined) {
      if (given === null) throw definitionMissing('an index in memory');
      return new Engine(given, null, emptyVersion(0, given), null, readOnly);
    }
    const directory = await openDirectory(options.directory, { readOnly });
    try {
      for (const warning of directory.warnings) (options.onWarning ?? process.emitWarning)(warning);
      const { latest } = directory;
      if (latest === null) {
        if (given === null)
          throw definitionMissing(`${options.directory}, which holds no published version,`);
        return new Engine(given, directory, emptyVersion(0, given), null, readOnly);
      }
      const stored = normaliseDefinition(latest.definition);
      const version = createVersion({ id: latest.id, definition: stored, segments: latest.segments });
      const lastLoad = (latest.extra.lastLoad as LastLoad | undefined) ?? null;
      return new Engine(given ?? stored, directory, version, lastLoad, readOnly);
    } catch (error) {
      await directory.close();
      throw error;
    }
  }

  async load(files: Readonly<Record<string, string>>, options: LoadOptions = {}): Promise<LoadReport> {
    this.#assertOpen();
    if (this.#readOnly) {
      throw new BitloomError('READ_ONLY', 'the index is open for reading only', {
        hint: 'open it without readOnly to load',
      });
    }
    if (this.#loading !== null) {
      throw new BitloomError('LOAD_RUNNING', 'a load is already running on this index', {
        hint: 'wait for it or cancel it',
      });
    }
    const settings = resolveLoadOptions(options);
    const cancel = new AbortController();
    const signal =
      options.signal === undefined ? cancel.signal : AbortSignal.any([options.signal, cancel.signal]);
    const loading = this.#load(files, settings, options.onProgress ?? null, signal);
    this.#loading = { cancel, ended: loading.catch(() => {}) };
    try {
      return await loading;
    } finally {
      this.#loading = null;
    }
  }

  async query(query: Query): Promise<Page> {
    this.#assertOpen();
    return executeQuery(this.#current, query);
  }

  async count(where?: Where): Promise<number> {
    this.#assertOpen();
    return executeCount(this.#current, where);
  }

  async stats(options: { digest?: boolean } = {}): Promise<IndexStats> {
    this.#assertOpen();
    const version = this.#current;
    const fields: IndexStats['fields'] = {};
    let indexBytes = version.segments.alive.byteLength;
    for (const statistics of fieldStatistics(version)) {
      const bytes = segmentBytes(version.segments.fields[statistics.name]);
      fields[statistics.name] = { ...statistics, bytes };
      indexBytes += bytes;
    }
    const { name, hash, tables } = this.#definition;
    const stats: IndexStats = {
      definition: { name, hash, tables: Object.fromEntries(tables.map((table) => [table.name, table.hash])) },
      lastLoad: this.#lastLoad,
      version: version.id,
      alive: version.aliveCount,
      fields,
      memory: { indexBytes, processBytes: process.memoryUsage.rss() },
    };
    return options.digest === true ? { ...stats, digest: digestVersion(version) } : stats;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#loading?.cancel.abort(closedError());
    await this.#loading?.ended;
    await this.#pool?.close();
    await this.#directory?.close();
  }

  async #load(
    files: Readonly<Record<string, string>>,
    settings: LoadSettings,
    onProgress: LoadOptions['onProgress'] | null,
    signal: AbortSignal,
  ): Promise<LoadReport> {
    const startedAtMs = performance.now();
    const previous = this.#current;
    const staged = await stageDump({
      definition: this.#definition,
      files,
      settings,
      pool: await this.#poolOf(settings.threads),
      previous: previous.segments,
      onProgress: onProgress ?? null,
      signal,
    });
    try {
      staged.progress.enter('publish');
      const segments = combineSegments(this.#definition, previous, staged);
      const version = createVersion({ id: previous.id + 1, definition: this.#definition, segments });
      signal.throwIfAborted();
      const report = reportOf(staged, version, performance.now() - startedAtMs);
      const lastLoad = lastLoadOf(report, settings.label);
      const extra = { lastLoad };
      await this.#directory?.publish({ id: version.id, definition: this.#definition, segments, extra });
      this.#current = version;
      this.#lastLoad = lastLoad;
      staged.progress.enter('done');
      return { ...report, durationMs: performance.now() - startedAtMs };
    } finally {
      staged.progress.stop();
    }
  }

  async #poolOf(threads: number): Promise<LoadPool> {
    if (this.#pool?.threads !== threads) {
      await this.#pool?.close();
      this.#pool = new LoadPool(threads);
    }
    return this.#pool;
  }

  #assertOpen(): void {
    if (this.#closing !== null) throw closedError();
  }
}

/** Staged segments over those of the previous version. A field that no table of the dump feeds keeps what it had. */
function combineSegments(
  definition: IndexDefinition,
  previous: BaseVersion,
  { staging }: StagedDump,
): VersionSegments {
  const fields: Record<string, FieldSegments> = {};
  for (const field of definition.fields) {
    const staged = staging.fields.get(field.name);
    const kept = previous.segments.fields[field.name];
    if (staged !== undefined) fields[field.name] = staged;
    else if (kept !== undefined) fields[field.name] = keepSegments(field, previous, kept);
  }
  return { alive: staging.alive ?? previous.segments.alive, fields };
}

/** Error DEFINITION_CHANGED when the field now means something else than what is stored. */
function keepSegments(field: FieldDefinition, previous: BaseVersion, kept: FieldSegments): FieldSegments {
  const stored = previous.definition.fields.find(({ name }) => name === field.name);
  const same =
    stored !== undefined &&
    stored.type === field.type &&
    stored.many === field.many &&
    stored.filter === field.filter &&
    stored.sort === field.sort;
  if (same) return kept;
  throw new BitloomError(
    'DEFINITION_CHANGED',
    `the definition of field ${field.name} is not the one it was loaded with`,
    {
      hint: 'load every table that feeds a changed field in the same dump',
    },
  );
}

function reportOf(staged: StagedDump, version: BaseVersion, durationMs: number): LoadReport {
  const tables = Object.values(staged.tables);
  return {
    version: version.id,
    durationMs,
    tables: staged.tables,
    rows: tables.reduce((sum, { rows }) => sum + rows, 0),
    rejectedRows: staged.rejects.count,
    rejects: staged.rejects.first,
    alive: version.aliveCount,
    warnings: [],
  };
}

function lastLoadOf({ version, rows, rejectedRows, alive }: LoadReport, label: string | null): LastLoad {
  return { label, version, rows, rejectedRows, alive };
}

function segmentBytes(segments: FieldSegments | undefined): number {
  const { filter, sort, dictionary } = segments ?? {};
  return (filter?.byteLength ?? 0) + (sort?.byteLength ?? 0) + (dictionary?.byteLength ?? 0);
}

async function readGivenDefinition(definition: string | object | undefined): Promise<IndexDefinition | null> {
  if (definition === undefined) return null;
  return typeof definition === 'string' ? readDefinition(definition) : normaliseDefinition(definition);
}

function definitionMissing(what: string): BitloomError {
  return new BitloomError('DEFINITION_MISSING', `${what} needs a definition`, {
    hint: 'give openIndex a definition (--definition): the path of a YAML file or an object',
  });
}

function closedError(): BitloomError {
  return new BitloomError('INDEX_CLOSED', 'the index is closed', { hint: 'open it again with openIndex' });
}
