import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ColumnType, Expression } from '../../src/config/expression.ts';
import { checkExpression, createTyping } from '../../src/config/expression-checker.ts';
import { formatExpression } from '../../src/config/expression-format.ts';
import {
  type ExpressionValue,
  evaluateExpression,
  expressionRange,
} from '../../src/config/expression-interpreter.ts';
import { ExpressionProblem } from '../../src/config/expression-lexer.ts';
import { parseSyntax } from '../../src/config/expression-parser.ts';
import { EXPRESSION_DEPTH_MAX } from '../../src/limits.ts';

/** Types the expressions as the table's roots, twice as the definition does; the slot column is `id`. */
function typed(roots: readonly (readonly [string, ColumnType])[]): Expression[] {
  const parsed = roots.map(([text, columnType]) => ({ syntax: parseSyntax(text), columnType }));
  const typing = createTyping(null, [], 'id', parsed);
  for (const root of parsed) checkExpression(root.syntax, root.columnType, typing);
  return parsed.map((root) => checkExpression(root.syntax, root.columnType, typing));
}

function expressionOf(text: string, columnType: ColumnType = 'integer'): Expression {
  return typed([[text, columnType]])[0];
}

function evaluate(text: string, columnType: ColumnType, row: Record<string, ExpressionValue> = {}) {
  return evaluateExpression(expressionOf(text, columnType), (name) => row[name]);
}

/** `name:type` of the columns, in order of use. */
function columnsOf(expression: Expression): string[] {
  switch (expression.kind) {
    case 'column':
      return [`${expression.name}:${expression.columnType}`];
    case 'literal':
      return [];
    case 'unary':
      return columnsOf(expression.operand);
    case 'binary':
      return [...columnsOf(expression.left), ...columnsOf(expression.right)];
    case 'call':
      return expression.arguments.flatMap(columnsOf);
  }
}

function problemOf(text: string, columnType: ColumnType = 'integer') {
  try {
    expressionOf(text, columnType);
  } catch (error) {
    expect(error).toBeInstanceOf(ExpressionProblem);
    const { message, offset, hint } = error as ExpressionProblem;
    return { message, offset, hint };
  }
  throw new Error(`${text} has no problem`);
}

describe('precedence', () => {
  const cases: [string, string][] = [
    ['flags >> 13 & 1 == 1', '((flags >> 13) & 1) == 1'],
    ['a | b ^ c & d << e + f * g', 'a | (b ^ (c & (d << (e + (f * g)))))'],
    ['a & b == c | d', '(a & b) == (c | d)'],
    ['a < b == c < d', '(a < b) == (c < d)'],
    ['a == 1 && b == 2 || c == 3', '((a == 1) && (b == 2)) || (c == 3)'],
    ['a == 1 || b == 2 && c == 3', '(a == 1) || ((b == 2) && (c == 3))'],
    ['a - b - c', '(a - b) - c'],
    ['a / b * c % d', '((a / b) * c) % d'],
    ['1 << 2 << 3', '(1 << 2) << 3'],
    ['-a * ~b', '(-a) * (~b)'],
    ['!a == b', '(!a) == b'],
    ['- - a', '-(-a)'],
  ];
  for (const [text, grouped] of cases) {
    it(`reads ${text} as ${grouped}`, () => {
      const columnType = /[<=|&!]/.test(text) && /==|!/.test(text) ? 'boolean' : 'integer';
      expect(expressionOf(text, columnType)).toEqual(expressionOf(grouped, columnType));
    });
  }
});

