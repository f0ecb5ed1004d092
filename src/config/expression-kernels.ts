/**
 * The loops of the expression compiler: one module-level function per operator and operand kind, so that each sees one
 * kind of typed array. `(…, offset)` pairs address a block inside an array; `count` rows are processed.
 *
 * Integers are Float64Array, booleans Uint8Array 0/1, strings Uint32Array codes. Rows that are null or in error hold any
 * value: a loop must not depend on it. A loop whose operator can leave ±(2^53 − 1) returns 1 when some row did.
 */

export type IntegerKernel = (
  left: Float64Array,
  leftOffset: number,
  right: Float64Array,
  rightOffset: number,
  target: Float64Array,
  targetOffset: number,
  count: number,
) => number;

export type IntegerConstantKernel = (
  left: Float64Array,
  leftOffset: number,
  right: number,
  target: Float64Array,
  targetOffset: number,
  count: number,
) => number;

const MAX = Number.MAX_SAFE_INTEGER;
const TWO_32 = 0x1_0000_0000;

/** 2^n by n; beyond 64 every bit of an integer is gone already. */
const powers = Float64Array.from({ length: 65 }, (_, exponent) => 2 ** exponent);

/** 2^count for a shift, NaN for a negative count. */
export function shiftFactor(count: number): number {
  return count >= 0 ? powers[Math.min(count, 64)] : Number.NaN;
}

// Columns to integers

export function widenUint32(
  source: Uint32Array,
  sourceOffset: number,
  target: Float64Array,
  count: number,
): void {
  for (let i = 0; i < count; i++) target[i] = source[sourceOffset + i];
}

export function widenInt32(
  source: Int32Array,
  sourceOffset: number,
  target: Float64Array,
  count: number,
): void {
  for (let i = 0; i < count; i++) target[i] = source[sourceOffset + i];
}

/** Widens, and nulls become `fill`. Without a branch, which only the finite garbage of an integer array allows. */
export function fillUint32(
  source: Uint32Array,
  sourceOffset: number,
  nulls: Uint8Array,
  fill: number,
  target: Float64Array,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const isNull = nulls[sourceOffset + i];
    target[i] = source[sourceOffset + i] * (1 - isNull) + fill * isNull;
  }
}

/** `source` and `target` may be one array. */
export function fillFloat64(
  source: Float64Array,
  sourceOffset: number,
  nulls: Uint8Array,
  nullsOffset: number,
  fill: number,
  target: Float64Array,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    target[i] = nulls[nullsOffset + i] === 0 ? source[sourceOffset + i] : fill;
  }
}

// Arithmetic. `+ 0` turns -0 into 0.

export const add: IntegerKernel = (left, leftOffset, right, rightOffset, target, targetOffset, count) => {
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const value = left[leftOffset + i] + right[rightOffset + i];
    target[targetOffset + i] = value;
    if (!(value <= MAX && value >= -MAX)) failed = 1;
  }
  return failed;
};

export const addConstant: IntegerConstantKernel = (left, leftOffset, right, target, targetOffset, count) => {
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const value = left[leftOffset + i] + right;
    target[targetOffset + i] = value;
    if (!(value <= MAX && value >= -MAX)) failed = 1;
  }
  return failed;
};

export const subtract: IntegerKernel = (
  left,
  leftOffset,
  right,
  rightOffset,
  target,
  targetOffset,
  count,
) => {
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const value = left[leftOffset + i] - right[rightOffset + i];
    target[targetOffset + i] = value;
    if (!(value <= MAX && value >= -MAX)) failed = 1;
  }
  return failed;
};

export const multiply: IntegerKernel = (
  left,
  leftOffset,
  right,
  rightOffset,
  target,
  targetOffset,
  count,
) => {
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const value = left[leftOffset + i] * right[rightOffset + i] + 0;
    target[targetOffset + i] = value;
    if (!(value <= MAX && value >= -MAX)) failed = 1;
  }
  return failed;
};

export const multiplyConstant: IntegerConstantKernel = (
  left,
  leftOffset,
  right,
  target,
  targetOffset,
  count,
) => {
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const value = left[leftOffset + i] * right + 0;
    target[targetOffset + i] = value;
    if (!(value <= MAX && value >= -MAX)) failed = 1;
  }
  return failed;
};

/**
 * Rounding cannot lift a quotient to the next integer: for |a| < 2^53 the distance of a / b to it is at least 1 / b,
 * more than half a unit in the last place. Division by zero is infinite or NaN, and so out of range.
 */
export const divide: IntegerKernel = (left, leftOffset, right, rightOffset, target, targetOffset, count) => {
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const value = Math.trunc(left[leftOffset + i] / right[rightOffset + i]) + 0;
    target[targetOffset + i] = value;
    if (!(value <= MAX && value >= -MAX)) failed = 1;
  }
  return failed;
};

export const remainder: IntegerKernel = (
  left,
  leftOffset,
  right,
  rightOffset,
  target,
  targetOffset,
  count,
) => {
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const x = left[leftOffset + i];
    const y = right[rightOffset + i];
    // A remainder of 32-bit integers is several times faster than one of doubles.
    const value = (x | 0) === x && (y | 0) === y && y !== 0 ? ((x | 0) % (y | 0)) | 0 : (x % y) + 0;
    target[targetOffset + i] = value;
    if (!(value <= MAX && value >= -MAX)) failed = 1;
  }
  return failed;
};

// Without a branch: which operand is larger is often a coin toss, and a mispredicted branch costs four times the loop.

