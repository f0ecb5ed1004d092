/**
 * The loops of the expression compiler that compare. Same conventions as `expression-kernels.ts`. A comparison becomes its
 * byte through `Number(…)`, which is free of branches, where `? 1 : 0` mispredicts on every other random row.
 */

export type ComparisonKernel<V> = (
  left: V,
  leftOffset: number,
  right: V,
  rightOffset: number,
  target: Uint8Array,
  targetOffset: number,
  count: number,
) => void;

export type ComparisonConstantKernel<V> = (
  left: V,
  leftOffset: number,
  right: number,
  target: Uint8Array,
  targetOffset: number,
  count: number,
) => void;

// Comparison of integers

export const less: ComparisonKernel<Float64Array> = (
  left,
  leftOffset,
  right,
  rightOffset,
  target,
  targetOffset,
  count,
) => {
  for (let i = 0; i < count; i++) {
    target[targetOffset + i] = Number(left[leftOffset + i] < right[rightOffset + i]);
  }
};

export const lessOrEqual: ComparisonKernel<Float64Array> = (
  left,
  leftOffset,
  right,
  rightOffset,
  target,
  targetOffset,
  count,
) => {
  for (let i = 0; i < count; i++) {
    target[targetOffset + i] = Number(left[leftOffset + i] <= right[rightOffset + i]);
  }
};

export const equal: ComparisonKernel<Float64Array> = (
  left,
  leftOffset,
  right,
  rightOffset,
  target,
  targetOffset,
  count,
) => {
  for (let i = 0; i < count; i++) {
    target[targetOffset + i] = Number(left[leftOffset + i] === right[rightOffset + i]);
  }
};

export const notEqual: ComparisonKernel<Float64Array> = (
  left,
  leftOffset,
  right,
  rightOffset,
  target,
  targetOffset,
  count,
) => {
  for (let i = 0; i < count; i++) {
    target[targetOffset + i] = Number(left[leftOffset + i] !== right[rightOffset + i]);
  }
};

export const lessConstant: ComparisonConstantKernel<Float64Array> = (
  left,
  leftOffset,
  right,
  target,
  targetOffset,
  count,
) => {
  for (let i = 0; i < count; i++) target[targetOffset + i] = Number(left[leftOffset + i] < right);
};

export const lessOrEqualConstant: ComparisonConstantKernel<Float64Array> = (
  left,
  leftOffset,
  right,
  target,
  targetOffset,
  count,
) => {
  for (let i = 0; i < count; i++) target[targetOffset + i] = Number(left[leftOffset + i] <= right);
};

export const greaterConstant: ComparisonConstantKernel<Float64Array> = (
  left,
  leftOffset,
  right,
  target,
  targetOffset,
  count,
) => {
  for (let i = 0; i < count; i++) target[targetOffset + i] = Number(left[leftOffset + i] > right);
};

export const greaterOrEqualConstant: ComparisonConstantKernel<Float64Array> = (
  left,
  leftOffset,
  right,
  target,
  targetOffset,
  count,
) => {
  for (let i = 0; i < count; i++) target[targetOffset + i] = Number(left[leftOffset + i] >= right);
};

export const equalConstant: ComparisonConstantKernel<Float64Array> = (
  left,
  leftOffset,
  right,
  target,
  targetOffset,
  count,
) => {
  for (let i = 0; i < count; i++) target[targetOffset + i] = Number(left[leftOffset + i] === right);
};

export const notEqualConstant: ComparisonConstantKernel<Float64Array> = (
  left,
  leftOffset,
  right,
  target,
  targetOffset,
  count,
) => {
  for (let i = 0; i < count; i++) target[targetOffset + i] = Number(left[leftOffset + i] !== right);
};

// Comparison of string codes and of booleans

export const equalCode: ComparisonKernel<Uint32Array> = (
  left,
  leftOffset,
  right,
  rightOffset,
  target,
  targetOffset,
  count,
) => {
  for (let i = 0; i < count; i++) {
    target[targetOffset + i] = Number(left[leftOffset + i] === right[rightOffset + i]);
  }
};

export const equalCodeConstant: ComparisonConstantKernel<Uint32Array> = (
  left,
  leftOffset,
  right,
  target,
  targetOffset,
  count,
) => {
  for (let i = 0; i < count; i++) target[targetOffset + i] = Number(left[leftOffset + i] === right);
};

export const equalBoolean: ComparisonKernel<Uint8Array> = (
  left,
  leftOffset,
  right,
  rightOffset,
  target,
  targetOffset,
  count,
) => {
  for (let i = 0; i < count; i++) {
    target[targetOffset + i] = Number(left[leftOffset + i] === right[rightOffset + i]);
  }
};

// Masks: `(column & mask) === wanted` on the low 32 bits, once per kind of column

export function maskTestFloat64(
  source: Float64Array,
  sourceOffset: number,
  mask: number,
  wanted: number,
  target: Uint8Array,
  targetOffset: number,
  count: number,
): void {
  for (let i = 0; i < count; i++)
    target[targetOffset + i] = Number((source[sourceOffset + i] & mask) === wanted);
}

export function maskTestInt32(
  source: Int32Array,
  sourceOffset: number,
  mask: number,
  wanted: number,
  target: Uint8Array,
  targetOffset: number,
  count: number,
): void {
  for (let i = 0; i < count; i++)
    target[targetOffset + i] = Number((source[sourceOffset + i] & mask) === wanted);
}

export function maskTestUint32(
  source: Uint32Array,
  sourceOffset: number,
  mask: number,
  wanted: number,
  target: Uint8Array,
  targetOffset: number,
  count: number,
): void {
  for (let i = 0; i < count; i++)
    target[targetOffset + i] = Number((source[sourceOffset + i] & mask) === wanted);
}
