/**
 * Types an expression and every column in it. Expected types flow down: from the field (or `where`) at the root, through
 * `max`, `min` and `coalesce`, and from operators to their operands. A column takes the type expected of it, so how its
 * text is decoded follows from use.
 *
 * A column that is bare at a root (or an argument of a bare max, min, coalesce there) has a *root type*, known before
 * anything else is typed. It decides where use alone leaves a choice: an integer operand whose only root type is
 * timestamp is decoded as a timestamp, and only such a column may be compared with a date literal.
 */
import type { BinaryOperator, ColumnType, Expression, ExpressionType } from './expression.ts';
import { ExpressionProblem } from './expression-lexer.ts';
import type { Syntax } from './expression-parser.ts';
import { nearestName } from './nearest.ts';
import { epochSecondsOfText } from './timestamp.ts';

/** What is known about the columns of one table. Build it with `createTyping`; checking fills in `usedTypes`. */
export interface Typing {
  /** Null when the header is not known yet: then every name may be a column. */
  readonly columns: ReadonlySet<string> | null;
  /** For the hint when a field's name is used as a column. */
  readonly fieldNames: ReadonlySet<string>;
  readonly rootTypes: Map<string, Set<ColumnType>>;
  /** The types each column is decoded as, `isNull(column)` apart. */
  readonly usedTypes: Map<string, Set<ColumnType>>;
}

export interface Root {
  readonly syntax: Syntax;
  readonly columnType: ColumnType;
}

/** `roots` are all expressions of the table; they must be checked once before `isNull(column)` is typed for good. */
export function createTyping(
  columns: readonly string[] | null,
  fieldNames: Iterable<string>,
  slot: string,
  roots: readonly Root[],
): Typing {
  const typing: Typing = {
    columns: columns === null ? null : new Set(columns),
    fieldNames: new Set(fieldNames),
    rootTypes: new Map([[slot, new Set<ColumnType>(['integer'])]]),
    usedTypes: new Map([[slot, new Set<ColumnType>(['integer'])]]),
  };
  for (const root of roots) noteRootTypes(root.syntax, root.columnType, typing.rootTypes);
  return typing;
}

/** Throws ExpressionProblem at the first node that cannot have the type expected of it. */
export function checkExpression(syntax: Syntax, expected: ColumnType, typing: Typing): Expression {
  switch (syntax.kind) {
    case 'column':
      return checkColumn(syntax.name, syntax.offset, expected, typing);
    case 'literal':
      return checkLiteral(syntax.value, syntax.offset, expected);
    case 'unary':
      return checkUnary(syntax, expected, typing);
    case 'binary':
      return checkBinary(syntax, expected, typing);
    case 'call':
      return checkCall(syntax, expected, typing);
  }
}

export function expressionTypeOf(columnType: ColumnType): ExpressionType {
  return columnType === 'timestamp' ? 'integer' : columnType;
}

function noteRootTypes(syntax: Syntax, expected: ColumnType, rootTypes: Map<string, Set<ColumnType>>): void {
  if (syntax.kind === 'column') {
    noteType(rootTypes, syntax.name, expected);
  } else if (syntax.kind === 'call' && syntax.name !== 'isNull') {
    for (const argument of syntax.arguments) noteRootTypes(argument, expected, rootTypes);
  }
}

function noteType(types: Map<string, Set<ColumnType>>, name: string, columnType: ColumnType): void {
  const known = types.get(name);
  if (known === undefined) types.set(name, new Set([columnType]));
  else known.add(columnType);
}

function checkColumn(name: string, offset: number, expected: ColumnType, typing: Typing): Expression {
  requireColumn(name, offset, typing);
  const columnType =
    expected === 'integer' && soleRootType(name, typing) === 'timestamp' ? 'timestamp' : expected;
  noteType(typing.usedTypes, name, columnType);
  return { kind: 'column', name, columnType, type: expressionTypeOf(columnType) };
}