export const maximum: IntegerKernel = (left, leftOffset, right, rightOffset, target, targetOffset, count) => {
  for (let i = 0; i < count; i++) {
    const x = left[leftOffset + i];
    const y = right[rightOffset + i];
    const first = Number(x > y);
    target[targetOffset + i] = x * first + y * (1 - first);
  }
  return 0;
};

export const minimum: IntegerKernel = (left, leftOffset, right, rightOffset, target, targetOffset, count) => {
  for (let i = 0; i < count; i++) {
    const x = left[leftOffset + i];
    const y = right[rightOffset + i];
    const first = Number(x < y);
    target[targetOffset + i] = x * first + y * (1 - first);
  }
  return 0;
};

// Bits. Integers beyond 32 bits are handled as a signed high part and an unsigned low part of 32 bits.

export const bitAnd: IntegerKernel = (left, leftOffset, right, rightOffset, target, targetOffset, count) => {
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const x = left[leftOffset + i];
    const y = right[rightOffset + i];
    const value = (x | 0) === x && (y | 0) === y ? x & y : (high(x) & high(y)) * TWO_32 + ((x & y) >>> 0);
    target[targetOffset + i] = value;
    if (value < -MAX) failed = 1;
  }
  return failed;
};

export const bitOr: IntegerKernel = (left, leftOffset, right, rightOffset, target, targetOffset, count) => {
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const x = left[leftOffset + i];
    const y = right[rightOffset + i];
    const value = (x | 0) === x && (y | 0) === y ? x | y : (high(x) | high(y)) * TWO_32 + ((x | y) >>> 0);
    target[targetOffset + i] = value;
    if (value < -MAX) failed = 1;
  }
  return failed;
};

export const bitXor: IntegerKernel = (left, leftOffset, right, rightOffset, target, targetOffset, count) => {
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const x = left[leftOffset + i];
    const y = right[rightOffset + i];
    const value = (x | 0) === x && (y | 0) === y ? x ^ y : (high(x) ^ high(y)) * TWO_32 + ((x ^ y) >>> 0);
    target[targetOffset + i] = value;
    if (value < -MAX) failed = 1;
  }
  return failed;
};

/** For masks from 0 to 2^31 − 1, which see nothing but the low 31 bits. */
export const bitAndMask: IntegerConstantKernel = (left, leftOffset, right, target, targetOffset, count) => {
  const mask = right | 0;
  for (let i = 0; i < count; i++) target[targetOffset + i] = left[leftOffset + i] & mask;
  return 0;
};

export const shiftLeft: IntegerKernel = (
  left,
  leftOffset,
  right,
  rightOffset,
  target,
  targetOffset,
  count,
) => {
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const value = left[leftOffset + i] * shiftFactor(right[rightOffset + i]) + 0;
    target[targetOffset + i] = value;
    if (!(value <= MAX && value >= -MAX)) failed = 1;
  }
  return failed;
};

/** Scaling by a power of two is exact, and the floor of it is the arithmetic shift. */
export const shiftRight: IntegerKernel = (
  left,
  leftOffset,
  right,
  rightOffset,
  target,
  targetOffset,
  count,
) => {
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const value = Math.floor(left[leftOffset + i] / shiftFactor(right[rightOffset + i]));
    target[targetOffset + i] = value;
    if (!(value <= MAX && value >= -MAX)) failed = 1;
  }
  return failed;
};

/** `right` is 2^-n. */
export const scaleDown: IntegerConstantKernel = (left, leftOffset, right, target, targetOffset, count) => {
  for (let i = 0; i < count; i++) target[targetOffset + i] = Math.floor(left[leftOffset + i] * right);
  return 0;
};

function high(value: number): number {
  return Math.floor(value / TWO_32);
}

// Choice between two values by a null flag

export function chooseFloat64(
  flags: Uint8Array,
  flagsOffset: number,
  left: Float64Array,
  leftOffset: number,
  right: Float64Array,
  rightOffset: number,
  target: Float64Array,
  targetOffset: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    target[targetOffset + i] = flags[flagsOffset + i] === 0 ? left[leftOffset + i] : right[rightOffset + i];
  }
}

export function chooseUint32(
  flags: Uint8Array,
  flagsOffset: number,
  left: Uint32Array,
  leftOffset: number,
  right: Uint32Array,
  rightOffset: number,
  target: Uint32Array,
  targetOffset: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    target[targetOffset + i] = flags[flagsOffset + i] === 0 ? left[leftOffset + i] : right[rightOffset + i];
  }
}

export function chooseUint8(
  flags: Uint8Array,
  flagsOffset: number,
  left: Uint8Array,
  leftOffset: number,
  right: Uint8Array,
  rightOffset: number,
  target: Uint8Array,
  targetOffset: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    target[targetOffset + i] = flags[flagsOffset + i] === 0 ? left[leftOffset + i] : right[rightOffset + i];
  }
}

// Failures

/** Sets the flag of every row that is not null and whose value is out of range. Returns 1 when there was one. */
export function flagOutOfRange(
  values: Float64Array,
  valuesOffset: number,
  nulls: Uint8Array,
  nullsOffset: number,
  flags: Uint8Array,
  count: number,
): number {
  let found = 0;
  for (let i = 0; i < count; i++) {
    const value = values[valuesOffset + i];
    if (nulls[nullsOffset + i] === 0 && !(value <= MAX && value >= -MAX)) {
      flags[i] = 1;
      found = 1;
    }
  }
  return found;
}
