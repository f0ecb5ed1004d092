/** Puts arrays into kernel memory and reads them back, for the tests of the page kernels. */
import type { Pointer } from '../../src/kernels/kernel-memory.ts';
import { loadKernels } from '../../src/kernels/kernels.ts';
import { BITSET_BYTES } from '../../src/kernels/page-kernels.ts';

export const kernels = loadKernels();
const { memory } = kernels;

/** Runs `body` and frees what it placed. */
export function inMemory<T>(body: () => T): T {
  const mark = memory.mark();
  const result = body();
  memory.release(mark);
  return result;
}

/** Rubbish follows, so that reading beyond the end shows. */
export function placeWords(words: readonly number[]): Pointer {
  const pointer = memory.allocate((words.length + 16) * 4, 4);
  memory.u32.set(words, pointer / 4);
  memory.u32.fill(0xa5a5a5a5, pointer / 4 + words.length, pointer / 4 + words.length + 16);
  return pointer;
}

/** Null bytes of a column; 0 when nothing is null. */
export function placeNulls(values: readonly (number | null)[]): Pointer {
  if (!values.includes(null)) return 0;
  const pointer = memory.allocate(values.length);
  values.forEach((value, i) => {
    memory.u8[pointer + i] = value === null ? 1 : 0;
  });
  return pointer;
}

export function placeBitset(positions: readonly number[] = []): Pointer {
  const pointer = memory.allocate(BITSET_BYTES);
  memory.u8.fill(0, pointer, pointer + BITSET_BYTES);
  for (const position of positions) memory.u8[pointer + (position >>> 3)] |= 1 << (position & 7);
  return pointer;
}

export function words(pointer: Pointer, count: number): number[] {
  return [...memory.u32.subarray(pointer / 4, pointer / 4 + count)];
}

export function positionsOf(bitset: Pointer): number[] {
  const positions: number[] = [];
  for (let i = 0; i < BITSET_BYTES * 8; i++) {
    if ((memory.u8[bitset + (i >>> 3)] >>> (i & 7)) & 1) positions.push(i);
  }
  return positions;
}
