/** A reader of one snapshot in memory, with small pages, that checks how it is asked. */
import { expect } from 'vitest';
import { bytesToLatin1 } from '../../src/commit/byte-order.ts';
import type { TransactionReader } from '../../src/commit/transaction.ts';
import type { State } from './naive-state.ts';

export class SnapshotReader implements TransactionReader {
  readonly version: number;
  /** Keys of each get, and begin and end of each range. */
  readonly calls: string[][] = [];
  readonly #state: State;
  readonly #pagePairsMax: number;

  constructor(state: State, version: number, pagePairsMax = 1000) {
    this.#state = state;
    this.version = version;
    this.#pagePairsMax = pagePairsMax;
  }

  async get(keys: readonly Uint8Array[], asOf: number | undefined) {
    const names = keys.map(bytesToLatin1);
    this.#enter(names, asOf);
    expect(new Set(names).size).toBe(names.length);
    const values = names.map((name) => {
      const value = this.#state.get(name);
      return value === undefined ? undefined : Buffer.from(value, 'latin1');
    });
    return { version: this.version, values };
  }

  getRange: TransactionReader['getRange'] = async (range, { limit, bytesMax, reverse }, asOf) => {
    const [begin, end] = [bytesToLatin1(range.begin), bytesToLatin1(range.end)];
    this.#enter([begin, end], asOf);
    expect(begin < end).toBe(true);
    expect(Number.isInteger(limit) && limit > 0).toBe(true);
    expect(bytesMax).toBe(64 * 1024);
    const names = [...this.#state.keys()].filter((name) => begin <= name && name < end).sort();
    if (reverse) names.reverse();
    const count = Math.min(limit, this.#pagePairsMax);
    const pairs = names.slice(0, count).map((name) => ({
      key: Buffer.from(name, 'latin1'),
      value: Buffer.from(this.#state.get(name)!, 'latin1'),
    }));
    return { version: this.version, pairs, more: names.length > count };
  };

  #enter(names: string[], asOf: number | undefined): void {
    // Only the first one may leave the version open.
    expect(asOf).toBe(this.calls.length === 0 ? undefined : this.version);
    this.calls.push(names);
  }
}
