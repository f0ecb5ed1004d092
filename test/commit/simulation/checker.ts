/**
 * What must hold of every run. The database's own log of applied batches, in version order, is the history that all else
 * is held against: what transactions read, what they were told, and when. It knows nothing of how the protocol works.
 */
import { bytesToHex, bytesToLatin1 } from '../../../src/commit/byte-order.ts';
import type { AppliedBatch, KeyRange, QueuedRequest } from '../../../src/commit/commit-storage.ts';
import type { CommitTimings } from '../../../src/commit/commit-timings.ts';
import type { Operation } from '../../../src/commit/operation.ts';
import { decodeRanges } from '../../../src/commit/range-codec.ts';
import { type CommitRequest, decodeRequest } from '../../../src/commit/request-codec.ts';
import { type DatabaseObserver, POISON } from './database-double.ts';
import { applyNaively, type NaiveStore, scanNaively, writtenNaively } from './naive-store.ts';

/** One run of a transaction's function, and what became of it. */
export interface Attempt {
  /** Written under MARKER by every attempt that writes, so that its commit can be told in the log. */
  readonly token: string;
  readonly reads: ObservedRead[];
  /** The highest version acknowledged to anybody when the transaction began, and when the attempt began. */
  readonly acknowledgedBefore: number;
  readonly acknowledgedBeforeAttempt: number;
  readonly isReadOnly: boolean;
  /** Of its snapshot; undefined without reads. */
  readVersion: number | undefined;
  end: 'open' | 'committed' | 'failed' | 'unknown';
  commitVersion: number;
}

export type ObservedRead =
  | { readonly kind: 'get'; readonly key: string; readonly value: string | undefined }
  | {
      readonly kind: 'range';
      readonly begin: string;
      readonly end: string;
      readonly limit: number;
      readonly reverse: boolean;
      readonly pairs: readonly (readonly [string, string])[];
    };

export const MARKER = 'm';

export interface LoggedCommit {
  readonly version: number;
  readonly id: string;
  readonly token: string;
  readonly request: CommitRequest;
  readonly written: readonly (readonly [string, string])[];
}

export class Checker implements DatabaseObserver {
  readonly violations: string[] = [];
  readonly log: LoggedCommit[] = [];
  readonly attempts = new Map<string, Attempt>();
  /** The highest commit version that any client was told. */
  acknowledgedVersion = 0;
  tooOldCount = 0;
  readonly #nowMs: () => number;
  readonly #databaseTimeMs: () => number;
  readonly #timings: CommitTimings;
  readonly #committedIds = new Set<string>();
  /** The earliest of the copies of each request. */
  readonly #expiriesMs = new Map<string, number>();
  /** When which version became durable. */
  readonly #durableSince: { readonly atMs: number; readonly version: number }[] = [{ atMs: 0, version: 0 }];
  #epoch = 0;
  #termFloor = 0;
  #durableVersion = 0;

  constructor(nowMs: () => number, databaseTimeMs: () => number, timings: CommitTimings) {
    this.#nowMs = nowMs;
    this.#databaseTimeMs = databaseTimeMs;
    this.#timings = timings;
  }

  fail(invariant: string, what: string): void {
    this.violations.push(`${invariant}: ${what}`);
  }

  onEnqueued({ id, payload }: QueuedRequest): void {
    const { operations, writeRanges, expiresAtMs } = decodeRequest(payload);
    const key = bytesToHex(id);
    this.#expiriesMs.set(key, Math.min(expiresAtMs, this.#expiriesMs.get(key) ?? expiresAtMs));
    if (operations.length === 0 && writeRanges.length === 0)
      this.fail('I15', 'a read-only transaction was enqueued');
  }

