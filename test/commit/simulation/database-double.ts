/**
 * The database of the commit protocol in memory: every method is one atomic step with the meaning that the port
 * (commit-storage.ts) gives it. It keeps all versions of every key and tells an observer what it does.
 */
import { bytesToHex, bytesToLatin1 } from '../../../src/commit/byte-order.ts';
import { CommitError } from '../../../src/commit/commit-error.ts';
import type {
  AppliedBatch,
  ApplyResult,
  Claim,
  KeyRange,
  KeyValue,
  Lease,
  Outcome,
  QueuedRequest,
  Tail,
} from '../../../src/commit/commit-storage.ts';

/** A key that begins so cannot be stored. */
export const POISON = 'x';

/** Told of what has just been done. */
export interface DatabaseObserver {
  onEnqueued(request: QueuedRequest): void;
  onAcquired(epoch: number, durableVersion: number): void;
  onApplied(batch: AppliedBatch, payloads: ReadonlyMap<string, Uint8Array>): void;
  onPruned(readableVersion: number, outcomeVersion: number): void;
}

interface StoredOutcome extends Outcome {
  readonly ranges?: Uint8Array;
  /** Withdrawn when its record could have been pruned: nothing will happen any more, what did is not known. */
  readonly isUnknown?: boolean;
}

interface Cell {
  readonly key: Uint8Array;
  /** Ascending by version; undefined is absence. */
  readonly versions: { readonly version: number; readonly value: Uint8Array | undefined }[];
}

export class DatabaseDouble {
  durableVersion = 0;
  readableVersion = 0;
  outcomeVersion = 0;
  epoch = 0;
  leader = '';
  expiresAtMs = 0;
  isDown = false;
  readonly queue = new Map<string, QueuedRequest & { readonly enqueuedAtMs: number }>();
  readonly outcomes = new Map<string, StoredOutcome>();
  /** The payload that was last put into the queue under each id. */
  readonly payloads = new Map<string, Uint8Array>();
  readonly #cells = new Map<string, Cell>();
  readonly #timeMs: () => number;
  readonly #observer: DatabaseObserver;

  constructor(timeMs: () => number, observer: DatabaseObserver) {
    this.#timeMs = timeMs;
    this.#observer = observer;
  }

  /** Crash recovery: the queue is not logged. */
  crash(): void {
    this.queue.clear();
  }

