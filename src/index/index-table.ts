/**
 * Numbers words (slots, keys) in the order of their first appearance: an open-addressing table of word and index side by
 * side, so that a lookup is one place in memory and no object. Words are never taken out.
 */
const COUNT_FIRST = 512;
/** Fibonacci hashing: 2^32 over the golden ratio. */
const MULTIPLIER = 0x9e3779b1;

export class IndexTable {
  /** By index; only the first `count` mean anything. Its identity changes when it grows. */
  words: Uint32Array = new Uint32Array(COUNT_FIRST);
  count = 0;
  /** Word and index + 1; 0 is free. At most half full. */
  #table = new Uint32Array(4 * COUNT_FIRST);
  #shift = 32 - Math.log2(2 * COUNT_FIRST);

  /** −1 for a word that was never added. */
  indexOf(word: number): number {
    return this.#table[this.#placeOf(word) + 1] - 1;
  }

  /** The index of a word, new or not. */
  add(word: number): number {
    const place = this.#placeOf(word);
    const found = this.#table[place + 1];
    if (found !== 0) return found - 1;
    const index = this.count;
    if (index === this.words.length) {
      this.#grow();
      this.#enter(word, index);
    } else {
      this.#table[place] = word;
      this.#table[place + 1] = index + 1;
    }
    this.words[index] = word;
    this.count++;
    return index;
  }

  /** Where the word is, or would be. */
  #placeOf(word: number): number {
    const table = this.#table;
    const last = table.length - 2;
    let place = (Math.imul(word, MULTIPLIER) >>> this.#shift) << 1;
    while (table[place + 1] !== 0 && table[place] !== word) place = place === last ? 0 : place + 2;
    return place;
  }

  #enter(word: number, index: number): void {
    const place = this.#placeOf(word);
    this.#table[place] = word;
    this.#table[place + 1] = index + 1;
  }

  #grow(): void {
    const words = new Uint32Array(this.words.length * 2);
    words.set(this.words);
    this.words = words;
    this.#table = new Uint32Array(this.#table.length * 2);
    this.#shift--;
    for (let index = 0; index < this.count; index++) this.#enter(words[index], index);
  }
}
