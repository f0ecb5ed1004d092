/**
 * A definition's plain value to an IndexDefinition: defaults filled in, names resolved, expressions typed, hashes taken.
 * Problems are collected, never thrown, so that one run shows them all.
 */
import type { Static } from 'typebox';
import type {
  CsvDialect,
  FieldDefinition,
  FieldMapping,
  FieldType,
  IndexDefinition,
  TableDefinition,
} from './definition.ts';
import type { DefinitionProblem, DefinitionSource, KeyPath } from './definition-source.ts';
import type { ColumnType, Expression } from './expression.ts';
import { checkExpression, createTyping, type Typing } from './expression-checker.ts';
import { formatExpression } from './expression-format.ts';
import { ExpressionProblem } from './expression-lexer.ts';
import { parseSyntax, type Syntax } from './expression-parser.ts';
import { hashOfJson } from './hash.ts';
import { nearestName } from './nearest.ts';
import {
  csvSchema,
  definitionSchema,
  expressionSchema,
  fieldSchema,
  hasShape,
  tableSchema,
} from './schema.ts';

/** The definition, or null with at least one more problem in `problems`. */
export function normaliseSource(
  source: DefinitionSource,
  problems: DefinitionProblem[],
): IndexDefinition | null {
  const work: Work = { source, problems };
  if (!shaped(work, definitionSchema, source.value, [])) {
    // Go on with what has the right shape, to report as much as can be known in one run.
    const partial = entriesOf(source.value);
    readTables(work, partial.get('tables'), readFields(work, partial.get('fields')));
    return null;
  }
  checkName(work, source.value.name, ['name'], 'value');
  const fields = readFields(work, source.value.fields);
  const tables = readTables(work, source.value.tables, fields);
  checkCoverage(work, fields, tables);
  if (problems.length > 0) return null;
  const normalised = {
    name: source.value.name,
    fields: plainFields(fields.values()),
    tables: Object.fromEntries(tables.map(({ table }) => [table.name, plainTable(table)])),
  };
  return {
    name: source.value.name,
    fields: [...fields.values()],
    tables: tables.map(({ table }) => table),
    hash: hashOfJson(normalised),
    normalised,
  };
}

interface Work {
  readonly source: DefinitionSource;
  readonly problems: DefinitionProblem[];
}

interface Note {
  readonly part?: 'key' | 'value';
  readonly textOffset?: number;
  readonly hint?: string | undefined;
}

function report(work: Work, path: KeyPath, message: string, note: Note = {}): void {
  const at = work.source.place(path, note.part ?? 'value', note.textOffset);
  work.problems.push({ path, at, message, ...(note.hint === undefined ? {} : { hint: note.hint }) });
}

function shaped<T extends Parameters<typeof hasShape>[0]>(
  work: Work,
  schema: T,
  value: unknown,
  path: KeyPath,
): value is Static<T> {
  return hasShape(schema, value, (problem) => {
    report(work, [...path, ...problem.path], problem.message, { part: problem.part, hint: problem.hint });
  });
}

function entriesOf(value: unknown): Map<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return new Map();
  return new Map(Object.entries(value));
}

/** `AND`, `OR`, `NOT` are operators of a query; `__proto__` cannot be a key of a JavaScript object. */
const reservedNames: ReadonlySet<string> = new Set(['AND', 'OR', 'NOT', '__proto__']);

function checkName(work: Work, name: string, path: KeyPath, part: 'key' | 'value'): void {
  if (name === '') report(work, path, 'a name cannot be empty', { part });
  if (/\p{Cc}/u.test(name)) report(work, path, 'a name cannot hold control characters', { part });
  if (reservedNames.has(name)) {
    report(work, path, `the name ${name} is reserved`, { part, hint: 'choose another name' });
  }
}

// Fields

function readFields(work: Work, value: unknown): Map<string, FieldDefinition> {
  const fields = new Map<string, FieldDefinition>();
  for (const [name, field] of entriesOf(value)) {
    const path = ['fields', name];
    checkName(work, name, path, 'key');
    if (!shaped(work, fieldSchema, field, path)) {
      // A usable stand-in, so that expressions over a half-right field are still checked.
      fields.set(name, { name, type: fieldTypeOf(field), filter: true, sort: false, many: false });
      continue;
    }
    const kinds = [field.index].flat();
    const sort = kinds.includes('sort');
    const many = field.many ?? false;
    if (sort && field.type === 'string') {
      report(work, [...path, 'index'], 'a string field cannot have a sort index', {
        hint: 'use index: filter',
      });
    }
    if (sort && many) {
      report(work, [...path, 'index'], 'a field with many: true cannot have a sort index', {
        hint: 'use index: filter',
      });
    }
    fields.set(name, { name, type: field.type, filter: kinds.includes('filter'), sort, many });
  }
  return fields;
}

