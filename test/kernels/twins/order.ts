/** The kernel of workers/kernels/order.ts in plain TypeScript. */

export function orderListsTwin(lists: readonly (readonly number[])[]): number[][] {
  return lists.map((slots) => [...new Set(slots)].sort((a, b) => a - b));
}