  onAcquired(epoch: number, durableVersion: number): void {
    if (epoch <= this.#epoch) this.fail('I11', `epoch ${epoch} begins after epoch ${this.#epoch}`);
    this.#epoch = epoch;
    this.#termFloor = durableVersion;
  }

  onApplied(batch: AppliedBatch, payloads: ReadonlyMap<string, Uint8Array>): void {
    if (batch.epoch !== this.#epoch) this.fail('I11', `epoch ${batch.epoch} applies in epoch ${this.#epoch}`);
    if (batch.previousVersion !== this.#durableVersion) {
      this.fail('I10', `a batch on ${batch.previousVersion} is applied on ${this.#durableVersion}`);
    }
    let version = this.#durableVersion;
    for (const outcome of batch.outcomes) {
      const id = bytesToHex(outcome.id);
      const payload = payloads.get(id);
      if (payload === undefined) this.fail('I8', `request ${id} was never sent`);
      else if (outcome.verdict === 'committed') {
        if (outcome.version <= version) this.fail('I9', `version ${outcome.version} comes after ${version}`);
        version = outcome.version;
        this.#onCommit(id, version, payload, outcome.ranges);
      } else this.#onRefusal(id, outcome.verdict, version, payload);
    }
    if (batch.version !== version)
      this.fail('I10', `durable version ${batch.version} after commit ${version}`);
    this.#durableVersion = batch.version;
    this.#durableSince.push({ atMs: this.#nowMs(), version: batch.version });
  }

  onPruned(readableVersion: number, outcomeVersion: number): void {
    const { historyWindowMs, outcomeRetentionMs } = this.#timings;
    if (readableVersion > this.#durableAt(this.#nowMs() - historyWindowMs)) {
      this.fail('I21', `values of version ${readableVersion} are pruned within the window`);
    }
    if (outcomeVersion > this.#durableAt(this.#nowMs() - outcomeRetentionMs)) {
      this.fail('I21', `outcomes up to version ${outcomeVersion} are pruned within the retention`);
    }
  }

  /** A client has been told how its transaction ended. */
  onAnswer(attempt: Attempt, end: Attempt['end'], version: number): void {
    attempt.end = end;
    attempt.commitVersion = version;
    const logged = this.log.find(({ token }) => token === attempt.token);
    if (end === 'committed' && !attempt.isReadOnly) {
      if (logged?.version !== version) {
        this.fail('I5', `${attempt.token} was told version ${version} and has ${logged?.version}`);
      }
      if (version <= attempt.acknowledgedBefore) {
        this.fail(
          'I1',
          `${attempt.token} got version ${version} after ${attempt.acknowledgedBefore} was told`,
        );
      }
    }
    if (end === 'failed' && logged !== undefined) {
      this.fail('I6', `${attempt.token} was told that it failed and has version ${logged.version}`);
    }
    if (end === 'committed') this.acknowledgedVersion = Math.max(this.acknowledgedVersion, version);
  }

  /** Replays the log and holds every read against it, and in the end the whole content of the database. */
  finish(content: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]): void {
    const store: NaiveStore = new Map();
    const byVersion = new Map<number, Attempt[]>();
    for (const attempt of this.attempts.values()) {
      const { readVersion, acknowledgedBeforeAttempt, token } = attempt;
      if (readVersion === undefined) continue;
      if (readVersion < acknowledgedBeforeAttempt) {
        this.fail('I3', `${token} reads at ${readVersion} after ${acknowledgedBeforeAttempt} was told`);
      }
      const attempts = byVersion.get(readVersion);
      if (attempts === undefined) byVersion.set(readVersion, [attempt]);
      else attempts.push(attempt);
    }
    this.#checkSnapshots(store, byVersion.get(0));
    let done = 0;
    for (const { version, token, request } of this.log) {
      for (; done < version; done++) if (done > 0) this.#checkSnapshots(store, byVersion.get(done));
      const attempt = this.attempts.get(token);
      if (attempt !== undefined) this.#checkReads('I1', store, attempt);
      applyNaively(store, request.operations, version);
    }
    this.#checkSnapshots(store, byVersion.get(this.#durableVersion));
    const expected = scanNaively(store, '', '\u00ff', Number.POSITIVE_INFINITY, false);
    const actual = content.map(({ key, value }) => [bytesToLatin1(key), bytesToLatin1(value)]);
    if (JSON.stringify(expected) !== JSON.stringify(actual)) {
      this.fail(
        'I12',
        `the database holds ${JSON.stringify(actual)}, the log gives ${JSON.stringify(expected)}`,
      );
    }
  }

  #onCommit(id: string, version: number, payload: Uint8Array, ranges: Uint8Array | undefined): void {
    const request = decodeRequest(payload);
    const token = tokenOf(request.operations);
    if (this.#committedIds.has(id)) this.fail('I8', `request ${id} (${token}) is applied twice`);
    this.#committedIds.add(id);
    const end = this.attempts.get(token)?.end;
    if (end !== undefined && end !== 'open')
      this.fail(end === 'unknown' ? 'I7' : 'I6', `${token} is applied late`);
    const { readVersion, readRanges } = request;
    const conflict = this.#conflictOf(readRanges, readVersion);
    if (conflict !== undefined) this.fail('I4', `${token} read at ${readVersion}, commits over ${conflict}`);
    const written = writtenNaively(request.operations, version);
    this.log.push({ version, id, token, request, written });
    const told = ranges === undefined ? [] : decodeRanges(ranges).map(textOf);
    if (written.some(([begin, end]) => !told.some((range) => range[0] <= begin && end <= range[1]))) {
      this.fail('I10', `the record of ${token} does not cover what it wrote`);
    }
  }

  #onRefusal(id: string, verdict: string, version: number, payload: Uint8Array): void {
    const { readRanges, readVersion, operations } = decodeRequest(payload);
    const token = tokenOf(operations);
    const isBlind = readRanges.length === 0;
    if (verdict === 'expired') {
      if (this.#expiriesMs.get(id)! > this.#databaseTimeMs())
        this.fail(
          'L1',
          `${token} expires ${this.#expiriesMs.get(id)! - this.#databaseTimeMs()} ms before its time`,
        );
    } else if (verdict === 'rejected') {
      if (!isPoison(operations)) this.fail('I19', `${token} is rejected`);
    } else if (isBlind) this.fail('I16', `${token} reads nothing and ends as ${verdict}`);
    else if (verdict === 'conflict') {
      if (this.#conflictOf(readRanges, readVersion) === undefined)
        this.fail('L4', `${token} conflicts with nothing`);
    } else if (verdict === 'too_old') {
      this.tooOldCount++;
      const pruned = this.#durableAt(this.#nowMs() - this.#timings.historyWindowMs);
      if (readVersion >= this.#termFloor && readVersion >= pruned) {
        this.fail('L4', `${token} at ${readVersion} is too old at ${version}, floor ${this.#termFloor}`);
      }
    } else this.fail('I19', `${token} ends as ${verdict}`);
  }

  /** The version of a commit after `readVersion` that wrote into the ranges. */
  #conflictOf(readRanges: readonly KeyRange[], readVersion: number): number | undefined {
    if (readRanges.length === 0) return undefined;
    const reads = readRanges.map(textOf);
    for (let at = this.log.length - 1; at >= 0 && this.log[at].version > readVersion; at--) {
      const { version, written } = this.log[at];
      if (written.some((range) => reads.some((read) => overlaps(read, range)))) return version;
    }
    return undefined;
  }

  #durableAt(atMs: number): number {
    return this.#durableSince.findLast((entry) => entry.atMs <= atMs)?.version ?? 0;
  }