describe('the types of columns', () => {
  it('follow from the field', () => {
    for (const type of ['integer', 'timestamp', 'boolean', 'string'] as const) {
      expect(columnsOf(expressionOf('a', type))).toEqual([`a:${type}`]);
      expect(columnsOf(expressionOf('coalesce(a, b)', type))).toEqual([`a:${type}`, `b:${type}`]);
    }
    expect(columnsOf(expressionOf('max(a, min(b, coalesce(c, 0)))', 'timestamp'))).toEqual([
      'a:timestamp',
      'b:timestamp',
      'c:timestamp',
    ]);
  });

  it('follow from operators', () => {
    expect(columnsOf(expressionOf('max(a / 1000, b)', 'timestamp'))).toEqual(['a:integer', 'b:timestamp']);
    expect(columnsOf(expressionOf('a && !b || c == true', 'boolean'))).toEqual([
      'a:boolean',
      'b:boolean',
      'c:boolean',
    ]);
    expect(columnsOf(expressionOf('a == "x" || "y" != b', 'boolean'))).toEqual(['a:string', 'b:string']);
    expect(columnsOf(expressionOf('a == b', 'boolean'))).toEqual(['a:integer', 'b:integer']);
    expect(columnsOf(expressionOf('a == (b > 1)', 'boolean'))).toEqual(['a:boolean', 'b:integer']);
    expect(columnsOf(expressionOf('a == coalesce(b, "x")', 'boolean'))).toEqual(['a:string', 'b:string']);
  });

  it('follow, for isNull, from the other uses of the column, whatever their order', () => {
    const [test] = typed([
      ['isNull(a) && isNull(b) && isNull(c) && isNull(id) && isNull(d)', 'boolean'],
      ['a', 'timestamp'],
      ['b + 1', 'integer'],
      ['d', 'string'],
      ['d == true', 'boolean'],
    ]);
    expect(columnsOf(test)).toEqual(['a:timestamp', 'b:integer', 'c:string', 'id:integer', 'd:boolean']);
    expect(columnsOf(expressionOf('isNull(max(a, b))', 'boolean'))).toEqual(['a:integer', 'b:integer']);
  });

  it('make a comparison with a date one of timestamps, where the column is known to be one', () => {
    const [after] = typed([
      ['made > "2024-01-31T12:00:00Z"', 'boolean'],
      ['made', 'timestamp'],
    ]);
    expect(after).toMatchObject({
      left: { columnType: 'timestamp' },
      right: { kind: 'literal', value: Date.UTC(2024, 0, 31, 12) / 1000 },
    });
    expect(columnsOf(expressionOf('made == "2024-01-31"', 'boolean'))).toEqual(['made:string']);
    expect(problemOf('made > "2024-01-31"', 'boolean')).toMatchObject({
      offset: 5,
      hint: expect.stringContaining('timestamp field'),
    });
    const bad = () =>
      typed([
        ['made > "soon"', 'boolean'],
        ['made', 'timestamp'],
      ]);
    expect(bad).toThrow('"soon" is not a timestamp');
  });

  it('make an integer beside a timestamp column epoch seconds', () => {
    const [after, newer, later] = typed([
      ['made > 1700000000', 'boolean'],
      ['made > changed', 'boolean'],
      ['max(made, changed) > 5', 'boolean'],
      ['made', 'timestamp'],
    ]);
    expect(columnsOf(after)).toEqual(['made:timestamp']);
    expect(columnsOf(newer)).toEqual(['made:timestamp', 'changed:timestamp']);
    expect(columnsOf(later)).toEqual(['made:timestamp', 'changed:timestamp']);
    const [sum] = typed([
      ['made + 1', 'integer'],
      ['made', 'timestamp'],
      ['made', 'integer'],
    ]);
    expect(columnsOf(sum)).toEqual(['made:integer']);
  });
});

