/**
 * One row at a time, for what the kernels cannot take: the record goes through csv-parse, every value through the plain
 * decoders and the expression interpreter. Same result as the fast path, and a reason where there is none.
 */
import type { FieldDefinition, TableDefinition } from '../config/definition.ts';
import type { ColumnType, Expression } from '../config/expression.ts';
import {
  type ExpressionValue,
  evaluateExpression,
  expressionRange,
} from '../config/expression-interpreter.ts';
import { decodeField, type ExactField, parseRecord } from '../csv/exact-lane.ts';
import type { Failure } from '../csv/reject.ts';
import { keyOfValue } from '../index/key.ts';

/** The value of a field: a key, a string that still needs its code, or null. */
export type ExactValue = number | string | null;

export type ExactRow =
  | { readonly kind: 'row'; readonly slot: number; readonly values: readonly ExactValue[] }
  | { readonly kind: 'skipped' }
  | { readonly kind: 'rejected'; readonly failure: Failure; readonly column: string | null };

const UINT32_MAX = 0xffff_ffff;
const INT32_MIN = -0x8000_0000;
const INT32_MAX = 0x7fff_ffff;

export class ExactRows {
  readonly #table: TableDefinition;
  readonly #columns: readonly string[];

  constructor(table: TableDefinition, columns: readonly string[]) {
    this.#table = table;
    this.#columns = columns;
  }

  /** `record` without its line feed. `where` comes first: a row it does not hold for is skipped whatever else is wrong. */
  read(record: Uint8Array): ExactRow {
    const parsed = parseRecord(record, this.#table.csv, this.#columns.length);
    if (!parsed.ok) return { kind: 'rejected', failure: parsed.failure, column: null };
    try {
      return this.#evaluate(parsed.fields);
    } catch (error) {
      if (error instanceof Rejection)
        return { kind: 'rejected', failure: error.failure, column: error.column };
      throw error;
    }
  }

  #evaluate(fields: readonly ExactField[]): ExactRow {
    const { where, slot } = this.#table;
    if (where !== null && this.#value(where, fields, null) !== true) return { kind: 'skipped' };
    const slotValue = this.#column(fields, slot, 'uint32');
    if (slotValue === null) throw new Rejection({ code: 'NULL_SLOT', message: 'the slot is null' }, slot);
    const values = this.#table.fields.map(({ field, expression }) => {
      // A plain column is checked against its type as text, which words the failure best.
      const value =
        expression.kind === 'column'
          ? this.#column(fields, expression.name, field.type)
          : this.#value(expression, fields, field.name);
      return keyOf(field, value);
    });
    return { kind: 'row', slot: Number(slotValue), values };
  }

  #value(expression: Expression, fields: readonly ExactField[], field: string | null): ExpressionValue {
    const value = evaluateExpression(expression, (name, type) => this.#column(fields, name, type));
    if (value !== expressionRange) return value;
    const what = field === null ? 'where' : `the expression of field ${field}`;
    throw new Rejection(
      { code: 'EXPRESSION_RANGE', message: `${what} has no exact value for this row` },
      null,
    );
  }

  #column(
    fields: readonly ExactField[],
    name: string,
    type: ColumnType | FieldDefinition['type'],
  ): ExpressionValue {
    const decoded = decodeField(fields[this.#columns.indexOf(name)], type, this.#table.csv.null);
    if (decoded.ok) return decoded.value;
    throw new Rejection(decoded.failure, name);
  }
}

/** Carries a failure out of the depths of an expression; never leaves this file. */
class Rejection extends Error {
  readonly failure: Failure;
  readonly column: string | null;

  constructor(failure: Failure, column: string | null) {
    super(failure.message);
    this.failure = failure;
    this.column = column;
  }
}

function keyOf(field: FieldDefinition, value: ExpressionValue): ExactValue {
  if (value === null || typeof value === 'string' || field.type === 'string') return value as ExactValue;
  if (typeof value === 'number') {
    const [min, max] = field.type === 'int32' ? [INT32_MIN, INT32_MAX] : [0, UINT32_MAX];
    if (value < min || value > max) {
      throw new Rejection(
        { code: 'OUT_OF_RANGE', message: `field ${field.name}: ${value} is outside ${min} to ${max}` },
        null,
      );
    }
  }
  return keyOfValue(field.type, value);
}
