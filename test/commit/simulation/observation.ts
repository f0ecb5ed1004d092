/** A watch on everything below a key, and what it must have told in the end. */
import type { CommitStore } from '../../../src/commit/commit-store.ts';
import { type Checker, type LoggedCommit, overlaps } from './checker.ts';
import type { Process, World } from './world.ts';

const RANGES = [
  ['', '\u00ff'],
  ['a', 'd'],
  ['l', 'm'],
] as const;

export class Observation {
  readonly #range: readonly [string, string];
  readonly #after: number;
  readonly #process: Process;
  readonly #versions: number[] = [];
  #error: unknown;
  readonly #isOpenEnded: boolean;

  constructor(world: World, store: CommitStore, process: Process) {
    this.#process = process;
    this.#range = world.pick(RANGES);
    this.#after = store.stats().durableVersion;
    this.#isOpenEnded = world.chance(0.5);
    void this.#read(store);
  }

  /** Whether the last commit of its range has been told. */
  hasSeen(log: readonly LoggedCommit[]): boolean {
    if (this.#error !== undefined) return true;
    const expected = this.#expected(log).at(-1);
    return expected === undefined || this.#versions.at(-1) === expected;
  }

  check(checker: Checker, prunedVersion: number): void {
    if (this.#error !== undefined) {
      const isPruned = String(this.#error).includes('pruned') && prunedVersion > this.#after;
      if (!isPruned) checker.fail('watch', String(this.#error));
      return;
    }
    // Without a position of its own it may have begun where the records begin.
    const expected = this.#expected(checker.log);
    const isTail = this.#isOpenEnded && prunedVersion > this.#after;
    const relevant = isTail ? expected.slice(expected.length - this.#versions.length) : expected;
    if (JSON.stringify(this.#versions) === JSON.stringify(relevant)) return;
    checker.fail(
      'watch',
      `${this.#process.name} watches ${this.#range.join('..')} after ${this.#after}: told ${this.#versions}, not ${relevant}`,
    );
  }

  async #read(store: CommitStore): Promise<void> {
    const [begin, end] = this.#range.map((text) => Buffer.from(text, 'latin1'));
    try {
      const options = this.#isOpenEnded ? {} : { after: this.#after };
      for await (const version of store.watch(begin, end, options)) this.#versions.push(version);
    } catch (error) {
      this.#error = error;
    }
  }

  #expected(log: readonly LoggedCommit[]): number[] {
    return log.flatMap(({ version, written }) =>
      version > this.#after && written.some((range) => overlaps(range, this.#range)) ? [version] : [],
    );
  }
}