describe('problems of an expression', () => {
  const cases: [string, ColumnType, number, string, string | undefined][] = [
    ['', 'integer', 0, 'the expression is empty', 'name a column or write an expression'],
    ['a +', 'integer', 3, 'expected a value, found the end of the expression', undefined],
    [
      'a b',
      'integer',
      2,
      'expected an operator or the end, found b',
      'a column name with spaces or special characters goes in backticks: `my column`',
    ],
    ['a and b', 'boolean', 2, 'expected an operator or the end, found and', 'write &&'],
    ['not(a)', 'boolean', 0, 'unknown function "not"', 'write !'],
    ['a = 1', 'boolean', 2, 'unknown operator "="', 'write == to compare'],
    ['a <> 1', 'boolean', 2, 'unknown operator "<>"', 'write !='],
    ['a === 1', 'boolean', 2, 'unknown operator "==="', 'write =='],
    [
      'a ? 1 : 2',
      'integer',
      2,
      'unknown operator "?"',
      expect.stringContaining('no conditional operator') as string,
    ],
    ['a @ b', 'integer', 2, 'unexpected character "@"', expect.stringContaining('backticks') as string],
    ['1.5', 'integer', 0, 'numbers in expressions are integers', 'scale the values to integers'],
    ['2a', 'integer', 0, '"2a" is not a number', 'a column name that starts with a digit goes in backticks'],
    ['9007199254740992', 'integer', 0, '9007199254740992 is too large', 'integers go up to 9007199254740991'],
    ['a == "x', 'boolean', 5, 'the string is not closed', 'it needs a closing "'],
    ['a == "\\x"', 'boolean', 6, 'unknown escape in a string', expect.stringContaining('known:') as string],
    ['`a', 'integer', 0, 'the column name is not closed', 'it needs a closing backtick'],
    ['``', 'integer', 0, 'a column name cannot be empty', 'name a column between the backticks'],
    ['(a', 'integer', 2, 'expected an operator or ")", found the end of the expression', undefined],
    ['a)', 'integer', 1, 'expected an operator or the end, found )', undefined],
    ['max(a)', 'integer', 0, 'max takes 2 to 64 arguments', undefined],
    ['isNull(a, b)', 'boolean', 0, 'isNull takes 1 argument', undefined],
    ['maxx(a, b)', 'integer', 0, 'unknown function "maxx"', 'did you mean "max"?'],
    ['isnull(a)', 'boolean', 0, 'unknown function "isnull"', 'did you mean "isNull"?'],
    ['a == null', 'boolean', 5, 'a comparison with null is always null', 'write isNull(x) or !isNull(x)'],
    [
      'a == 1',
      'integer',
      2,
      'expected an integer, found a boolean',
      'a boolean is not a number; use a field of type boolean',
    ],
    ['a + 1', 'boolean', 2, 'expected a boolean, found an integer', 'compare it, for example with != 0'],
    ['!(a + 1)', 'boolean', 4, 'expected a boolean, found an integer', 'compare it, for example with != 0'],
    [
      'max(a, b)',
      'string',
      0,
      'expected a string, found an integer',
      'there are no conversions between strings and other types',
    ],
    [
      'isNull(a)',
      'integer',
      0,
      'expected an integer, found a boolean',
      'a boolean is not a number; use a field of type boolean',
    ],
    [
      '(a + 1) == "x"',
      'boolean',
      11,
      'expected an integer, found a string',
      'there are no conversions between strings and other types',
    ],
    [
      'a == true == 1',
      'boolean',
      13,
      'expected a boolean, found an integer',
      'compare it, for example with != 0',
    ],
    ['a < "x"', 'boolean', 2, '< does not apply to strings', expect.stringContaining('==') as string],
    ['true >= a', 'boolean', 5, '>= does not apply to booleans', 'use == or !='],
  ];
  for (const [text, columnType, offset, message, hint] of cases) {
    it(`point into ${JSON.stringify(text)}`, () => {
      expect(problemOf(text, columnType)).toEqual({ message, offset, hint });
    });
  }

  it('bound its depth, however it nests', () => {
    const depth = EXPRESSION_DEPTH_MAX;
    const many = 20_000;
    const message = `the expression nests deeper than ${depth} levels`;
    for (const text of [
      `${'('.repeat(many)}a${')'.repeat(many)}`,
      `${'-'.repeat(many)}a`,
      `${'max(1,'.repeat(many)}a${')'.repeat(many)}`,
      `a${' + a'.repeat(many)}`,
    ]) {
      expect(problemOf(text).message).toBe(message);
    }
    expect(problemOf(`max(a${', a'.repeat(many)})`).message).toBe('max takes 2 to 64 arguments');
    expect(expressionOf(`a${' + a'.repeat(depth - 1)}`).kind).toBe('binary');
    expect(expressionOf(`max(a${', a'.repeat(depth - 1)})`).kind).toBe('call');
  });
});

