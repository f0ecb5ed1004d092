/**
 * A number for every key, in steps: a sorted list of boundaries, of which each holds for the keys from itself to the next
 * one; before the first it is 0. Neighbours differ, so that the list is as short as it can be. Keys are latin1 strings of
 * their bytes (byte-order.ts), which compare in the same order, and keep nothing else alive.
 *
 * The list is cut into blocks of some hundred boundaries, each with a bound of its values: finding a key is two binary
 * searches, a change moves one block's entries, and looking for a high value in a wide range steps over whole blocks.
 */
import { latin1ToBytes, lowerBound } from './byte-order.ts';
import type { KeyRange } from './commit-storage.ts';

const BLOCK_BOUNDARIES_MAX = 512;

interface Block {
  /** Never empty, ascending, also over blocks. */
  readonly keys: string[];
  readonly values: number[];
  /** At least the highest of the values. */
  valueMax: number;
}

export class StepFunction {
  #blocks: Block[] = [];
  #boundaryCount = 0;

  get boundaryCount(): number {
    return this.#boundaryCount;
  }

  /** Gives all keys of [begin, end) the value. */
  assign(begin: string, end: string, value: number): void {
    if (begin >= end) return;
    const blocks = this.#blocks;
    if (blocks.length === 0) blocks.push({ keys: [], values: [], valueMax: 0 });
    const blockIndex = this.#blockOf(begin);
    const block = blocks[blockIndex];
    const at = lowerBound(block.keys, begin);
    const valueBefore =
      at > 0 ? block.values[at - 1] : blockIndex > 0 ? lastValue(blocks[blockIndex - 1]) : 0;
    const removedTo = upperBound(block.keys, end, at);
    let valueAtEnd = removedTo > at ? block.values[removedTo - 1] : valueBefore;
    if (removedTo === block.keys.length && blockIndex + 1 < blocks.length) {
      valueAtEnd = this.#removeThrough(blockIndex + 1, end, valueAtEnd);
    }
    const isBoundary = value !== valueBefore;
    const isBoundaryAtEnd = valueAtEnd !== value;
    if (isBoundary && isBoundaryAtEnd) {
      block.keys.splice(at, removedTo - at, begin, end);
      block.values.splice(at, removedTo - at, value, valueAtEnd);
    } else if (isBoundary || isBoundaryAtEnd) {
      block.keys.splice(at, removedTo - at, isBoundary ? begin : end);
      block.values.splice(at, removedTo - at, isBoundary ? value : valueAtEnd);
    } else {
      block.keys.splice(at, removedTo - at);
      block.values.splice(at, removedTo - at);
    }
    this.#boundaryCount += Number(isBoundary) + Number(isBoundaryAtEnd) - (removedTo - at);
    block.valueMax = Math.max(block.valueMax, value, valueAtEnd);
    if (block.keys.length === 0) blocks.splice(blockIndex, 1);
    else if (block.keys.length > BLOCK_BOUNDARIES_MAX) this.#split(blockIndex);
  }

