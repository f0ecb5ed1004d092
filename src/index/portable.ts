/**
 * Writes bitmaps in roaring's portable format straight from slots or page bitsets, without a native bitmap.
 * The bytes are canonical: each container takes the form (array, bitset, runs) that `runOptimize` chooses for
 * it when it comes from an array or a bitset, so equal content is equal bytes. Source:
 * github.com/RoaringBitmap/RoaringFormatSpec.
 */

import { type ByteBlocks, GrowableShorts, GrowableWords } from './growable.ts';
import { RoaringBitmap32 } from './roaring.ts';
import type { SpillSpace } from './spill-file.ts';

export const COOKIE_WITHOUT_RUNS = 12_346;
const COOKIE_WITH_RUNS = 12_347;
/** With runs and fewer containers than this, the format has no offset header. */
export const OFFSET_HEADER_CONTAINERS_MIN = 4;
/** Positions up to which a container is an array. */
export const ARRAY_CARDINALITY_MAX = 4096;
const BITSET_SHORTS = 4096;
/** Words of a page bitset: 65,536 bits. */
export const BITSET_WORDS = 2048;
/** 2 + 4 · runs bytes against the 8,192 of a bitset. */
const RUNS_MAX = 2047;

/** A bitmap that can be written in canonical portable bytes, once, by one of the two methods. */
export interface Portable {
  /** Slots. */
  readonly cardinality: number;
  readonly byteLength: number;
  /** Writes the bytes to the start of `target`, which holds at least so many. */
  writeTo(target: Uint8Array): void;
  /** Appends the bytes, padded to 8. */
  moveTo(blocks: ByteBlocks): void;
}

/** The containers of one bitmap, added in ascending order. */
export class PortableWriter implements Portable {
  readonly #pageKeys = new GrowableWords(16);
  /** 0 for arrays and bitsets. */
  readonly #runCounts = new GrowableWords(16);
  readonly #cardinalities = new GrowableWords(16);
  /** Every container is a whole number of 16-bit units. */
  readonly #body: GrowableShorts;
  #hasRuns = false;
  /** Slots added so far. */
  cardinality = 0;

  /** `space`: where containers go that come to more than is kept in memory. */
  constructor(space: SpillSpace | null = null) {
    this.#body = new GrowableShorts(1024, space);
  }

  reset(): void {
    this.#pageKeys.length = 0;
    this.#runCounts.length = 0;
    this.#cardinalities.length = 0;
    this.#body.clear();
    this.#hasRuns = false;
    this.cardinality = 0;
  }

