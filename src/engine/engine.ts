/**
 * The engine owns one index: the version it serves, the stream of ops that changes it, its directory and op log, and the
 * pool that loads and compacts. One engine per index, on one thread; queries and batches run without yielding, so a query
 * sees all of a batch or nothing of it, and never waits for a load.
 *
 * Publishing is one step: a base is complete, durable where there is a directory, together with the cursor up to which it
 * has the op log; then the stream moves to it. A dump replaces or merges into what there was when its load began: batches
 * accepted since then are applied again on top of it, so nothing accepted is lost and the later statement wins.
 */
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { IndexDefinition } from '../config/definition.ts';
import { normaliseDefinition, readDefinition } from '../config/parse.ts';
import { BitloomError } from '../errors.ts';
import { type BaseVersion, createVersion, emptyVersion } from '../index/base-version.ts';
import { changesBytes, type VersionChanges } from '../index/delta-version.ts';
import { digestVersion } from '../index/digest.ts';
import { type IndexDirectory, openDirectory } from '../index/directory/directory.ts';
import { fieldStatistics } from '../index/statistics.ts';
import type { FieldSegments, VersionSegments } from '../index/version.ts';
import { partsOf } from '../index/version-parts.ts';
import { type Kernels, loadKernels } from '../kernels/kernels.ts';
import {
  CHECKPOINT_CHANGES_MAX,
  CHECKPOINT_INDEX_PART,
  CHECKPOINT_LOG_BYTES_DEFAULT,
  COMPACTED_HERE_BYTES_MAX,
} from '../limits.ts';
import { compactVersion, type RunCompaction, runCompaction } from '../load/compact.ts';
import { cancelled, type StagedDump, stageDump } from '../load/coordinator.ts';
import {
  type LoadOptions,
  type LoadReport,
  type LoadSettings,
  resolveLoadOptions,
  resolveThreads,
} from '../load/options.ts';
import { LoadPool } from '../load/pool.ts';
import { FrozenFiles } from '../log/frozen-files.ts';
import { assertLogPosition, LOG_START, type LogPosition } from '../log/log-position.ts';
import { type OpLog, openOpLog } from '../log/op-log.ts';
import type { Batch, OpBatch } from '../ops/op.ts';
import { decodeBatch, encodeBatch } from '../ops/op-codec.ts';
import type { SourcePosition } from '../ops/source-table.ts';
import { executeCount, executeQuery } from '../query/execute.ts';
import type { Page, Query } from '../query/query.ts';
import type { Where } from '../query/where.ts';
import { acceptBatch } from './accept-batch.ts';
import { combineSegments, takesOpsOf } from './combine-segments.ts';
import type {
  ApplyOptions,
  ApplyReport,
  BitloomIndex,
  IndexStats,
  LastLoad,
  OpenOptions,
} from './index-api.ts';
import { MemoryJournal } from './journal.ts';
import { OpStream, type StreamMark } from './op-stream.ts';

/** Where the op log is within the directory of an index. */
const LOG_DIRECTORY = 'log';

interface EngineParts {
  readonly definition: IndexDefinition;
  readonly directory: IndexDirectory | null;
  readonly log: OpLog | null;
  readonly stream: OpStream;
  readonly lastLoad: LastLoad | null;
  readonly options: OpenOptions;
}

export class Engine implements BitloomIndex {
  /** What the next load is read by; the current version keeps the one it was loaded with. */
  readonly #definition: IndexDefinition;
  readonly #directory: IndexDirectory | null;
  /** Null in memory and when reading only. */
  readonly #log: OpLog | null;
  readonly #stream: OpStream;
  readonly #options: OpenOptions;
  /** Goes into every manifest, so that it is known for as long as its dump is. */
  #lastLoad: LastLoad | null;
  /** Number of the last version that was published. */
  #versionId: number;
  #pool: LoadPool | null = null;
  #kernels: Kernels | null = null;
  #loading: { readonly cancel: AbortController; readonly ended: Promise<unknown> } | null = null;
  /** The definition of the load that is running does not take every op. */
  #refusesOps = false;
  /** Under way; never at the same time as a load stages or publishes. */
  #checkpointing: Promise<void> | null = null;
  /** Bytes of the stream below which no other checkpoint is tried after one that failed. */
  #retryAtBytes = 0;
  /** The first version of a directory, which the first batch makes where no load did. */
  #storing: Promise<void> | null = null;
  /** The last of those who publish. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Of the last stored version. */
  #storedCursor: LogPosition;
  #checkpointCount = 0;
  #closing: Promise<void> | null = null;

