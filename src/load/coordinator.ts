/**
 * One load, from files to staging. The coordinator plans chunks, keeps the pool busy within the memory budget, confirms
 * results in file order, and merges a field as soon as every table that feeds it is confirmed. It decides and waits;
 * every byte is touched in the workers.
 *
 * It ends in one of two ways: all of the dump in staging, or an error after every worker has stopped.
 */
import type { FieldDefinition, IndexDefinition, TableDefinition } from '../config/definition.ts';
import { BitloomError } from '../errors.ts';
import { DictionarySegment } from '../index/dictionary-segment.ts';
import type { SegmentBytes } from '../index/segment.ts';
import type { SegmentMemory } from '../index/segment-memory.ts';
import type { SpillSpace } from '../index/spill-file.ts';
import type { FieldSegments, VersionSegments } from '../index/version.ts';
import { type ChunkMessage, NO_FIELD } from './accumulator-message.ts';
import {
  type PoolTask,
  PROGRESS_BYTES,
  PROGRESS_COUNTERS,
  PROGRESS_REJECTS,
  PROGRESS_ROWS,
  type ScanResult,
  type SharedState,
} from './chunk-messages.ts';
import { mergeDictionaries } from './dictionaries.ts';
import { readHead } from './head.ts';
import { MemoryBudget } from './memory-budget.ts';
import type { FieldMerge, FieldSource, Merge, RunResolution } from './merge.ts';
import { narrowedTo } from './merge-parts.ts';
import { resolveByBounds } from './merge-runs.ts';
import { partBytes } from './merge-weight.ts';
import { isInMemory } from './message-blocks.ts';
import { MessageMemory } from './message-memory.ts';
import type { LoadProgress, LoadSettings, TableReport } from './options.ts';
import { planChunks } from './planner.ts';
import type { LoadPool } from './pool.ts';
import { ProgressReporter } from './progress.ts';
import { RejectLog } from './reject-log.ts';
import { assertUnchanged, inspectSource, type Source } from './source.ts';
import { Staging } from './staging.ts';
import { type PlannedChunk, TableLoad } from './table-load.ts';

export interface DumpRequest {
  readonly definition: IndexDefinition;
  /** Table name → file. */
  readonly files: Readonly<Record<string, string>>;
  readonly settings: LoadSettings;
  readonly pool: LoadPool;
  /** Segments of the version being served: merge mode builds on them, dictionaries always do. */
  readonly previous: VersionSegments;
  /** The caller holds `previous` in it. */
  readonly memory: SegmentMemory;
  /** Where a large load puts what it does not keep in memory. */
  readonly spillDirectory: string;
  readonly onProgress: ((progress: LoadProgress) => void) | null;
  readonly signal: AbortSignal;
}

export interface StagedDump {
  readonly staging: Staging;
  readonly tables: Record<string, TableReport>;
  readonly rejects: RejectLog;
  readonly progress: ProgressReporter;
}

/** A task for a thread. `done` runs on the coordinator's thread with the result. */
interface Job {
  readonly task: PoolTask;
  readonly estimatedBytes: number;
  readonly done: (result: never) => void;
}

/** A segment to be made, the heavier the sooner. */
interface PendingMerge {
  readonly merge: Merge;
  /** What it reads, and about what it needs besides. */
  readonly inputBytes: number;
  /** Tables whose chunks it reads. */
  readonly tables: readonly TableLoad[];
  readonly stage: (segment: SegmentBytes) => void;
}

/** What merges read in about the time that it takes to wake a thread. */
const MERGE_TASK_BYTES_MIN = 256 * 1024;
const NO_RESOLUTION: RunResolution = { losses: [], duplicateRows: 0 };

/**
 * Errors: those of sources, rows over budget, MEMORY_LIMIT, SPILL_FAILED, LOAD_CANCELLED, WORKER_CRASHED. Nothing of it
 * is visible.
 */
