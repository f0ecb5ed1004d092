import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ColumnType, Expression, ExpressionType } from '../../src/config/expression.ts';
import {
  type ColumnVector,
  compileExpression,
  type ResultVector,
} from '../../src/config/expression-compiler.ts';
import {
  type ExpressionValue,
  evaluateExpression,
  expressionRange,
} from '../../src/config/expression-interpreter.ts';
import { BLOCK_ROWS } from '../../src/config/expression-vector.ts';
import { normaliseDefinition } from '../../src/config/parse.ts';

const MAX = Number.MAX_SAFE_INTEGER;

/** Columns of the random batches, by expression type. */
const columnTypes: Readonly<Record<string, ColumnType>> = {
  wide: 'integer',
  narrow: 'integer',
  small: 'integer',
  time: 'timestamp',
  yes: 'boolean',
  no: 'boolean',
  word: 'string',
  name: 'string',
};

const edges = [
  0,
  1,
  -1,
  2,
  31,
  32,
  33,
  63,
  64,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32 - 1,
  2 ** 32,
  MAX,
  -MAX,
  MAX - 1,
];
const anyInteger = fc.oneof(
  fc.constantFrom(...edges),
  fc.integer({ min: -8, max: 70 }),
  fc.integer(),
  fc.maxSafeInteger(),
);
const cells: Readonly<Record<string, fc.Arbitrary<number | boolean | string>>> = {
  wide: anyInteger,
  narrow: fc.integer(),
  small: fc.integer({ min: -3, max: 70 }),
  time: fc.integer({ min: 0, max: 0xffffffff }),
  yes: fc.boolean(),
  no: fc.boolean(),
  word: fc.constantFrom('', 'a', 'b', 'image'),
  name: fc.constantFrom('', 'a', 'b', 'video'),
};

class Codes {
  readonly codes = new Map<string, number>();
  codeOf(text: string): number {
    if (!this.codes.has(text)) this.codes.set(text, this.codes.size);
    return this.codes.get(text)!;
  }
}

const { integer, boolean, string } = fc.letrec<Record<ExpressionType, Expression>>((tie) => {
  const column = (type: ExpressionType) => {
    const names = Object.keys(columnTypes).filter((name) => typeOfColumn(name) === type);
    return fc
      .constantFrom(...names)
      .map((name): Expression => ({ kind: 'column', name, columnType: columnTypes[name], type }));
  };
  const literal = (type: ExpressionType, value: fc.Arbitrary<ExpressionValue>) =>
    fc
      .oneof({ weight: 5, arbitrary: value }, { weight: 1, arbitrary: fc.constant(null) })
      .map((known): Expression => ({ kind: 'literal', value: known, type }));
  const unary = (operator: '!' | '-' | '~', type: ExpressionType) =>
    tie(type).map((operand): Expression => ({ kind: 'unary', operator, operand, type }));
  const binary = (operators: readonly string[], operandType: ExpressionType, type: ExpressionType) =>
    fc
      .tuple(fc.constantFrom(...operators), tie(operandType), tie(operandType))
      .map(([operator, left, right]) => ({ kind: 'binary', operator, left, right, type }) as Expression);
  const call = (name: 'max' | 'min' | 'coalesce', type: ExpressionType) =>
    fc
      .array(tie(type), { minLength: 2, maxLength: 3 })
      .map((args): Expression => ({ kind: 'call', name, arguments: args, type }));
  const isNull = (type: ExpressionType) =>
    tie(type).map(
      (argument): Expression => ({ kind: 'call', name: 'isNull', arguments: [argument], type: 'boolean' }),
    );
  const ordering = ['<', '<=', '>', '>=', '==', '!='];
  const bitTest = fc
    .tuple(
      column('integer'),
      fc.integer({ min: -1, max: 40 }),
      anyInteger,
      anyInteger,
      fc.constantFrom('==', '!='),
    )
    .map(([tested, shift, mask, wanted, operator]): Expression => {
      const number = (value: number): Expression => ({ kind: 'literal', value, type: 'integer' });
      const shifted: Expression =
        shift < 0
          ? tested
          : { kind: 'binary', operator: '>>', left: tested, right: number(shift), type: 'integer' };
      const masked: Expression = {
        kind: 'binary',
        operator: '&',
        left: shifted,
        right: number(mask),
        type: 'integer',
      };
      // Mostly a value that the mask lets through.
      const right = number(wanted > 0 ? Number(BigInt(wanted) & BigInt(mask)) % MAX : wanted);
      return { kind: 'binary', operator: operator as '==' | '!=', left: masked, right, type: 'boolean' };
    });
  return {
    integer: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      column('integer'),
      literal('integer', anyInteger),
      unary('-', 'integer'),
      unary('~', 'integer'),
      binary(['+', '-', '*', '/', '%'], 'integer', 'integer'),
      binary(['&', '|', '^', '<<', '>>'], 'integer', 'integer'),
      call('max', 'integer'),
      call('min', 'integer'),
      call('coalesce', 'integer'),
    ),
    boolean: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      column('boolean'),
      literal('boolean', fc.boolean()),
      unary('!', 'boolean'),
      binary(['&&', '||'], 'boolean', 'boolean'),
      binary(['==', '!='], 'boolean', 'boolean'),
      binary(['==', '!='], 'string', 'boolean'),
      binary(ordering, 'integer', 'boolean'),
      bitTest,
      fc
        .tuple(bitTest, bitTest)
        .map(
          ([left, right]): Expression => ({ kind: 'binary', operator: '&&', left, right, type: 'boolean' }),
        ),
      call('coalesce', 'boolean'),
      isNull('integer'),
      isNull('boolean'),
      isNull('string'),
    ),
    string: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      column('string'),
      literal('string', cells.word),
      call('coalesce', 'string'),
    ),
  };
});

