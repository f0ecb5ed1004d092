/**
 * Folds the operations of a batch's winners into what is to be written: cleared ranges, then deletes and upserts that lie
 * outside of each other. The result equals applying all operations one after the other.
 *
 * Every change carries its place in the order. A key's last change holds unless a range over it was cleared later; what a
 * key was before the batch matters only to operations that read it, and comes from `base`.
 */
import { appendFits, applyAtomic, isStamped } from './atomic.ts';
import { bytesToLatin1 } from './byte-order.ts';
import { VALUE_BYTES_MAX } from './commit-limits.ts';
import type { KeyRange, KeyValue } from './commit-storage.ts';
import type { Operation } from './operation.ts';
import { StepFunction } from './step-function.ts';
import { stampTemplate, versionstampOf } from './versionstamp.ts';

export interface Winner {
  readonly version: number;
  readonly operations: readonly Operation[];
}

export interface FoldedBatch {
  /** Sorted and apart from each other. */
  readonly clearedRanges: readonly KeyRange[];
  /** Sorted, unique, without keys of cleared ranges. */
  readonly deletes: readonly Uint8Array[];
  /** Sorted, unique; may lie in cleared ranges. */
  readonly upserts: readonly KeyValue[];
}

interface Change {
  readonly key: Uint8Array;
  value: Uint8Array | undefined;
  /** A place in the order since which no clear came before the last change. */
  order: number;
  /** False while the value is still what the base has. */
  isChange: boolean;
  /** A buffer of our own that the value is the beginning of, with room to append. */
  room: Uint8Array | undefined;
}

/** Unique keys whose value before the batch an operation reads: what `base` will be asked for, and perhaps some more. */
export function baseKeys(winners: readonly Winner[]): Uint8Array[] {
  const keys: Uint8Array[] = [];
  const seen = new Set<string>();
  if (!winners.some(({ operations }) => operations.some(readsKey))) return keys;
  for (const { operations } of winners) {
    for (const operation of operations) {
      if (operation.type === 'clearRange') continue;
      if (operation.type === 'atomic' && operation.atomic === 'SET_VERSIONSTAMPED_KEY') continue;
      const { key } = operation;
      const name = bytesToLatin1(key);
      if (seen.has(name)) continue;
      seen.add(name);
      if (readsKey(operation)) keys.push(key);
    }
  }
  return keys;
}

/** @param base values before the batch of at least `baseKeys` */
export function foldWinners(
  winners: readonly Winner[],
  base: (key: Uint8Array) => Uint8Array | undefined,
): FoldedBatch {
  const fold = new Fold(base);
  for (const { version, operations } of winners) {
    for (const operation of operations) fold.add(operation, version);
  }
  return fold.finish();
}

class Fold {
  readonly #base: (key: Uint8Array) => Uint8Array | undefined;
  readonly #changes = new Map<string, Change>();
  /** The order of the last clear over each key, from 1. */
  readonly #clears = new StepFunction();
  #order = 0;

  constructor(base: (key: Uint8Array) => Uint8Array | undefined) {
    this.#base = base;
  }

  add(operation: Operation, version: number): void {
    this.#order++;
    switch (operation.type) {
      case 'set':
        this.#set(operation.key, operation.value);
        break;
      case 'clear':
        this.#set(operation.key, undefined);
        break;
      case 'clearRange':
        this.#clears.assign(bytesToLatin1(operation.begin), bytesToLatin1(operation.end), this.#order);
        break;
      case 'atomic':
        this.#addAtomic(operation, version);
    }
  }

  finish(): FoldedBatch {
    const deletes: Uint8Array[] = [];
    const upserts: KeyValue[] = [];
    for (const name of [...this.#changes.keys()].sort()) {
      const { key, value, order, isChange } = this.#changes.get(name)!;
      if (!isChange) continue;
      const clearOrder = this.#clears.valueAt(name);
      if (value === undefined) {
        if (clearOrder === 0) deletes.push(key);
      } else if (order > clearOrder) {
        upserts.push({ key, value });
      }
    }
    return { clearedRanges: this.#clears.positiveRanges(), deletes, upserts };
  }

  #addAtomic(operation: Operation & { type: 'atomic' }, version: number): void {
    const { atomic, key, operand } = operation;
    if (atomic === 'SET_VERSIONSTAMPED_KEY') {
      this.#set(stampTemplate(key, versionstampOf(version)), operand);
    } else if (atomic === 'SET_VERSIONSTAMPED_VALUE') {
      this.#set(key, stampTemplate(operand, versionstampOf(version)));
    } else {
      const change = this.#read(key);
      const existing = change.value;
      if (atomic === 'APPEND_IF_FITS' && existing !== undefined && existing.length > 0) {
        append(change, existing, operand);
      } else {
        change.value = applyAtomic(atomic, existing, operand);
      }
      // An operation that keeps the value keeps also whether it has to be written.
      if (change.value === existing) return;
      change.isChange = true;
    }
  }

  #set(key: Uint8Array, value: Uint8Array | undefined): void {
    const name = bytesToLatin1(key);
    const change = this.#changes.get(name);
    if (change === undefined) {
      this.#changes.set(name, { key, value, order: this.#order, isChange: true, room: undefined });
      return;
    }
    change.value = value;
    change.order = this.#order;
    change.isChange = true;
  }

  /** The key's state, as an operation at this place in the order finds it. */
  #read(key: Uint8Array): Change {
    const name = bytesToLatin1(key);
    const clearOrder = this.#clears.valueAt(name);
    let change = this.#changes.get(name);
    if (change === undefined) {
      const value = clearOrder > 0 ? undefined : this.#base(key);
      change = { key, value, order: this.#order, isChange: false, room: undefined };
      this.#changes.set(name, change);
    } else if (change.order < clearOrder) {
      change.value = undefined;
      change.order = this.#order;
      change.isChange = false;
    }
    return change;
  }
}

/**
 * APPEND_IF_FITS in place: copying the value each time would make many small appends to one key take the square of their
 * number.
 */
function append(change: Change, existing: Uint8Array, operand: Uint8Array): void {
  if (operand.length === 0 || !appendFits(existing.length, operand.length)) return;
  const byteCount = existing.length + operand.length;
  let { room } = change;
  if (room === undefined || existing.buffer !== room.buffer || room.length < byteCount) {
    room = new Uint8Array(Math.min(VALUE_BYTES_MAX, byteCount * 2));
    room.set(existing);
    change.room = room;
  }
  room.set(operand, existing.length);
  change.value = room.subarray(0, byteCount);
}

function readsKey(operation: Operation): boolean {
  return operation.type === 'atomic' && !isStamped(operation.atomic);
}
