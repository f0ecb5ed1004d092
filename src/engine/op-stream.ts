/**
 * The stream of accepted batches and the version that has them. A batch is durable in the journal first, then applied,
 * in the order of the journal, so that what is in memory is always the base with the records after its mark, and can be
 * made again from both.
 *
 * That is how the base is exchanged, be it for a compacted one or for that of a dump: a new version over the new base
 * takes the records after the mark while the old one goes on, and takes its place once it has caught up. A query sees one
 * or the other; nothing that was accepted is lost.
 */
import { setImmediate } from 'node:timers/promises';
import { BitloomError } from '../errors.ts';
import type { BaseVersion } from '../index/base-version.ts';
import { DeltaVersion, type VersionChanges } from '../index/delta-version.ts';
import { SegmentMemory } from '../index/segment-memory.ts';
import type { LogPosition } from '../log/log-position.ts';
import type { LogRecord } from '../log/log-reader.ts';
import { CoalescerSink } from '../ops/coalescer-sink.ts';
import type { OpBatch } from '../ops/op.ts';
import { decodeBatch } from '../ops/op-codec.ts';
import { processBatch } from '../ops/processor.ts';
import { type SourcePosition, SourceTable } from '../ops/source-table.ts';
import type { Journal } from './journal.ts';

/** What a base is made of: an older one and the changes up to a mark. */
export interface StreamSnapshot {
  readonly mark: StreamMark;
  readonly base: BaseVersion;
  readonly changes: VersionChanges;
  /** To be called once, by whoever has the snapshot, when it reads the base no more. */
  readonly release: () => void;
}

/** A place in the stream. */
export interface StreamMark {
  readonly position: LogPosition;
  /** Batches applied up to there, since the index was opened. */
  readonly batchCount: number;
  readonly bytes: number;
  /** Where the sources are there. */
  readonly sources: readonly SourcePosition[];
}

/** A version on its way to take the place of the one there is. */
interface Successor {
  readonly version: DeltaVersion;
  readonly sink: CoalescerSink;
  /** It has everything up to here. */
  position: LogPosition;
  batchCount: number;
}

/** Rounds of catching up beside the stream before it is held for the rest. */
const CATCH_UP_ROUNDS = 4;

/** Milliseconds of applying batches after which queries get a turn. */
const TURN_MS = 5;

export class OpStream {
  /** Holds the base for as long as it is that of the version. */
  readonly memory = new SegmentMemory();
  readonly #journal: Journal;
  #version: DeltaVersion;
  #sink: CoalescerSink;
  /** Everything up to here is applied. */
  #position: LogPosition;
  readonly #sources: SourceTable;
  #batchCount = 0;
  #bytes = 0;
  /** Up to here the base has everything. */
  #baseMark: StreamMark;
  #releaseBase: () => void;
  /** The last batch that waits to be durable and applied. */
  #tail: Promise<unknown> = Promise.resolve();
  #turnStartMs = 0;
  #failure: BitloomError | null = null;

  /** @param sources where the sources are at `position`, up to which the base has everything */
  constructor(
    journal: Journal,
    base: BaseVersion,
    position: LogPosition,
    sources: readonly SourcePosition[] = [],
  ) {
    this.#sources = new SourceTable(sources);
    this.#journal = journal;
    this.#version = new DeltaVersion(base);
    this.#sink = new CoalescerSink(this.#version);
    this.#position = position;
    this.#baseMark = this.mark();
    this.#releaseBase = this.memory.hold(base.segments);
  }

