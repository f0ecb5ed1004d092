/**
 * One attempt of a transaction on the client: reads of one snapshot, seen through its own writes, and the collected
 * request for the leader. The snapshot is the one of the first read that arrives; further reads are as of its version.
 *
 * What a read depended on becomes a read conflict range when the read is called, or as the pairs of a range are handed
 * out; reads with `snapshot` add none. Bytes are copied when a call takes them.
 */
import { bytesToLatin1, keyAfter, latin1ToBytes } from './byte-order.ts';
import { CommitError } from './commit-error.ts';
import { RANGE_BOUND_BYTES_MAX, RANGE_PAGE_BYTES_MAX, RANGE_PAGE_PAIRS_MAX } from './commit-limits.ts';
import type { CommitStorage, KeyValue } from './commit-storage.ts';
import { type Atomic, checkKey, checkOperation, checkRange, type Operation } from './operation.ts';
import { ReadYourWrites, valueThrough } from './read-your-writes.ts';
import { type CommitRequest, checkTransactionBytes, operationBytes } from './request-codec.ts';
import { StepFunction } from './step-function.ts';

export type TransactionReader = Pick<CommitStorage, 'get' | 'getRange'>;

export interface ReadOptions {
  /** The read protects nothing: what it saw may be written by others before the commit. */
  readonly snapshot?: boolean;
}

export interface RangeOptions extends ReadOptions {
  /** Pairs at most. */
  readonly limit?: number;
  /** From the last key to the first. */
  readonly reverse?: boolean;
}

export type KeySelector = 'firstGreaterOrEqual' | 'firstGreaterThan' | 'lastLessOrEqual' | 'lastLessThan';

export interface SealedTransaction {
  /** There is nothing to commit. */
  readonly readOnly: boolean;
  readonly request: Omit<CommitRequest, 'expiresAtMs'>;
  /** The version of the snapshot; undefined when nothing was read. */
  readonly version: number | undefined;
}

interface GetBatch {
  readonly keys: Uint8Array[];
  readonly indexes: Map<string, number>;
  readonly values: Promise<readonly (Uint8Array | undefined)[]>;
}

/** After all keys. */
const KEYS_END = new Uint8Array(RANGE_BOUND_BYTES_MAX).fill(0xff);

export class Transaction {
  readonly #reader: TransactionReader;
  readonly #writes = new ReadYourWrites();
  readonly #operations: Operation[] = [];
  #operationBytes = 0;
  readonly #readRanges = new StepFunction();
  readonly #writeRanges = new StepFunction();
  #version: number | undefined;
  /** Fulfilled when the first read has ended, well or not; undefined when none is under way. */
  #firstRead: Promise<void> | undefined;
  /** Takes gets until its statement goes out. */
  #batch: GetBatch | undefined;
  #isEnded = false;

  constructor(reader: TransactionReader) {
    this.#reader = reader;
  }