  #checkSnapshots(store: NaiveStore, attempts: readonly Attempt[] | undefined): void {
    for (const attempt of attempts ?? []) this.#checkReads('I2', store, attempt);
  }

  #checkReads(invariant: string, store: NaiveStore, { token, reads, readVersion }: Attempt): void {
    for (const read of reads) {
      const expected =
        read.kind === 'get'
          ? store.get(read.key)
          : scanNaively(store, read.begin, read.end, read.limit, read.reverse);
      const actual = read.kind === 'get' ? read.value : read.pairs;
      if (JSON.stringify(actual) === JSON.stringify(expected)) continue;
      const what = read.kind === 'get' ? read.key : `${read.begin}..${read.end}`;
      this.fail(
        invariant,
        `${token} at ${readVersion} read ${what} as ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`,
      );
    }
  }
}

function isPoison(operations: readonly Operation[]): boolean {
  return operations.some(
    (operation) => operation.type === 'set' && operation.key[0] === POISON.charCodeAt(0),
  );
}

function tokenOf(operations: readonly Operation[]): string {
  for (const operation of operations) {
    if (operation.type !== 'set') continue;
    const key = bytesToLatin1(operation.key);
    if (key.startsWith(MARKER)) return key.slice(MARKER.length);
  }
  return '(none)';
}

type TextRange = readonly [begin: string, end: string];

function textOf({ begin, end }: KeyRange): TextRange {
  return [bytesToLatin1(begin), bytesToLatin1(end)];
}

export function overlaps(left: TextRange, right: TextRange): boolean {
  return left[0] < right[1] && right[0] < left[1];
}