export async function stageDump(request: DumpRequest): Promise<StagedDump> {
  const tables = selectTables(request.definition, request.files);
  const sources = await Promise.all(tables.map((table) => inspectSource(table, request.files[table.name])));
  const rejects = new RejectLog(request.settings.maxRejects, request.settings.rejectsFile);
  const shared: SharedState = {
    stop: new Int32Array(new SharedArrayBuffer(4)),
    progress: new BigInt64Array(new SharedArrayBuffer(8 * PROGRESS_COUNTERS)),
  };
  const bytesTotal = sources.reduce((sum, source) => sum + source.bytes, 0);
  const progress = new ProgressReporter(shared.progress, bytesTotal, request.onProgress);
  const messageMemory = new MessageMemory(request.pool.spareBlocks, request.settings);
  try {
    progress.enter('plan');
    messageMemory.open(sources, request.spillDirectory);
    const loads = await Promise.all(sources.map((source) => planTable(source, request.settings)));
    const coordinator = new Coordinator(request, loads, shared, messageMemory, rejects, progress);
    await coordinator.run();
    await Promise.all(sources.map(assertUnchanged));
    return { staging: coordinator.staging, tables: coordinator.reports(), rejects, progress };
  } catch (error) {
    progress.stop();
    throw error;
  } finally {
    messageMemory.close(request.pool.idle());
    rejects.close();
  }
}

class Coordinator {
  readonly staging = new Staging();
  readonly #request: DumpRequest;
  readonly #tables: readonly TableLoad[];
  readonly #shared: SharedState;
  readonly #messageMemory: MessageMemory;
  readonly #rejects: RejectLog;
  readonly #progress: ProgressReporter;
  readonly #budget: MemoryBudget;
  readonly #resolveJobs: Job[] = [];
  /** They free memory and so go before further scans. */
  readonly #merges: PendingMerge[] = [];
  /** By table: which rows win; set once the table is complete and resolved. */
  readonly #resolutions = new Map<TableLoad, RunResolution>();
  /** Fields whose merge has been queued, with the number of merges still to end per table. */
  readonly #mergedFields = new Set<string>();
  readonly #pendingMerges = new Map<TableLoad, number>();
  readonly #partBytes = new Map<TableLoad, number>();
  #runningCount = 0;
  #failure: unknown = null;
  #finish: () => void = () => {};

  constructor(
    request: DumpRequest,
    tables: readonly TableLoad[],
    shared: SharedState,
    messageMemory: MessageMemory,
    rejects: RejectLog,
    progress: ProgressReporter,
  ) {
    this.#request = request;
    this.#tables = tables;
    this.#shared = shared;
    this.#messageMemory = messageMemory;
    this.#rejects = rejects;
    this.#progress = progress;
    this.#budget = new MemoryBudget(request.settings.memoryLimitBytes);
    for (const table of tables) this.#pendingMerges.set(table, countMerges(table.source.table));
  }