function requireColumn(name: string, offset: number, typing: Typing): void {
  if (typing.columns !== null && !typing.columns.has(name)) {
    const nearest = nearestName(name, typing.columns);
    throw new ExpressionProblem(
      `unknown column "${name}"`,
      offset,
      nearest !== null
        ? `did you mean "${nearest}"?`
        : typing.fieldNames.has(name)
          ? 'it is a field; expressions are over the columns of the table'
          : `columns of the table: ${[...typing.columns].join(', ')}`,
    );
  }
}

function checkLiteral(
  value: number | boolean | string | null,
  offset: number,
  expected: ColumnType,
): Expression {
  const type = expressionTypeOf(expected);
  if (value === null) return { kind: 'literal', value, type };
  if (expected === 'timestamp' && typeof value === 'string') {
    const seconds = epochSecondsOfText(value);
    if (seconds !== null) return { kind: 'literal', value: seconds, type: 'integer' };
    throw new ExpressionProblem(
      `${JSON.stringify(value)} is not a timestamp`,
      offset,
      'write epoch seconds, or text such as "2024-01-31" or "2024-01-31T12:00:00Z", from 1970 to 2106',
    );
  }
  const found = typeof value === 'number' ? 'integer' : typeof value === 'boolean' ? 'boolean' : 'string';
  requireType(found, expected, offset);
  return { kind: 'literal', value, type };
}

function checkUnary(syntax: Syntax & { kind: 'unary' }, expected: ColumnType, typing: Typing): Expression {
  const type = syntax.operator === '!' ? 'boolean' : 'integer';
  requireType(type, expected, syntax.offset);
  const operand = checkExpression(syntax.operand, type, typing);
  if (syntax.operator === '-' && operand.kind === 'literal' && typeof operand.value === 'number') {
    return { kind: 'literal', value: 0 - operand.value, type };
  }
  return { kind: 'unary', operator: syntax.operator, operand, type };
}

function checkBinary(syntax: Syntax & { kind: 'binary' }, expected: ColumnType, typing: Typing): Expression {
  const { operator, offset } = syntax;
  let operandType: ColumnType;
  let type: ExpressionType = 'boolean';
  if (operator === '&&' || operator === '||') {
    operandType = 'boolean';
  } else if (isComparison(operator)) {
    operandType = comparisonType(syntax, typing);
  } else {
    operandType = 'integer';
    type = 'integer';
  }
  requireType(type, expected, offset);
  const left = checkExpression(syntax.left, operandType, typing);
  const right = checkExpression(syntax.right, operandType, typing);
  if (isOrdering(operator) && left.type !== 'integer') {
    throw new ExpressionProblem(
      `${operator} does not apply to ${left.type === 'string' ? 'strings' : 'booleans'}`,
      offset,
      left.type === 'string'
        ? 'use == or !=; a date is compared with a column that is mapped to a timestamp field'
        : 'use == or !=',
    );
  }
  return { kind: 'binary', operator, left, right, type };
}

function checkCall(syntax: Syntax & { kind: 'call' }, expected: ColumnType, typing: Typing): Expression {
  const { name, offset } = syntax;
  if (name === 'isNull') {
    requireType('boolean', expected, offset);
    return { kind: 'call', name, arguments: [checkNullTest(syntax.arguments[0], typing)], type: 'boolean' };
  }
  if (name !== 'coalesce') requireType('integer', expected, offset);
  const args = syntax.arguments.map((argument) => checkExpression(argument, expected, typing));
  return { kind: 'call', name, arguments: args, type: expressionTypeOf(expected) };
}

/** Where a column is decoded as several types, `isNull` takes the first of these: cheapest first. */
const nullTestPreference: readonly ColumnType[] = ['integer', 'timestamp', 'boolean', 'string'];

/** isNull asks nothing of its argument's type: as the column is used elsewhere in the table, else as text. */
function checkNullTest(argument: Syntax, typing: Typing): Expression {
  if (argument.kind === 'column') {
    const { name, offset } = argument;
    requireColumn(name, offset, typing);
    const used = typing.usedTypes.get(name);
    const columnType = nullTestPreference.find((candidate) => used?.has(candidate)) ?? 'string';
    return { kind: 'column', name, columnType, type: expressionTypeOf(columnType) };
  }
  return checkExpression(argument, ownType(argument) ?? rootTypeOf(argument, typing) ?? 'string', typing);
}