describe('names and literals', () => {
  it('takes any column name in backticks', () => {
    expect(columnsOf(expressionOf('`my column` + `a``b` + $x_1 + größe + `true`'))).toEqual([
      'my column:integer',
      'a`b:integer',
      '$x_1:integer',
      'größe:integer',
      'true:integer',
    ]);
    expect(columnsOf(expressionOf('max + isNull'))).toEqual(['max:integer', 'isNull:integer']);
  });

  it('reads integers and strings', () => {
    expect(evaluate('0x1F + 0b101 + 10 + 007', 'integer')).toBe(53);
    expect(evaluate('"a\\n\\t\\r\\\\\\"\\u0041\'"', 'string')).toBe('a\n\t\r\\"A\'');
    expect(evaluate("'it\\'s \"x\"'", 'string')).toBe('it\'s "x"');
    expect(evaluate('coalesce(null, -5)', 'integer')).toBe(-5);
  });
});

describe('evaluateExpression', () => {
  const MAX = Number.MAX_SAFE_INTEGER;
  const integers: [string, ExpressionValue | typeof expressionRange][] = [
    ['7 / 2', 3],
    ['-7 / 2', -3],
    ['-1 / 2', 0],
    ['-7 % 3', -1],
    ['7 % -3', 1],
    ['1 / 0', expressionRange],
    ['1 % 0', expressionRange],
    [`${MAX} + 1`, expressionRange],
    [`-${MAX} - 1`, expressionRange],
    [`${MAX} * ${MAX}`, expressionRange],
    [`~${MAX}`, expressionRange],
    ['-1 & 0xFFFFFFFFFF', 0xffffffffff],
    ['-1 ^ 5', -6],
    ['-8 | 1', -7],
    ['1 << 40', 2 ** 40],
    ['1 << 53', expressionRange],
    ['0 << 9999999', 0],
    ['-1 >> 60', -1],
    ['5 >> 9999999', 0],
    ['1 << -1', expressionRange],
    ['1 >> -1', expressionRange],
    ['max(1, null)', null],
    ['max(null, 1 / 0)', expressionRange],
    ['min(3, 2, 4)', 2],
    ['max(3, 5, 4)', 5],
    ['coalesce(null, 1, 1 / 0)', 1],
    ['coalesce(null, 1 / 0, 1)', expressionRange],
    ['null + 1 / 0', expressionRange],
    ['null / 0', null],
  ];
  for (const [text, value] of integers) {
    it(`of ${text} is ${String(value)}`, () => {
      expect(evaluate(text, 'integer')).toBe(value);
    });
  }

  it('knows three truth values', () => {
    const values = { t: true, f: false, n: null };
    const and = {
      tt: true,
      tf: false,
      tn: null,
      ft: false,
      ff: false,
      fn: false,
      nt: null,
      nf: false,
      nn: null,
    };
    const or = { tt: true, tf: true, tn: true, ft: true, ff: false, fn: null, nt: true, nf: null, nn: null };
    for (const [pair, value] of Object.entries(and)) {
      expect(evaluate(`${pair[0]} && ${pair[1]}`, 'boolean', values)).toBe(value);
    }
    for (const [pair, value] of Object.entries(or)) {
      expect(evaluate(`${pair[0]} || ${pair[1]}`, 'boolean', values)).toBe(value);
    }
    expect(evaluate('!n', 'boolean', values)).toBeNull();
    expect(evaluate('isNull(n) && !isNull(t) && isNull(n + 1)', 'boolean', values)).toBe(true);
  });

  it('stops where the result is known', () => {
    for (const text of ['b != 0 && a / b > 2', '!(b == 0 || a / b <= 2)']) {
      expect(evaluate(text, 'boolean', { a: 6, b: 0 })).toBe(false);
      expect(evaluate(text, 'boolean', { a: 6, b: 2 })).toBe(true);
      expect(evaluate(text, 'boolean', { a: 6, b: null })).toBeNull();
    }
    expect(evaluate('a / b > 2 && b != 0', 'boolean', { a: 6, b: 0 })).toBe(expressionRange);
    expect(evaluate('isNull(a / b)', 'boolean', { a: 6, b: 0 })).toBe(expressionRange);
  });

  it('compares strings byte for byte', () => {
    expect(evaluate('a == "x"', 'boolean', { a: 'x' })).toBe(true);
    expect(evaluate('a != "X"', 'boolean', { a: 'x' })).toBe(true);
    expect(evaluate('a == ""', 'boolean', { a: null })).toBeNull();
  });
});