  /** Gets that are called together go out as one statement. */
  async get(key: Uint8Array, { snapshot = false }: ReadOptions = {}): Promise<Uint8Array | undefined> {
    this.#assertOpen();
    checkKey(key);
    const point = this.#writes.lookUp(key);
    if (point === undefined) throw unreadable();
    if (point.isKnown) return valueThrough(point, undefined);
    const name = bytesToLatin1(key);
    if (!snapshot) this.#readRanges.assign(name, `${name}\0`, 1);
    const batch = (this.#batch ??= this.#newBatch());
    let index = batch.indexes.get(name);
    const isFirst = index === undefined;
    if (index === undefined) {
      index = batch.keys.push(new Uint8Array(key)) - 1;
      batch.indexes.set(name, index);
    }
    const value = valueThrough(point, (await batch.values)[index]);
    return isFirst || value === undefined ? value : new Uint8Array(value);
  }

  /**
   * Pairs of [begin, end), read page by page as they are asked for. A page shows the writes made before it arrived.
   * @throws CommitError INVERTED_RANGE, KEY_TOO_LARGE, OPTION_INVALID at the call.
   */
  getRange(begin: Uint8Array, end: Uint8Array, options: RangeOptions = {}): AsyncGenerator<KeyValue, void> {
    this.#assertOpen();
    checkRange(begin, end);
    const { limit = Number.POSITIVE_INFINITY } = options;
    if (!(limit >= 0)) {
      throw new CommitError('OPTION_INVALID', `${limit} cannot be the limit of a range read`, {
        hint: 'limit: pairs at most, 0 or more',
      });
    }
    return this.#pairs(bytesToLatin1(begin), bytesToLatin1(end), limit, options);
  }

  /** The key next to `key` in the direction of the selector; undefined when there is none. */
  async getKey(
    selector: KeySelector,
    key: Uint8Array,
    { snapshot = false }: ReadOptions = {},
  ): Promise<Uint8Array | undefined> {
    this.#assertOpen();
    checkKey(key);
    const isForward = selector === 'firstGreaterOrEqual' || selector === 'firstGreaterThan';
    const isBoundAfterKey = selector === 'firstGreaterThan' || selector === 'lastLessOrEqual';
    const bound = isBoundAfterKey ? keyAfter(key) : key;
    const pairs = isForward
      ? this.getRange(bound, KEYS_END, { limit: 1, snapshot })
      : this.getRange(new Uint8Array(), bound, { limit: 1, reverse: true, snapshot });
    for await (const pair of pairs) return pair.key;
    return undefined;
  }

  /** The version of the snapshot; takes one when nothing was read yet. */
  async readVersion(): Promise<number> {
    this.#assertOpen();
    return this.#takeVersion();
  }

  set(key: Uint8Array, value: Uint8Array): void {
    this.#add({ type: 'set', key: new Uint8Array(key), value: new Uint8Array(value) });
  }

  clear(key: Uint8Array): void {
    this.#add({ type: 'clear', key: new Uint8Array(key) });
  }

  clearRange(begin: Uint8Array, end: Uint8Array): void {
    this.#add({ type: 'clearRange', begin: new Uint8Array(begin), end: new Uint8Array(end) });
  }

  /** With the stamped ones, key or operand end with the offset of the stamp: see versionstamp.ts. */
  atomic(atomic: Atomic, key: Uint8Array, operand: Uint8Array): void {
    this.#add({ type: 'atomic', atomic, key: new Uint8Array(key), operand: new Uint8Array(operand) });
  }

  /** Conflicts as if the range had been read, or written, now. */
  addConflictRange(begin: Uint8Array, end: Uint8Array, kind: 'read' | 'write'): void {
    this.#assertOpen();
    checkRange(begin, end);
    const ranges = kind === 'read' ? this.#readRanges : this.#writeRanges;
    ranges.assign(bytesToLatin1(begin), bytesToLatin1(end), 1);
  }

  /** Gives the transaction up: every further call is refused. */
  end(): void {
    this.#isEnded = true;
  }

  /**
   * Ends the transaction at once, and gives what to commit. Takes a read version only where there are conflict ranges of
   * reads but no read has arrived.
   */
  async seal(): Promise<SealedTransaction> {
    this.#assertOpen();
    this.end();
    const readRanges = this.#readRanges.positiveRanges();
    const writeRanges = this.#writeRanges.positiveRanges();
    const readOnly = this.#operations.length === 0 && writeRanges.length === 0;
    if (!readOnly && readRanges.length > 0) await this.#takeVersion();
    const version = this.#version;
    const request = { readVersion: version ?? 0, readRanges, writeRanges, operations: this.#operations };
    return { readOnly, request, version };
  }

  async *#pairs(
    begin: string,
    end: string,
    limit: number,
    { reverse = false, snapshot = false }: RangeOptions,
  ): AsyncGenerator<KeyValue, void> {
    let from = begin;
    let to = end;
    let left = limit;
    while (left > 0 && from < to) {
      const page = await this.#readPage(from, to, reverse, left);
      this.#assertOpen();
      const merged = this.#writes.merge(page.from, page.to, page.pairs, reverse, left);
      for (const { key, value, dependsOn } of merged.items) {
        this.#assertOpen();
        if (!snapshot) this.#protect(dependsOn);
        yield { key, value };
      }
      left -= merged.items.length;
      this.#assertOpen();
      if (!snapshot) this.#protect(merged.dependsOn);
      if (merged.isUnreadable) throw unreadable();
      if (reverse) to = page.from;
      else from = page.to;
    }
  }

  /** Pairs of the snapshot from one side of [from, to) on, and the part of it that these are all of. */
  async #readPage(from: string, to: string, reverse: boolean, pairsLeft: number) {
    const part = this.#writes.partToRead(from, to, reverse);
    if (part.begin >= part.end) return { from, to, pairs: [] };
    const range = { begin: latin1ToBytes(part.begin), end: latin1ToBytes(part.end) };
    const limit = Math.min(pairsLeft + this.#writes.countPoints(part.begin, part.end), RANGE_PAGE_PAIRS_MAX);
    const options = { limit, bytesMax: RANGE_PAGE_BYTES_MAX, reverse };
    const { pairs, more } = await this.#read((asOf) => this.#reader.getRange(range, options, asOf));
    const last = pairs.at(-1);
    if (!more || last === undefined) return { from, to, pairs };
    const lastName = bytesToLatin1(last.key);
    return reverse ? { from: lastName, to, pairs } : { from, to: `${lastName}\0`, pairs };
  }

  #protect(parts: readonly string[]): void {
    for (let at = 0; at < parts.length; at += 2) this.#readRanges.assign(parts[at], parts[at + 1], 1);
  }

