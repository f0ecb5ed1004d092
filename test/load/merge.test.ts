import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AccumulatorField } from '../../src/load/accumulator-message.ts';
import {
  accumulateChunks,
  aliveContents,
  type Built,
  build,
  type Cuts,
  filterContents,
  ModelIndex,
  modelContents,
  presentContents,
  type Row,
  sortContents,
} from './accumulator-harness.ts';

const FIELDS: readonly AccumulatorField[] = [
  { name: 'few', filter: true, sort: false, many: false },
  { name: 'several', filter: true, sort: true, many: false },
  { name: 'unbounded', filter: true, sort: true, many: false },
  { name: 'members', filter: true, sort: false, many: true },
  { name: 'order', filter: false, sort: true, many: false },
];

const value = fc.tuple(
  fc.option(fc.integer({ min: 0, max: 2 }), { freq: 6 }),
  fc.option(fc.integer({ min: 0, max: 90 }), { freq: 6 }),
  fc.option(fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.constantFrom(0, 4095, 4096, 0xffffffff)), {
    freq: 6,
  }),
  fc.option(fc.integer({ min: 0, max: 6 }), { freq: 3 }),
  fc.option(fc.integer({ min: 1_600_000_000, max: 1_600_000_500 }), { freq: 6 }),
);

/** Slots in the shapes that dumps have: gaps of every size, order kept, reversed or shuffled, repetitions. */
const slots = fc
  .record({
    start: fc.constantFrom(0, 1, 65_000, 0xffff_0000 - 5),
    gaps: fc.array(
      fc.oneof({ arbitrary: fc.constant(1), weight: 8 }, fc.nat(40), fc.constantFrom(0, 65_536, 200_000)),
      {
        maxLength: 400,
      },
    ),
    order: fc.constantFrom('ascending', 'descending', 'shuffled', 'repeated'),
    seed: fc.nat(),
  })
  .map(({ start, gaps, order, seed }) => {
    let slot = start;
    const ascending = gaps.map((gap) => (slot += gap) >>> 0);
    if (order === 'descending') return ascending.toReversed();
    if (order === 'repeated')
      return [...ascending, ...ascending.slice(seed % (ascending.length + 1)), ...ascending];
    if (order === 'shuffled') return shuffled(ascending, seed);
    return ascending;
  });

const rows: fc.Arbitrary<Row[]> = slots.chain((list) =>
  fc
    .array(value, { minLength: list.length, maxLength: list.length })
    .map((values) => list.map((slot, i) => ({ slot, values: values[i] }))),
);

const cuts: fc.Arbitrary<Cuts> = fc.record({
  chunks: fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 4 }),
  batches: fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 4 }),
});