describe('formatExpression', () => {
  it('writes what reads back as the same expression', () => {
    const names = fc.constantFrom('a', 'b', 'a b', 'true', '`', 'max');
    const column = names.map((name) => `\`${name.replaceAll('`', '``')}\``);
    const number = fc.oneof(fc.integer({ min: -9, max: 9 }), fc.maxSafeInteger()).map(String);
    const { integer, boolean } = fc.letrec<{ integer: string; boolean: string }>((tie) => ({
      integer: fc.oneof(
        { maxDepth: 4 },
        column,
        number,
        fc
          .tuple(fc.constantFrom('-', '~'), tie('integer'))
          .map(([operator, operand]) => `${operator} (${operand})`),
        fc
          .tuple(
            tie('integer'),
            fc.constantFrom('+', '-', '*', '/', '%', '&', '|', '^', '<<', '>>'),
            tie('integer'),
          )
          .map(([left, operator, right]) => `(${left})${operator} (${right})`),
        fc
          .tuple(tie('integer'), tie('integer'))
          .map(([left, right]) => `coalesce( ${left},max(0x1,${right}) )`),
      ),
      boolean: fc.oneof(
        { maxDepth: 4 },
        column,
        tie('boolean').map((operand) => `!(${operand})`),
        fc
          .tuple(tie('boolean'), fc.constantFrom('&&', '||', '==', '!='), tie('boolean'))
          .map(([left, operator, right]) => `((${left})${operator}(${right}))`),
        fc
          .tuple(tie('integer'), fc.constantFrom('<', '<=', '>', '>=', '==', '!='), tie('integer'))
          .map(([left, operator, right]) => `(${left})${operator}(${right})`),
        fc.string().map((text) => `\`a b\` == "${text.replace(/[\\"]/g, '\\$&')}"`),
        tie('integer').map((operand) => `isNull(${operand})`),
      ),
    }));
    const roundTrip = (text: string, columnType: ColumnType) => {
      const expression = expressionOf(text, columnType);
      const formatted = formatExpression(expression);
      expect(expressionOf(formatted, columnType)).toEqual(expression);
      expect(formatExpression(expressionOf(formatted, columnType))).toBe(formatted);
    };
    fc.assert(
      fc.property(integer, (text) => roundTrip(text, 'integer')),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(boolean, (text) => roundTrip(text, 'boolean')),
      { numRuns: 500 },
    );
  });

  it('writes no parentheses that are not needed', () => {
    expect(formatExpression(expressionOf('((flags>>13)&1)==1&&!(a||b)', 'boolean'))).toBe(
      'flags >> 13 & 1 == 1 && !(a || b)',
    );
    expect(formatExpression(expressionOf('(a-b)-(c-d)'))).toBe('a - b - (c - d)');
  });
});