  async run(): Promise<void> {
    const { signal } = this.#request;
    const cancel = (): void => this.#fail(cancelled(signal.reason));
    if (signal.aborted) throw cancelled(signal.reason);
    signal.addEventListener('abort', cancel);
    this.#progress.enter('scan');
    try {
      await new Promise<void>((resolve) => {
        this.#finish = resolve;
        this.#pump();
      });
    } finally {
      signal.removeEventListener('abort', cancel);
    }
    if (this.#failure !== null) throw this.#failure;
    this.#assertDone();
  }

  /** Publishing half a dump is the one thing that must not happen, so the end is proved and not assumed. */
  #assertDone(): void {
    for (const table of this.#tables) {
      if (table.complete && this.#pendingMerges.get(table) === 0) continue;
      throw new BitloomError(
        'INTERNAL',
        `table ${table.source.table.name} was not loaded to its end; nothing was published`,
        {
          hint: 'this is a fault of the program: please report it with the definition and the shape of the file',
        },
      );
    }
  }

  reports(): Record<string, TableReport> {
    const reports: Record<string, TableReport> = {};
    for (const table of this.#tables) {
      reports[table.source.table.name] = table.report(this.#resolutions.get(table)?.duplicateRows ?? 0);
    }
    return reports;
  }

  /** Starts jobs while threads and memory last; finishes when nothing runs and nothing is left, or after a failure. */
  #pump(): void {
    while (this.#failure === null && this.#runningCount < this.#request.settings.threads) {
      const job = this.#nextJob();
      if (job === null) break;
      this.#start(job);
    }
    if (this.#runningCount === 0) this.#finish();
  }

  #nextJob(): Job | null {
    const resolveJob = this.#resolveJobs.shift();
    if (resolveJob !== undefined) return resolveJob;
    if (this.#merges.length > 0) return this.#nextMergeJob();
    for (const table of this.#tables) {
      const chunk = table.peekChunk();
      if (chunk === null) continue;
      const estimatedBytes = this.#messageMemory.estimateScan(table.source, chunk);
      if (!this.#hold(estimatedBytes)) return null;
      table.takeChunk();
      this.#progress.workingOn(table.source.table.name);
      return this.#scanJob(table, chunk, estimatedBytes);
    }
    return null;
  }

  /** A permit for `bytes`; if none can ever come free, the load has failed. */
  #hold(bytes: number): boolean {
    if (this.#budget.tryHold(bytes)) return true;
    if (this.#runningCount === 0) this.#fail(this.#budget.exhausted(bytes));
    return false;
  }

  #start(job: Job): void {
    this.#runningCount++;
    this.#request.pool
      .run(job.task)
      .then((result) => {
        if (this.#failure === null) job.done(result as never);
      })
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#runningCount--;
        this.#pump();
      });
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    Atomics.store(this.#shared.stop, 0, 1);
    if (this.#runningCount === 0) this.#finish();
  }

  #scanJob(table: TableLoad, chunk: PlannedChunk, estimatedBytes: number): Job {
    const { source } = table;
    const definition = source.table;
    return {
      estimatedBytes,
      task: {
        kind: 'scan',
        table: definition,
        columns: table.columns,
        file: source.file,
        path: source.path,
        gzip: source.gzip,
        fileBytes: source.bytes,
        start: chunk.start,
        end: chunk.end,
        startExact: chunk.startExact,
        skipHeader: chunk.start === 0 && definition.csv.columns === null,
        chunkLines: this.#request.settings.chunkLines,
        rejectsMax: this.#request.settings.maxRejects,
        spareBlocks: this.#messageMemory.takeSpare(source, chunk),
        room: this.#messageMemory.room,
        shared: this.#shared,
      },
      done: (result: ScanResult) => this.#scanned(table, chunk, estimatedBytes, result),
    };
  }

  #scanned(table: TableLoad, chunk: PlannedChunk, estimatedBytes: number, result: ScanResult): void {
    this.#messageMemory.giveSpare(result.spareBlocks);
    const heldBytes = resultBytes(result);
    this.#budget.replace(estimatedBytes, heldBytes);
    this.#partBytes.set(table, (this.#partBytes.get(table) ?? 0) + heldBytes);
    const confirmation = table.completeChunk(chunk, result, performance.now());
    for (const discarded of confirmation.discarded) this.#discard(table, discarded);
    this.#rejects.add(confirmation.rejects);
    if (table.complete) this.#tableComplete(table);
  }

  /** Takes back what a chunk that has to be scanned again had added. */
  #discard(table: TableLoad, result: ScanResult): void {
    for (const { accumulator } of result.parts) this.#messageMemory.giveBack(accumulator);
    const bytes = resultBytes(result);
    this.#budget.release(bytes);
    this.#partBytes.set(table, this.#partBytes.get(table)! - bytes);
    const { progress } = this.#shared;
    Atomics.sub(progress, PROGRESS_BYTES, BigInt(Math.max(result.end - result.start, 0)));
    Atomics.sub(progress, PROGRESS_ROWS, BigInt(result.rows));
    Atomics.sub(progress, PROGRESS_REJECTS, BigInt(result.rejectedRows));
  }

  #tableComplete(table: TableLoad): void {
    if (this.#tables.every(({ complete }) => complete)) this.#progress.enter('merge');
    const messages = messagesOf(table, NO_FIELD);
    const resolution = messages.some(({ singleValued }) => singleValued)
      ? resolveByBounds(messages)
      : NO_RESOLUTION;
    if (resolution !== null) {
      this.#resolved(table, resolution);
      return;
    }
    this.#resolveJobs.push({
      task: { kind: 'resolve', messages },
      estimatedBytes: 0,
      done: (resolution: RunResolution) => this.#resolved(table, resolution),
    });
  }

  /** Queues the merge of everything whose tables are all in. */
  #resolved(table: TableLoad, resolution: RunResolution): void {
    this.#resolutions.set(table, resolution);
    for (const { field } of table.source.table.fields) {
      const feeding = this.#tables.filter((other) => feeds(other, field));
      if (this.#mergedFields.has(field.name) || !feeding.every((other) => this.#resolutions.has(other)))
        continue;
      this.#mergedFields.add(field.name);
      this.#queueFieldMerges(field, feeding);
    }
    const aliveTables = this.#tables.filter((other) => other.source.table.alive);
    if (table.source.table.alive && aliveTables.every((other) => this.#resolutions.has(other))) {
      this.#queueAliveMerge(aliveTables);
    }
  }

  #queueFieldMerges(field: FieldDefinition, feeding: readonly TableLoad[]): void {
    const previous = this.#request.previous.fields[field.name];
    const translations = field.type === 'string' ? this.#stageDictionary(field, feeding, previous) : null;
    const sources = feeding.map((table): FieldSource => {
      const mapping = table.source.table.fields.findIndex((other) => other.field.name === field.name);
      const { losses } = this.#resolutions.get(table)!;
      return {
        messages: messagesOf(table, mapping),
        losses,
        translations: translations?.get(table) ?? null,
      };
    });
    const inputBytes = sources.reduce((sum, { messages }) => sum + partBytes(messages), 0);
    const mergeMode = this.#request.settings.mode === 'merge';
    const space = this.#spaceFor(feeding);
    for (const kind of ['filter', 'sort'] as const) {
      if (!field[kind]) continue;
      const merge: FieldMerge = {
        field: field.name,
        many: field.many,
        sources,
        previous: mergeMode ? (previous?.[kind] ?? null) : null,
        memory: this.#request.memory.take(kind, field.name),
        space,
      };
      this.#queueMerge({
        merge: { kind, merge },
        inputBytes,
        tables: feeding,
        stage: (segment) => this.staging.set(field.name, kind, segment),
      });
    }
  }

  #queueAliveMerge(aliveTables: readonly TableLoad[]): void {
    const merge = {
      messages: aliveTables.flatMap((table) => messagesOf(table, NO_FIELD)),
      previous: this.#request.settings.mode === 'merge' ? this.#request.previous.alive : null,
      space: this.#spaceFor(aliveTables),
    };
    this.#queueMerge({
      merge: { kind: 'alive', merge },
      inputBytes: partBytes(merge.messages),
      tables: aliveTables,
      stage: (segment) => {
        this.staging.alive = segment;
      },
    });
  }

  /** Where what is merged of these tables puts what is too much for memory. */
  #spaceFor(tables: readonly TableLoad[]): SpillSpace | null {
    const parts = tables.flatMap((table) => table.parts);
    return this.#messageMemory.spaceFor(parts.map(({ accumulator }) => accumulator));
  }

  #queueMerge(merge: PendingMerge): void {
    this.#merges.push(merge);
    this.#merges.sort((a, b) => b.inputBytes - a.inputBytes);
  }

  /** The heaviest merge, or several light ones: waking a thread for each would take longer than they do. */
  #nextMergeJob(): Job | null {
    const share = this.#merges.slice(0, countForOneTask(this.#merges, this.#request.settings.threads));
    const taken = this.#budget.hasRoomFor(inputBytesOf(share)) ? share : this.#merges.slice(0, 1);
    const estimatedBytes = inputBytesOf(taken);
    if (!this.#hold(estimatedBytes)) return null;
    this.#merges.splice(0, taken.length);
    return {
      estimatedBytes,
      task: { kind: 'merge', merges: taken.map(({ merge }) => merge) },
      done: (segments: readonly SegmentBytes[]) => {
        taken.forEach(({ inputBytes, tables, stage }, index) => {
          stage(segments[index]);
          this.#budget.replace(inputBytes, segments[index].byteLength);
          for (const table of tables) this.#mergeEnded(table);
        });
      },
    };
  }

  #mergeEnded(table: TableLoad): void {
    const pending = this.#pendingMerges.get(table)! - 1;
    this.#pendingMerges.set(table, pending);
    if (pending > 0) return;
    for (const { accumulator } of table.parts) this.#messageMemory.giveBack(accumulator);
    table.releaseParts();
    this.#budget.release(this.#partBytes.get(table) ?? 0);
    this.#partBytes.delete(table);
  }

  /** The dictionary of the field with every string of the dump, and the codes of each chunk translated to it. */
  #stageDictionary(
    field: FieldDefinition,
    feeding: readonly TableLoad[],
    previous: FieldSegments | undefined,
  ): Map<TableLoad, readonly Uint32Array[]> {
    const known = previous?.dictionary === undefined ? undefined : new DictionarySegment(previous.dictionary);
    const locals = feeding.flatMap((table) => {
      const mapping = table.source.table.fields.findIndex((other) => other.field.name === field.name);
      return table.parts.map((part) => part.strings[mapping]!);
    });
    const { segment, translations } = mergeDictionaries(known, locals);
    this.staging.set(field.name, 'dictionary', segment);
    const byTable = new Map<TableLoad, readonly Uint32Array[]>();
    let next = 0;
    for (const table of feeding) {
      byTable.set(table, translations.slice(next, next + table.parts.length));
      next += table.parts.length;
    }
    return byTable;
  }
}

