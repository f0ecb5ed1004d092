/**
 * What concurrent clients do to a commit store and, in the same terms, to a plain table. Each workload can tell from the
 * stored state whether every acknowledged transaction is there once.
 */
import { randomBytes, randomInt } from 'node:crypto';
import type { CommitStore } from '../src/commit/commit-store.ts';
import type { Transaction } from '../src/commit/transaction.ts';

export type WorkloadName = 'blind' | 'modify one' | 'modify 1,000' | 'add';

export const WORKLOADS: readonly { readonly name: WorkloadName; readonly what: string }[] = [
  { name: 'blind', what: 'set one of 1,000,000 keys to 100 bytes' },
  { name: 'modify 1,000', what: 'read one of 1,000 counters, then write it plus one' },
  { name: 'modify one', what: 'the same with one counter for everybody' },
  { name: 'add', what: 'ADD 1 to one counter for everybody, plain: UPDATE' },
];

const BLIND_KEYS = 1_000_000;
const VALUE_BYTES = 100;
const COUNTERS = 1000;
const COUNTER_BYTES = 8;
const ONE = counterBytes(1n);

/** One transaction of the workload, to be run by `CommitStore.transact`. */
export function transactionOf(workload: WorkloadName): (transaction: Transaction) => Promise<void> {
  const key = keyOf(workload);
  switch (workload) {
    case 'blind': {
      const value = randomBytes(VALUE_BYTES);
      return async (transaction) => transaction.set(key, value);
    }
    case 'add':
      return async (transaction) => transaction.atomic('ADD', key, ONE);
    default:
      return async (transaction) => {
        const value = counterOf(await transaction.get(key));
        transaction.set(key, counterBytes(value + 1n));
      };
  }
}

/** A key of the workload: that of a row, too, in the plain table. */
export function keyOf(workload: WorkloadName): Buffer {
  if (workload === 'blind') return Buffer.from(`key-${randomInt(BLIND_KEYS)}`);
  return Buffer.from(workload === 'modify 1,000' ? `counter-${randomInt(COUNTERS)}` : 'counter');
}

export function blindValue(): Buffer {
  return randomBytes(VALUE_BYTES);
}

/** What all counters hold together; null for blind writes, which leave no count. */
export async function totalOf(store: CommitStore, workload: WorkloadName): Promise<number | null> {
  if (workload === 'blind') return null;
  let total = 0n;
  await store.transact(async (transaction) => {
    total = 0n;
    const pairs = transaction.getRange(Buffer.from('counter'), Buffer.from('counter.'));
    for await (const { value } of pairs) total += counterOf(value);
  });
  return Number(total);
}

function counterOf(value: Uint8Array | undefined): bigint {
  if (value === undefined) return 0n;
  return Buffer.from(value.buffer, value.byteOffset, value.length).readBigUInt64LE();
}

function counterBytes(value: bigint): Buffer {
  const bytes = Buffer.alloc(COUNTER_BYTES);
  bytes.writeBigUInt64LE(value);
  return bytes;
}