  private constructor({ definition, directory, log, stream, lastLoad, options }: EngineParts) {
    this.#definition = definition;
    this.#directory = directory;
    this.#log = log;
    this.#stream = stream;
    this.#lastLoad = lastLoad;
    this.#options = options;
    this.#versionId = stream.version.id;
    this.#storedCursor = stream.baseMark.position;
  }

  /** Errors: DEFINITION_*, DIRECTORY_*, SNAPSHOT_*, LOG_*, BATCH_*. */
  static async open(options: OpenOptions): Promise<Engine> {
    const given = await readGivenDefinition(options.definition);
    if (options.directory === undefined) {
      if (given === null) throw definitionMissing('an index in memory');
      const stream = new OpStream(new MemoryJournal(), emptyVersion(0, given), LOG_START);
      return new Engine({ definition: given, directory: null, log: null, stream, lastLoad: null, options });
    }
    const readOnly = options.readOnly ?? false;
    const logDirectory = path.join(options.directory, LOG_DIRECTORY);
    // Before the version is looked for: what the log has after that version is then held, whatever the writer does.
    const frozen = readOnly ? await freezeLog(logDirectory) : null;
    let directory: IndexDirectory | null = null;
    let log: OpLog | null = null;
    try {
      directory = await openDirectory(options.directory, { readOnly });
      const warn = options.onWarning ?? emitWarning;
      for (const warning of directory.warnings) warn(warning);
      const { latest } = directory;
      if (latest === null && given === null) {
        throw definitionMissing(`${options.directory}, which holds no published version,`);
      }
      const base =
        latest === null
          ? emptyVersion(0, given!)
          : createVersion({
              id: latest.id,
              definition: normaliseDefinition(latest.definition),
              segments: latest.segments,
            });
      const cursor = latest?.extra.cursor ?? LOG_START;
      assertLogPosition(cursor);
      const sources = (latest?.extra.sources as SourcePosition[] | undefined) ?? [];
      if (frozen === null) {
        log = await openOpLog(logDirectory, { fromPosition: cursor, onWarning: warn });
      }
      const stream = new OpStream(log ?? new MemoryJournal(), base, cursor, sources);
      if (frozen === null) await stream.replay();
      else await replayFrozen(stream, logDirectory, frozen, warn);
      const lastLoad = (latest?.extra.lastLoad as LastLoad | undefined) ?? null;
      return new Engine({ definition: given ?? base.definition, directory, log, stream, lastLoad, options });
    } catch (error) {
      await log?.close();
      await directory?.close();
      throw error;
    } finally {
      await frozen?.release();
    }
  }

  async load(files: Readonly<Record<string, string>>, options: LoadOptions = {}): Promise<LoadReport> {
    this.#assertWritable('load');
    if (this.#loading !== null) {
      throw new BitloomError('LOAD_RUNNING', 'a load is already running on this index', {
        hint: 'wait for it or cancel it',
      });
    }
    const settings = resolveLoadOptions(options);
    const cancel = new AbortController();
    const signal =
      options.signal === undefined ? cancel.signal : AbortSignal.any([options.signal, cancel.signal]);
    this.#refusesOps = !takesOpsOf(this.#definition, this.#stream.version.definition);
    const loading = this.#load(files, settings, options.onProgress ?? null, signal);
    this.#loading = { cancel, ended: loading.catch(() => {}) };
    try {
      return await loading;
    } finally {
      this.#loading = null;
      this.#refusesOps = false;
      this.#checkpointIfDue();
    }
  }

