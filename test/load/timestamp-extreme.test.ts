/**
 * The latest or earliest of timestamps goes through kernels. What is loaded is what the naive model computes row by row.
 */
import { openIndex } from 'bitloom';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { timestampExtremeOf } from '../../src/config/expression-extreme.ts';
import { normaliseDefinition } from '../../src/config/parse.ts';
import { loadKernels } from '../../src/kernels/kernels.ts';
import { temporaryDirectory } from '../temporary.ts';
import { expectModel } from './expect-model.ts';

const temporary = temporaryDirectory();

/** Through the kernels. */
const EXTREMES = {
  latest: 'max(a, b)',
  earliest: 'min(a, b, c)',
  latestKnown: 'max(coalesce(a, 0), b)',
  earliestKnown: 'min(coalesce(a, 4294967295), coalesce(b, 2000000000 + 7), c)',
  known: 'coalesce(a, 1700000000)',
  single: 'max(c, c)',
};
/** Not of that form. */
const OTHERS = {
  later: 'max(a + 1, b)',
  beyond: 'max(coalesce(a, 4294967296 - 1), b - 1)',
  either: 'coalesce(a, b)',
  nested: 'max(min(a, b), c)',
};

function definitionOf(expressions: Readonly<Record<string, string>>) {
  return {
    name: 'times',
    fields: Object.fromEntries(
      Object.keys(expressions).map((name) => [name, { type: 'timestamp', index: 'sort' }]),
    ),
    tables: {
      rows: {
        csv: { columns: ['id', 'a', 'b', 'c'] },
        slot: 'id',
        alive: true,
        fields: expressions,
      },
    },
  };
}

test('the expressions that are computed by kernels', () => {
  const { tables } = normaliseDefinition(definitionOf({ ...EXTREMES, ...OTHERS }));
  const found = tables[0].fields.filter(({ expression }) => timestampExtremeOf(expression) !== null);
  expect(found.map(({ field }) => field.name).sort()).toEqual(Object.keys(EXTREMES).sort());
});

const value = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 0, max: 0xffffffff }).map(String) },
  { weight: 4, arbitrary: fc.constantFrom('', '0', '4294967295', '2024-02-29 12:00:00') },
  { weight: 1, arbitrary: fc.constantFrom('x', '4294967296', '-1', '"7"', '1969-12-31') },
);

test('a load holds what the model holds', async () => {
  const given = definitionOf({ ...EXTREMES, ...OTHERS });
  const definition = normaliseDefinition(given);
  const index = await openIndex({ definition: given, inProcess: true });
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(value, value, value), { minLength: 1, maxLength: 70 }),
        fc.subarray([0, 1, 2]),
        async (rows, neverNull) => {
          // Columns with and without nulls take different ways.
          const lines = rows.map(
            (row, id) =>
              `${id},${row.map((text, i) => (neverNull.includes(i) && text === '' ? '5' : text)).join(',')}`,
          );
          await expectModel(index, definition, temporary, lines);
        },
      ),
      { numRuns: 60 },
    );
  } finally {
    await index.close();
  }
});

test('the kernels, at every length', () => {
  const { memory, maxWords, minWords } = loadKernels();
  const rows = 23;
  const [values, out] = [0, 1].map(() => memory.allocate((rows + 4) * 4));
  const nulls = memory.allocate(rows + 4);
  const wordOf = (row: number, factor: number) => Math.imul(row + 1, factor) >>> 0;
  for (let count = 0; count <= rows; count++) {
    for (const fill of [null, 0, 0x80000000, 0xffffffff]) {
      for (const [kernel, extreme] of [
        [maxWords, Math.max],
        [minWords, Math.min],
      ] as const) {
        for (let row = 0; row < rows; row++) {
          memory.u32[values / 4 + row] = wordOf(row, 0x9e3779b1);
          memory.u32[out / 4 + row] = wordOf(row, 0x85ebca6b);
          memory.u8[nulls + row] = row % 3 === 0 ? 1 : 0;
        }
        kernel(values, fill === null ? 0 : nulls, fill ?? 0, count, out);
        const expected = Array.from({ length: count }, (_, row) =>
          extreme(wordOf(row, 0x85ebca6b), fill !== null && row % 3 === 0 ? fill : wordOf(row, 0x9e3779b1)),
        );
        expect(Array.from(memory.u32.subarray(out / 4, out / 4 + count))).toEqual(expected);
      }
    }
  }
});
