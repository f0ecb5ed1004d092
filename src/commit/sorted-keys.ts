/**
 * A sorted set of strings for many additions between few looks: additions wait unsorted until somebody looks. The caller
 * never adds what is there.
 */
import { lowerBound } from './byte-order.ts';

const INSERTED_SINGLY_MAX = 16;

export class SortedKeys {
  #sorted: string[] = [];
  #added: string[] = [];

  add(key: string): void {
    this.#added.push(key);
  }

  /** All of them; valid until the next change. */
  sorted(): readonly string[] {
    if (this.#added.length > INSERTED_SINGLY_MAX) {
      // Two ascending runs, which the sort finds and merges.
      this.#sorted = this.#sorted.concat(this.#added.sort()).sort();
      this.#added = [];
    } else if (this.#added.length > 0) {
      for (const key of this.#added) this.#sorted.splice(lowerBound(this.#sorted, key), 0, key);
      this.#added = [];
    }
    return this.#sorted;
  }

  /** The place of the first one that is not before `key`. */
  indexOf(key: string): number {
    return lowerBound(this.sorted(), key);
  }

  /** Removes those of [begin, end). @returns them */
  remove(begin: string, end: string): string[] {
    const first = this.indexOf(begin);
    return this.#sorted.splice(first, this.indexOf(end) - first);
  }
}
