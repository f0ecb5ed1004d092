/**
 * Recognises tests of bits, which definitions over flag columns are full of: `(c >> n & m) == k`, `(c & m) != k` of a
 * single bit, and any `&&` of them over one column, as one comparison under a mask.
 */
import type { Expression } from './expression.ts';
import { integerConstant } from './expression-fold.ts';

export interface MaskTest {
  readonly column: Expression & { kind: 'column' };
  /** 32-bit patterns, from 0 to 2^32 − 1; `wanted` has no bit outside `mask`. */
  readonly mask: number;
  readonly wanted: number;
}

/** The expression as one `(column & mask) == wanted` within the low 32 bits, or null. */
export function maskTestOf(expression: Expression): MaskTest | null {
  if (expression.kind !== 'binary') return null;
  if (expression.operator === '&&') {
    const left = maskTestOf(expression.left);
    const right = left === null ? null : maskTestOf(expression.right);
    return left === null || right === null ? null : bothMaskTests(left, right);
  }
  if (expression.operator !== '==' && expression.operator !== '!=') return null;
  const constant = integerConstant(expression.right);
  const bits = constant === null ? null : bitsOf(expression.left);
  if (bits === null || constant === null || constant < 0 || constant > 0xffffffff) return null;
  const shifted = constant * 2 ** bits.shift;
  if (shifted > 0xffffffff || (shifted & ~bits.mask) !== 0) return null;
  if (expression.operator === '==') return { ...bits, wanted: shifted };
  // Of a single bit, not having one value is having the other.
  const singleBit = (bits.mask & (bits.mask - 1)) === 0;
  return singleBit ? { ...bits, wanted: (shifted ^ bits.mask) >>> 0 } : null;
}

/** Null is null in both and in their `&&`, so one column's tests may share a loop. */
function bothMaskTests(left: MaskTest, right: MaskTest): MaskTest | null {
  if (left.column.name !== right.column.name || left.column.columnType !== right.column.columnType)
    return null;
  const shared = left.mask & right.mask;
  if ((left.wanted & shared) !== (right.wanted & shared)) return null;
  return {
    column: left.column,
    mask: (left.mask | right.mask) >>> 0,
    wanted: (left.wanted | right.wanted) >>> 0,
  };
}

/** `column & m` and `column >> n & m`, either way round, as a mask over the unshifted column. */
function bitsOf(expression: Expression): { column: MaskTest['column']; mask: number; shift: number } | null {
  if (expression.kind !== 'binary' || expression.operator !== '&') return null;
  const rightConstant = integerConstant(expression.right);
  const constant = rightConstant ?? integerConstant(expression.left);
  const operand = rightConstant === null ? expression.right : expression.left;
  if (constant === null || constant <= 0) return null;
  let column = operand;
  let shift = 0;
  if (operand.kind === 'binary' && operand.operator === '>>') {
    const count = integerConstant(operand.right);
    if (count === null || count < 0 || count > 31) return null;
    column = operand.left;
    shift = count;
  }
  const mask = constant * 2 ** shift;
  if (column.kind !== 'column' || mask > 0xffffffff) return null;
  return { column, mask, shift };
}