  async apply(batch: Batch, options: ApplyOptions = {}): Promise<ApplyReport> {
    this.#assertWritable('apply ops');
    const accepted = acceptBatch(batch, this.definition, options, this.#options.dedup ?? true);
    const position = await this.#write(encodeBatch(accepted.batch), accepted.batch);
    return { position, refused: accepted.refused };
  }

  /**
   * As `apply`, for a batch that was accepted and encoded by the definition in force.
   * @throws BitloomError those of `decodeBatch` besides.
   */
  async applyEncoded(payload: Uint8Array): Promise<LogPosition | null> {
    this.#assertWritable('apply ops');
    return this.#write(payload, decodeBatch(payload, this.definition));
  }

  /** What ops and queries are read by: that of the version being served. */
  get definition(): IndexDefinition {
    return this.#stream.version.definition;
  }

  async query(query: Query): Promise<Page> {
    this.#assertOpen();
    return executeQuery(this.#stream.version, query);
  }

  async count(where?: Where): Promise<number> {
    this.#assertOpen();
    return executeCount(this.#stream.version, where);
  }

  async stats(options: { digest?: boolean } = {}): Promise<IndexStats> {
    this.#assertOpen();
    const { version } = this.#stream;
    const fields: IndexStats['fields'] = {};
    let indexBytes = version.segments.alive.byteLength;
    for (const statistics of fieldStatistics(version, options.digest === true)) {
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
      log: this.#log?.stats() ?? null,
      position: this.#visible(),
      sources: this.#stream.sources,
      checkpoints: this.#checkpointCount,
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
    await this.#stream.drained();
    await this.#checkpointing;
    if (this.#directory !== null && this.#log !== null && this.#stream.bytesSinceBase > 0) {
      // What cannot be stored now is in the log.
      await this.#checkpoint().catch((error: unknown) => this.#warn(`no checkpoint was stored: ${error}`));
    }
    await this.#log?.close();
    await this.#pool?.close();
    await this.#directory?.close();
  }

  async #write(payload: Uint8Array, batch: OpBatch): Promise<LogPosition | null> {
    if (batch.entityCount === 0 && batch.meta === null) return this.#visible();
    await this.#ensureStored();
    if (this.#refusesOps) {
      throw new BitloomError('LOAD_RUNNING', 'a load that changes the definition is running', {
        hint: 'send the batch again after the load',
        details: { retryable: true },
      });
    }
    const position = await this.#stream.write(payload, batch);
    this.#checkpointIfDue();
    return this.#log === null ? null : position;
  }

  /**
   * The log says what was done and the manifest by which definition, so there is one before the first batch. Batches that
   * wait for it wait for the same promise, so they keep their order.
   */
  #ensureStored(): Promise<void> | null {
    if (this.#storing !== null || this.#directory === null || this.#versionId > 0) return this.#storing;
    this.#storing = this.#inTurn(async () => {
      if (this.#versionId > 0) return;
      const { baseMark, version } = this.#stream;
      await this.#publish(version.definition, version.segments, baseMark);
    });
    this.#storing.catch(() => {
      this.#storing = null;
    });
    return this.#storing;
  }

