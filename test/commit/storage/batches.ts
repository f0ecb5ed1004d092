/** Short ways to write requests and batches down. */
import type {
  AppliedBatch,
  Lease,
  Outcome,
  QueuedRequest,
  Verdict,
} from '../../../src/commit/commit-storage.ts';

export const LEASE_MS = 5_000;

/** Far in the future, by any clock. */
export const NEVER_MS = Number.MAX_SAFE_INTEGER;

export function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text));
}

export function text(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : Buffer.from(value).toString();
}

/** Ids in the order of their numbers. */
export function idOf(number: number): Uint8Array {
  const id = Buffer.alloc(16, 0xab);
  id.writeBigUInt64BE(BigInt(number), 8);
  return new Uint8Array(id);
}

export function requestOf(number: number, payload = `request ${number}`, node = 'node'): QueuedRequest {
  return { id: idOf(number), node, payload: bytes(payload) };
}

export function outcome(
  number: number,
  verdict: Verdict,
  version: number,
): Outcome & { ranges?: Uint8Array } {
  return {
    id: idOf(number),
    verdict,
    version,
    ...(verdict === 'committed' ? { ranges: bytes(`ranges ${version}`) } : {}),
  };
}

/** A batch on top of `lease`, empty but for `parts`. */
export function batchOf(lease: Lease, parts: Partial<AppliedBatch> = {}): AppliedBatch {
  return {
    epoch: lease.epoch,
    previousVersion: lease.durableVersion,
    version: lease.durableVersion + 1,
    leaseMs: LEASE_MS,
    notAfterMs: NEVER_MS,
    clearedRanges: [],
    deletes: [],
    upserts: [],
    outcomes: [],
    ...parts,
  };
}

/** `{ a: '1' }` as sorted pairs. */
export function pairs(values: Readonly<Record<string, string>>): { key: Uint8Array; value: Uint8Array }[] {
  return Object.entries(values).map(([key, value]) => ({ key: bytes(key), value: bytes(value) }));
}
