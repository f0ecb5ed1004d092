/**
 * Tokens to an untyped syntax tree: precedence climbing over the table in `expression.ts`. Depth is bounded by
 * EXPRESSION_DEPTH_MAX, so everything that walks the tree may recurse.
 */
import { EXPRESSION_DEPTH_MAX } from '../limits.ts';
import type { BinaryOperator } from './expression.ts';
import { ExpressionProblem, lexExpression, type Token } from './expression-lexer.ts';
import { nearestName } from './nearest.ts';

/** `offset` is that of the node's own token: the operator of an operation, the name of a call. */
export type Syntax = { readonly offset: number; readonly depth: number } & (
  | { readonly kind: 'column'; readonly name: string }
  | { readonly kind: 'literal'; readonly value: number | boolean | string | null }
  | { readonly kind: 'unary'; readonly operator: '!' | '-' | '~'; readonly operand: Syntax }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Syntax;
      readonly right: Syntax;
    }
  | { readonly kind: 'call'; readonly name: FunctionName; readonly arguments: readonly Syntax[] }
);

export type FunctionName = 'max' | 'min' | 'coalesce' | 'isNull';

/** Larger binds tighter. */
export const binaryPrecedence: Readonly<Record<BinaryOperator, number>> = {
  '||': 1,
  '&&': 2,
  '==': 3,
  '!=': 3,
  '<': 4,
  '<=': 4,
  '>': 4,
  '>=': 4,
  '|': 5,
  '^': 6,
  '&': 7,
  '<<': 8,
  '>>': 8,
  '+': 9,
  '-': 9,
  '*': 10,
  '/': 10,
  '%': 10,
};

/** Words that are literals; a column of that name needs backticks. */
export const literalWords: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
]);

const argumentCounts: Readonly<Record<FunctionName, { readonly min: number; readonly max: number }>> = {
  max: { min: 2, max: EXPRESSION_DEPTH_MAX },
  min: { min: 2, max: EXPRESSION_DEPTH_MAX },
  coalesce: { min: 2, max: EXPRESSION_DEPTH_MAX },
  isNull: { min: 1, max: 1 },
};

const wordOperators: ReadonlyMap<string, string> = new Map([
  ['and', '&&'],
  ['or', '||'],
  ['not', '!'],
  ['is', '== or isNull(x)'],
  ['in', '== with ||'],
  ['mod', '%'],
]);

interface Cursor {
  readonly tokens: readonly Token[];
  index: number;
  nesting: number;
}

/** Throws ExpressionProblem at the first token that does not fit. */
export function parseSyntax(text: string): Syntax {
  const cursor: Cursor = { tokens: lexExpression(text), index: 0, nesting: 0 };
  if (cursor.tokens.length === 1) {
    throw new ExpressionProblem('the expression is empty', 0, 'name a column or write an expression');
  }
  const syntax = parseBinary(cursor, 1);
  const rest = cursor.tokens[cursor.index];
  if (rest.kind !== 'end') throw unexpected(rest, 'an operator or the end');
  return syntax;
}

function parseBinary(cursor: Cursor, precedenceMin: number): Syntax {
  let left = parseUnary(cursor);
  for (;;) {
    const token = cursor.tokens[cursor.index];
    if (token.kind !== 'operator' || !(token.text in binaryPrecedence)) return left;
    const operator = token.text as BinaryOperator;
    if (binaryPrecedence[operator] < precedenceMin) return left;
    cursor.index++;
    const right = parseBinary(cursor, binaryPrecedence[operator] + 1);
    const depth = depthOver([left, right], token.offset);
    left = { kind: 'binary', operator, left, right, offset: token.offset, depth };
  }
}

function parseUnary(cursor: Cursor): Syntax {
  const token = cursor.tokens[cursor.index];
  if (token.kind !== 'operator') return parsePrimary(cursor);
  if (token.text !== '!' && token.text !== '-' && token.text !== '~') return parsePrimary(cursor);
  cursor.index++;
  enter(cursor, token.offset);
  const operand = parseUnary(cursor);
  cursor.nesting--;
  const depth = depthOver([operand], token.offset);
  return { kind: 'unary', operator: token.text, operand, offset: token.offset, depth };
}

