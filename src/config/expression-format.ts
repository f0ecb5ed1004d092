/**
 * Canonical text of an expression, used in the normalised definition and so in its hash: one spelling whatever the
 * spacing, the redundant parentheses or the quoting. Parsing it under the same typing gives an equal tree.
 */
import type { Expression } from './expression.ts';
import { isWord } from './expression-lexer.ts';
import { binaryPrecedence, literalWords } from './expression-parser.ts';

const unaryPrecedence = 11;

export function formatExpression(expression: Expression): string {
  return format(expression, 0);
}

/** `precedenceMin`: an operator that binds looser than this gets parentheses. */
function format(expression: Expression, precedenceMin: number): string {
  switch (expression.kind) {
    case 'column':
      return formatColumn(expression.name);
    case 'literal':
      return formatLiteral(expression.value);
    case 'unary':
      return expression.operator + format(expression.operand, unaryPrecedence);
    case 'binary': {
      const precedence = binaryPrecedence[expression.operator];
      const left = format(expression.left, precedence);
      const right = format(expression.right, precedence + 1);
      const text = `${left} ${expression.operator} ${right}`;
      return precedence < precedenceMin ? `(${text})` : text;
    }
    case 'call':
      return `${expression.name}(${expression.arguments.map((argument) => format(argument, 0)).join(', ')})`;
  }
}

function formatColumn(name: string): string {
  return isWord(name) && !literalWords.has(name) ? name : `\`${name.replaceAll('`', '``')}\``;
}

function formatLiteral(value: number | boolean | string | null): string {
  if (typeof value !== 'string') return String(value);
  const body = value.replace(/[\\"\n\t\r]/g, (character) => literalEscapes.get(character)!);
  return `"${body}"`;
}

const literalEscapes: ReadonlyMap<string, string> = new Map([
  ['\\', '\\\\'],
  ['"', '\\"'],
  ['\n', '\\n'],
  ['\t', '\\t'],
  ['\r', '\\r'],
]);
