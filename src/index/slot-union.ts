/**
 * The set of a long, unordered list of slots with repetitions, such as all small values of a field together, without a
 * native call per slot or stretch: by setting bits where the slots fill their pages, else by a counting sort by page.
 */
import { PAGE_SLOTS } from '../limits.ts';
import { BITSET_WORDS, frozenView, PortableWriter } from './portable.ts';
import type { RoaringBitmap32 } from './roaring.ts';
import { borrowBuffer, borrowWords, returnBuffer, returnWords } from './scratch-memory.ts';

const BITSET_BYTES = BITSET_WORDS * 4;
/** Positions of a page up to which sorting them beats clearing and scanning a page bitset. */
const SORTED_POSITIONS_MAX = 256;

/** A read-only bitmap of the slots. */
export function unionOfSlots(slots: Uint32Array): RoaringBitmap32 {
  return frozenView(bytesOfSlots(slots));
}

/** The same in canonical portable bytes. */
export function bytesOfSlots(slots: Uint32Array): Uint8Array {
  const writer = new PortableWriter();
  const counts = borrowWords(PAGE_SLOTS).fill(0);
  const pageCount = countByPage(slots, counts);
  if (pageCount * BITSET_BYTES <= slots.length * 2) addByBitsets(slots, counts, pageCount, writer);
  else addBySorting(slots, counts, writer);
  const bytes = new Uint8Array(writer.byteLength);
  writer.writeTo(bytes);
  returnWords(counts);
  writer.release();
  return bytes;
}

/** Slots of each page; returns the number of pages with any. */
function countByPage(slots: Uint32Array, counts: Uint32Array): number {
  for (let i = 0; i < slots.length; i++) counts[slots[i] >>> 16]++;
  let pageCount = 0;
  for (let page = 0; page < PAGE_SLOTS; page++) if (counts[page] > 0) pageCount++;
  return pageCount;
}

function addByBitsets(
  slots: Uint32Array,
  counts: Uint32Array,
  pageCount: number,
  writer: PortableWriter,
): void {
  const bitsets = borrowWords(pageCount * BITSET_WORDS).fill(0);
  const wordStarts = borrowWords(PAGE_SLOTS);
  for (let page = 0, at = 0; page < PAGE_SLOTS; page++) {
    wordStarts[page] = at;
    if (counts[page] > 0) at += BITSET_WORDS;
  }
  setSlots(bitsets, wordStarts, slots);
  for (let page = 0; page < PAGE_SLOTS; page++) {
    if (counts[page] > 0) writer.addBitset(page, bitsets, wordStarts[page]);
  }
  returnWords(wordStarts);
  returnWords(bitsets);
}

function setSlots(bitsets: Uint32Array, wordStarts: Uint32Array, slots: Uint32Array): void {
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i];
    bitsets[wordStarts[slot >>> 16] + ((slot & 0xffff) >>> 5)] |= 1 << (slot & 31);
  }
}

function addBySorting(slots: Uint32Array, counts: Uint32Array, writer: PortableWriter): void {
  const positions = new Uint16Array(borrowBuffer(slots.length * 2));
  const ends = scatterByPage(slots, counts, positions);
  const bitset = new Uint32Array(BITSET_WORDS);
  const sorted = new Uint32Array(SORTED_POSITIONS_MAX);
  for (let page = 0; page < PAGE_SLOTS; page++) {
    const to = ends[page];
    const from = to - counts[page];
    if (from === to) continue;
    if (to - from <= SORTED_POSITIONS_MAX) {
      const unique = uniqueSlots(positions.subarray(from, to).sort(), page * PAGE_SLOTS, sorted);
      writer.addSlots(sorted, 0, unique);
    } else {
      bitset.fill(0);
      setPositions(bitset, positions, from, to);
      writer.addBitset(page, bitset, 0);
    }
  }
  returnWords(ends);
  returnBuffer(positions.buffer);
}

/** Positions within their pages, page after page; returns where each page ends, in scratch memory. */
function scatterByPage(
  slots: Uint32Array,
  counts: Uint32Array,
  positions: Uint16Array,
): Uint32Array<ArrayBuffer> {
  const cursors = borrowWords(PAGE_SLOTS);
  cursors[0] = 0;
  for (let page = 1; page < PAGE_SLOTS; page++) cursors[page] = cursors[page - 1] + counts[page - 1];
  for (let i = 0; i < slots.length; i++) positions[cursors[slots[i] >>> 16]++] = slots[i];
  return cursors;
}

function uniqueSlots(sortedPositions: Uint16Array, base: number, target: Uint32Array): number {
  let count = 0;
  for (let i = 0; i < sortedPositions.length; i++) {
    if (i === 0 || sortedPositions[i] !== sortedPositions[i - 1]) target[count++] = base + sortedPositions[i];
  }
  return count;
}

function setPositions(bitset: Uint32Array, positions: Uint16Array, from: number, to: number): void {
  for (let i = from; i < to; i++) bitset[positions[i] >>> 5] |= 1 << (positions[i] & 31);
}
