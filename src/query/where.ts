/**
 * The `where` of a query: its public shape, and the parser that checks untrusted JSON against the definition and
 * returns the normalised clause tree. Nothing of the input is trusted or ignored: an unknown name, operator or type is
 * an error that says where it stands.
 */
import type { FieldDefinition, IndexDefinition } from '../config/definition.ts';
import { nearestName } from '../config/nearest.ts';
import { BitloomError } from '../errors.ts';
import { WHERE_CLAUSES_MAX, WHERE_DEPTH_MAX } from '../limits.ts';
import {
  andClause,
  type Clause,
  notClause,
  orClause,
  presentClause,
  rangeFrom,
  rangesClause,
  rangeTo,
  valuesClause,
} from './clause.ts';
import { describeValue, parseLiteral } from './literal.ts';

/** A value of a field; null means no value. A timestamp is epoch seconds or ISO 8601 text. */
export type Scalar = boolean | number | string | null;

/** Conditions on one field; several in one object must all hold. */
export interface FieldOperators {
  /** Has the value; on a `many` field, has it among others. null: has no value. */
  equals?: Scalar;
  /** Has one of the values; an empty list matches nothing. */
  in?: readonly Scalar[];
  /** Has none of the values: the complement of `in`, so a slot without a value matches. */
  notIn?: readonly Scalar[];
  /** The complement of a value or of a nested object: a slot without a value matches, unless it is `not: null`. */
  not?: Scalar | FieldOperators;
  /** Ranges need `sort` in the field's `index`; a slot without a value is in no range. */
  gt?: Scalar;
  gte?: Scalar;
  lt?: Scalar;
  lte?: Scalar;
  /** true: has no value; false: has one. */
  isNull?: boolean;
  /** `many` fields only: has every value of the list; an empty list matches everything. */
  all?: readonly Scalar[];
}

/**
 * Which slots match. Several keys of one object must all hold; `{}` is every alive slot.
 *
 * `AND`, `OR` and `NOT` take an object or a list of objects. An empty `OR` matches nothing; `NOT` with a list matches
 * where none of them does. Negation is the complement among the alive slots: a slot without a value matches
 * `{ type: { not: 'video' } }`. Add `isNull: false` to leave those out.
 */
export interface Where {
  AND?: Where | readonly Where[];
  OR?: Where | readonly Where[];
  NOT?: Where | readonly Where[];
  [field: string]: Scalar | FieldOperators | Where | readonly Where[];
}

interface Context {
  readonly definition: IndexDefinition;
  clauseCount: number;
}

const OPERATORS = ['equals', 'in', 'notIn', 'not', 'gt', 'gte', 'lt', 'lte', 'isNull', 'all'] as const;

/**
 * @throws BitloomError QUERY_INVALID, QUERY_UNKNOWN_FIELD, QUERY_UNKNOWN_OPERATOR, QUERY_TYPE,
 *   QUERY_RANGE_WITHOUT_SORT, WHERE_TOO_DEEP, WHERE_TOO_LARGE
 */
export function parseWhere(definition: IndexDefinition, where: unknown): Clause {
  return parseObject({ definition, clauseCount: 0 }, where, 'where', 1);
}

/**
 * The field of a name used in a query.
 * @throws BitloomError QUERY_UNKNOWN_FIELD
 */
export function fieldOfQuery(definition: IndexDefinition, name: string, path: string): FieldDefinition {
  const field = definition.fields.find((each) => each.name === name);
  if (field !== undefined) return field;
  const names = definition.fields.map((each) => each.name);
  throw new BitloomError('QUERY_UNKNOWN_FIELD', `${path}: no field is named ${describeValue(name)}`, {
    hint: hintOfNearest(name, names, 'fields'),
    details: { field: name, path },
  });
}

function parseObject(context: Context, where: unknown, path: string, depth: number): Clause {
  checkDepth(path, depth);
  if (!isPlainObject(where)) {
    throw new BitloomError('QUERY_INVALID', `${path}: expected an object, got ${describeValue(where)}`, {
      hint: 'write { field: value } or { field: { operator: value } }',
    });
  }
  const parts: Clause[] = [];
  for (const [name, condition] of Object.entries(where)) {
    const at = `${path}.${name}`;
    if (name === 'AND') parts.push(andClause(parseList(context, condition, at, depth)));
    else if (name === 'OR') parts.push(orClause(parseList(context, condition, at, depth)));
    else if (name === 'NOT') parts.push(notClause(orClause(parseList(context, condition, at, depth))));
    else
      parts.push(parseCondition(context, fieldOfQuery(context.definition, name, path), condition, at, depth));
  }
  return andClause(parts);
}

function parseList(context: Context, given: unknown, path: string, depth: number): Clause[] {
  if (!Array.isArray(given)) return [parseObject(context, given, path, depth + 1)];
  countClauses(context, given.length, path);
  return given.map((each, index) => parseObject(context, each, `${path}[${index}]`, depth + 1));
}

function parseCondition(
  context: Context,
  field: FieldDefinition,
  condition: unknown,
  path: string,
  depth: number,
): Clause {
  if (!isPlainObject(condition)) {
    countClauses(context, 1, path);
    return equalityClause(field, [condition], path);
  }
  checkDepth(path, depth);
  const operators = Object.entries(condition);
  if (operators.length === 0) {
    throw new BitloomError('QUERY_INVALID', `${path}: the object has no operator`, {
      hint: `use one of ${OPERATORS.join(', ')}, or leave the field out`,
    });
  }
  countClauses(context, operators.length, path);
  return andClause(
    operators.map(([name, operand]) =>
      parseOperator(context, field, name, operand, `${path}.${name}`, depth),
    ),
  );
}

