/**
 * Expressions for the naive model: a direct reading of the typed syntax tree over bigint, which makes the infinite
 * two's complement of the language literal. See src/config/expression.ts for what the operators mean.
 */
import type { BinaryOperator, Expression } from '../config/expression.ts';
import { NaiveReject, type NaiveValue } from './naive-decode.ts';

/** The decoded value of a column in the row at hand. */
export type ColumnReader = (column: Extract<Expression, { kind: 'column' }>) => NaiveValue;

const INTEGER_MAX = BigInt(Number.MAX_SAFE_INTEGER);
/** Every integer has at most 53 bits: shifting right by more gives 0 or -1, shifting left by more is out of range. */
const SHIFT_MAX = 64n;

/** Errors: NaiveReject with EXPRESSION_RANGE, or what the reader throws. */
export function evaluateNaive(expression: Expression, read: ColumnReader): NaiveValue {
  switch (expression.kind) {
    case 'column':
      return read(expression);
    case 'literal':
      return typeof expression.value === 'number' ? BigInt(expression.value) : expression.value;
    case 'unary': {
      const operand = evaluateNaive(expression.operand, read);
      if (operand === null) return null;
      if (expression.operator === '!') return !operand;
      return inRange(expression.operator === '-' ? -(operand as bigint) : ~(operand as bigint));
    }
    case 'binary': {
      const left = evaluateNaive(expression.left, read);
      if (expression.operator === '&&' && left === false) return false;
      if (expression.operator === '||' && left === true) return true;
      return applyBinary(expression.operator, left, evaluateNaive(expression.right, read));
    }
    case 'call': {
      if (expression.name === 'coalesce') return firstKnown(expression.arguments, read);
      const values = expression.arguments.map((argument) => evaluateNaive(argument, read));
      return applyCall(expression.name, values);
    }
  }
}

function applyBinary(operator: BinaryOperator, left: NaiveValue, right: NaiveValue): NaiveValue {
  if (operator === '&&' && right === false) return false;
  if (operator === '||' && right === true) return true;
  if (left === null || right === null) return null;
  switch (operator) {
    // What is left of the logic: true && true, false || false.
    case '&&':
    case '||':
      return left;
    case '==':
      return left === right;
    case '!=':
      return left !== right;
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
    default:
      return inRange(applyArithmetic(operator, left as bigint, right as bigint));
  }
}

function applyArithmetic(operator: BinaryOperator, left: bigint, right: bigint): bigint {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / nonZero(right);
    case '%':
      return left % nonZero(right);
    case '&':
      return left & right;
    case '|':
      return left | right;
    case '^':
      return left ^ right;
    case '<<':
      return left << shiftCount(right);
    case '>>':
      return left >> shiftCount(right);
    default:
      throw new TypeError(`${operator} is not an arithmetic operator`);
  }
}

function applyCall(name: string, values: readonly NaiveValue[]): NaiveValue {
  if (name === 'isNull') return values[0] === null;
  if (values.includes(null)) return null;
  const known = values as (bigint | boolean | string)[];
  return known.reduce((best, value) => ((name === 'max' ? value > best : value < best) ? value : best));
}

function firstKnown(candidates: readonly Expression[], read: ColumnReader): NaiveValue {
  for (const candidate of candidates) {
    const value = evaluateNaive(candidate, read);
    if (value !== null) return value;
  }
  return null;
}

function inRange(value: bigint): bigint {
  if (value > INTEGER_MAX || value < -INTEGER_MAX) throw new NaiveReject('EXPRESSION_RANGE', null);
  return value;
}

function nonZero(value: bigint): bigint {
  if (value === 0n) throw new NaiveReject('EXPRESSION_RANGE', null);
  return value;
}

function shiftCount(value: bigint): bigint {
  if (value < 0n) throw new NaiveReject('EXPRESSION_RANGE', null);
  return value > SHIFT_MAX ? SHIFT_MAX : value;
}