function shuffled(list: number[], seed: number): number[] {
  const result = [...list];
  let state = seed;
  for (let i = result.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const j = state % (i + 1);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

function expectModel(built: Built, model: ModelIndex): void {
  model.fields.forEach(({ name, filter, sort }, field) => {
    const expected = modelContents(model.values[field]);
    if (filter) {
      expect(filterContents(built.filters.get(name)!), name).toEqual(expected);
      const present = [...model.values[field].keys()].sort((a, b) => a - b);
      expect(presentContents(built.filters.get(name)!), name).toEqual(present);
    }
    if (sort) expect(sortContents(built.sorts.get(name)!), name).toEqual(expected);
  });
  expect(aliveContents(built.alive)).toEqual([...model.alive].sort((a, b) => a - b));
}

function expectSameBytes(a: Built, b: Built): void {
  for (const [name, segment] of a.filters) expectEqualBytes(segment, b.filters.get(name)!);
  for (const [name, segment] of a.sorts) expectEqualBytes(segment, b.sorts.get(name)!);
  expectEqualBytes(a.alive, b.alive);
}

function expectEqualBytes(a: Uint8Array, b: Uint8Array): void {
  expect(Buffer.compare(a, b)).toBe(0);
}

describe('accumulators and merges', () => {
  it('hold what a plain model holds, in the same bytes however the rows are cut', () => {
    fc.assert(
      fc.property(rows, cuts, cuts, (table, first, second) => {
        const model = new ModelIndex(FIELDS);
        model.addTable(table);
        const built = build(FIELDS, [accumulateChunks(FIELDS, table, first)]);
        expectModel(built, model);
        expect(built.duplicateRows).toBe(model.duplicateRows);
        expectSameBytes(built, build(FIELDS, [accumulateChunks(FIELDS, table, second)]));
      }),
      { numRuns: 80 },
    );
  });

  it('merge a dump into the previous version', () => {
    fc.assert(
      fc.property(rows, rows, cuts, (before, after, cut) => {
        const model = new ModelIndex(FIELDS);
        model.addTable(before);
        model.addTable(after);
        const previous = build(FIELDS, [accumulateChunks(FIELDS, before, cut)]);
        const built = build(FIELDS, [accumulateChunks(FIELDS, after, cut)], previous);
        expectModel(built, model);
        const direct = build(
          FIELDS,
          [before, after].map((table) => accumulateChunks(FIELDS, table, cut)),
        );
        expectSameBytes(built, direct);
      }),
      { numRuns: 40 },
    );
  });
});

/** A table of many full pages; `shape` says how its slots come. */
function largeTable(rowCount: number, shape: 'ascending' | 'shuffled' | 'repeated'): Row[] {
  let state = 99;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  let slot = 60_000;
  const ascending = Array.from({ length: rowCount }, () => (slot += 1 + (random(4) === 0 ? random(4) : 0)));
  const slots = shape === 'ascending' ? ascending : shuffled(ascending, 5);
  if (shape === 'repeated') for (let i = 3; i < slots.length; i += 3) slots[i] = slots[random(i)];
  return slots.map((at, row) => ({
    slot: at,
    values: [
      random(50) === 0 ? null : random(3),
      // Nulls and few keys at first, then, in the same page and without nulls, more keys than have codes.
      row < rowCount / 4 && random(3) === 0 ? null : random(row < rowCount / 3 ? 20 : 90),
      // Nulls from the middle of a page on, where all slots had values before.
      row > rowCount * 0.7 && random(9) === 0 ? null : random(40_000) * 100_003,
      random(20) === 0 ? null : random(300),
      1_600_000_000 + (row >>> 2),
    ],
  }));
}

describe('full pages', () => {
  it.each(['ascending', 'shuffled', 'repeated'] as const)('hold what a plain model holds: %s', (shape) => {
    const table = largeTable(60_000, shape);
    const model = new ModelIndex(FIELDS);
    model.addTable(table);
    const cutOnce = { chunks: [table.length], batches: [9_000] };
    const built = build(FIELDS, [accumulateChunks(FIELDS, table, cutOnce)]);
    expectModel(built, model);
    expect(built.duplicateRows).toBe(model.duplicateRows);
    for (const cut of [
      { chunks: [17_000, 300], batches: [5_000] },
      { chunks: [60_000], batches: [60_000] },
      { chunks: [9_999], batches: [2_500, 100] },
    ]) {
      expectSameBytes(built, build(FIELDS, [accumulateChunks(FIELDS, table, cut)]));
    }
  });

  it('merge into full pages of the previous version', () => {
    const before = largeTable(40_000, 'repeated');
    const after = largeTable(30_000, 'repeated').map((row) => ({ ...row, slot: row.slot + 7_001 }));
    const cut = { chunks: [11_000], batches: [4_000] };
    const model = new ModelIndex(FIELDS);
    model.addTable(before);
    model.addTable(after);
    const previous = build(FIELDS, [accumulateChunks(FIELDS, before, cut)]);
    const built = build(FIELDS, [accumulateChunks(FIELDS, after, cut)], previous);
    expectModel(built, model);
    expectSameBytes(
      built,
      build(
        FIELDS,
        [before, after].map((table) => accumulateChunks(FIELDS, table, cut)),
      ),
    );
  });

  it('lose the rows that come again later, with and without a value', () => {
    const whole = Array.from({ length: 65_536 }, (_, i) => ({
      slot: 65_536 + i,
      values: [1, i & 63, i, 7, i],
    }));
    const again = Array.from({ length: 900 }, (_, i) => ({
      slot: 65_536 + i * 70,
      values: i % 2 === 0 ? [null, null, null, null, null] : [2, 1, i, 8, i],
    }));
    const table = [...whole, ...again];
    const model = new ModelIndex(FIELDS);
    model.addTable(table);
    const built = build(FIELDS, [accumulateChunks(FIELDS, table, { chunks: [66_000], batches: [30_000] })]);
    expectModel(built, model);
    expect(built.duplicateRows).toBe(900);
  });
});

describe('a table of `many` fields only', () => {
  const MEMBERS: readonly AccumulatorField[] = [{ name: 'members', filter: true, sort: false, many: true }];

  it.each(['in order', 'in order but for some', 'in any order'])(
    'keeps every pair once; slots %s',
    (order) => {
      const table = largeTable(30_000, order === 'in any order' ? 'repeated' : 'ascending');
      const pairs = table.flatMap(({ slot, values }) =>
        [values[0], values[3], values[0]].map((member) => ({ slot, values: [member] })),
      );
      // Late by anything from a few rows to several chunks.
      if (order === 'in order but for some') {
        for (let row = 500; row < pairs.length; row += 97) pairs[row] = pairs[(row * 7) % row];
      }
      const model = new ModelIndex(MEMBERS);
      model.addTable(pairs);
      const built = build(MEMBERS, [
        accumulateChunks(MEMBERS, pairs, { chunks: [40_000], batches: [7_000] }, false),
      ]);
      expect(filterContents(built.filters.get('members')!)).toEqual(modelContents(model.values[0]));
      expect(built.duplicateRows).toBe(0);
      const cut = { chunks: [13_000, 20], batches: [20_000, 50] };
      const again = build(MEMBERS, [accumulateChunks(MEMBERS, pairs, cut, false)]);
      expectEqualBytes(built.filters.get('members')!, again.filters.get('members')!);
    },
  );
});

describe('codes of chunks', () => {
  const NAMES: readonly AccumulatorField[] = [{ name: 'name', filter: true, sort: false, many: false }];

  it.each([5, 3_000])('become codes of the index: %i strings', (stringCount) => {
    const table = largeTable(20_000, 'ascending').map(({ slot, values }) => ({
      slot,
      values: [values[2] === null ? null : values[2] % stringCount],
    }));
    const expected = build(NAMES, [accumulateChunks(NAMES, table, { chunks: [20_000], batches: [6_000] })]);
    const translations: Uint32Array[] = [];
    const messages = [table.slice(0, 9_000), table.slice(9_000)].flatMap((rows) => {
      const localCodes = new Map<number, number>();
      const local = rows.map(({ slot, values: [code] }) => {
        if (code !== null && !localCodes.has(code)) localCodes.set(code, localCodes.size);
        return { slot, values: [code === null ? null : localCodes.get(code)!] };
      });
      translations.push(Uint32Array.from(localCodes.keys()));
      return accumulateChunks(NAMES, local, { chunks: [20_000], batches: [6_000] });
    });
    expectSameBytes(build(NAMES, [messages], null, translations), expected);
  });
});