  /** @throws BitloomError INDEX_BROKEN when a batch could not be applied in full. */
  get version(): DeltaVersion {
    if (this.#failure !== null) throw this.#failure;
    return this.#version;
  }

  get position(): LogPosition {
    return this.#position;
  }

  get baseMark(): StreamMark {
    return this.#baseMark;
  }

  get sources(): SourcePosition[] {
    return this.#sources.list();
  }

  /** Bytes of the batches that the base does not have. */
  get bytesSinceBase(): number {
    return this.#bytes - this.#baseMark.bytes;
  }

  mark(): StreamMark {
    return {
      position: this.#position,
      batchCount: this.#batchCount,
      bytes: this.#bytes,
      sources: this.sources,
    };
  }

  /**
   * Applies the records after the base: those of the journal, or of a log that somebody else writes. To be called once,
   * before anything else.
   * @throws BitloomError those of the journal and of `decodeBatch`.
   */
  async replay(records: AsyncIterable<LogRecord> = this.#journal.read(this.#position)): Promise<void> {
    for await (const { position, payload } of records) {
      this.#apply(decodeBatch(payload, this.#version.definition), position, payload.length);
    }
  }

  /**
   * Resolves when the batch, given encoded too, is durable and visible. Batches become visible in the order of the calls.
   * @throws BitloomError those of the journal's `append`: then nothing is applied.
   */
  write(payload: Uint8Array, batch: OpBatch): Promise<LogPosition> {
    const appended = this.#journal.append(payload);
    // Its failure is met in turn; until then somebody has to listen.
    appended.catch(() => {});
    const applied = this.#tail.then(async () => {
      const position = await appended;
      // Batches that shared a flush arrive together.
      if (performance.now() - this.#turnStartMs > TURN_MS) {
        await setImmediate();
        this.#turnStartMs = performance.now();
      }
      // While it waited, the base may have become that of another definition.
      const isCurrent = batch.fields === this.#version.definition.fields;
      this.#apply(
        isCurrent ? batch : decodeBatch(payload, this.#version.definition),
        position,
        payload.length,
      );
      return position;
    });
    this.#tail = applied.catch(() => {});
    return applied;
  }

  /**
   * The changes that the batches given so far make, and no later ones: those wait. Between two fields there is time for
   * queries.
   */
  snapshot(): Promise<StreamSnapshot> {
    const taken = this.#tail.then(async () => {
      const { version } = this;
      const { base } = version;
      const mark = this.mark();
      const steps = version.takeChanges();
      const release = this.memory.hold(base.segments);
      try {
        for (;;) {
          const step = steps.next();
          if (step.done === true) return { mark, base, changes: step.value, release };
          await setImmediate();
        }
      } catch (error) {
        release();
        throw error;
      }
    });
    this.#tail = taken.catch(() => {});
    return taken;
  }

  /** Resolves when every batch given so far is applied or has failed. */
  async drained(): Promise<void> {
    await this.#tail;
  }

  /**
   * Goes over to a base that has everything up to a mark. Resolves right after the step.
   * @throws BitloomError LOG_DAMAGED when the journal has lost a record since; then the version stays as it was.
   */
  async moveTo(base: BaseVersion, mark: StreamMark): Promise<void> {
    const release = this.memory.hold(base.segments);
    try {
      await this.#moveTo(base, mark);
    } catch (error) {
      release();
      throw error;
    }
    this.#releaseBase();
    this.#releaseBase = release;
  }

  async #moveTo(base: BaseVersion, mark: StreamMark): Promise<void> {
    const version = new DeltaVersion(base);
    const successor: Successor = { version, sink: new CoalescerSink(version), ...mark };
    // Every round leaves what came during it, which is less if replaying is faster than what sends; the last holds it.
    for (let round = 0; round < CATCH_UP_ROUNDS; round++) await this.#catchUp(successor);
    const moved = this.#tail.then(async () => {
      await this.#catchUp(successor);
      if (successor.batchCount !== this.#batchCount) throw damaged();
      this.#version = successor.version;
      this.#sink = successor.sink;
      this.#baseMark = mark;
    });
    this.#tail = moved.catch(() => {});
    await moved;
  }

  /** Applies to the next version what is applied by now. Between two batches there is time for queries. */
  async #catchUp(successor: Successor): Promise<void> {
    const target = this.#position.sequence;
    while (successor.position.sequence < target) {
      const before = successor.position;
      for await (const { position, payload } of this.#journal.read(before)) {
        // Durable, but not applied yet: it will be, by whoever waits for it.
        if (position.sequence > target) break;
        processBatch(decodeBatch(payload, successor.version.definition), successor.sink);
        successor.position = position;
        successor.batchCount++;
        if (position.sequence === target) break;
        await setImmediate();
      }
      if (successor.position === before) throw damaged();
    }
  }

  /** Lets the journal go up to a position that is durable elsewhere. */
  async removeBelow(position: LogPosition): Promise<void> {
    await this.#journal.removeBelow(position);
  }

  /** @throws whatever a record makes impossible; the version is then of no use. */
  #apply(batch: OpBatch, position: LogPosition, bytes: number): void {
    if (this.#failure !== null) throw this.#failure;
    try {
      processBatch(batch, this.#sink);
    } catch (cause) {
      this.#failure = new BitloomError('INDEX_BROKEN', 'a batch of ops could not be applied in full', {
        hint: 'open the index again; what was accepted is in its op log',
        cause,
      });
      throw this.#failure;
    }
    this.#sources.applied(batch.meta);
    this.#position = position;
    this.#batchCount++;
    this.#bytes += bytes;
  }
}

function damaged(): BitloomError {
  return new BitloomError('LOG_DAMAGED', 'the op log has lost a record that the index in memory still has', {
    hint: 'see the quarantine folder of the log; the index goes on and is stored with the next checkpoint',
  });
}