function fieldTypeOf(field: unknown): FieldType {
  const type = entriesOf(field).get('type');
  const known: readonly FieldType[] = ['boolean', 'uint32', 'int32', 'string', 'timestamp'];
  return known.find((candidate) => candidate === type) ?? 'uint32';
}

function columnTypeOf(type: FieldType): ColumnType {
  return type === 'uint32' || type === 'int32' ? 'integer' : type;
}

function plainFields(fields: Iterable<FieldDefinition>): Record<string, unknown> {
  const plain = [...fields].map(({ name, type, filter, sort, many }) => {
    const index = filter && sort ? ['filter', 'sort'] : filter ? 'filter' : 'sort';
    return [name, { type, index, many }] as const;
  });
  return Object.fromEntries(plain);
}

// Tables

interface ReadTable {
  readonly table: TableDefinition;
  /** Names in its `fields`, also those whose expression has a problem. */
  readonly mapped: readonly string[];
}

function readTables(work: Work, value: unknown, fields: ReadonlyMap<string, FieldDefinition>): ReadTable[] {
  const tables: ReadTable[] = [];
  for (const [name, table] of entriesOf(value)) {
    checkName(work, name, ['tables', name], 'key');
    tables.push(readTable(work, name, table, fields));
  }
  return tables;
}

function readTable(
  work: Work,
  name: string,
  value: unknown,
  fields: ReadonlyMap<string, FieldDefinition>,
): ReadTable {
  const path = ['tables', name];
  const keys = entriesOf(value);
  shaped(work, tableSchema, value, path);
  const csv = readCsv(work, keys.get('csv') ?? {}, [...path, 'csv']);
  const slot = readSlot(work, keys.get('slot'), csv, [...path, 'slot']);
  const expressions = readExpressions(work, path, keys, csv, slot, fields);
  const table = {
    name,
    csv,
    slot,
    // Anything but a boolean has been reported; taking it as true spares a second report that no table is alive.
    alive: (keys.get('alive') ?? false) !== false,
    fields: expressions.mappings,
    where: expressions.where,
  };
  const feeds = plainFields(table.fields.map((mapping) => mapping.field));
  const hash = hashOfJson({ name, table: plainTable(table), fields: feeds });
  return { table: { ...table, hash }, mapped: [...entriesOf(keys.get('fields')).keys()] };
}

function readSlot(work: Work, value: unknown, csv: CsvDialect, path: KeyPath): string {
  if (typeof value !== 'string' || value === '') return '';
  if (csv.columns !== null && !csv.columns.includes(value)) {
    const nearest = nearestName(value, csv.columns);
    report(work, path, `the slot column ${JSON.stringify(value)} is not in csv.columns`, {
      hint:
        nearest === null ? `columns of the table: ${csv.columns.join(', ')}` : `did you mean "${nearest}"?`,
    });
  }
  return value;
}

const dialectDefaults = { delimiter: ',', quote: '"', null: '' };

function readCsv(work: Work, value: unknown, path: KeyPath): CsvDialect {
  if (!shaped(work, csvSchema, value, path)) {
    return { columns: null, escape: '"', gzip: null, ...dialectDefaults };
  }
  const { delimiter, quote, null: nullText } = { ...dialectDefaults, ...value };
  const escapeText = value.escape ?? quote;
  for (const [key, text] of Object.entries(value)) {
    if (typeof text === 'string' && /[\r\n]/.test(text))
      report(work, [...path, key], `${key} cannot be a line break`);
  }
  if (delimiter === quote || delimiter === escapeText) {
    const hint = `both are ${JSON.stringify(delimiter)}`;
    const key = value.delimiter !== undefined ? 'delimiter' : delimiter === quote ? 'quote' : 'escape';
    report(work, [...path, key], 'the delimiter must differ from quote and escape', { hint });
  }
  if (nullText.includes(delimiter) || nullText.includes(quote)) {
    report(work, [...path, 'null'], 'the null text cannot hold the delimiter or the quote', {
      hint: 'null is written unquoted, for example \\N',
    });
  }
  const columns = value.columns ?? null;
  for (const [index, column] of (columns ?? []).entries()) {
    if (columns!.indexOf(column) === index) continue;
    report(work, [...path, 'columns', index], `duplicate column ${JSON.stringify(column)}`, {
      hint: 'give each column a name of its own, also those that are not used',
    });
  }
  return { columns, delimiter, quote, escape: escapeText, null: nullText, gzip: value.gzip ?? null };
}

// Expressions

interface Wanted {
  readonly path: KeyPath;
  readonly syntax: Syntax;
  readonly columnType: ColumnType;
  /** Null: the table's `where`. */
  readonly field: FieldDefinition | null;
}