  /** Where the stream is, for callers; null where positions mean nothing. */
  #visible(): LogPosition | null {
    return this.#directory === null ? null : this.#stream.position;
  }

  #checkpointIfDue(): void {
    if (this.#checkpointing !== null || this.#loading !== null || this.#closing !== null) return;
    const { bytesSinceBase, version } = this.#stream;
    if (bytesSinceBase < this.#retryAtBytes) return;
    const bytesMax =
      this.#options.checkpointLogBytes ??
      Math.max(CHECKPOINT_LOG_BYTES_DEFAULT, indexBytesOf(version.segments) * CHECKPOINT_INDEX_PART);
    if (bytesSinceBase < bytesMax && version.changeCount < CHECKPOINT_CHANGES_MAX) return;
    this.#checkpointing = this.#checkpoint()
      .then(() => {
        this.#retryAtBytes = 0;
      })
      .catch((error: unknown) => {
        this.#retryAtBytes = this.#stream.bytesSinceBase + bytesMax;
        this.#warn(`a checkpoint failed and will be tried again: ${error}`);
      })
      .finally(() => {
        this.#checkpointing = null;
      });
  }

  /**
   * Makes a base of a snapshot, stores it with the cursor, goes over to it, and lets go of the log before. Batches go on
   * being applied meanwhile; the engine's thread only hands out the changes and takes the result.
   */
  async #checkpoint(taken = this.#stream.snapshot()): Promise<void> {
    const { mark, base, changes, release } = await taken;
    try {
      const run = await this.#compactor(base, changes);
      const segments = await compactVersion(base, changes, this.#stream.memory, run);
      const cursorBefore = this.#storedCursor;
      await this.#inTurn(() => this.#publish(base.definition, segments, mark));
      this.#checkpointCount++;
      // The version before is kept on disk in case this one is damaged there, so the log keeps what that one needs.
      await this.#stream.removeBelow(this.#log === null ? mark.position : cursorBefore);
    } finally {
      release();
    }
  }

  async #load(
    files: Readonly<Record<string, string>>,
    settings: LoadSettings,
    onProgress: LoadOptions['onProgress'] | null,
    signal: AbortSignal,
  ): Promise<LoadReport> {
    const startedAtMs = performance.now();
    // The dump is over what the batches before this call made, whoever waits for whom.
    const taken = this.#stream.snapshot();
    taken.catch(() => {});
    await this.#checkpointing;
    const snapshot = await taken;
    if (snapshot.mark.bytes > this.#stream.baseMark.bytes) await this.#checkpoint(taken);
    else snapshot.release();
    const previous = this.#stream.version.base;
    const { baseMark, memory } = this.#stream;
    const release = memory.hold(previous.segments);
    try {
      const staged = await stageDump({
        definition: this.#definition,
        files,
        settings,
        pool: await this.#poolOf(settings.threads),
        previous: previous.segments,
        memory,
        spillDirectory: this.#options.directory ?? tmpdir(),
        onProgress: onProgress ?? null,
        signal,
      });
      const version = await this.#publishDump(staged, previous, baseMark, settings.label, signal);
      return reportOf(staged, version, performance.now() - startedAtMs);
    } finally {
      release();
    }
  }

  async #publishDump(
    staged: StagedDump,
    previous: BaseVersion,
    mark: StreamMark,
    label: LoadSettings['label'],
    signal: AbortSignal,
  ): Promise<BaseVersion> {
    try {
      staged.progress.enter('publish');
      const segments = combineSegments(this.#definition, previous, staged.staging);
      if (signal.aborted) throw cancelled(signal.reason);
      const version = await this.#inTurn(() =>
        this.#publish(this.#definition, segments, mark, ({ id, aliveCount }) => ({
          label,
          version: id,
          ...rowsOf(staged),
          alive: aliveCount,
        })),
      );
      staged.progress.enter('done');
      return version;
    } finally {
      staged.progress.stop();
    }
  }

  /** Stores a version durably with what belongs to it, then goes over to it. To be called in turn. */
  async #publish(
    definition: IndexDefinition,
    segments: VersionSegments,
    mark: StreamMark,
    makeLastLoad: (version: BaseVersion) => LastLoad | null = () => this.#lastLoad,
  ): Promise<BaseVersion> {
    const version = createVersion({ id: this.#versionId + 1, definition, segments });
    const lastLoad = makeLastLoad(version);
    const extra = { lastLoad, cursor: mark.position, sources: mark.sources };
    await this.#directory?.publish({ id: version.id, definition, segments, extra });
    this.#versionId = version.id;
    this.#storedCursor = mark.position;
    this.#lastLoad = lastLoad;
    await this.#stream.moveTo(version, mark);
    return version;
  }

  /** One publish at a time. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const acting = this.#turn.then(act);
    this.#turn = acting.catch(() => {});
    return acting;
  }

  /** A few changes of a small index are folded in here sooner than a thread starts. */
  async #compactor(base: BaseVersion, changes: VersionChanges): Promise<RunCompaction> {
    if (indexBytesOf(base.segments) + changesBytes(changes) <= COMPACTED_HERE_BYTES_MAX) {
      this.#kernels ??= loadKernels();
      const kernels = this.#kernels;
      return async (task) => runCompaction(kernels, task);
    }
    const pool = await this.#poolOf(this.#pool?.threads ?? resolveThreads(undefined));
    return (task) => pool.run(task);
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

  #assertWritable(what: string): void {
    this.#assertOpen();
    if (this.#options.readOnly !== true) return;
    throw new BitloomError('READ_ONLY', 'the index is open for reading only', {
      hint: `open it without readOnly to ${what}`,
    });
  }

  #warn(message: string): void {
    (this.#options.onWarning ?? emitWarning)(message);
  }
}

async function freezeLog(directory: string): Promise<FrozenFiles> {
  try {
    return await FrozenFiles.freeze(directory);
  } catch (cause) {
    throw new BitloomError('LOG_UNUSABLE', `the op log in ${directory} cannot be read`, {
      hint: 'check that it is a directory on a working disk which this user may read',
      cause,
    });
  }
}

/** Applies what the log of another process has after the version. */
async function replayFrozen(
  stream: OpStream,
  directory: string,
  fileSystem: FrozenFiles,
  onWarning: (message: string) => void,
): Promise<void> {
  const log = await openOpLog(directory, { fileSystem, onWarning });
  try {
    await stream.replay(log.read(stream.position));
  } finally {
    await log.close();
  }
}

function indexBytesOf(segments: VersionSegments): number {
  return partsOf(segments).reduce((sum, { content }) => sum + content.byteLength, 0);
}

function reportOf(staged: StagedDump, version: BaseVersion, durationMs: number): LoadReport {
  return {
    version: version.id,
    durationMs,
    tables: staged.tables,
    ...rowsOf(staged),
    rejects: staged.rejects.first,
    alive: version.aliveCount,
    warnings: [],
  };
}

function rowsOf({ tables, rejects }: StagedDump): Pick<LoadReport, 'rows' | 'rejectedRows'> {
  const rows = Object.values(tables).reduce((sum, table) => sum + table.rows, 0);
  return { rows, rejectedRows: rejects.count };
}

function emitWarning(message: string): void {
  process.emitWarning(message, 'BitloomWarning');
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
