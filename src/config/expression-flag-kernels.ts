/**
 * The loops of the expression compiler over bytes: booleans 0/1, and the null and error flags of rows. Same conventions
 * as `expression-kernels.ts`.
 */
import type { ComparisonKernel } from './expression-comparison-kernels.ts';

export const andBytes: ComparisonKernel<Uint8Array> = (
  left,
  leftOffset,
  right,
  rightOffset,
  target,
  targetOffset,
  count,
) => {
  for (let i = 0; i < count; i++) target[targetOffset + i] = left[leftOffset + i] & right[rightOffset + i];
};

export const orBytes: ComparisonKernel<Uint8Array> = (
  left,
  leftOffset,
  right,
  rightOffset,
  target,
  targetOffset,
  count,
) => {
  for (let i = 0; i < count; i++) target[targetOffset + i] = left[leftOffset + i] | right[rightOffset + i];
};

export function invertBytes(
  source: Uint8Array,
  sourceOffset: number,
  target: Uint8Array,
  targetOffset: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) target[targetOffset + i] = (source[sourceOffset + i] & 1) ^ 1;
}

/**
 * Flags of the right operand that count: those of rows whose left operand leaves the result open, because it is null or
 * not `deciding`. `target` becomes `left flags | open & right flags`.
 */
export function orFlagsWhereOpen(
  values: Uint8Array,
  valuesOffset: number,
  nulls: Uint8Array,
  nullsOffset: number,
  deciding: number,
  leftFlags: Uint8Array,
  leftFlagsOffset: number,
  rightFlags: Uint8Array,
  rightFlagsOffset: number,
  target: Uint8Array,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const open = nulls[nullsOffset + i] | ((values[valuesOffset + i] & 1) ^ deciding);
    target[i] = leftFlags[leftFlagsOffset + i] | (open & rightFlags[rightFlagsOffset + i]);
  }
}

/** Three-valued `&&`: false decides, else null wins. Values of null rows are 1 afterwards. */
export function andWithNulls(
  left: Uint8Array,
  leftOffset: number,
  leftNulls: Uint8Array,
  leftNullsOffset: number,
  right: Uint8Array,
  rightOffset: number,
  rightNulls: Uint8Array,
  rightNullsOffset: number,
  target: Uint8Array,
  targetOffset: number,
  targetNulls: Uint8Array,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const leftNull = leftNulls[leftNullsOffset + i];
    const rightNull = rightNulls[rightNullsOffset + i];
    const value = (left[leftOffset + i] | leftNull) & (right[rightOffset + i] | rightNull) & 1;
    target[targetOffset + i] = value;
    targetNulls[i] = value & (leftNull | rightNull);
  }
}

/** Three-valued `||`: true decides, else null wins. Values of null rows are 0 afterwards. */
export function orWithNulls(
  left: Uint8Array,
  leftOffset: number,
  leftNulls: Uint8Array,
  leftNullsOffset: number,
  right: Uint8Array,
  rightOffset: number,
  rightNulls: Uint8Array,
  rightNullsOffset: number,
  target: Uint8Array,
  targetOffset: number,
  targetNulls: Uint8Array,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const leftNull = leftNulls[leftNullsOffset + i];
    const rightNull = rightNulls[rightNullsOffset + i];
    const value = ((left[leftOffset + i] & ~leftNull) | (right[rightOffset + i] & ~rightNull)) & 1;
    target[targetOffset + i] = value;
    targetNulls[i] = (value ^ 1) & (leftNull | rightNull);
  }
}
