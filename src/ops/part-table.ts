/**
 * One row for each part of a slot that dedup has met: the slot itself, a field of it, a key of a field. The rows of a slot
 * and its fields stand side by side, so that only slots and keys have to be looked up; where there are more fields than
 * the ops can name, fields are looked up like keys. Hash tables in typed arrays with open addressing, sized once; rows
 * stay where they are and begin anew after every `forget`.
 */
import { randomInt } from 'node:crypto';

/** Words of a looked-up row: slot, tag, key, generation. */
const ROW_WORDS = 4;
/** A tag is the index of a field, or this and the index; fields are below 65,536. */
const KEY_TAG = 0x1_0000;

/** Rows side by side for every op at most; beyond that most of them would stay empty. */
const SIDE_BY_SIDE_MAX = 8;

/** Chosen anew by every process, so that no one can prepare slots and keys that collide. */
const SEED = randomInt(2 ** 32);

export interface PartCounts {
  /** Distinct ones at most. */
  readonly slots: number;
  readonly fields: number;
  readonly ops: number;
  /** Of the ops, those that name a key. */
  readonly keys: number;
}

export class PartTable {
  /** By row: what the caller keeps there; 0 at first. */
  readonly states: Uint32Array;
  /** Rows from one slot to the next. */
  readonly #slotRows: number;
  /** By hash: index of a slot plus 1, or 0. */
  readonly #slotIndexes: Uint32Array;
  readonly #slots: Uint32Array;
  readonly #slotGenerations: Uint32Array;
  #slotCount = 0;
  /** Where the rows that are looked up begin. */
  readonly #wordsRow: number;
  readonly #words: Uint32Array;
  readonly #rowMask: number;
  #generation = 1;

  /** More parts than that never end. */
  constructor({ slots, fields, ops, keys }: PartCounts) {
    const isSideBySide = slots * (fields + 1) <= SIDE_BY_SIDE_MAX * (slots + ops);
    this.#slotRows = isSideBySide ? fields + 1 : 1;
    this.#slotIndexes = new Uint32Array(rowsFor(slots));
    this.#slots = new Uint32Array(slots);
    this.#slotGenerations = new Uint32Array(slots);
    this.#wordsRow = slots * this.#slotRows;
    const rowCount = rowsFor(isSideBySide ? keys : keys + ops);
    this.states = new Uint32Array(this.#wordsRow + rowCount);
    this.#words = new Uint32Array(rowCount * ROW_WORDS);
    this.#rowMask = rowCount - 1;
  }

  /** All parts count as not met. */
  forget(): void {
    this.#generation++;
  }

  rowOfSlot(slot: number): number {
    const indexes = this.#slotIndexes;
    const mask = indexes.length - 1;
    let at = finished(mixed(SEED, slot)) & mask;
    while (indexes[at] !== 0 && this.#slots[indexes[at] - 1] !== slot) at = (at + 1) & mask;
    if (indexes[at] === 0) {
      this.#slots[this.#slotCount] = slot;
      this.#slotGenerations[this.#slotCount] = this.#generation;
      indexes[at] = ++this.#slotCount;
    }
    const index = indexes[at] - 1;
    const row = index * this.#slotRows;
    if (this.#slotGenerations[index] !== this.#generation) {
      this.#slotGenerations[index] = this.#generation;
      this.states.fill(0, row, row + this.#slotRows);
    }
    return row;
  }

  /** @param slotRow that of the slot, asked for since the last `forget` */
  rowOfField(slotRow: number, slot: number, fieldIndex: number): number {
    return this.#slotRows > 1 ? slotRow + 1 + fieldIndex : this.#rowOf(slot, fieldIndex, 0);
  }

  /** False when the key was added before. */
  addKey(slot: number, fieldIndex: number, key: number): boolean {
    const row = this.#rowOf(slot, KEY_TAG + fieldIndex, key);
    if (this.states[row] !== 0) return false;
    this.states[row] = 1;
    return true;
  }

  #rowOf(slot: number, tag: number, key: number): number {
    const words = this.#words;
    const generation = this.#generation;
    let row = finished(mixed(mixed(mixed(SEED, slot), tag), key)) & this.#rowMask;
    for (;;) {
      const at = row * ROW_WORDS;
      const met = words[at + 3];
      if (met === 0) {
        words[at] = slot;
        words[at + 1] = tag;
        words[at + 2] = key;
        words[at + 3] = generation;
        return this.#wordsRow + row;
      }
      if (words[at] === slot && words[at + 1] === tag && words[at + 2] === key) {
        if (met !== generation) {
          words[at + 3] = generation;
          this.states[this.#wordsRow + row] = 0;
        }
        return this.#wordsRow + row;
      }
      row = (row + 1) & this.#rowMask;
    }
  }
}

/** At most half full, so that probing stays short. */
function rowsFor(count: number): number {
  return 2 ** Math.ceil(Math.log2(2 * count + 2));
}

/** One word more, as in MurmurHash3, and the end of it. */
function mixed(hash: number, word: number): number {
  let scrambled = Math.imul(word, 0xcc9e2d51);
  scrambled = Math.imul((scrambled << 15) | (scrambled >>> 17), 0x1b873593);
  const turned = hash ^ scrambled;
  return (Math.imul((turned << 13) | (turned >>> 19), 5) + 0xe6546b64) | 0;
}

/** As MurmurHash3 ends: every bit of the hash depends on every bit given. */
export function finished(hash: number): number {
  let last = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  last = Math.imul(last ^ (last >>> 13), 0xc2b2ae35);
  return last ^ (last >>> 16);
}