  #add(operation: Operation): void {
    this.#assertOpen();
    checkOperation(operation);
    const bytes = this.#operationBytes + operationBytes(operation);
    checkTransactionBytes(bytes);
    this.#operationBytes = bytes;
    this.#operations.push(operation);
    this.#writes.add(operation, this.#version ?? 0);
    if (operation.type === 'clearRange') {
      this.#writeRanges.assign(bytesToLatin1(operation.begin), bytesToLatin1(operation.end), 1);
    } else if (operation.type !== 'atomic' || operation.atomic !== 'SET_VERSIONSTAMPED_KEY') {
      const name = bytesToLatin1(operation.key);
      this.#writeRanges.assign(name, `${name}\0`, 1);
    }
  }

  #newBatch(): GetBatch {
    const keys: Uint8Array[] = [];
    const read = async () => {
      // Takes the gets of the callers that run before this.
      await Promise.resolve();
      const { values } = await this.#read((asOf) => {
        this.#batch = undefined;
        return this.#reader.get(keys, asOf);
      });
      return values;
    };
    return { keys, indexes: new Map(), values: read() };
  }

  async #takeVersion(): Promise<number> {
    while (this.#version === undefined) {
      await (this.#firstRead ?? this.#readFirst((asOf) => this.#reader.get([], asOf)));
    }
    return this.#version;
  }

  /** The first read decides the version; others wait for it, and when it fails one of them is the first. */
  async #read<Result extends { readonly version: number }>(
    call: (asOf: number | undefined) => Promise<Result>,
  ): Promise<Result> {
    while (this.#version === undefined) {
      if (this.#firstRead === undefined) return this.#readFirst(call);
      await this.#firstRead;
    }
    return call(this.#version);
  }

  async #readFirst<Result extends { readonly version: number }>(
    call: (asOf: undefined) => Promise<Result>,
  ): Promise<Result> {
    const { promise, resolve } = withResolvers();
    this.#firstRead = promise;
    try {
      const result = await call(undefined);
      this.#version = result.version;
      return result;
    } finally {
      this.#firstRead = undefined;
      resolve();
    }
  }

  #assertOpen(): void {
    if (!this.#isEnded) return;
    throw new CommitError('TRANSACTION_ENDED', 'the transaction has ended', {
      hint: 'await everything that uses it before its function returns',
    });
  }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((fulfil) => (resolve = fulfil));
  return { promise, resolve };
}

function unreadable(): CommitError {
  return new CommitError(
    'ACCESSED_UNREADABLE',
    'a key was read that a versionstamped operation of this transaction may have written',
    { hint: 'its version is known only after the commit: read such keys before, or in another transaction' },
  );
}
