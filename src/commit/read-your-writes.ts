/**
 * The writes of a transaction that has not been committed, and how its reads look through them. Reads give what they
 * would after applying the operations, in program order, to the snapshot; and say what of the snapshot they depended on.
 *
 * What a versionstamped operation may have written is unreadable until something else is written over it: its version is
 * not known yet.
 */
import { applyAtomic, isStamped, type ReadingAtomic } from './atomic.ts';
import { bytesToLatin1, latin1ToBytes } from './byte-order.ts';
import type { KeyValue } from './commit-storage.ts';
import type { Operation } from './operation.ts';
import { SortedKeys } from './sorted-keys.ts';
import { StepFunction } from './step-function.ts';
import { stampedKeyRange } from './versionstamp.ts';

/** What is known of a key: its value, whatever the snapshot has, or operations to apply to what the snapshot has. */
export interface Point {
  readonly isKnown: boolean;
  /** When known; undefined is absent. */
  readonly value: Uint8Array | undefined;
  /** When not known. */
  readonly lastAtomic: PendingAtomic | undefined;
}

interface PendingAtomic {
  readonly before: PendingAtomic | undefined;
  readonly atomic: ReadingAtomic;
  readonly operand: Uint8Array;
}

const ABSENT: Point = { isKnown: true, value: undefined, lastAtomic: undefined };
const UNTOUCHED: Point = { isKnown: false, value: undefined, lastAtomic: undefined };

/** A pair of a range read, and the parts of the snapshot it took to find it after the one before. */
export interface ReadItem extends KeyValue {
  /** Begins and ends in turn, as latin1 strings; in no order. */
  readonly dependsOn: readonly string[];
}

export interface ReadPage {
  readonly items: readonly ReadItem[];
  /** What it took to know that there is nothing after the last item. */
  readonly dependsOn: readonly string[];
  /** After the items comes something unreadable. */
  readonly isUnreadable: boolean;
}

export class ReadYourWrites {
  readonly #points = new Map<string, Point>();
  readonly #keys = new SortedKeys();
  /** 1 where a range was cleared; a point in it was written later. */
  readonly #cleared = new StepFunction();
  /** 1 where a versionstamped operation may have written last. */
  readonly #unreadable = new StepFunction();

