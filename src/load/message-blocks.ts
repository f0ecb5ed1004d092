/**
 * The shared memory that chunk messages are made of, in blocks of one size that go round: a chunk that is merged leaves
 * its blocks to the next one. Touching fresh memory costs about as much as filling it, and a block that the garbage
 * collectors of several threads have to let go first would outlive the load.
 */
import type { SpilledBytes, SpillSpace } from '../index/spill-file.ts';
import { PAGE_SLOTS } from '../limits.ts';

/** Two pages of a sort field with their bitsets: what is written most fits without a gap. */
export const MESSAGE_BLOCK_BYTES = 2 * (4 * PAGE_SLOTS + PAGE_SLOTS / 8);

/** A block of a message, in memory or, of a large load, in the spill file. */
export type MessageBlock = SharedArrayBuffer | SpilledBytes;

export function isInMemory(block: MessageBlock): block is SharedArrayBuffer {
  return block instanceof SharedArrayBuffer;
}

/** The memory that there may be for the messages of a load, and where the rest goes. Shared by its threads. */
export interface BlockRoom {
  readonly space: SpillSpace;
  readonly blocksMax: number;
  /** Blocks that there are, spare or in use; a larger one counts as so many. */
  readonly blockCount: Int32Array;
}

/** No further block may be made. */
export function isFull({ blocksMax, blockCount }: BlockRoom): boolean {
  return Atomics.load(blockCount, 0) >= blocksMax;
}

/** Counts a block that was made, or with −1 one that goes. */
export function countBlock({ blockCount }: BlockRoom, { byteLength }: SharedArrayBuffer, sign: 1 | -1): void {
  Atomics.add(blockCount, 0, sign * Math.ceil(byteLength / MESSAGE_BLOCK_BYTES));
}

/** Blocks that nobody reads or writes. Their contents are undefined. */
export class SpareBlocks {
  #blocks: SharedArrayBuffer[] = [];

  /** Up to `count` blocks, which are the caller's from now on. */
  take(count: number): SharedArrayBuffer[] {
    return this.#blocks.splice(Math.max(0, this.#blocks.length - count));
  }

  /** Takes blocks back and returns those of another size, which are left to the garbage collector. */
  give(blocks: readonly SharedArrayBuffer[]): SharedArrayBuffer[] {
    const isWhole = ({ byteLength }: SharedArrayBuffer): boolean => byteLength === MESSAGE_BLOCK_BYTES;
    this.#blocks.push(...blocks.filter(isWhole));
    return blocks.filter((block) => !isWhole(block));
  }

  get count(): number {
    return this.#blocks.length;
  }

  /** Keeps no more than so many. */
  trim(countMax: number): void {
    this.#blocks.splice(countMax);
  }
}
