/**
 * Expression text to tokens. Every token keeps its offset, so that a problem points at the exact character.
 */
import type { BinaryOperator } from './expression.ts';

export type Token =
  | { readonly kind: 'integer'; readonly value: number; readonly offset: number }
  | { readonly kind: 'string'; readonly value: string; readonly offset: number }
  /** A bare word: a column, a function or `true`, `false`, `null`. */
  | { readonly kind: 'word'; readonly text: string; readonly offset: number }
  /** `` `any column name` `` */
  | { readonly kind: 'quoted'; readonly text: string; readonly offset: number }
  | {
      readonly kind: 'operator';
      readonly text: BinaryOperator | '!' | '~' | '(' | ')' | ',';
      readonly offset: number;
    }
  | { readonly kind: 'end'; readonly offset: number };

/** What is wrong with an expression. Thrown inside the expression front end, never out of src/config. */
export class ExpressionProblem extends Error {
  /** UTF-16 offset in the expression's text. */
  readonly offset: number;
  readonly hint: string | undefined;

  constructor(message: string, offset: number, hint?: string) {
    super(message);
    this.offset = offset;
    this.hint = hint;
  }
}

const operators = [
  '<<',
  '>>',
  '==',
  '!=',
  '<=',
  '>=',
  '&&',
  '||',
  '+',
  '-',
  '*',
  '/',
  '%',
  '&',
  '|',
  '^',
  '<',
  '>',
  '!',
  '~',
  '(',
  ')',
  ',',
] as const;

const foreignOperators: ReadonlyMap<string, string> = new Map([
  ['===', 'write =='],
  ['!==', 'write !='],
  ['<>', 'write !='],
  ['**', 'there is no power operator; for a power of two write 1 << n'],
  ['>>>', 'write >>'],
  ['??', 'write coalesce(a, b)'],
  ['=', 'write == to compare'],
  ['?', 'there is no conditional operator; coalesce, max and min choose between values'],
  ['.', 'numbers are integers, and a column name with a dot goes in backticks: `a.b`'],
  [';', 'an expression is one value, without a semicolon'],
  ['[', 'a column name with brackets goes in backticks'],
]);

const wordPattern = /[\p{ID_Start}_$][\p{ID_Continue}$]*/uy;
const numberPattern = /0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+/y;
const spacePattern = /[ \t\r\n]+/y;

/** Throws ExpressionProblem at the first character that starts no token. The last token is `end`. */
export function lexExpression(text: string): Token[] {
  const tokens: Token[] = [];
  let offset = 0;
  while (offset < text.length) {
    const space = matchAt(spacePattern, text, offset);
    if (space !== null) {
      offset += space.length;
      continue;
    }
    const word = matchAt(wordPattern, text, offset);
    if (word !== null) {
      tokens.push({ kind: 'word', text: word, offset });
      offset += word.length;
      continue;
    }
    const number = matchAt(numberPattern, text, offset);
    if (number !== null) {
      tokens.push({ kind: 'integer', value: integerOf(number, text, offset), offset });
      offset += number.length;
      continue;
    }
    const first = text[offset];
    if (first === '"' || first === "'") {
      const { value, end } = readString(text, offset);
      tokens.push({ kind: 'string', value, offset });
      offset = end;
    } else if (first === '`') {
      const { value, end } = readQuotedName(text, offset);
      tokens.push({ kind: 'quoted', text: value, offset });
      offset = end;
    } else {
      const operator = readOperator(text, offset);
      tokens.push({ kind: 'operator', text: operator, offset });
      offset += operator.length;
    }
  }
  tokens.push({ kind: 'end', offset: text.length });
  return tokens;
}

/** Whether the text is one bare word, and so needs no backticks as a column name. */
export function isWord(text: string): boolean {
  return matchAt(wordPattern, text, 0) === text;
}

function matchAt(pattern: RegExp, text: string, offset: number): string | null {
  pattern.lastIndex = offset;
  return pattern.exec(text)?.[0] ?? null;
}

function integerOf(digits: string, text: string, offset: number): number {
  const next = offset + digits.length;
  if (text[next] === '.' && /[0-9]/.test(text[next + 1] ?? '')) {
    throw new ExpressionProblem(
      'numbers in expressions are integers',
      offset,
      'scale the values to integers',
    );
  }
  const word = matchAt(wordPattern, text, next);
  if (word !== null) {
    throw new ExpressionProblem(
      `"${digits}${word}" is not a number`,
      offset,
      'a column name that starts with a digit goes in backticks',
    );
  }
  const value = Number(digits);
  if (!Number.isSafeInteger(value)) {
    throw new ExpressionProblem(
      `${digits} is too large`,
      offset,
      `integers go up to ${Number.MAX_SAFE_INTEGER}`,
    );
  }
  return value;
}

function readOperator(text: string, offset: number): (typeof operators)[number] {
  for (const length of [3, 2, 1]) {
    const foreign = text.slice(offset, offset + length);
    const hint = foreignOperators.get(foreign);
    if (foreign.length === length && hint !== undefined) {
      throw new ExpressionProblem(`unknown operator "${foreign}"`, offset, hint);
    }
    const operator = operators.find((known) => known === foreign);
    if (operator !== undefined) return operator;
  }
  const character = String.fromCodePoint(text.codePointAt(offset)!);
  throw new ExpressionProblem(
    `unexpected character ${JSON.stringify(character)}`,
    offset,
    'a column name with special characters goes in backticks: `my column`',
  );
}

const escapes: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['t', '\t'],
  ['r', '\r'],
  ['\\', '\\'],
  ['"', '"'],
  ["'", "'"],
]);

function readString(text: string, start: number): { value: string; end: number } {
  const quote = text[start];
  let value = '';
  for (let offset = start + 1; offset < text.length; offset++) {
    const character = text[offset];
    if (character === quote) return { value, end: offset + 1 };
    if (character !== '\\') {
      value += character;
      continue;
    }
    offset++;
    const unicode = /^u([0-9a-fA-F]{4})/.exec(text.slice(offset, offset + 5));
    if (unicode !== null) {
      value += String.fromCharCode(Number.parseInt(unicode[1], 16));
      offset += 4;
      continue;
    }
    const escaped = escapes.get(text[offset] ?? '');
    if (escaped === undefined) {
      throw new ExpressionProblem(
        'unknown escape in a string',
        offset - 1,
        'known: \\\\ \\" \\\' \\n \\t \\r \\uXXXX',
      );
    }
    value += escaped;
  }
  throw new ExpressionProblem('the string is not closed', start, `it needs a closing ${quote}`);
}

function readQuotedName(text: string, start: number): { value: string; end: number } {
  let value = '';
  for (let offset = start + 1; offset < text.length; offset++) {
    if (text[offset] !== '`') {
      value += text[offset];
    } else if (text[offset + 1] === '`') {
      value += '`';
      offset++;
    } else if (value === '') {
      throw new ExpressionProblem(
        'a column name cannot be empty',
        start,
        'name a column between the backticks',
      );
    } else {
      return { value, end: offset + 1 };
    }
  }
  throw new ExpressionProblem('the column name is not closed', start, 'it needs a closing backtick');
}