/** The tables of the dump in definition order. Error TABLE_UNKNOWN names the ones that exist. */
function selectTables(
  definition: IndexDefinition,
  files: Readonly<Record<string, string>>,
): TableDefinition[] {
  const known = definition.tables.map(({ name }) => name);
  for (const name of Object.keys(files)) {
    if (!known.includes(name)) {
      throw new BitloomError('TABLE_UNKNOWN', `the definition has no table ${name}`, {
        hint: `its tables are ${known.join(', ')}`,
      });
    }
  }
  const tables = definition.tables.filter(({ name }) => Object.hasOwn(files, name));
  if (tables.length === 0) {
    throw new BitloomError('DUMP_EMPTY', 'the load names no file', {
      hint: `give a file for at least one of the tables ${known.join(', ')}`,
    });
  }
  return tables;
}

async function planTable(source: Source, settings: LoadSettings): Promise<TableLoad> {
  const startedAtMs = performance.now();
  const head = await readHead(source);
  // A gzip stream has no byte ranges: one task reads it from end to end and cuts it into parts by lines.
  const ranges = source.gzip
    ? [{ start: 0, end: Number.MAX_SAFE_INTEGER }]
    : planChunks({
        bytes: source.bytes,
        threads: settings.threads,
        chunkLines: settings.chunkLines,
        averageLineBytes: head.averageLineBytes,
      });
  return new TableLoad(source, head.columns, ranges, startedAtMs);
}

