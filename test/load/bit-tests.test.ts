/**
 * Flag columns: tests of bits go through a kernel as long as the integers of a chunk fit in 32 bits, and the general way
 * from the first one that does not. What is loaded is what the naive model computes row by row.
 */
import { type BitloomIndex, openIndex } from 'bitloom';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { normaliseDefinition } from '../../src/config/parse.ts';
import { loadKernels } from '../../src/kernels/kernels.ts';
import { temporaryDirectory } from '../temporary.ts';
import { expectModel } from './expect-model.ts';

const temporary = temporaryDirectory();

const TESTS = {
  one: 'flags & 1 == 1',
  shifted: '(flags >> 13 & 1) == 1',
  both: '(flags >> 13 & 1) == 1 && (flags >> 2 & 1) == 0',
  not: '(flags & 4) != 4',
  many: '(flags >> 4 & 7) == 5',
  top: '(flags >> 31 & 1) == 1',
  stamp: '(seenAt & 16) == 16',
};
const DEFINITION = {
  name: 'flags',
  fields: {
    ...Object.fromEntries(Object.keys(TESTS).map((name) => [name, { type: 'boolean', index: 'filter' }])),
    seenAt: { type: 'timestamp', index: 'sort' },
  },
  tables: {
    rows: {
      csv: { columns: ['id', 'flags', 'seenAt'] },
      slot: 'id',
      alive: true,
      fields: { ...TESTS, seenAt: 'seenAt' },
    },
  },
};

const definition = normaliseDefinition(DEFINITION);
let index: BitloomIndex;

beforeAll(async () => {
  index = await openIndex({ definition: DEFINITION, inProcess: true });
});

afterAll(() => index.close());

const narrow = fc.oneof(
  fc.nat({ max: 65_535 }).map(String),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map(String),
  fc.constant(''),
);
const wide = fc.oneof(
  fc.integer({ min: 2 ** 31, max: Number.MAX_SAFE_INTEGER }).map(String),
  fc.integer({ min: Number.MIN_SAFE_INTEGER, max: -(2 ** 31) - 1 }).map(String),
);
const odd = fc.constantFrom('x', '9007199254740992', '""', '"5"', '+7', '0000000012');
const line = (flags: string, row: number): string =>
  `${row},${flags},${row % 11 === 0 ? '' : 1_700_000_000 + row}`;

describe('tests of bits', () => {
  test.each([
    ['that all fit', fc.oneof({ weight: 30, arbitrary: narrow }, { weight: 1, arbitrary: odd })],
    [
      'of which some do not fit',
      fc.oneof(
        { weight: 30, arbitrary: narrow },
        { weight: 1, arbitrary: wide },
        { weight: 1, arbitrary: odd },
      ),
    ],
    ['none of which fit', wide],
  ])('of integers %s', async (_, flags) => {
    await fc.assert(
      fc.asyncProperty(fc.array(flags, { minLength: 1, maxLength: 60 }), (values) =>
        expectModel(index, definition, temporary, values.map(line)),
      ),
      { numRuns: 30 },
    );
  });

  test('in a chunk whose integers fit only at first', async () => {
    // Three windows of a megabyte: one that fits, one in which a single value does not, one after it.
    const values = Array.from({ length: 150_000 }, (_, row) => String((row * 7919) % 65_536));
    values[90_000] = '4294967297';
    values[90_001] = '-4294967295';
    await expectModel(index, definition, temporary, values.map(line));
  });

  test('the kernel, at every length', () => {
    const { memory, testBits } = loadKernels();
    const rows = 23;
    const source = memory.allocate((rows + 4) * 4);
    const keys = memory.allocate((rows + 4) * 4);
    const values = Array.from({ length: rows }, (_, row) => Math.imul(row + 1, 0x9e3779b1) >>> 0);
    memory.u32.set(values, source / 4);
    for (let count = 0; count <= rows; count++) {
      for (const [mask, wanted] of [
        [1, 1],
        [0x80000000, 0x80000000],
        [0x70, 0x50],
        [6, 0],
      ]) {
        memory.u32.fill(9, keys / 4, keys / 4 + rows + 4);
        testBits(source, count, mask, wanted, keys);
        const expected = values.slice(0, count).map((value) => Number((value & mask) >>> 0 === wanted));
        expect(Array.from(memory.u32.subarray(keys / 4, keys / 4 + count))).toEqual(expected);
      }
    }
  });
});
