/** Puts text into kernel memory at a given alignment, between bytes that would be noticed if a kernel took them in. */
import type { Pointer } from '../../src/kernels/kernel-memory.ts';
import type { Kernels } from '../../src/kernels/kernels.ts';

const MARGIN_BYTES = 128;

/** What surrounds the text: all of these would be structure if they were read as text. */
const SURROUNDINGS = Buffer.from(',"\n1');

export function placeText(kernels: Kernels, text: Uint8Array, alignment = 0): Pointer {
  const block = kernels.memory.allocate(text.length + 2 * MARGIN_BYTES + 64);
  const source = block + MARGIN_BYTES + alignment;
  const { u8 } = kernels.memory;
  for (let i = block; i < source + text.length + MARGIN_BYTES; i++)
    u8[i] = SURROUNDINGS[i % SURROUNDINGS.length];
  u8.set(text, source);
  return source;
}

/** u32 entries from a pointer on. */
export function entries(kernels: Kernels, pointer: Pointer, count: number): number[] {
  return [...kernels.memory.u32.subarray(pointer >>> 2, (pointer >>> 2) + count)];
}
