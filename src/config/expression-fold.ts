/**
 * Constant folding: what an expression is worth before any row is seen.
 */
import type { Expression } from './expression.ts';
import { evaluateExpression, expressionRange } from './expression-interpreter.ts';

/** A subtree without columns becomes its value. One that fails stays, so that its rows fail where it is evaluated. */
export function foldConstants(expression: Expression): Expression {
  if (expression.kind === 'literal' || readsColumns(expression)) return expression;
  const value = evaluateExpression(expression, noColumns);
  return value === expressionRange ? expression : { kind: 'literal', value, type: expression.type };
}

/** The integer that the expression always is, or null. */
export function integerConstant(expression: Expression): number | null {
  const folded = foldConstants(expression);
  return folded.kind === 'literal' && typeof folded.value === 'number' ? folded.value : null;
}

function noColumns(): null {
  return null;
}

function readsColumns(expression: Expression): boolean {
  switch (expression.kind) {
    case 'column':
      return true;
    case 'literal':
      return false;
    case 'unary':
      return readsColumns(expression.operand);
    case 'binary':
      return readsColumns(expression.left) || readsColumns(expression.right);
    case 'call':
      return expression.arguments.some(readsColumns);
  }
}