function typeOfColumn(name: string): ExpressionType {
  const type = columnTypes[name];
  return type === 'timestamp' ? 'integer' : type;
}

type Batch = Readonly<Record<string, readonly ExpressionValue[]>>;

/** A batch of rows; `nullable` columns have some nulls. */
const batch: fc.Arbitrary<Batch> = fc.integer({ min: 0, max: 12 }).chain((rowCount) =>
  fc.record(
    Object.fromEntries(
      Object.entries(cells).map(([name, cell]) => {
        const nullable = fc.oneof(
          { weight: 3, arbitrary: cell },
          { weight: 1, arbitrary: fc.constant(null) },
        );
        const list = (value: fc.Arbitrary<ExpressionValue>) =>
          fc.array(value, { minLength: rowCount, maxLength: rowCount });
        return [name, fc.oneof(list(nullable), list(cell))];
      }),
    ),
  ),
);

/** A batch of the given columns; the others are null. */
function rowsOf(columns: Batch): Batch {
  const rowCount = Math.max(...Object.values(columns).map((values) => values.length));
  const nulls = Array.from({ length: rowCount }, () => null);
  return { ...Object.fromEntries(Object.keys(columnTypes).map((name) => [name, nulls])), ...columns };
}

/** The batch's rows again and again, up to `rowCount`: more than one block, its nulls and errors in some. */
function repeated(source: Batch, rowCount: number): Batch {
  return Object.fromEntries(
    Object.entries(source).map(([name, values]) => [
      name,
      values.length === 0 ? [] : Array.from({ length: rowCount }, (_, row) => values[row % values.length]),
    ]),
  );
}

/** Rows that are null hold garbage, as they may. */
function vectorOf(name: string, values: readonly ExpressionValue[], codes: Codes): ColumnVector {
  const numbers = values.map((value) => {
    if (value === null) return 77;
    return typeof value === 'string' ? codes.codeOf(value) : Number(value);
  });
  const nulls = values.includes(null) ? Uint8Array.from(values, (value) => Number(value === null)) : null;
  if (name === 'wide' || name === 'small') return { values: Float64Array.from(numbers), nulls };
  if (name === 'narrow') return { values: Int32Array.from(numbers), nulls };
  if (name === 'yes' || name === 'no') return { values: Uint8Array.from(numbers), nulls };
  return { values: Uint32Array.from(numbers), nulls };
}

function evaluateRows(expression: Expression, rows: Batch): (ExpressionValue | typeof expressionRange)[] {
  const rowCount = rows.wide.length;
  return Array.from({ length: rowCount }, (_, row) =>
    evaluateExpression(expression, (name) => rows[name][row]),
  );
}

function valuesOf(expression: Expression, result: ResultVector, rowCount: number, codes: Codes) {
  const texts = [...codes.codes.keys()];
  return Array.from({ length: rowCount }, (_, row) => {
    if (result.errors?.[row] === 1) return expressionRange;
    if (result.nulls?.[row] === 1) return null;
    const value = result.values[row];
    if (expression.type === 'integer') return value;
    return expression.type === 'boolean' ? value === 1 : texts[value];
  });
}

function expectEqualResults(expression: Expression, batches: readonly Batch[]): void {
  const codes = new Codes();
  const compiled = compileExpression(expression, codes);
  for (const rows of batches) {
    const rowCount = rows.wide.length;
    const result = compiled.evaluate((name) => vectorOf(name, rows[name], codes), rowCount);
    expect(valuesOf(expression, result, rowCount, codes)).toEqual(evaluateRows(expression, rows));
  }
}

