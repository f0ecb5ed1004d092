/**
 * One row for each part of a slot that dedup has met: the slot itself, a field of it, a key of a field. A hash table in
 * typed arrays with open addressing, sized once; rows stay where they are and begin anew after every `forget`.
 */
import { randomInt } from 'node:crypto';

/** Words of a row: slot, tag, key, generation. */
const ROW_WORDS = 4;
/** A tag is the index of a field, or one of these; fields are below 65,536. */
const KEY_TAG = 0x1_0000;
const SLOT_TAG = 0x2_0000;

/** Chosen anew by every process, so that no one can prepare slots and keys that collide. */
const SEED = randomInt(2 ** 32);

export class PartTable {
  /** By row: what the caller keeps there; 0 at first. */
  readonly states: Uint32Array;
  readonly #words: Uint32Array;
  readonly #rowMask: number;
  #generation = 1;

  /** @param partsMax distinct parts at most; more never end */
  constructor(partsMax: number) {
    // At most half full, so that probing stays short.
    const rowCount = 2 ** Math.ceil(Math.log2(2 * partsMax + 2));
    this.states = new Uint32Array(rowCount);
    this.#words = new Uint32Array(rowCount * ROW_WORDS);
    this.#rowMask = rowCount - 1;
  }

  /** All parts count as not met. */
  forget(): void {
    this.#generation++;
  }

  rowOfSlot(slot: number): number {
    return this.#rowOf(slot, SLOT_TAG, 0);
  }

  rowOfField(slot: number, fieldIndex: number): number {
    return this.#rowOf(slot, fieldIndex, 0);
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
    let row = hashOf(slot, tag, key) & this.#rowMask;
    for (;;) {
      const at = row * ROW_WORDS;
      const met = words[at + 3];
      if (met === 0) {
        words[at] = slot;
        words[at + 1] = tag;
        words[at + 2] = key;
        words[at + 3] = generation;
        return row;
      }
      if (words[at] === slot && words[at + 1] === tag && words[at + 2] === key) {
        if (met !== generation) {
          words[at + 3] = generation;
          this.states[row] = 0;
        }
        return row;
      }
      row = (row + 1) & this.#rowMask;
    }
  }
}

/** Three words into one, each mixed in as in MurmurHash3. */
function hashOf(slot: number, tag: number, key: number): number {
  let hash = mixed(SEED, slot);
  hash = mixed(hash, tag);
  hash = mixed(hash, key);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

function mixed(hash: number, word: number): number {
  let scrambled = Math.imul(word, 0xcc9e2d51);
  scrambled = Math.imul((scrambled << 15) | (scrambled >>> 17), 0x1b873593);
  const turned = hash ^ scrambled;
  return (Math.imul((turned << 13) | (turned >>> 19), 5) + 0xe6546b64) | 0;
}