  /** Passes its memory on; the writer is spent. */
  release(): void {
    for (const array of [this.#pageKeys, this.#runCounts, this.#cardinalities, this.#body]) array.release();
  }

  /** Adds slots[from…to), ascending and unique, all in pages above those added before. */
  addSlots(slots: Uint32Array, from: number, to: number): void {
    let i = from;
    while (i < to) {
      const pageKey = slots[i] >>> 16;
      let runCount = 1;
      let end = i + 1;
      while (end < to && slots[end] >>> 16 === pageKey) {
        if (slots[end] !== slots[end - 1] + 1) runCount++;
        end++;
      }
      this.#addPageSlots(pageKey, slots, i, end, runCount);
      i = end;
    }
  }

  /**
   * Adds the page whose bitset is words[offset … offset + 2048); nothing if it is empty. The number of its
   * bits and of its stretches of bits are counted where the caller does not have them.
   */
  addBitset(
    pageKey: number,
    words: Uint32Array,
    offset: number,
    cardinality = countBits(words, offset),
    runCount = countRuns(words, offset),
  ): void {
    if (cardinality === 0) return;
    const body = this.#body;
    if (isRunsSmaller(cardinality, runCount)) {
      const start = this.#addRunContainer(pageKey, cardinality, runCount);
      writeRunsOfBitset(words, offset, body.values, start);
      return;
    }
    if (cardinality <= ARRAY_CARDINALITY_MAX) {
      body.reserve(cardinality);
      writeArrayOfBitset(words, offset, body.values, body.length);
      body.length += cardinality;
    } else {
      body.reserve(BITSET_SHORTS);
      body.values.set(
        new Uint16Array(words.buffer, words.byteOffset + offset * 4, BITSET_SHORTS),
        body.length,
      );
      body.length += BITSET_SHORTS;
    }
    this.#addContainer(pageKey, cardinality, 0);
  }

  /** Adds the page of these stretches of slots, each its first position and its length − 1, where `isRunsSmaller`. */
  addRuns(pageKey: number, cardinality: number, runs: Uint16Array): void {
    const start = this.#addRunContainer(pageKey, cardinality, runs.length / 2);
    this.#body.values.set(runs, start);
  }

  /** Bytes of the bitmap as it stands. */
  get byteLength(): number {
    return this.#headerBytes() + this.#body.total * 2;
  }

  writeTo(target: Uint8Array): void {
    const headerBytes = this.#headerBytes();
    this.#writeHeader(target.subarray(0, headerBytes));
    this.#body.copyTo(target.subarray(headerBytes));
  }

  moveTo(blocks: ByteBlocks): void {
    this.#writeHeader(blocks.takePart(this.#headerBytes()));
    this.#body.appendTo(blocks);
    blocks.pad();
  }

  #writeHeader(target: Uint8Array): void {
    const count = this.#pageKeys.length;
    const header = new DataView(target.buffer, target.byteOffset, target.byteLength);
    let at = 0;
    if (this.#hasRuns) {
      header.setUint32(0, (COOKIE_WITH_RUNS | ((count - 1) << 16)) >>> 0, true);
      at = 4 + Math.ceil(count / 8);
      target.fill(0, 4, at);
      for (let i = 0; i < count; i++) {
        if (this.#runCounts.values[i] > 0) target[4 + (i >> 3)] |= 1 << (i & 7);
      }
    } else {
      header.setUint32(0, COOKIE_WITHOUT_RUNS, true);
      header.setUint32(4, count, true);
      at = 8;
    }
    for (let i = 0; i < count; i++, at += 4) {
      header.setUint16(at, this.#pageKeys.values[i], true);
      header.setUint16(at + 2, this.#cardinalities.values[i] - 1, true);
    }
    if (this.#hasOffsets()) {
      let offset = header.byteLength;
      for (let i = 0; i < count; i++, at += 4) {
        header.setUint32(at, offset, true);
        offset += containerBytes(this.#cardinalities.values[i], this.#runCounts.values[i]);
      }
    }
  }

  #addPageSlots(pageKey: number, slots: Uint32Array, from: number, to: number, runCount: number): void {
    const cardinality = to - from;
    const body = this.#body;
    if (isRunsSmaller(cardinality, runCount)) {
      const start = this.#addRunContainer(pageKey, cardinality, runCount);
      writeRunsOfSlots(slots, from, to, body.values, start);
      return;
    }
    if (cardinality <= ARRAY_CARDINALITY_MAX) {
      body.reserve(cardinality);
      writeArrayOfSlots(slots, from, to, body.values, body.length);
      body.length += cardinality;
    } else {
      body.reserve(BITSET_SHORTS);
      writeBitsetOfSlots(slots, from, to, body.values, body.length);
      body.length += BITSET_SHORTS;
    }
    this.#addContainer(pageKey, cardinality, 0);
  }

  /** Returns where in the body the runs are to be written. */
  #addRunContainer(pageKey: number, cardinality: number, runCount: number): number {
    const body = this.#body;
    body.reserve(1 + 2 * runCount);
    const start = body.length + 1;
    body.values[body.length] = runCount;
    body.length = start + 2 * runCount;
    this.#addContainer(pageKey, cardinality, runCount);
    return start;
  }

  #addContainer(pageKey: number, cardinality: number, runCount: number): void {
    this.#pageKeys.push(pageKey);
    this.#cardinalities.push(cardinality);
    this.#runCounts.push(runCount);
    if (runCount > 0) this.#hasRuns = true;
    this.cardinality += cardinality;
  }

  #hasOffsets(): boolean {
    return !this.#hasRuns || this.#pageKeys.length >= OFFSET_HEADER_CONTAINERS_MIN;
  }

  #headerBytes(): number {
    const count = this.#pageKeys.length;
    return (this.#hasRuns ? 4 + Math.ceil(count / 8) : 8) + count * (this.#hasOffsets() ? 8 : 4);
  }
}

/** The canonical portable bytes of any bitmap. */
export function portableBytes(bitmap: RoaringBitmap32): Uint8Array {
  const spent = new SpentBitmap(bitmap.clone());
  const bytes = new Uint8Array(spent.byteLength);
  spent.writeTo(bytes);
  return bytes;
}

/** A bitmap, not a view, that is disposed of once it is written, and is nobody else's from now on. */
export class SpentBitmap implements Portable {
  readonly cardinality: number;
  readonly byteLength: number;
  readonly #bitmap: RoaringBitmap32;

