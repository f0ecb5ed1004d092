/**
 * The (row, key) entries of one filter field: every key that a changed slot was given, or lost, one by one since the
 * base. Typed arrays only: an entry is a number, the entries of a key form a chain, and those of a row too on a `many`
 * field. Entries are never taken out; whether one counts is a flag.
 */
import { GrowableWords } from './growable.ts';
import { IndexTable } from './index-table.ts';

const ENTRIES_FIRST = 512;
const MULTIPLIER = 0x9e3779b1;

export class DeltaEntries {
  count = 0;
  /** By entry. Their identity changes when they grow. */
  rows = new Uint32Array(ENTRIES_FIRST);
  slots = new Uint32Array(ENTRIES_FIRST);
  keys = new Uint32Array(ENTRIES_FIRST);
  /** 1: the row has the key. */
  present = new Uint8Array(ENTRIES_FIRST);
  /** The next entry of the same key plus 1, or 0. */
  nextOfKey = new Uint32Array(ENTRIES_FIRST);
  /** The next entry of the same row plus 1, or 0; of a `many` field. */
  nextOfRow: Uint32Array;
  readonly keyTable = new IndexTable();
  /** By index of the key: its first entry plus 1, and the number of its entries. */
  readonly #firsts = new GrowableWords(64);
  readonly #counts = new GrowableWords(64);
  /** Of a `many` field, by hash of row and key: entry + 1, or 0 for free. At most half full. */
  #pairs: Uint32Array | null;

  constructor(many: boolean) {
    this.nextOfRow = new Uint32Array(many ? ENTRIES_FIRST : 0);
    this.#pairs = many ? new Uint32Array(2 * ENTRIES_FIRST) : null;
  }

  /** A new entry; of a `many` field there must be none of the row and key. */
  add(row: number, slot: number, key: number, present: boolean): number {
    if (this.count === this.rows.length) this.#grow();
    const entry = this.count++;
    this.rows[entry] = row;
    this.slots[entry] = slot;
    this.keys[entry] = key;
    this.present[entry] = present ? 1 : 0;
    const index = this.keyTable.add(key);
    if (index === this.#firsts.length) {
      this.#firsts.push(0);
      this.#counts.push(0);
    }
    this.nextOfKey[entry] = this.#firsts.values[index];
    this.#firsts.values[index] = entry + 1;
    this.#counts.values[index]++;
    if (this.#pairs !== null) enterPair(this.#pairs, this.rows, this.keys, entry);
    return entry;
  }

  /** Of a `many` field: the entry of a row and key plus 1, or 0. */
  find(row: number, key: number): number {
    const pairs = this.#pairs!;
    const mask = pairs.length - 1;
    let place = hashOfPair(row, key) & mask;
    for (;;) {
      const entry = pairs[place];
      if (entry === 0 || (this.keys[entry - 1] === key && this.rows[entry - 1] === row)) return entry;
      place = (place + 1) & mask;
    }
  }

  /** First entry of a key plus 1, or 0. */
  firstOf(key: number): number {
    const index = this.keyTable.indexOf(key);
    return index < 0 ? 0 : this.#firsts.values[index];
  }

  countOf(key: number): number {
    const index = this.keyTable.indexOf(key);
    return index < 0 ? 0 : this.#counts.values[index];
  }

  #grow(): void {
    const capacity = this.rows.length * 2;
    this.rows = grown(this.rows, capacity);
    this.slots = grown(this.slots, capacity);
    this.keys = grown(this.keys, capacity);
    this.nextOfKey = grown(this.nextOfKey, capacity);
    const present = new Uint8Array(capacity);
    present.set(this.present);
    this.present = present;
    if (this.#pairs === null) return;
    this.nextOfRow = grown(this.nextOfRow, capacity);
    this.#pairs = new Uint32Array(2 * capacity);
    for (let entry = 0; entry < this.count; entry++) enterPair(this.#pairs, this.rows, this.keys, entry);
  }
}

/** A copy of the array with this length, zero from its end on. */
export function grown(words: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const longer = new Uint32Array(length);
  longer.set(words);
  return longer;
}

function enterPair(pairs: Uint32Array, rows: Uint32Array, keys: Uint32Array, entry: number): void {
  const mask = pairs.length - 1;
  let place = hashOfPair(rows[entry], keys[entry]) & mask;
  while (pairs[place] !== 0) place = (place + 1) & mask;
  pairs[place] = entry + 1;
}

function hashOfPair(row: number, key: number): number {
  let hash = Math.imul(row, MULTIPLIER) ^ Math.imul(key, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  return hash ^ (hash >>> 13);
}
