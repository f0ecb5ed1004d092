/**
 * Evaluates an expression for one row, literally as `expression.ts` states it: the evaluator of the exact lane, and the
 * oracle that the compiler is tested against. It shares no arithmetic with the compiler; bit operators go through BigInt,
 * which is the infinite two's complement itself.
 */
import type { BinaryOperator, ColumnType, Expression } from './expression.ts';

export type ExpressionValue = number | boolean | string | null;

/** The outcome of a row that fails with EXPRESSION_RANGE. */
export const expressionRange: unique symbol = Symbol('EXPRESSION_RANGE');

/** The decoded value of a column in the row; integers and timestamps are numbers. */
export type RowReader = (name: string, columnType: ColumnType) => ExpressionValue;

export function evaluateExpression(
  expression: Expression,
  row: RowReader,
): ExpressionValue | typeof expressionRange {
  switch (expression.kind) {
    case 'column':
      return row(expression.name, expression.columnType);
    case 'literal':
      return expression.value;
    case 'unary': {
      const operand = evaluateExpression(expression.operand, row);
      if (operand === expressionRange || operand === null) return operand;
      if (expression.operator === '!') return !operand;
      return inRange(expression.operator === '-' ? 0 - (operand as number) : -1 - (operand as number));
    }
    case 'binary':
      return evaluateBinary(expression, row);
    case 'call':
      return evaluateCall(expression, row);
  }
}

function evaluateBinary(
  expression: Expression & { kind: 'binary' },
  row: RowReader,
): ExpressionValue | typeof expressionRange {
  const { operator } = expression;
  const left = evaluateExpression(expression.left, row);
  if (left === expressionRange) return left;
  if (operator === '&&' && left === false) return false;
  if (operator === '||' && left === true) return true;
  const right = evaluateExpression(expression.right, row);
  if (right === expressionRange) return right;
  if (operator === '&&') return right === false ? false : left === null || right === null ? null : true;
  if (operator === '||') return right === true ? true : left === null || right === null ? null : false;
  if (left === null || right === null) return null;
  if (operator === '==') return left === right;
  if (operator === '!=') return left !== right;
  return evaluateInteger(operator, left as number, right as number);
}

function evaluateInteger(
  operator: BinaryOperator,
  left: number,
  right: number,
): number | boolean | typeof expressionRange {
  switch (operator) {
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
    case '+':
      return inRange(left + right);
    case '-':
      return inRange(left - right);
    case '*':
      return inRange(Number(BigInt(left) * BigInt(right)));
    case '/':
      return right === 0 ? expressionRange : Number(BigInt(left) / BigInt(right));
    case '%':
      return right === 0 ? expressionRange : Number(BigInt(left) % BigInt(right));
    case '&':
      return inRange(Number(BigInt(left) & BigInt(right)));
    case '|':
      return inRange(Number(BigInt(left) | BigInt(right)));
    case '^':
      return inRange(Number(BigInt(left) ^ BigInt(right)));
    case '<<':
      return right < 0 ? expressionRange : inRange(Number(BigInt(left) << shiftCount(right)));
    case '>>':
      return right < 0 ? expressionRange : Number(BigInt(left) >> shiftCount(right));
    default:
      throw new TypeError(`${operator} is not an integer operator`);
  }
}

/** 64 moves every bit of a 54-bit integer out, so a larger count changes nothing but the memory it takes. */
function shiftCount(count: number): bigint {
  return BigInt(Math.min(count, 64));
}

function evaluateCall(
  expression: Expression & { kind: 'call' },
  row: RowReader,
): ExpressionValue | typeof expressionRange {
  if (expression.name === 'isNull') {
    const value = evaluateExpression(expression.arguments[0], row);
    return value === expressionRange ? value : value === null;
  }
  let result: ExpressionValue = null;
  for (const [index, argument] of expression.arguments.entries()) {
    const value = evaluateExpression(argument, row);
    if (value === expressionRange) return value;
    if (expression.name === 'coalesce') {
      if (value !== null) return value;
    } else if (index === 0) {
      result = value;
    } else if (result === null || value === null) {
      // Keeps evaluating: a later argument that fails still fails the row.
      result = null;
    } else {
      const replaces = expression.name === 'max' ? value > result : value < result;
      if (replaces) result = value;
    }
  }
  return result;
}

function inRange(value: number): number | typeof expressionRange {
  return Number.isSafeInteger(value) ? value : expressionRange;
}