function parsePrimary(cursor: Cursor): Syntax {
  const token = cursor.tokens[cursor.index++];
  const { offset } = token;
  switch (token.kind) {
    case 'integer':
    case 'string':
      return { kind: 'literal', value: token.value, offset, depth: 1 };
    case 'quoted':
      return { kind: 'column', name: token.text, offset, depth: 1 };
    case 'word': {
      const next = cursor.tokens[cursor.index];
      if (next.kind === 'operator' && next.text === '(') return parseCall(cursor, token.text, offset);
      const literal = literalWords.get(token.text);
      if (literal !== undefined) return { kind: 'literal', value: literal, offset, depth: 1 };
      return { kind: 'column', name: token.text, offset, depth: 1 };
    }
    case 'operator': {
      if (token.text !== '(') throw unexpected(token, 'a value');
      enter(cursor, offset);
      const inner = parseBinary(cursor, 1);
      expectOperator(cursor, ')', 'an operator or ")"');
      cursor.nesting--;
      return inner;
    }
    default:
      throw unexpected(token, 'a value');
  }
}

function parseCall(cursor: Cursor, word: string, offset: number): Syntax {
  if (!Object.hasOwn(argumentCounts, word)) {
    const names = Object.keys(argumentCounts);
    const nearest = nearestName(word, names);
    const operator = wordOperators.get(word.toLowerCase());
    const hint = operator === undefined ? `functions: ${names.join(', ')}` : `write ${operator}`;
    throw new ExpressionProblem(
      `unknown function "${word}"`,
      offset,
      nearest === null ? hint : `did you mean "${nearest}"?`,
    );
  }
  const name = word as FunctionName;
  cursor.index++;
  enter(cursor, offset);
  const args = [parseBinary(cursor, 1)];
  for (;;) {
    const token = cursor.tokens[cursor.index];
    if (token.kind !== 'operator' || token.text !== ',') break;
    cursor.index++;
    args.push(parseBinary(cursor, 1));
    if (args.length > EXPRESSION_DEPTH_MAX) break;
  }
  const { min, max } = argumentCounts[name];
  if (args.length < min || args.length > max) {
    const wanted = min === max ? `${min} argument` : `${min} to ${max} arguments`;
    throw new ExpressionProblem(`${name} takes ${wanted}`, offset);
  }
  expectOperator(cursor, ')', '"," or ")"');
  cursor.nesting--;
  return { kind: 'call', name, arguments: args, offset, depth: depthOver(args, offset) };
}

function expectOperator(cursor: Cursor, text: string, wanted: string): void {
  const token = cursor.tokens[cursor.index];
  if (token.kind !== 'operator' || token.text !== text) throw unexpected(token, wanted);
  cursor.index++;
}

/** Counts nesting on the way down, so that the parser's own recursion is bounded too. */
function enter(cursor: Cursor, offset: number): void {
  if (++cursor.nesting > EXPRESSION_DEPTH_MAX) throw tooDeep(offset);
}

function depthOver(children: readonly Syntax[], offset: number): number {
  const depth = 1 + Math.max(...children.map((child) => child.depth));
  if (depth > EXPRESSION_DEPTH_MAX) throw tooDeep(offset);
  return depth;
}

function tooDeep(offset: number): ExpressionProblem {
  return new ExpressionProblem(
    `the expression nests deeper than ${EXPRESSION_DEPTH_MAX} levels`,
    offset,
    'group long chains with parentheses, or compute the value upstream',
  );
}

function unexpected(token: Token, wanted: string): ExpressionProblem {
  if (token.kind === 'end') {
    return new ExpressionProblem(`expected ${wanted}, found the end of the expression`, token.offset);
  }
  const text = token.kind === 'integer' || token.kind === 'string' ? JSON.stringify(token.value) : token.text;
  const operator = token.kind === 'word' ? wordOperators.get(token.text.toLowerCase()) : undefined;
  const hint =
    operator !== undefined
      ? `write ${operator}`
      : token.kind === 'word' || token.kind === 'quoted'
        ? 'a column name with spaces or special characters goes in backticks: `my column`'
        : undefined;
  return new ExpressionProblem(`expected ${wanted}, found ${text}`, token.offset, hint);
}