function readExpressions(
  work: Work,
  path: KeyPath,
  keys: ReadonlyMap<string, unknown>,
  csv: CsvDialect,
  slot: string,
  fields: ReadonlyMap<string, FieldDefinition>,
): { mappings: FieldMapping[]; where: Expression | null } {
  const wanted: Wanted[] = [];
  const want = (value: unknown, valuePath: KeyPath, field: FieldDefinition | null) => {
    const syntax = readSyntax(work, value, valuePath, csv.columns);
    const columnType = field === null ? 'boolean' : columnTypeOf(field.type);
    if (syntax !== null) wanted.push({ path: valuePath, syntax, columnType, field });
  };
  for (const [name, value] of entriesOf(keys.get('fields'))) {
    const field = fields.get(name);
    const fieldPath = [...path, 'fields', name];
    if (field === undefined) {
      const nearest = nearestName(name, fields.keys());
      const hint = nearest === null ? `add it to fields, or remove it here` : `did you mean "${nearest}"?`;
      report(work, fieldPath, `unknown field ${JSON.stringify(name)}`, { part: 'key', hint });
    } else if (shaped(work, expressionSchema, value, fieldPath)) {
      want(value, fieldPath, field);
    }
  }
  const where = keys.get('where');
  if (typeof where === 'string' || typeof where === 'boolean' || typeof where === 'number') {
    want(where, [...path, 'where'], null);
  }
  const typing = createTyping(csv.columns, fields.keys(), slot, wanted);
  // The first pass finds how each column is used, which the second needs for isNull(column).
  const typed = wanted.filter((root) => check(work, root, typing, true) !== null);
  const mappings: FieldMapping[] = [];
  let whereExpression: Expression | null = null;
  for (const root of typed) {
    const expression = check(work, root, typing, false)!;
    if (root.field === null) whereExpression = expression;
    else mappings.push({ field: root.field, expression });
  }
  return { mappings, where: whereExpression };
}

/** A text that is exactly a column name is that column, whatever characters it has. */
function readSyntax(
  work: Work,
  value: unknown,
  path: KeyPath,
  columns: readonly string[] | null,
): Syntax | null {
  const text = String(value);
  if (columns?.includes(text)) return { kind: 'column', name: text, offset: 0, depth: 1 };
  try {
    return parseSyntax(text);
  } catch (error) {
    reportExpression(work, path, error);
    return null;
  }
}

function check(work: Work, root: Wanted, typing: Typing, first: boolean): Expression | null {
  try {
    const expression = checkExpression(root.syntax, root.columnType, typing);
    if (first && root.field !== null) checkLiteralRange(work, root.path, root.field, expression);
    return expression;
  } catch (error) {
    reportExpression(work, root.path, error);
    return null;
  }
}

function checkLiteralRange(work: Work, path: KeyPath, field: FieldDefinition, expression: Expression): void {
  if (expression.kind !== 'literal' || typeof expression.value !== 'number') return;
  const [min, max] = field.type === 'int32' ? [-0x80000000, 0x7fffffff] : [0, 0xffffffff];
  if (expression.value >= min && expression.value <= max) return;
  report(work, path, `${expression.value} does not fit a ${field.type} field`, {
    hint: `it holds ${min} to ${max}`,
  });
}

function reportExpression(work: Work, path: KeyPath, error: unknown): void {
  if (!(error instanceof ExpressionProblem)) throw error;
  report(work, path, error.message, { textOffset: error.offset, hint: error.hint });
}

// Whole

function checkCoverage(
  work: Work,
  fields: ReadonlyMap<string, FieldDefinition>,
  tables: readonly ReadTable[],
): void {
  const mapped = new Set(tables.flatMap((table) => table.mapped));
  for (const name of fields.keys()) {
    if (mapped.has(name)) continue;
    const hint = `map it in a table: tables.<table>.fields.${name}: <column>, or remove the field`;
    report(work, ['fields', name], 'no table maps this field', { part: 'key', hint });
  }
  if (tables.length > 0 && !tables.some(({ table }) => table.alive)) {
    const hint = 'set alive: true on the table whose rows are the things being indexed';
    report(work, ['tables'], 'no table has alive: true, so every query would be empty', {
      part: 'key',
      hint,
    });
  }
}

function plainTable(table: Omit<TableDefinition, 'hash'>): Record<string, unknown> {
  const { columns, gzip, ...dialect } = table.csv;
  const text = (expression: Expression) => expressionText(expression, columns);
  return {
    csv: {
      ...(columns === null ? {} : { columns }),
      ...dialect,
      ...(gzip === null ? {} : { gzip }),
      encoding: 'utf8',
    },
    slot: table.slot,
    alive: table.alive,
    fields: Object.fromEntries(table.fields.map(({ field, expression }) => [field.name, text(expression)])),
    ...(table.where === null ? {} : { where: text(table.where) }),
  };
}

/** Canonical text that also reads back as an expression where it happens to be the name of a column. */
function expressionText(expression: Expression, columns: readonly string[] | null): string {
  let text = formatExpression(expression);
  if (expression.kind === 'column' && expression.name === text) return text;
  while (columns?.includes(text)) text = `(${text})`;
  return text;
}
