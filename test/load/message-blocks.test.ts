/** Chunk messages in blocks that go round: what does not fit is cut into parts, and old contents never show. */
import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { SpillFile } from '../../src/index/spill-file.ts';
import { loadKernels } from '../../src/kernels/kernels.ts';
import { MESSAGE_BLOCKS_KEPT_MAX, MESSAGE_BLOCKS_SPILLING_MAX } from '../../src/limits.ts';
import { ChunkAccumulator } from '../../src/load/accumulator.ts';
import { type ChunkMessage, KIND_PAIRS, NO_FIELD } from '../../src/load/accumulator-message.ts';
import { narrowedTo, pairsOf, partsOf } from '../../src/load/merge-parts.ts';
import {
  type BlockRoom,
  isFull,
  isInMemory,
  MESSAGE_BLOCK_BYTES,
  SpareBlocks,
} from '../../src/load/message-blocks.ts';
import { MessageMemory } from '../../src/load/message-memory.ts';
import { resolveLoadOptions } from '../../src/load/options.ts';
import type { Source } from '../../src/load/source.ts';

const FIELD = { name: 'tags', filter: true, sort: false, many: true };
/** May be kept in memory, or not. */
const SOURCE = { bytes: 200_000_000, gzip: false } as Source;
/** Is never kept in memory. */
const LARGE_SOURCE = { bytes: 1_000_000_000, gzip: false } as Source;
const ROWS = 600_000;
const SMALL_KEYS = 5_000;

/** Every second row has key 3, whose slots alone fill more than a block; the others spread over small keys. */
const keyOfRow = (row: number): number => (row % 2 === 0 ? 3 : 10 + (row % SMALL_KEYS));

function messageWith(spareBlocks: SharedArrayBuffer[], room: BlockRoom | null = null): ChunkMessage {
  const kernels = loadKernels();
  const { memory } = kernels;
  const accumulator = new ChunkAccumulator(kernels, {
    fields: [FIELD],
    singleValued: false,
    spareBlocks,
    room,
  });
  const [slots, keys] = [memory.allocate(ROWS * 4), memory.allocate(ROWS * 4)];
  for (let row = 0; row < ROWS; row++) {
    memory.u32[slots / 4 + row] = row * 3;
    memory.u32[keys / 4 + row] = keyOfRow(row);
  }
  accumulator.addBatch(ROWS, slots, [{ keys, nulls: 0 }]);
  return accumulator.finish();
}

function slotsByKey(message: ChunkMessage): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const part of partsOf(message, 0)) {
    if (part.kind !== KIND_PAIRS) continue;
    const { keys, starts, slots } = pairsOf(part);
    keys.forEach((key, index) => {
      const list = found.get(key) ?? [];
      for (let at = starts[index]; at < starts[index + 1]; at++) list.push(slots[at]);
      found.set(key, list);
    });
  }
  return found;
}

function expectedSlotsByKey(): Map<number, number[]> {
  const expected = new Map<number, number[]>();
  for (let row = 0; row < ROWS; row++) {
    const key = keyOfRow(row);
    if (!expected.has(key)) expected.set(key, []);
    expected.get(key)!.push(row * 3);
  }
  return expected;
}

test('pairs that do not fit a block are cut between keys and within one, and nothing is lost', () => {
  const message = messageWith([]);
  expect(message.blocks.length).toBeGreaterThan(3);
  expect(new Set(message.blocks.map(({ byteLength }) => byteLength))).toEqual(new Set([MESSAGE_BLOCK_BYTES]));
  const partsOfKey3 = partsOf(message, 0).filter(
    (part) => part.kind === KIND_PAIRS && pairsOf(part).keys.includes(3),
  );
  expect(partsOfKey3.length).toBeGreaterThan(1);
  expect(slotsByKey(message)).toEqual(expectedSlotsByKey());
});

test('no key is cut off its last slot where a directory fills a block to the last word', () => {
  const keyCount = 45_000;
  // A key takes two words, its slots one each, and there is one more start than there are keys: an odd number of slots.
  const rows = MESSAGE_BLOCK_BYTES / 4 - 2 * keyCount - 1;
  const kernels = loadKernels();
  const { memory } = kernels;
  const accumulator = new ChunkAccumulator(kernels, { fields: [FIELD], singleValued: false });
  const [slots, keys] = [memory.allocate(rows * 4), memory.allocate(rows * 4)];
  for (let row = 0; row < rows; row++) {
    memory.u32[slots / 4 + row] = row;
    memory.u32[keys / 4 + row] = row % keyCount;
  }
  accumulator.addBatch(rows, slots, [{ keys, nulls: 0 }]);
  const parts = partsOf(accumulator.finish(), 0).filter(({ kind }) => kind === KIND_PAIRS);
  const sizes = parts.flatMap((part) => {
    const { keys: found, starts } = pairsOf(part);
    return Array.from(found, (_, key) => starts[key + 1] - starts[key]);
  });
  expect(sizes).toHaveLength(keyCount);
  expect(Math.min(...sizes)).toBe(1);
});