describe('a compiled expression', () => {
  it('equals the interpreter on random expressions and columns, failures included', () => {
    const property = fc.property(
      fc.oneof(integer, boolean, string),
      batch,
      batch,
      (expression, first, second) => {
        expectEqualResults(expression, [first, second, first]);
      },
    );
    fc.assert(property, { numRuns: 3000 });
  });

  it('equals the interpreter for every operator at the edges of the range, either operand constant', () => {
    const column = (name: string): Expression => ({
      kind: 'column',
      name,
      columnType: 'integer',
      type: 'integer',
    });
    const pairs = edges.flatMap((left) => edges.map((right) => [left, right]));
    const rows = rowsOf({ wide: pairs.map(([left]) => left), small: pairs.map(([, right]) => right) });
    const operators = [
      '+',
      '-',
      '*',
      '/',
      '%',
      '&',
      '|',
      '^',
      '<<',
      '>>',
      '<',
      '<=',
      '>',
      '>=',
      '==',
      '!=',
    ] as const;
    for (const [index, operator] of operators.entries()) {
      const type = index < 10 ? 'integer' : 'boolean';
      const binary = (left: Expression, right: Expression): Expression => ({
        kind: 'binary',
        operator,
        left,
        right,
        type,
      });
      expectEqualResults(binary(column('wide'), column('small')), [rows]);
      for (const edge of edges) {
        const constant: Expression = { kind: 'literal', value: edge, type: 'integer' };
        expectEqualResults(binary(column('wide'), constant), [rows]);
        expectEqualResults(binary(constant, column('wide')), [rows]);
      }
    }
  });

  it('equals the interpreter on tests of bits, also those that contradict themselves', () => {
    const rows = rowsOf({ wide: [...Array.from({ length: 32 }, (_, value) => value - 8), ...edges, null] });
    const tests = [
      'a & 4 == 4',
      'a & 4 != 4',
      'a & 4 == 3',
      'a & 4 != 3',
      'a & 3 == 1',
      'a & 3 != 1',
      '6 & a == 2',
    ]
      .concat([
        'a >> 1 & 3 == 2',
        'a >> 31 & 1 == 1',
        'a >> 32 & 1 == 1',
        'a >> 1 & 0x7FFFFFFF == 0x7FFFFFFF',
      ])
      .concat(['a & 0x80000000 != 0', 'a & 0 == 0', 'a & (1 << 3) != 0', 'a & 1 == -1', 'a & -1 == 5']);
    for (const left of tests) {
      for (const text of [left, ...tests.map((right) => `${left} && ${right}`)]) {
        const definition = normaliseDefinition({
          name: 'bits',
          fields: { bit: { type: 'boolean', index: 'filter' } },
          tables: { bits: { slot: 'id', alive: true, fields: { bit: text.replaceAll('a', 'wide') } } },
        });
        expectEqualResults(definition.tables[0].fields[0].expression, [rows]);
      }
    }
  });

  it('equals the interpreter over several blocks', () => {
    const sizes = fc.constantFrom(BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS + 5);
    const property = fc.property(
      fc.oneof(integer, boolean),
      batch,
      sizes,
      sizes,
      (expression, rows, first, second) => {
        expectEqualResults(expression, [repeated(rows, first), repeated(rows, second)]);
      },
    );
    fc.assert(property, { numRuns: 60 });
  });

  it('keeps nulls and errors of one block out of the others', () => {
    const rowCount = 3 * BLOCK_ROWS;
    const column = (name: string): Expression => ({
      kind: 'column',
      name,
      columnType: 'integer',
      type: 'integer',
    });
    const quotient: Expression = {
      kind: 'binary',
      operator: '/',
      left: column('a'),
      right: column('b'),
      type: 'integer',
    };
    const compiled = compileExpression(quotient, new Codes());
    const a = new Float64Array(rowCount).fill(6);
    const b = new Float64Array(rowCount).fill(2);
    const evaluate = () =>
      compiled.evaluate((name) => ({ values: name === 'a' ? a : b, nulls: null }), rowCount);
    for (const row of [BLOCK_ROWS + 7, 5, rowCount - 1]) {
      b[row] = 0;
      const { values, errors } = evaluate();
      expect(errors!.subarray(0, rowCount).reduce((sum, flag) => sum + flag, 0)).toBe(1);
      expect([errors![row], values[(row + 1) % rowCount]]).toEqual([1, 3]);
      b[row] = 2;
    }
    expect(evaluate().errors).toBeNull();
  });

  it('returns a bare column as it is', () => {
    const compiled = compileExpression(
      { kind: 'column', name: 'a', columnType: 'string', type: 'string' },
      new Codes(),
    );
    const vector = { values: Uint32Array.of(3, 1), nulls: Uint8Array.of(0, 1) };
    const result = compiled.evaluate(() => vector, 2);
    expect(result.values).toBe(vector.values);
    expect(result.nulls).toBe(vector.nulls);
    expect(result.errors).toBeNull();
  });

  it('takes any kind of integer column', () => {
    const a: Expression = { kind: 'column', name: 'a', columnType: 'integer', type: 'integer' };
    const one: Expression = { kind: 'literal', value: 1, type: 'integer' };
    const sum = compileExpression(
      { kind: 'binary', operator: '+', left: a, right: one, type: 'integer' },
      new Codes(),
    );
    for (const values of [Float64Array.of(7), Int32Array.of(7), Uint32Array.of(7), Uint8Array.of(7)]) {
      expect(sum.evaluate(() => ({ values, nulls: null }), 1).values[0]).toBe(8);
    }
  });
});
