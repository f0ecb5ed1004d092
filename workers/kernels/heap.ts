// The first byte that is free for the caller: everything below belongs to the constants of the module.
export function heapBase(): usize {
  return __heap_base;
}
