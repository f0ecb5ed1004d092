/**
 * A definition as DuckDB SQL: one temporary table of rows per CSV file, with a column per field, and one view per field
 * of (slot, value). Integer, boolean and null semantics of the expression language are spelled out where SQL differs.
 * For files without rejected rows only: a value that a type cannot hold ends the statement.
 */
import type { CsvDialect, FieldDefinition, IndexDefinition, TableDefinition } from '../config/definition.ts';
import type { BinaryOperator, ColumnType, Expression } from '../config/expression.ts';

export interface OracleTable {
  readonly table: TableDefinition;
  readonly file: string;
  /** Column names in file order, from the definition or the header. */
  readonly columns: readonly string[];
}

/** Statements that build the tables `rows_<n>`, `alive` (slot) and, per field n of the definition, `field_<n>` (slot, value). */
export function oracleStatements(definition: IndexDefinition, tables: readonly OracleTable[]): string[] {
  const statements = tables.map(rowsStatement);
  statements.push(`CREATE TEMP TABLE alive AS ${aliveQuery(tables)}`);
  definition.fields.forEach((field, index) => {
    statements.push(`CREATE TEMP TABLE field_${index} AS ${fieldQuery(field, tables)}`);
  });
  return statements;
}

function aliveQuery(tables: readonly OracleTable[]): string {
  const parts = tables.flatMap(({ table }, index) => (table.alive ? [`SELECT slot FROM rows_${index}`] : []));
  return parts.length === 0
    ? 'SELECT 0::BIGINT AS slot WHERE false'
    : `SELECT DISTINCT slot FROM (${parts.join(' UNION ALL ')})`;
}

/**
 * Many fields: distinct pairs. Others: per table the last row of a slot, even if it says null; of the tables the last that
 * has a value.
 */
function fieldQuery(field: FieldDefinition, tables: readonly OracleTable[]): string {
  const parts = tables.flatMap(({ table }, part) => {
    const column = table.fields.findIndex((mapping) => mapping.field.name === field.name);
    if (column < 0) return [];
    const values = `SELECT slot, field_${column} AS value, ${part} AS part FROM rows_${part}`;
    return [field.many ? values : `${values} ${lastOf('rowid')}`];
  });
  if (parts.length === 0) return 'SELECT 0::BIGINT AS slot, 0::BIGINT AS value WHERE false';
  const known = `FROM (${parts.map((part) => `(${part})`).join(' UNION ALL ')}) WHERE value IS NOT NULL`;
  return field.many
    ? `SELECT DISTINCT slot, value ${known}`
    : `SELECT slot, value ${known} ${lastOf('part')}`;
}

function lastOf(order: string): string {
  return `QUALIFY row_number() OVER (PARTITION BY slot ORDER BY ${order} DESC) = 1`;
}

/** Insertion order is kept, so `rowid` is the order of the lines. */
function rowsStatement({ table, file, columns }: OracleTable, index: number): string {
  const outputs = [`${columnSql(table.slot, 'integer', columns)} AS slot`];
  table.fields.forEach(({ expression }, field) => {
    outputs.push(`${expressionSql(expression, columns)} AS field_${field}`);
  });
  const where = table.where === null ? '' : ` WHERE ${expressionSql(table.where, columns)}`;
  return `CREATE TEMP TABLE rows_${index} AS SELECT ${outputs.join(', ')} FROM ${readCsv(table.csv, file, columns)}${where}`;
}

function readCsv(dialect: CsvDialect, file: string, columns: readonly string[]): string {
  const types = columns.map((_, index) => `'c${index}': 'VARCHAR'`).join(', ');
  const gzip = dialect.gzip ?? file.endsWith('.gz');
  const options = [
    'auto_detect = false',
    `header = ${dialect.columns === null}`,
    `columns = { ${types} }`,
    `delim = ${text(dialect.delimiter)}`,
    `quote = ${text(dialect.quote)}`,
    `escape = ${text(dialect.escape)}`,
    `nullstr = ${text(dialect.null)}`,
    'allow_quoted_nulls = false',
    `compression = '${gzip ? 'gzip' : 'none'}'`,
  ];
  return `read_csv(${text(file)}, ${options.join(', ')})`;
}

