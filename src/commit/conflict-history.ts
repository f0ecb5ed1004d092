/**
 * Which version last wrote what, since `floor`: what a leader decides conflicts by. It grows with every batch and forgets
 * only by raising the floor, so that forgetting can turn an answer into "too old" but never a conflict into a commit.
 */
import { bytesToLatin1 } from './byte-order.ts';
import type { KeyRange } from './commit-storage.ts';
import { StepFunction } from './step-function.ts';

export class ConflictHistory {
  readonly #writes = new StepFunction();
  #floor: number;

  /** @param floor the version that everything was written by: the durable version when a term starts */
  constructor(floor: number) {
    this.#floor = floor;
  }

  /** What was written up to this version is not known any more. */
  get floor(): number {
    return this.#floor;
  }

  get boundaryCount(): number {
    return this.#writes.boundaryCount;
  }

  /**
   * Whether a key of the ranges was, or below the floor may have been, written by a version above `readVersion`.
   * Logarithmic for each range in the number of boundaries; a range over many blocks of them looks at one number each.
   */
  conflicts(readRanges: readonly KeyRange[], readVersion: number): boolean {
    const isBelowFloor = readVersion < this.#floor;
    for (const range of readRanges) {
      const begin = bytesToLatin1(range.begin);
      const end = bytesToLatin1(range.end);
      if (begin < end && (isBelowFloor || this.#writes.isAbove(begin, end, readVersion))) return true;
    }
    return false;
  }

  /** Versions must not go down, and be above the floor. */
  record(writeRanges: readonly KeyRange[], version: number): void {
    for (const { begin, end } of writeRanges) {
      this.#writes.assign(bytesToLatin1(begin), bytesToLatin1(end), version);
    }
  }

  /** Forgets what was written by versions up to this one. */
  prune(throughVersion: number): void {
    if (throughVersion <= this.#floor) return;
    this.#floor = throughVersion;
    this.#writes.zeroThrough(throughVersion);
  }

  /** When there are more than `boundariesMax`, forgets the oldest; more than needed, so that the next time is not near. */
  pruneToSize(boundariesMax: number): void {
    if (this.boundaryCount <= boundariesMax) return;
    this.prune(this.#writes.valueLeaving(boundariesMax - Math.ceil(boundariesMax / 8)));
  }
}
