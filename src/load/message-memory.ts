/**
 * The memory that the chunk messages of one load take: blocks that go round, up to a limit, and a spill file for what is
 * above it. So memory does not grow with the files, and a load that stays below the limit touches no disk.
 */
import { SpillFile, type SpillSpace } from '../index/spill-file.ts';
import { MESSAGE_BLOCKS_KEPT_MAX, MESSAGE_BLOCKS_SPILLING_MAX } from '../limits.ts';
import type { ChunkMessage } from './accumulator-message.ts';
import {
  type BlockRoom,
  countBlock,
  isInMemory,
  MESSAGE_BLOCK_BYTES,
  type SpareBlocks,
} from './message-blocks.ts';
import type { LoadSettings } from './options.ts';
import type { ChunkRange } from './planner.ts';
import type { Source } from './source.ts';

/** Fixed memory of a chunk task: window, positions, columns, pair buffers. */
const SCAN_TASK_BYTES = 48 * 1024 * 1024;
/** Accumulators per byte of plain source, generous: what a task may produce before its true size is known. */
const ACCUMULATED_SHARE = 0.5;
/** Plain bytes per compressed byte, for the same estimate. */
const GZIP_RATIO = 5;
/** Bytes that a merge reads of the spill file at a time, all parts together, and how much of the blocks' bytes at most. */
const WINDOW_BYTES_MAX = 4 * 1024 * 1024;
const WINDOW_SHARE = 8;
/** Bytes of files below which no load comes to more than is kept in memory, and from which one does in any case. */
const SPILL_SOURCE_BYTES_MIN = 16 * 1024 * 1024;
const SPILL_SOURCE_BYTES_SURE = 512 * 1024 * 1024;

export class MessageMemory {
  readonly #spareBlocks: SpareBlocks;
  readonly #settings: LoadSettings;
  #spillFile: SpillFile | null = null;
  #room: BlockRoom | null = null;

  constructor(spareBlocks: SpareBlocks, settings: LoadSettings) {
    this.#spareBlocks = spareBlocks;
    this.#settings = settings;
  }

  /** To be called before the first scan. @throws BitloomError SPILL_FAILED */
  open(sources: readonly Source[], spillDirectory: string): void {
    const { memoryLimitBytes, threads } = this.#settings;
    const sourceBytes = sources.reduce((sum, { bytes, gzip }) => sum + bytes * (gzip ? GZIP_RATIO : 1), 0);
    const blocksWanted =
      sourceBytes < SPILL_SOURCE_BYTES_SURE ? MESSAGE_BLOCKS_KEPT_MAX : MESSAGE_BLOCKS_SPILLING_MAX;
    const blocksMax = Math.min(blocksWanted, blocksWithin(memoryLimitBytes, threads));
    const isSmall = sourceBytes < SPILL_SOURCE_BYTES_MIN && !sources.some(({ gzip }) => gzip);
    if (blocksMax === blocksWanted && isSmall) return;
    const windowBytes = Math.min(WINDOW_BYTES_MAX, (blocksMax * MESSAGE_BLOCK_BYTES) / WINDOW_SHARE);
    this.#spillFile = SpillFile.open(spillDirectory, windowBytes);
    this.#spareBlocks.trim(blocksMax);
    const blockCount = new Int32Array(new SharedArrayBuffer(4));
    blockCount[0] = this.#spareBlocks.count;
    this.#room = { space: this.#spillFile.space, blocksMax, blockCount };
  }

  /** What a scan may take besides its spare blocks; null: whatever it needs. */
  get room(): BlockRoom | null {
    return this.#room;
  }

  /** Bytes that a scan may need, with what it leaves in memory. */
  estimateScan(source: Source, chunk: ChunkRange): number {
    return SCAN_TASK_BYTES + Math.min(estimateMessages(source, chunk), this.#blocksMax * MESSAGE_BLOCK_BYTES);
  }

  /** Spare blocks for the messages of a chunk; no more than a thread's share of all. */
  takeSpare(source: Source, chunk: ChunkRange): SharedArrayBuffer[] {
    const blocks = Math.ceil(estimateMessages(source, chunk) / MESSAGE_BLOCK_BYTES);
    return this.#spareBlocks.take(Math.min(blocks, Math.ceil(this.#blocksMax / this.#settings.threads)));
  }

  /** Blocks that a scan did not need. */
  giveSpare(blocks: readonly SharedArrayBuffer[]): void {
    this.#spareBlocks.give(blocks);
  }

  /** Nobody reads the message any more. */
  giveBack({ blocks }: ChunkMessage): void {
    const inMemory = blocks.filter(isInMemory);
    const leaving = this.#spareBlocks.give(inMemory);
    if (this.#room !== null) for (const block of leaving) countBlock(this.#room, block, -1);
  }

  /** Where the merge of these messages puts what is too much for memory; null: they are all in memory. */
  spaceFor(messages: readonly ChunkMessage[]): SpillSpace | null {
    if (this.#room === null) return null;
    return messages.every(({ blocks }) => blocks.every(isInMemory)) ? null : this.#room.space;
  }

  /**
   * Nobody needs the messages any more. The file stays open until the threads are `idle`: after a failure one may still
   * be writing, and the number of a file that is closed is soon that of another.
   */
  close(idle: Promise<void>): void {
    this.#spareBlocks.trim(MESSAGE_BLOCKS_KEPT_MAX);
    void idle.then(() => this.#spillFile?.close());
  }

  get #blocksMax(): number {
    return this.#room?.blocksMax ?? Number.POSITIVE_INFINITY;
  }
}

/** Half of what the tasks of the threads leave of the memory limit; the other half is for merging. */
function blocksWithin(memoryLimitBytes: number, threads: number): number {
  return Math.max(0, Math.floor((memoryLimitBytes - threads * SCAN_TASK_BYTES) / 2 / MESSAGE_BLOCK_BYTES));
}

/** Bytes that the messages of a chunk may come to. */
function estimateMessages(source: Source, chunk: ChunkRange): number {
  const plainBytes = source.gzip ? source.bytes * GZIP_RATIO : chunk.end - chunk.start;
  return Math.ceil(plainBytes * ACCUMULATED_SHARE);
}