  get(keys: readonly Uint8Array[], asOf: number | undefined) {
    const version = this.#checkReadable(asOf);
    return { version, values: keys.map((key) => valueAt(this.#cells.get(bytesToLatin1(key)), version)) };
  }

  getRange(
    range: KeyRange,
    options: { readonly limit: number; readonly bytesMax: number; readonly reverse: boolean },
    asOf: number | undefined,
  ) {
    const version = this.#checkReadable(asOf);
    const pairs = this.scan(range, version);
    if (options.reverse) pairs.reverse();
    let bytes = 0;
    let count = 0;
    while (count < pairs.length && count < options.limit && (count === 0 || bytes < options.bytesMax)) {
      bytes += pairs[count].key.length + pairs[count].value.length;
      count++;
    }
    return { version, pairs: pairs.slice(0, count), more: count < pairs.length };
  }

  /** All pairs of a range as of a version. */
  scan(range: KeyRange, version: number): KeyValue[] {
    const [begin, end] = [bytesToLatin1(range.begin), bytesToLatin1(range.end)];
    const keys = Array.from(this.#cells.keys()).filter((key) => key >= begin && key < end);
    return keys.sort().flatMap((text) => {
      const cell = this.#cells.get(text)!;
      const value = valueAt(cell, version);
      return value === undefined ? [] : [{ key: cell.key, value }];
    });
  }

  now() {
    return { version: this.durableVersion, databaseTimeMs: this.#timeMs() };
  }

  enqueue(requests: readonly QueuedRequest[]) {
    for (const request of requests) {
      const id = bytesToHex(request.id);
      this.#observer.onEnqueued(request);
      if (this.queue.has(id)) continue;
      this.payloads.set(id, request.payload);
      this.queue.set(id, { ...request, enqueuedAtMs: this.#timeMs() });
    }
    return { databaseTimeMs: this.#timeMs() };
  }

  readOutcomes(ids: readonly Uint8Array[]): Outcome[] {
    return ids.flatMap((id) => {
      const outcome = this.outcomes.get(bytesToHex(id));
      return outcome === undefined || outcome.isUnknown ? [] : [outcome];
    });
  }

  withdraw(requests: readonly { readonly id: Uint8Array; readonly bornVersion: number }[]) {
    return requests.map(({ id, bornVersion }): Outcome | undefined => {
      const key = bytesToHex(id);
      let recorded = this.outcomes.get(key);
      if (recorded === undefined) {
        const isUnknown = this.outcomeVersion > bornVersion;
        recorded = { id, verdict: 'withdrawn', version: this.durableVersion, isUnknown };
        this.outcomes.set(key, recorded);
        this.queue.delete(key);
      }
      return recorded.isUnknown ? undefined : recorded;
    });
  }

  acquireLease(leader: string, leaseMs: number): Lease | undefined {
    if (this.leader !== leader && this.expiresAtMs > this.#timeMs()) return undefined;
    this.epoch++;
    this.leader = leader;
    this.expiresAtMs = this.#timeMs() + leaseMs;
    this.#observer.onAcquired(this.epoch, this.durableVersion);
    return { epoch: this.epoch, durableVersion: this.durableVersion };
  }

  renewLease(epoch: number, leaseMs: number): boolean {
    if (this.epoch !== epoch || this.leader === '') return false;
    this.expiresAtMs = this.#timeMs() + leaseMs;
    return true;
  }

  releaseLease(epoch: number): boolean {
    if (this.epoch !== epoch || this.leader === '') return false;
    this.leader = '';
    this.expiresAtMs = 0;
    return true;
  }

  claim(limits: { readonly countMax: number; readonly bytesMax: number }): Claim {
    const requests: QueuedRequest[] = [];
    const decided: (Outcome & { node: string })[] = [];
    let bytes = 0;
    let oldestWaitMs = 0;
    for (const [id, request] of this.queue) {
      const outcome = this.outcomes.get(id);
      if (outcome !== undefined) {
        this.queue.delete(id);
        if (!outcome.isUnknown) decided.push({ ...outcome, node: request.node });
        continue;
      }
      if (requests.length === 0) oldestWaitMs = this.#timeMs() - request.enqueuedAtMs;
      bytes += request.payload.length;
      if (requests.length === limits.countMax || (requests.length > 0 && bytes > limits.bytesMax)) break;
      requests.push({ id: request.id, node: request.node, payload: request.payload });
    }
    return { requests, decided, databaseTimeMs: this.#timeMs(), oldestWaitMs };
  }

  readBase(keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    return keys.map((key) => valueAt(this.#cells.get(bytesToLatin1(key)), this.durableVersion));
  }

  apply(batch: AppliedBatch): ApplyResult {
    if (batch.epoch !== this.epoch || batch.previousVersion !== this.durableVersion) return 'fenced';
    if (batch.outcomes.some(({ id }) => this.outcomes.has(bytesToHex(id)))) return 'decided';
    if (batch.upserts.some(({ key }) => key[0] === POISON.charCodeAt(0))) {
      const details = { sqlstate: '22021' };
      throw new CommitError('STATEMENT_FAILED', 'the database does not take this key', { details });
    }
    const hasWinners = batch.outcomes.some(({ verdict }) => verdict === 'committed');
    if (hasWinners && this.#timeMs() > batch.notAfterMs) return 'decided';
    this.applyUnchecked(batch);
    return 'applied';
  }

  applyUnchecked(batch: AppliedBatch): void {
    for (const outcome of batch.outcomes) {
      const id = bytesToHex(outcome.id);
      this.outcomes.set(id, outcome);
      this.queue.delete(id);
    }
    for (const range of batch.clearedRanges) {
      for (const { key } of this.scan(range, this.durableVersion)) this.#write(key, undefined, batch.version);
    }
    for (const key of batch.deletes) this.#write(key, undefined, batch.version);
    for (const { key, value } of batch.upserts) this.#write(key, value, batch.version);
    this.durableVersion = batch.version;
    this.expiresAtMs = this.#timeMs() + batch.leaseMs;
    this.#observer.onApplied(batch, this.payloads);
  }

  prune(epoch: number, floors: { readonly readableVersion: number; readonly outcomeVersion: number }): void {
    if (epoch !== this.epoch) return;
    this.readableVersion = Math.max(this.readableVersion, floors.readableVersion);
    this.outcomeVersion = Math.max(this.outcomeVersion, floors.outcomeVersion);
    for (const [id, { version }] of this.outcomes) {
      // Not those of the floor itself: as long as that is the durable version, new ones are made.
      if (version < this.outcomeVersion) this.outcomes.delete(id);
    }
    this.#observer.onPruned(floors.readableVersion, floors.outcomeVersion);
  }

  tail(afterVersion: number, limit: number): Tail {
    const commits = Array.from(this.outcomes.values())
      .flatMap(({ version, ranges, verdict }) =>
        verdict === 'committed' && version > afterVersion && ranges ? [{ version, ranges }] : [],
      )
      .sort((left, right) => left.version - right.version);
    const isCut = commits.length > limit;
    if (isCut) commits.length = limit;
    const throughVersion = isCut ? commits[limit - 1].version : Math.max(afterVersion, this.durableVersion);
    return { commits, throughVersion, prunedVersion: this.outcomeVersion };
  }

  #write(key: Uint8Array, value: Uint8Array | undefined, version: number): void {
    const text = bytesToLatin1(key);
    let cell = this.#cells.get(text);
    if (cell === undefined) this.#cells.set(text, (cell = { key, versions: [] }));
    const { versions } = cell;
    if (versions.at(-1)?.version === version) versions.pop();
    versions.push({ version, value });
  }

  #checkReadable(asOf: number | undefined): number {
    const version = asOf ?? this.durableVersion;
    if (version >= this.readableVersion) return version;
    throw new CommitError('TRANSACTION_TOO_OLD', `nothing is known of version ${version} any more`);
  }
}

function valueAt(cell: Cell | undefined, version: number): Uint8Array | undefined {
  return cell?.versions.findLast((write) => write.version <= version)?.value;
}