  /**
   * The detour over no runs matters: `runOptimize` keeps a container of runs that is as large as its array, but does not
   * turn such an array into runs.
   */
  constructor(bitmap: RoaringBitmap32) {
    bitmap.removeRunCompression();
    bitmap.runOptimize();
    this.#bitmap = bitmap;
    this.cardinality = bitmap.size;
    this.byteLength = bitmap.getSerializationSizeInBytes('portable');
  }

  writeTo(target: Uint8Array): void {
    this.#bitmap.serialize('portable', target.subarray(0, this.byteLength));
    this.#bitmap.dispose();
  }

  moveTo(blocks: ByteBlocks): void {
    this.writeTo(blocks.take(this.byteLength));
  }
}

/** A read-only bitmap over portable bytes, which must be valid, stay alive and never change. */
export function frozenView(bytes: Uint8Array): RoaringBitmap32 {
  return RoaringBitmap32.unsafeFrozenView(bytes, 'unsafe_frozen_portable');
}

/** Whether a container of so many slots in so many stretches is kept as runs. */
export function isRunsSmaller(cardinality: number, runCount: number): boolean {
  return cardinality <= ARRAY_CARDINALITY_MAX ? 2 * runCount + 1 < cardinality : runCount <= RUNS_MAX;
}

function containerBytes(cardinality: number, runCount: number): number {
  if (runCount > 0) return 2 + 4 * runCount;
  return cardinality <= ARRAY_CARDINALITY_MAX ? 2 * cardinality : 2 * BITSET_SHORTS;
}

function popcount(word: number): number {
  let w = word - ((word >>> 1) & 0x55555555);
  w = (w & 0x33333333) + ((w >>> 2) & 0x33333333);
  return Math.imul((w + (w >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Set bits of a page bitset. */
export function countBits(words: Uint32Array, offset: number): number {
  let count = 0;
  for (let i = offset; i < offset + BITSET_WORDS; i++) count += popcount(words[i] | 0);
  return count;
}

/** Stretches of set bits. One starts at a bit whose lower neighbour is clear. */
export function countRuns(words: Uint32Array, offset: number): number {
  let count = 0;
  let carry = 0;
  for (let i = offset; i < offset + BITSET_WORDS; i++) {
    const word = words[i] | 0;
    count += popcount(word & ~((word << 1) | carry));
    carry = word >>> 31;
  }
  return count;
}

function writeArrayOfBitset(words: Uint32Array, offset: number, target: Uint16Array, start: number): void {
  let at = start;
  for (let i = 0; i < BITSET_WORDS; i++) {
    let word = words[offset + i] | 0;
    while (word !== 0) {
      target[at++] = (i << 5) | (31 - Math.clz32(word & -word));
      word &= word - 1;
    }
  }
}

/** Pairs of first slot and length − 1. */
function writeRunsOfBitset(words: Uint32Array, offset: number, target: Uint16Array, start: number): void {
  let at = start;
  let carry = 0;
  for (let i = 0; i < BITSET_WORDS; i++) {
    const word = words[offset + i] | 0;
    // Bits where the state changes: a start and an end alternate, across words too.
    let changes = word ^ ((word << 1) | carry);
    carry = word >>> 31;
    while (changes !== 0) {
      const position = (i << 5) | (31 - Math.clz32(changes & -changes));
      changes &= changes - 1;
      if (((at - start) & 1) === 0) target[at] = position;
      else target[at] = position - 1 - target[at - 1];
      at++;
    }
  }
  if (carry !== 0) target[at] = 0xffff - target[at - 1];
}

function writeRunsOfSlots(slots: Uint32Array, from: number, to: number, target: Uint16Array, start: number) {
  let at = start;
  let first = slots[from];
  for (let i = from + 1; i <= to; i++) {
    if (i < to && slots[i] === slots[i - 1] + 1) continue;
    target[at++] = first;
    target[at++] = slots[i - 1] - first;
    first = slots[i];
  }
}

function writeArrayOfSlots(slots: Uint32Array, from: number, to: number, target: Uint16Array, start: number) {
  const shift = start - from;
  for (let i = from; i < to; i++) target[i + shift] = slots[i];
}

function writeBitsetOfSlots(
  slots: Uint32Array,
  from: number,
  to: number,
  target: Uint16Array,
  start: number,
) {
  target.fill(0, start, start + BITSET_SHORTS);
  for (let i = from; i < to; i++) {
    const low = slots[i] & 0xffff;
    target[start + (low >>> 4)] |= 1 << (low & 15);
  }
}
