/**
 * The columns a table reads, and where they stand in a file.
 */
import { BitloomError } from '../errors.ts';
import type { TableDefinition } from './definition.ts';
import type { ColumnType, Expression } from './expression.ts';
import { nearestName } from './nearest.ts';

/** One decoding of one column; a column may be read as more than one type. */
export interface ColumnUse {
  readonly name: string;
  readonly columnType: ColumnType;
}

/** Every column the table reads, once per type, in order of first use: the slot (integer), `where`, then the fields. */
export function columnsOfTable(table: TableDefinition): ColumnUse[] {
  const uses: ColumnUse[] = [{ name: table.slot, columnType: 'integer' }];
  if (table.where !== null) addColumns(table.where, uses);
  for (const mapping of table.fields) addColumns(mapping.expression, uses);
  return uses;
}

/** Every column the expression reads, once per type, in order of first use. */
export function columnsOfExpression(expression: Expression): ColumnUse[] {
  const uses: ColumnUse[] = [];
  addColumns(expression, uses);
  return uses;
}

/**
 * Position in a record of every column the table reads. `header`: the names in file order, from the first record or from
 * `csv.columns`. Throws COLUMN_UNKNOWN where a column is not in the header, COLUMN_DUPLICATE where it is there twice.
 */
export function bindColumns(table: TableDefinition, header: readonly string[]): ReadonlyMap<string, number> {
  const indexes = new Map<string, number>();
  for (const { name } of columnsOfTable(table)) {
    const index = header.indexOf(name);
    if (index < 0) throw unknownColumn(table, name, header);
    if (header.indexOf(name, index + 1) >= 0) {
      throw new BitloomError(
        'COLUMN_DUPLICATE',
        `table ${table.name}: the header has the column "${name}" twice`,
        {
          hint: 'name the columns with csv.columns, each with a name of its own',
          details: { table: table.name, column: name },
        },
      );
    }
    indexes.set(name, index);
  }
  return indexes;
}

function unknownColumn(table: TableDefinition, name: string, header: readonly string[]): BitloomError {
  const nearest = nearestName(name, header);
  const hint =
    nearest === null
      ? `the header is: ${header.join(', ')}; a file without a header needs csv.columns`
      : `did you mean "${nearest}"?`;
  return new BitloomError('COLUMN_UNKNOWN', `table ${table.name}: there is no column "${name}" in the file`, {
    hint,
    details: { table: table.name, column: name, header: [...header] },
  });
}

function addColumns(expression: Expression, uses: ColumnUse[]): void {
  switch (expression.kind) {
    case 'column': {
      const { name, columnType } = expression;
      if (!uses.some((use) => use.name === name && use.columnType === columnType))
        uses.push({ name, columnType });
      return;
    }
    case 'unary':
      addColumns(expression.operand, uses);
      return;
    case 'binary':
      addColumns(expression.left, uses);
      addColumns(expression.right, uses);
      return;
    case 'call':
      for (const argument of expression.arguments) addColumns(argument, uses);
  }
}
