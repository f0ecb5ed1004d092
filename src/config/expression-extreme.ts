/**
 * Recognises the latest or earliest of timestamps, `max(coalesce(a, 0), b)`: the date of a row that has several. All of
 * it stays within 32 bits.
 */
import type { Expression } from './expression.ts';
import { integerConstant } from './expression-fold.ts';

export interface TimestampExtreme {
  readonly name: 'max' | 'min';
  /** At least one. */
  readonly operands: readonly TimestampOperand[];
}

export interface TimestampOperand {
  readonly column: Expression & { kind: 'column' };
  /** What stands for null, from 0 to 2^32 − 1; null: null makes the result null. */
  readonly fill: number | null;
}

/** The expression as `max` or `min` of timestamp columns, or null. */
export function timestampExtremeOf(expression: Expression): TimestampExtreme | null {
  if (expression.kind !== 'call' || expression.name === 'isNull') return null;
  const { name } = expression;
  const operands = (name === 'coalesce' ? [expression] : expression.arguments).map(operandOf);
  if (!operands.every((operand) => operand !== null)) return null;
  return { name: name === 'min' ? 'min' : 'max', operands };
}

function operandOf(expression: Expression): TimestampOperand | null {
  if (expression.kind === 'column') {
    return expression.columnType === 'timestamp' ? { column: expression, fill: null } : null;
  }
  if (expression.kind !== 'call' || expression.name !== 'coalesce' || expression.arguments.length !== 2) {
    return null;
  }
  const [column, constant] = expression.arguments;
  const fill = integerConstant(constant);
  if (column.kind !== 'column' || column.columnType !== 'timestamp') return null;
  return fill === null || fill < 0 || fill > 0xffffffff ? null : { column, fill };
}