function parseOperator(
  context: Context,
  field: FieldDefinition,
  name: string,
  operand: unknown,
  path: string,
  depth: number,
): Clause {
  switch (name) {
    case 'equals':
      return equalityClause(field, [operand], path);
    case 'in':
      return equalityClause(field, listOf(context, operand, path), path);
    case 'notIn':
      return notClause(equalityClause(field, listOf(context, operand, path), path));
    case 'not':
      return notClause(parseCondition(context, field, operand, path, depth + 1));
    case 'gt':
      return rangesClause(field.name, rangeFrom(rangeKey(field, operand, path), false));
    case 'gte':
      return rangesClause(field.name, rangeFrom(rangeKey(field, operand, path), true));
    case 'lt':
      return rangesClause(field.name, rangeTo(rangeKey(field, operand, path), false));
    case 'lte':
      return rangesClause(field.name, rangeTo(rangeKey(field, operand, path), true));
    case 'isNull':
      return isNullClause(field, operand, path);
    case 'all':
      return allClause(context, field, operand, path);
    default:
      throw new BitloomError('QUERY_UNKNOWN_OPERATOR', `${path}: unknown operator ${describeValue(name)}`, {
        hint: hintOfNearest(name, OPERATORS, 'operators'),
        details: { field: field.name, operator: name, path },
      });
  }
}

/** The slot has one of the values; null among them is "no value". */
function equalityClause(field: FieldDefinition, given: readonly unknown[], path: string): Clause {
  const values: (number | string)[] = [];
  let orNull = false;
  for (let index = 0; index < given.length; index++) {
    if (given[index] === null) orNull = true;
    else values.push(parseLiteral(field, given[index], given.length > 1 ? `${path}[${index}]` : path));
  }
  const clause = field.filter
    ? valuesClause(field.name, values)
    : pointsClause(field.name, values as number[]);
  return orNull ? orClause([clause, notClause(presentClause(field.name))]) : clause;
}

/** Equality on a field that only sorts: ranges of one key each, adjacent ones merged. */
function pointsClause(field: string, keys: readonly number[]): Clause {
  return rangesClause(
    field,
    keys.flatMap((key) => [key, key]),
  );
}

function rangeKey(field: FieldDefinition, operand: unknown, path: string): number {
  if (field.sort) return parseLiteral(field, operand, path) as number;
  const orderless = field.type === 'string' || field.many;
  const reason = field.type === 'string' ? 'strings have' : 'a field with many values has';
  throw new BitloomError(
    'QUERY_RANGE_WITHOUT_SORT',
    `${path}: field "${field.name}" has no sort index, so it has no ranges`,
    {
      hint: orderless
        ? `${reason} no order: use equals, in or notIn`
        : `give it \`index: [filter, sort]\` in the definition, then load again`,
      details: { field: field.name, path },
    },
  );
}

function isNullClause(field: FieldDefinition, operand: unknown, path: string): Clause {
  if (typeof operand !== 'boolean') {
    throw new BitloomError('QUERY_TYPE', `${path}: expected true or false, got ${describeValue(operand)}`, {
      hint: 'isNull: true is "has no value", isNull: false is "has a value"',
      details: { field: field.name, expected: 'boolean', path },
    });
  }
  const present = presentClause(field.name);
  return operand ? notClause(present) : present;
}

function allClause(context: Context, field: FieldDefinition, operand: unknown, path: string): Clause {
  if (!field.many) {
    throw new BitloomError(
      'QUERY_INVALID',
      `${path}: field "${field.name}" holds one value, so "all" has no sense`,
      {
        hint: 'use equals or in, or declare the field with `many: true`',
        details: { field: field.name, path },
      },
    );
  }
  const list = listOf(context, operand, path);
  return andClause(
    list.map((value, index) => valuesClause(field.name, [parseLiteral(field, value, `${path}[${index}]`)])),
  );
}

function listOf(context: Context, operand: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(operand)) {
    throw new BitloomError('QUERY_INVALID', `${path}: expected a list, got ${describeValue(operand)}`, {
      hint: 'write [value, value]',
    });
  }
  countClauses(context, operand.length, path);
  return operand;
}

function countClauses(context: Context, count: number, path: string): void {
  context.clauseCount += count;
  if (context.clauseCount <= WHERE_CLAUSES_MAX) return;
  throw new BitloomError(
    'WHERE_TOO_LARGE',
    `${path}: more than ${WHERE_CLAUSES_MAX} clauses and list members`,
    {
      hint: 'split the query into several',
      details: { clausesMax: WHERE_CLAUSES_MAX, path },
    },
  );
}

function checkDepth(path: string, depth: number): void {
  if (depth <= WHERE_DEPTH_MAX) return;
  throw new BitloomError('WHERE_TOO_DEEP', `${path}: nested more than ${WHERE_DEPTH_MAX} levels deep`, {
    hint: 'flatten AND, OR and NOT: several keys of one object are combined with AND already',
    details: { depthMax: WHERE_DEPTH_MAX },
  });
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Characters of an unknown name that are compared with the known ones, so that a hostile name costs little. */
const COMPARED_CHARACTERS_MAX = 64;

function hintOfNearest(name: string, known: readonly string[], plural: string): string {
  const nearest = nearestName(name.slice(0, COMPARED_CHARACTERS_MAX), known);
  return nearest === null ? `the ${plural} are ${known.join(', ')}` : `did you mean "${nearest}"?`;
}