function expressionSql(expression: Expression, columns: readonly string[]): string {
  switch (expression.kind) {
    case 'column':
      return columnSql(expression.name, expression.columnType, columns);
    case 'literal':
      return literalSql(expression.value);
    case 'unary': {
      const operand = expressionSql(expression.operand, columns);
      return expression.operator === '!' ? `(NOT ${operand})` : `(${expression.operator}(${operand}))`;
    }
    case 'binary':
      return binarySql(
        expression.operator,
        expressionSql(expression.left, columns),
        expressionSql(expression.right, columns),
      );
    case 'call': {
      const operands = expression.arguments.map((argument) => expressionSql(argument, columns));
      if (expression.name === 'isNull') return `((${operands[0]}) IS NULL)`;
      if (expression.name === 'coalesce') return `coalesce(${operands.join(', ')})`;
      const anyNull = operands.map((operand) => `(${operand}) IS NULL`).join(' OR ');
      const best = expression.name === 'max' ? 'greatest' : 'least';
      return `(CASE WHEN ${anyNull} THEN NULL ELSE ${best}(${operands.join(', ')}) END)`;
    }
  }
}

const SQL_OPERATORS: Readonly<Partial<Record<BinaryOperator, string>>> = {
  '==': '=',
  '!=': '<>',
  '&&': 'AND',
  '||': 'OR',
  '/': '//',
};

function binarySql(operator: BinaryOperator, left: string, right: string): string {
  if (operator === '^') return `xor(${left}, ${right})`;
  // DuckDB refuses to shift a negative number left, and shifts by more than 63 bits to zero instead of the sign.
  if (operator === '<<') return `(${left} * (1::BIGINT << ${right}))`;
  if (operator === '>>') return `(${left} >> least(${right}, 62))`;
  return `(${left} ${SQL_OPERATORS[operator] ?? operator} ${right})`;
}

function columnSql(name: string, type: ColumnType, columns: readonly string[]): string {
  const column = `c${columns.indexOf(name)}`;
  switch (type) {
    case 'string':
      return column;
    case 'integer':
      return `CAST(${column} AS BIGINT)`;
    case 'boolean':
      return `(CASE WHEN ${column} IN ('t', 'true', '1') THEN true WHEN ${column} IS NOT NULL THEN false END)`;
    case 'timestamp':
      return `(CASE WHEN regexp_full_match(${column}, '[+-]?[0-9]+') THEN CAST(${column} AS BIGINT) ELSE ${textSeconds(column)} END)`;
  }
}

/** Clock and zone apart, because DuckDB ignores some zones in a timestamp without a time zone. */
function textSeconds(column: string): string {
  const zone = "' ?(Z|[+-][0-9]{2}(:?[0-9]{2})?)$'";
  const clock = `CASE WHEN length(${column}) > 10 THEN regexp_replace(${column}, ${zone}, '') ELSE ${column} END`;
  const offset = (group: number) =>
    `coalesce(TRY_CAST(regexp_extract(${column}, ':[0-9.]+ ?[+-]([0-9]{2}):?([0-9]{2})?$', ${group}) AS BIGINT), 0)`;
  const sign = `CASE WHEN regexp_matches(${column}, ':[0-9.]+ ?-[0-9:]+$') THEN -1 ELSE 1 END`;
  const seconds = `CAST(epoch(date_trunc('second', CAST(${clock} AS TIMESTAMP))) AS BIGINT)`;
  return `${seconds} - (${sign}) * (${offset(1)} * 3600 + ${offset(2)} * 60)`;
}

function literalSql(value: number | boolean | string | null): string {
  if (value === null) return 'NULL';
  if (typeof value === 'number') return `(${value})::BIGINT`;
  return typeof value === 'string' ? text(value) : String(value);
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
