/**
 * Decides the requests of a batch, in order, by what was written since each read: by batches before (the conflict
 * history) and by winners earlier in this one. The history is not changed: when the batch was applied, the leader calls
 * `recordWinners`; when it was not (`decided`, a data error), nothing has to be undone.
 */
import { bytesToHex, keyAfter } from './byte-order.ts';
import { CommitError } from './commit-error.ts';
import type { KeyRange, QueuedRequest, Verdict } from './commit-storage.ts';
import { ConflictHistory } from './conflict-history.ts';
import { type CommitRequest, decodeRequest } from './request-codec.ts';
import { stampTemplate, versionstampOf } from './versionstamp.ts';

export interface ResolvedRequest {
  readonly request: QueuedRequest;
  readonly verdict: Verdict;
  /** A winner's own version; of others the version the batch goes on top of. */
  readonly version: number;
  /** With `rejected`: `CODE: message`. */
  readonly reason?: string;
  /** Of a winner: its write ranges with the keys that versionstamped ones became. */
  readonly decoded?: CommitRequest;
}

export interface ResolvedBatch {
  /** One for each request, in order, but of those with the same id only the first. */
  readonly resolved: readonly ResolvedRequest[];
  /** The version after the batch. */
  readonly version: number;
  /** The earliest expiry of a winner; without winners a time that never comes. */
  readonly notAfterMs: number;
}

export interface BatchToResolve {
  readonly requests: readonly QueuedRequest[];
  readonly databaseTimeMs: number;
  /** The durable version that the batch goes on top of. */
  readonly previousVersion: number;
  readonly history: ConflictHistory;
}

export function resolveBatch(batch: BatchToResolve): ResolvedBatch {
  const { requests, previousVersion } = batch;
  const winnersHistory = new ConflictHistory(previousVersion);
  const ids = new Set<string>();
  const resolved: ResolvedRequest[] = [];
  let version = previousVersion;
  let notAfterMs = Number.MAX_SAFE_INTEGER;
  for (const request of requests) {
    const id = bytesToHex(request.id);
    if (ids.has(id)) continue;
    ids.add(id);
    const decoded = decode(request);
    if (decoded instanceof CommitError) {
      const reason = `${decoded.code}: ${decoded.message}`;
      resolved.push({ request, verdict: 'rejected', version: previousVersion, reason });
      continue;
    }
    const verdict = verdictOf(decoded, batch, winnersHistory);
    if (verdict !== 'committed') {
      resolved.push({ request, verdict, version: previousVersion });
      continue;
    }
    version++;
    notAfterMs = Math.min(notAfterMs, decoded.expiresAtMs);
    const winner = withStampedKeys(decoded, version);
    winnersHistory.record(winner.writeRanges, version);
    resolved.push({ request, verdict, version, decoded: winner });
  }
  return { resolved, version, notAfterMs };
}

/** Takes the writes of an applied batch into the history. */
export function recordWinners(history: ConflictHistory, resolved: readonly ResolvedRequest[]): void {
  for (const { verdict, decoded, version } of resolved) {
    if (verdict === 'committed' && decoded !== undefined) history.record(decoded.writeRanges, version);
  }
}

function verdictOf(
  { expiresAtMs, readRanges, readVersion }: CommitRequest,
  { databaseTimeMs, previousVersion, history }: BatchToResolve,
  winnersHistory: ConflictHistory,
): Verdict {
  if (databaseTimeMs > expiresAtMs) return 'expired';
  // Who read nothing cannot conflict, and no floor matters to it.
  if (readRanges.length === 0) return 'committed';
  if (readVersion < history.floor) return 'too_old';
  // What it read has been lost since, by a database that came back without its last transactions.
  if (readVersion > previousVersion) return 'conflict';
  if (history.conflicts(readRanges, readVersion)) return 'conflict';
  return winnersHistory.conflicts(readRanges, previousVersion) ? 'conflict' : 'committed';
}

function decode(request: QueuedRequest): CommitRequest | CommitError {
  try {
    return decodeRequest(request.payload);
  } catch (error) {
    if (error instanceof CommitError) return error;
    throw error;
  }
}

/** Now that its version is known, a versionstamped key is one key, not the range of all it could become. */
function withStampedKeys(request: CommitRequest, version: number): CommitRequest {
  const stamped: KeyRange[] = [];
  for (const operation of request.operations) {
    if (operation.type !== 'atomic' || operation.atomic !== 'SET_VERSIONSTAMPED_KEY') continue;
    const begin = stampTemplate(operation.key, versionstampOf(version));
    stamped.push({ begin, end: keyAfter(begin) });
  }
  return stamped.length === 0 ? request : { ...request, writeRanges: [...request.writeRanges, ...stamped] };
}