  valueAt(key: string): number {
    if (this.#blocks.length === 0) return 0;
    const block = this.#blocks[this.#blockOf(key)];
    const after = upperBound(block.keys, key, 0);
    // Only before the first boundary of all is there none in the block.
    return after === 0 ? 0 : block.values[after - 1];
  }

  /** Whether a key of [begin, end) has a value above `threshold`, which is 0 or more. */
  isAbove(begin: string, end: string, threshold: number): boolean {
    const blocks = this.#blocks;
    if (begin >= end || blocks.length === 0) return false;
    const firstIndex = this.#blockOf(begin);
    for (let index = firstIndex; index < blocks.length; index++) {
      const block = blocks[index];
      if (index > firstIndex && block.keys[0] >= end) return false;
      if (block.valueMax <= threshold) continue;
      const from = index === firstIndex ? Math.max(0, upperBound(block.keys, begin, 0) - 1) : 0;
      const to = lowerBound(block.keys, end);
      for (let at = from; at < to; at++) if (block.values[at] > threshold) return true;
    }
    return false;
  }

  /** The parts of [begin, end) with a value above 0, in order and apart from each other: begins and ends in turn. */
  positiveParts(begin: string, end: string): string[] {
    const parts: string[] = [];
    const blocks = this.#blocks;
    if (begin >= end || blocks.length === 0) return parts;
    let from = this.valueAt(begin) > 0 ? begin : undefined;
    for (let index = this.#blockOf(begin); index < blocks.length; index++) {
      const { keys, values } = blocks[index];
      for (let at = upperBound(keys, begin, 0); at < keys.length && keys[at] < end; at++) {
        if (values[at] > 0) {
          from ??= keys[at];
        } else if (from !== undefined) {
          parts.push(from, keys[at]);
          from = undefined;
        }
      }
      if (keys[keys.length - 1] >= end) break;
    }
    if (from !== undefined) parts.push(from, end);
    return parts;
  }

  /** All ranges with a value above 0, in order and apart from each other. */
  positiveRanges(): KeyRange[] {
    const ranges: KeyRange[] = [];
    const last = this.#blocks.at(-1)?.keys.at(-1);
    if (last === undefined) return ranges;
    const parts = this.positiveParts('', last);
    for (let at = 0; at < parts.length; at += 2) {
      ranges.push({ begin: latin1ToBytes(parts[at]), end: latin1ToBytes(parts[at + 1]) });
    }
    return ranges;
  }

  /** Makes all values up to `value` 0. */
  zeroThrough(value: number): void {
    const kept: Block[] = [];
    let valueBefore = 0;
    let count = 0;
    for (const block of this.#blocks) {
      const valueNext = lastValue(block) <= value ? 0 : lastValue(block);
      zeroBlockThrough(block, value, valueBefore);
      valueBefore = valueNext;
      count += block.keys.length;
      const previous = kept.at(-1);
      if (previous !== undefined && previous.keys.length + block.keys.length <= BLOCK_BOUNDARIES_MAX / 2) {
        for (const key of block.keys) previous.keys.push(key);
        for (const value of block.values) previous.values.push(value);
        previous.valueMax = Math.max(previous.valueMax, block.valueMax);
      } else if (block.keys.length > 0) {
        kept.push(block);
      }
    }
    this.#blocks = kept;
    this.#boundaryCount = count;
  }

  /** The lowest value for which `zeroThrough` leaves at most `boundariesMax` boundaries; 0 when so few are there. */
  valueLeaving(boundariesMax: number): number {
    if (this.#boundaryCount <= boundariesMax) return 0;
    // A boundary stays while what is on either side of it stays.
    const values = new Float64Array(this.#boundaryCount);
    let valueBefore = 0;
    let count = 0;
    for (const block of this.#blocks) {
      for (const value of block.values) {
        values[count++] = Math.max(value, valueBefore);
        valueBefore = value;
      }
    }
    values.sort();
    return values[count - 1 - boundariesMax];
  }

  /** The last block that begins at or before the key, or the first one. */
  #blockOf(key: string): number {
    const blocks = this.#blocks;
    let low = 0;
    let high = blocks.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (blocks[middle].keys[0] <= key) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Removes boundaries up to and including `end` from a block on. @returns the value that holds at `end`. */
  #removeThrough(firstIndex: number, end: string, valueBefore: number): number {
    const blocks = this.#blocks;
    let valueAtEnd = valueBefore;
    let index = firstIndex;
    while (index < blocks.length && blocks[index].keys[blocks[index].keys.length - 1] <= end) {
      valueAtEnd = lastValue(blocks[index]);
      this.#boundaryCount -= blocks[index].keys.length;
      index++;
    }
    blocks.splice(firstIndex, index - firstIndex);
    const block = blocks[firstIndex];
    if (block === undefined) return valueAtEnd;
    const removed = upperBound(block.keys, end, 0);
    if (removed === 0) return valueAtEnd;
    valueAtEnd = block.values[removed - 1];
    block.keys.splice(0, removed);
    block.values.splice(0, removed);
    this.#boundaryCount -= removed;
    return valueAtEnd;
  }

  #split(blockIndex: number): void {
    const block = this.#blocks[blockIndex];
    const half = block.keys.length >>> 1;
    const values = block.values.splice(half);
    const upper: Block = { keys: block.keys.splice(half), values, valueMax: highest(values) };
    block.valueMax = highest(block.values);
    this.#blocks.splice(blockIndex + 1, 0, upper);
  }
}

function zeroBlockThrough(block: Block, threshold: number, valueBeforeBlock: number): void {
  const { keys, values } = block;
  let valueBefore = valueBeforeBlock;
  let kept = 0;
  for (let at = 0; at < keys.length; at++) {
    const value = values[at] <= threshold ? 0 : values[at];
    if (value === valueBefore) continue;
    keys[kept] = keys[at];
    values[kept++] = value;
    valueBefore = value;
  }
  keys.length = kept;
  values.length = kept;
  block.valueMax = highest(values);
}

/** The first index from `from` on from which keys are after `key`. */
function upperBound(keys: readonly string[], key: string, from: number): number {
  let low = from;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle] <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function lastValue(block: Block): number {
  return block.values[block.values.length - 1];
}

function highest(values: readonly number[]): number {
  let highest = 0;
  for (const value of values) if (value > highest) highest = value;
  return highest;
}