/** How many of the merges, heaviest first, one task takes: a thread's share of what is left, or at least a few. */
function countForOneTask(merges: readonly PendingMerge[], threads: number): number {
  const bytesMax = Math.max(inputBytesOf(merges) / threads, MERGE_TASK_BYTES_MIN);
  let bytes = merges[0].inputBytes;
  let count = 1;
  while (count < merges.length && bytes + merges[count].inputBytes <= bytesMax) {
    bytes += merges[count++].inputBytes;
  }
  return count;
}

function inputBytesOf(merges: readonly PendingMerge[]): number {
  return merges.reduce((sum, { inputBytes }) => sum + inputBytes, 0);
}

/** The chunks of a table as far as one of its mapped fields goes, or NO_FIELD. */
function messagesOf(table: TableLoad, field: number): ChunkMessage[] {
  return table.parts.map((part) => narrowedTo(part.accumulator, field));
}

function countMerges(table: TableDefinition): number {
  return table.fields.reduce(
    (sum, { field }) => sum + Number(field.filter) + Number(field.sort),
    Number(table.alive),
  );
}

function feeds(table: TableLoad, field: FieldDefinition): boolean {
  return table.source.table.fields.some((mapping) => mapping.field.name === field.name);
}

function resultBytes(result: ScanResult): number {
  let bytes = 0;
  for (const part of result.parts) {
    for (const block of part.accumulator.blocks) if (isInMemory(block)) bytes += block.byteLength;
  }
  return bytes;
}

/** What a load ends with when its signal is aborted. */
export function cancelled(reason: unknown): BitloomError {
  return new BitloomError('LOAD_CANCELLED', 'the load was cancelled; nothing was published', {
    cause: reason,
  });
}