/** The type both sides of a comparison are checked against. */
function comparisonType(syntax: Syntax & { kind: 'binary' }, typing: Typing): ColumnType {
  const { left, right } = syntax;
  for (const side of [left, right]) {
    if (side.kind === 'literal' && side.value === null) {
      throw new ExpressionProblem(
        'a comparison with null is always null',
        side.offset,
        'write isNull(x) or !isNull(x)',
      );
    }
  }
  const leftRoot = rootTypeOf(left, typing);
  const rightRoot = rootTypeOf(right, typing);
  const withTimestamp = leftRoot === 'timestamp' || rightRoot === 'timestamp';
  if (withTimestamp && (isStringLiteral(left) || isStringLiteral(right))) return 'timestamp';
  const own = ownType(left) ?? ownType(right);
  // An integer beside a timestamp is epoch seconds, so the columns next to it are timestamps too.
  if (own === 'integer' && withTimestamp) return 'timestamp';
  return own ?? leftRoot ?? rightRoot ?? 'integer';
}

function isStringLiteral(syntax: Syntax): boolean {
  return syntax.kind === 'literal' && typeof syntax.value === 'string';
}

/** The type an expression has whatever its columns are, or null. */
function ownType(syntax: Syntax): ExpressionType | null {
  switch (syntax.kind) {
    case 'column':
      return null;
    case 'literal':
      if (syntax.value === null) return null;
      return typeof syntax.value === 'number'
        ? 'integer'
        : typeof syntax.value === 'boolean'
          ? 'boolean'
          : 'string';
    case 'unary':
      return syntax.operator === '!' ? 'boolean' : 'integer';
    case 'binary':
      if (syntax.operator === '&&' || syntax.operator === '||') return 'boolean';
      return isComparison(syntax.operator) ? 'boolean' : 'integer';
    case 'call':
      if (syntax.name === 'isNull') return 'boolean';
      return firstOf(syntax.arguments, ownType) ?? (syntax.name === 'coalesce' ? null : 'integer');
  }
}

/** The root type of the first column that has exactly one, through max, min and coalesce. */
function rootTypeOf(syntax: Syntax, typing: Typing): ColumnType | null {
  if (syntax.kind === 'column') return soleRootType(syntax.name, typing);
  if (syntax.kind !== 'call' || syntax.name === 'isNull') return null;
  return firstOf(syntax.arguments, (argument) => rootTypeOf(argument, typing));
}

function soleRootType(name: string, typing: Typing): ColumnType | null {
  const types = typing.rootTypes.get(name);
  return types?.size === 1 ? [...types][0] : null;
}

function firstOf<T>(nodes: readonly Syntax[], find: (node: Syntax) => T | null): T | null {
  for (const node of nodes) {
    const found = find(node);
    if (found !== null) return found;
  }
  return null;
}

const typeNames: Readonly<Record<ColumnType, string>> = {
  integer: 'an integer',
  boolean: 'a boolean',
  string: 'a string',
  timestamp: 'a timestamp',
};

function requireType(found: ExpressionType, expected: ColumnType, offset: number): void {
  if (found === expressionTypeOf(expected)) return;
  const hint =
    expected === 'boolean' && found === 'integer'
      ? 'compare it, for example with != 0'
      : expected === 'string' || found === 'string'
        ? 'there are no conversions between strings and other types'
        : 'a boolean is not a number; use a field of type boolean';
  throw new ExpressionProblem(`expected ${typeNames[expected]}, found ${typeNames[found]}`, offset, hint);
}

function isComparison(operator: BinaryOperator): boolean {
  return operator === '==' || operator === '!=' || isOrdering(operator);
}

function isOrdering(operator: BinaryOperator): boolean {
  return operator === '<' || operator === '<=' || operator === '>' || operator === '>=';
}
