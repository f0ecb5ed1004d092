/**
 * The WebAssembly kernels of one thread. The module is compiled once per thread, synchronously (a worker has nothing
 * else to do, and the module is a few kilobytes); every `loadKernels` is an instance of it with a memory of its own.
 *
 * Results of type u32 arrive as signed numbers when they pass 2^31; counts and pointers never do.
 */
import { readFileSync } from 'node:fs';
import { BitloomError } from '../errors.ts';
import type { CsvKernels } from './csv-kernels.ts';
import { createWasmMemory, KernelMemory, type Pointer } from './kernel-memory.ts';
import type { PageKernels } from './page-kernels.ts';

/** Every function the module exports. Each area declares its own part beside the code that calls it. */
export type KernelExports = { heapBase(): Pointer } & CsvKernels & PageKernels;

export type Kernels = KernelExports & { readonly memory: KernelMemory };

/** The same relative place from the sources and from dist/src, where the build puts a copy. */
const MODULE_URL = new URL('../../workers/kernels/build/kernels.wasm', import.meta.url);

let compiled: WebAssembly.Module | undefined;

/** Throws KERNELS_MISSING when the package was not built. */
export function loadKernels(memory: WebAssembly.Memory = createWasmMemory()): Kernels {
  compiled ??= new WebAssembly.Module(readModule());
  const instance = new WebAssembly.Instance(compiled, { env: { memory, abort } });
  const exports = instance.exports as unknown as KernelExports;
  return { ...exports, memory: new KernelMemory(memory, exports.heapBase()) };
}

function readModule(): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(readFileSync(MODULE_URL));
  } catch (cause) {
    throw new BitloomError('KERNELS_MISSING', `The WebAssembly kernels are not at ${MODULE_URL.pathname}.`, {
      hint: 'Build them with: npm run build:kernels',
      cause,
    });
  }
}

function abort(): never {
  throw new BitloomError('INTERNAL', 'A WebAssembly kernel aborted.');
}
