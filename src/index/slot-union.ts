/**
 * The set of a long, unordered list of slots with repetitions, such as all small values of a field together: one
 * counting sort by page, then page by page. No native call per slot or stretch.
 */
import { PAGE_SLOTS } from '../limits.ts';
import { BITSET_WORDS, frozenView, PortableWriter } from './portable.ts';
import type { RoaringBitmap32 } from './roaring.ts';

/** Positions of a page up to which sorting them beats clearing and scanning a page bitset. */
const SORTED_POSITIONS_MAX = 256;

/** A read-only bitmap of the slots. */
export function unionOfSlots(slots: Uint32Array): RoaringBitmap32 {
  const starts = new Uint32Array(PAGE_SLOTS + 1);
  const positions = new Uint16Array(slots.length);
  scatterByPage(slots, starts, positions);
  const writer = new PortableWriter();
  const bitset = new Uint32Array(BITSET_WORDS);
  const sorted = new Uint32Array(SORTED_POSITIONS_MAX);
  for (let pageKey = 0; pageKey < PAGE_SLOTS; pageKey++) {
    const from = starts[pageKey];
    const to = starts[pageKey + 1];
    if (from === to) continue;
    if (to - from <= SORTED_POSITIONS_MAX) {
      const page = positions.subarray(from, to).sort();
      writer.addSlots(sorted, 0, uniqueSlots(page, pageKey * PAGE_SLOTS, sorted));
    } else {
      bitset.fill(0);
      setPositions(bitset, positions, from, to);
      writer.addBitset(pageKey, bitset, 0);
    }
  }
  const bytes = new Uint8Array(writer.byteLength);
  writer.writeTo(bytes);
  return frozenView(bytes);
}

/** Positions within the page by page; page p ends up in positions[starts[p] … starts[p + 1]). */
function scatterByPage(slots: Uint32Array, starts: Uint32Array, positions: Uint16Array): void {
  for (let i = 0; i < slots.length; i++) starts[slots[i] >>> 16]++;
  let sum = 0;
  for (let page = 0; page <= PAGE_SLOTS; page++) {
    sum += starts[page];
    starts[page] = sum;
  }
  // Each start counts down from its page's end.
  for (let i = slots.length - 1; i >= 0; i--) positions[--starts[slots[i] >>> 16]] = slots[i];
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