  /**
   * The operation must be checked, and its bytes must not change any more.
   * @param readVersion of the snapshot, 0 when it is not known yet
   */
  add(operation: Operation, readVersion: number): void {
    switch (operation.type) {
      case 'set':
        this.#put(bytesToLatin1(operation.key), {
          isKnown: true,
          value: operation.value,
          lastAtomic: undefined,
        });
        break;
      case 'clear':
        this.#put(bytesToLatin1(operation.key), ABSENT);
        break;
      case 'clearRange':
        this.#clearRange(bytesToLatin1(operation.begin), bytesToLatin1(operation.end));
        break;
      case 'atomic':
        this.#addAtomic(operation, readVersion);
    }
  }

  /** What is known of a key at this moment; undefined when it is unreadable. */
  lookUp(key: Uint8Array): Point | undefined {
    const name = bytesToLatin1(key);
    return this.#unreadable.valueAt(name) > 0 ? undefined : this.#pointOf(name);
  }

  /**
   * The part of [begin, end) that has to be read from the snapshot: without what was cleared at the side where reading
   * starts. Empty when there is none.
   */
  partToRead(begin: string, end: string, isReverse: boolean): { begin: string; end: string } {
    const cleared = this.#cleared.positiveParts(begin, end);
    if (cleared.length === 0) return { begin, end };
    if (isReverse)
      return { begin, end: cleared[cleared.length - 1] === end ? cleared[cleared.length - 2] : end };
    return { begin: cleared[0] === begin ? cleared[1] : begin, end };
  }

  /** How many pairs of [begin, end) of the snapshot may be hidden by writes to their keys. */
  countPoints(begin: string, end: string): number {
    return this.#keys.indexOf(end) - this.#keys.indexOf(begin);
  }

  /**
   * The pairs of [begin, end) in the direction of reading.
   * @param pairs all of the snapshot in there, in the direction of reading; perhaps those that were cleared are left out
   */
  merge(begin: string, end: string, pairs: readonly KeyValue[], isReverse: boolean, limit: number): ReadPage {
    const unreadable = this.#unreadable.positiveParts(begin, end);
    const isUnreadable = unreadable.length > 0;
    const from = isUnreadable && isReverse ? unreadable[unreadable.length - 1] : begin;
    const to = isUnreadable && !isReverse ? unreadable[0] : end;
    const dependencies = new Dependencies(this.#snapshotParts(from, to), isReverse);
    const found = this.#candidates(from, to, pairs, isReverse);
    const items: ReadItem[] = [];
    for (const { name, key, value } of found) {
      if (items.length === limit) break;
      items.push({ key, value, dependsOn: dependencies.takeThrough(name) });
    }
    return {
      items,
      dependsOn: items.length === limit ? [] : dependencies.takeAll(),
      isUnreadable: isUnreadable && items.length < limit,
    };
  }

  *#candidates(
    from: string,
    to: string,
    pairs: readonly KeyValue[],
    isReverse: boolean,
  ): Generator<KeyValue & { readonly name: string }> {
    const first = this.#keys.indexOf(from);
    const after = this.#keys.indexOf(to);
    const keys = this.#keys.sorted();
    let at = isReverse ? after - 1 : first;
    const step = isReverse ? -1 : 1;
    const isOpen = () => (isReverse ? at >= first : at < after);
    for (const pair of pairs) {
      const name = bytesToLatin1(pair.key);
      if (name < from || name >= to) continue;
      while (isOpen() && (isReverse ? keys[at] > name : keys[at] < name)) {
        yield* this.#candidate(keys[at], latin1ToBytes(keys[at]), undefined);
        at += step;
      }
      if (isOpen() && keys[at] === name) at += step;
      yield* this.#candidate(name, pair.key, pair.value);
    }
    for (; isOpen(); at += step) yield* this.#candidate(keys[at], latin1ToBytes(keys[at]), undefined);
  }

  *#candidate(name: string, key: Uint8Array, inSnapshot: Uint8Array | undefined) {
    const value = valueThrough(this.#pointOf(name), inSnapshot);
    if (value !== undefined) yield { name, key, value };
  }

  /** The parts of [from, to) where reads depend on the snapshot: neither cleared nor written. */
  #snapshotParts(from: string, to: string): string[] {
    const parts: string[] = [];
    const known = this.#cleared.positiveParts(from, to);
    let begin = from;
    for (let at = 0; at < known.length; at += 2) {
      if (begin < known[at]) this.#pushWithoutPoints(parts, begin, known[at]);
      begin = known[at + 1];
    }
    if (begin < to) this.#pushWithoutPoints(parts, begin, to);
    return parts;
  }

  #pushWithoutPoints(parts: string[], from: string, to: string): void {
    let begin = from;
    const after = this.#keys.indexOf(to);
    const keys = this.#keys.sorted();
    for (let at = this.#keys.indexOf(from); at < after; at++) {
      if (!this.#points.get(keys[at])!.isKnown) continue;
      if (begin < keys[at]) parts.push(begin, keys[at]);
      begin = `${keys[at]}\0`;
    }
    if (begin < to) parts.push(begin, to);
  }

  #pointOf(name: string): Point {
    return this.#points.get(name) ?? (this.#cleared.valueAt(name) > 0 ? ABSENT : UNTOUCHED);
  }

  #put(name: string, point: Point): void {
    this.#setPoint(name, point);
    this.#unreadable.assign(name, `${name}\0`, 0);
  }

  #setPoint(name: string, point: Point): void {
    if (!this.#points.has(name)) this.#keys.add(name);
    this.#points.set(name, point);
  }

  #clearRange(begin: string, end: string): void {
    for (const name of this.#keys.remove(begin, end)) this.#points.delete(name);
    this.#cleared.assign(begin, end, 1);
    this.#unreadable.assign(begin, end, 0);
  }

  #addAtomic(operation: Operation & { type: 'atomic' }, readVersion: number): void {
    const { atomic, key, operand } = operation;
    if (atomic === 'SET_VERSIONSTAMPED_KEY') {
      const { begin, end } = stampedKeyRange(key, readVersion);
      this.#unreadable.assign(bytesToLatin1(begin), bytesToLatin1(end), 1);
      return;
    }
    const name = bytesToLatin1(key);
    if (isStamped(atomic)) {
      this.#unreadable.assign(name, `${name}\0`, 1);
      return;
    }
    const point = this.#pointOf(name);
    this.#setPoint(
      name,
      point.isKnown
        ? { isKnown: true, value: applyAtomic(atomic, point.value, operand), lastAtomic: undefined }
        : { isKnown: false, value: undefined, lastAtomic: { before: point.lastAtomic, atomic, operand } },
    );
  }
}

/** The value of a key for the transaction, given the one of the snapshot: that one itself, or a copy for the caller. */
export function valueThrough(point: Point, inSnapshot: Uint8Array | undefined): Uint8Array | undefined {
  let value = point.isKnown ? point.value : inSnapshot;
  const atomics: PendingAtomic[] = [];
  for (let pending = point.lastAtomic; pending !== undefined; pending = pending.before) atomics.push(pending);
  for (const { atomic, operand } of atomics.reverse()) value = applyAtomic(atomic, value, operand);
  return value === undefined || value === inSnapshot ? value : new Uint8Array(value);
}

/** Parts of the snapshot, handed out in the direction of reading. */
class Dependencies {
  readonly #parts: string[];
  readonly #isReverse: boolean;
  #begin: number;
  #end: number;

  constructor(parts: string[], isReverse: boolean) {
    this.#parts = parts;
    this.#isReverse = isReverse;
    this.#begin = 0;
    this.#end = parts.length;
  }

  /** What was not taken yet up to a key, and the key. */
  takeThrough(name: string): string[] {
    const taken: string[] = [];
    const parts = this.#parts;
    if (this.#isReverse) {
      while (this.#begin < this.#end && parts[this.#end - 2] >= name) {
        taken.push(parts[this.#end - 2], parts[this.#end - 1]);
        this.#end -= 2;
      }
      if (this.#begin < this.#end && parts[this.#end - 1] > name) {
        taken.push(name, parts[this.#end - 1]);
        parts[this.#end - 1] = name;
      }
      return taken;
    }
    const bound = `${name}\0`;
    while (this.#begin < this.#end && parts[this.#begin + 1] <= bound) {
      taken.push(parts[this.#begin], parts[this.#begin + 1]);
      this.#begin += 2;
    }
    if (this.#begin < this.#end && parts[this.#begin] < bound) {
      taken.push(parts[this.#begin], bound);
      parts[this.#begin] = bound;
    }
    return taken;
  }

  takeAll(): string[] {
    const taken = this.#parts.slice(this.#begin, this.#end);
    this.#begin = this.#end;
    return taken;
  }
}
