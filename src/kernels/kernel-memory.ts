/**
 * A bump allocator over the memory of one kernel instance. Blocks live until `release` of a mark taken before them;
 * nothing is freed one by one. Pointers are byte addresses below 2^31, so they are the same number as an i32 of
 * WebAssembly and as a number here.
 *
 * Growing replaces the buffer and detaches every view, so take `u8`, `u32` and the others anew after any `allocate`.
 */
import { BitloomError } from '../errors.ts';

/** Byte address in the kernel memory. */
export type Pointer = number;

const WASM_PAGE_BYTES = 65_536;
const MEMORY_PAGES_MAX = 32_767;
/**
 * Growing copies nothing, but detaches views, and every buffer it makes is for the garbage collector a young object of the
 * size of the whole memory, over which it collects again and again. So the memory doubles; what is not used is not there.
 */
const INITIAL_PAGES = 16;

export function createWasmMemory(): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: MEMORY_PAGES_MAX });
}

export class KernelMemory {
  readonly memory: WebAssembly.Memory;
  u8!: Uint8Array;
  u16!: Uint16Array;
  u32!: Uint32Array;
  i32!: Int32Array;
  f64!: Float64Array;
  private next: Pointer;

  /** `base` is the first free byte, as the `heapBase` kernel says. */
  constructor(memory: WebAssembly.Memory, base: Pointer) {
    this.memory = memory;
    this.next = base;
    this.refresh();
  }

  /** Reserves `bytes` bytes, contents undefined. Throws KERNEL_MEMORY_EXHAUSTED above 2 GiB in all. */
  allocate(bytes: number, align = 64): Pointer {
    const pointer = Math.ceil(this.next / align) * align;
    const end = pointer + bytes;
    if (end > this.u8.length) this.grow(end);
    this.next = end;
    return pointer;
  }

  /** The state to hand to `release`. */
  mark(): Pointer {
    return this.next;
  }

  /** Frees everything allocated since `mark`. */
  release(mark: Pointer): void {
    this.next = mark;
  }

  private grow(bytes: number): void {
    const pagesNow = this.u8.length / WASM_PAGE_BYTES;
    const pagesNeeded = Math.ceil(bytes / WASM_PAGE_BYTES);
    const pages = Math.max(pagesNeeded, Math.min(2 * pagesNow, MEMORY_PAGES_MAX));
    try {
      this.memory.grow(pages - pagesNow);
    } catch (cause) {
      throw new BitloomError('KERNEL_MEMORY_EXHAUSTED', `A worker needs ${bytes} bytes of kernel memory.`, {
        hint: 'Load in smaller chunks: lower chunkLines.',
        cause,
      });
    }
    this.refresh();
  }

  private refresh(): void {
    const { buffer } = this.memory;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.f64 = new Float64Array(buffer);
  }
}