test('a message in used blocks is the message in fresh ones', () => {
  const used = Array.from({ length: 3 }, () => {
    const block = new SharedArrayBuffer(MESSAGE_BLOCK_BYTES);
    new Uint8Array(block).fill(0xa5);
    return block;
  });
  const given = [...used];
  const message = messageWith(given);
  expect(given).toEqual([]);
  expect(used.every((block) => message.blocks.includes(block))).toBe(true);
  expect(slotsByKey(message)).toEqual(expectedSlotsByKey());
});

test('the merge of a field is sent the blocks of its own parts only', () => {
  const kernels = loadKernels();
  const { memory } = kernels;
  const fields = ['width', 'height'].map((name) => ({ name, filter: false, sort: true, many: false }));
  const rows = 1 << 18;
  const accumulator = new ChunkAccumulator(kernels, { fields, singleValued: true });
  const [slots, width, height] = [0, 1, 2].map(() => memory.allocate(rows * 4));
  for (let row = 0; row < rows; row++) {
    memory.u32[slots / 4 + row] = row;
    memory.u32[width / 4 + row] = row;
    memory.u32[height / 4 + row] = row * 2;
  }
  accumulator.addBatch(rows, slots, [
    { keys: width, nulls: 0 },
    { keys: height, nulls: 0 },
  ]);
  const message = accumulator.finish();
  const narrowed = narrowedTo(message, 1);
  expect(narrowed.fields).toEqual([fields[1]]);
  expect(narrowed.blocks.length).toBeLessThan(message.blocks.length);
  expect(partsOf(narrowed, 0)).toEqual(partsOf(message, 1));
  const blocks = partsOf(message, 1).map(({ block }) => block);
  expect(partsOf(narrowed, 0).every(({ block }, part) => block === blocks[part])).toBe(true);
  expect(partsOf(narrowedTo(message, NO_FIELD), NO_FIELD)).toEqual(partsOf(message, NO_FIELD));
  expect(partsOf(message, NO_FIELD).length).toBeGreaterThan(0);
});

test('spare blocks are handed out once each, and only whole ones come back', () => {
  const spare = new SpareBlocks();
  const blocks = [new SharedArrayBuffer(MESSAGE_BLOCK_BYTES), new SharedArrayBuffer(MESSAGE_BLOCK_BYTES)];
  spare.give([...blocks, new SharedArrayBuffer(MESSAGE_BLOCK_BYTES * 2)]);
  const taken = [...spare.take(1), ...spare.take(10)];
  expect(taken).toHaveLength(2);
  expect(new Set(taken)).toEqual(new Set(blocks));
  expect(spare.take(1)).toEqual([]);
});

test('what there is no room for is spilled, in the memory of as many blocks as there may be, and nothing is lost', () => {
  const spillFile = SpillFile.open(tmpdir(), 0);
  try {
    const blockCount = new Int32Array(new SharedArrayBuffer(4));
    const spareBlocks: SharedArrayBuffer[] = [];
    const message = messageWith(spareBlocks, { space: spillFile.space, blocksMax: 2, blockCount });
    // The block that was filled last is spare again.
    expect(message.blocks.filter(isInMemory)).toHaveLength(1);
    expect(spareBlocks).toHaveLength(1);
    expect(blockCount[0]).toBe(2);
    expect(message.blocks.length).toBeGreaterThan(4);
    expect(slotsByKey(message)).toEqual(expectedSlotsByKey());
  } finally {
    spillFile.close();
  }
});

test('blocks that are spare count, so that no further ones are made beside them', () => {
  const spare = new SpareBlocks();
  const settings = resolveLoadOptions({ threads: 2 });
  const memory = new MessageMemory(spare, settings);
  const blocksOf = (count: number) =>
    Array.from({ length: count }, () => new SharedArrayBuffer(MESSAGE_BLOCK_BYTES));
  spare.give(blocksOf(MESSAGE_BLOCKS_KEPT_MAX + 5));
  memory.open([SOURCE], tmpdir());
  const room = memory.room!;
  expect(isFull(room)).toBe(true);
  const taken = spare.take(MESSAGE_BLOCKS_KEPT_MAX + 5);
  expect(taken).toHaveLength(MESSAGE_BLOCKS_KEPT_MAX);
  const message = messageWith(taken.slice(0, 2), room);
  expect(message.blocks.filter(isInMemory)).toHaveLength(1);
  memory.giveBack(message);
  expect(spare.count).toBe(1);
  expect(isFull(room)).toBe(true);
  memory.close(Promise.resolve());
});

test('a load that spills anyway has fewer blocks', () => {
  const blocksOf = (source: Source): number => {
    const memory = new MessageMemory(new SpareBlocks(), resolveLoadOptions({ threads: 2 }));
    memory.open([source], tmpdir());
    const { blocksMax } = memory.room!;
    memory.close(Promise.resolve());
    return blocksMax;
  };
  expect(blocksOf(SOURCE)).toBe(MESSAGE_BLOCKS_KEPT_MAX);
  expect(blocksOf(LARGE_SOURCE)).toBe(MESSAGE_BLOCKS_SPILLING_MAX);
});
