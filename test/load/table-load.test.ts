/** The proof of the cuts: a chunk counts only if it starts where the one before it ended. */
import { expect, test } from 'vitest';
import type { ScanResult } from '../../src/load/chunk-messages.ts';
import type { Source } from '../../src/load/source.ts';
import { type PlannedChunk, TableLoad } from '../../src/load/table-load.ts';

const SOURCE = { bytes: 300, table: { name: 'rows' } } as Source;

function tableOf(...ends: number[]): TableLoad {
  const ranges = ends.map((end, index) => ({ start: index === 0 ? 0 : ends[index - 1], end }));
  return new TableLoad(SOURCE, ['id'], ranges, 0);
}

function resultOf(start: number, end: number, more: Partial<ScanResult> = {}): ScanResult {
  const nothing = {
    lines: 10,
    rows: 10,
    skippedRows: 0,
    rejectedRows: 0,
    rejects: [],
    stopped: null,
    parts: [],
    spareBlocks: [],
  };
  return { start, end, ...nothing, ...more };
}

function take(table: TableLoad): PlannedChunk {
  const chunk = table.takeChunk();
  if (chunk === null) throw new Error('no chunk is waiting');
  return chunk;
}

test('chunks that meet are confirmed in file order, whatever order they arrive in', () => {
  const table = tableOf(100, 200, 300);
  const [first, second, third] = [take(table), take(table), take(table)];
  const reject = { line: 3 } as ScanResult['rejects'][number];
  expect(table.completeChunk(third, resultOf(205, 300, { rejects: [reject] }), 1).rejects).toEqual([]);
  expect(table.completeChunk(second, resultOf(104, 205), 2).rejects).toEqual([]);
  expect(table.complete).toBe(false);
  // Twenty lines precede the third chunk.
  expect(table.completeChunk(first, resultOf(0, 104), 3).rejects).toEqual([{ line: 23 }]);
  expect(table.complete).toBe(true);
  expect(table.report(0)).toMatchObject({ rows: 30, lines: 30, chunks: 3, mendedChunks: 0 });
});

test('a chunk that started inside a record is thrown away and scanned again from the true boundary', () => {
  const table = tableOf(100, 200);
  const [first, second] = [take(table), take(table)];
  const wrong = resultOf(120, 200, { rows: 99 });
  table.completeChunk(second, wrong, 1);
  const { discarded } = table.completeChunk(first, resultOf(0, 110), 2);
  expect(discarded).toEqual([wrong]);
  expect(table.complete).toBe(false);
  const again = take(table);
  expect(again).toMatchObject({ start: 110, end: 200, startExact: true });
  table.completeChunk(again, resultOf(110, 200), 3);
  expect(table.complete).toBe(true);
  expect(table.report(0)).toMatchObject({ rows: 20, mendedChunks: 1 });
});

test('a chunk that lies wholly inside a record of an earlier one disappears', () => {
  const table = tableOf(100, 200, 300);
  const [first, second, third] = [take(table), take(table), take(table)];
  table.completeChunk(second, resultOf(150, 202), 1);
  table.completeChunk(third, resultOf(202, 300), 2);
  table.completeChunk(first, resultOf(0, 250), 3);
  const again = take(table);
  expect(again).toMatchObject({ start: 250, end: 300 });
  table.completeChunk(again, resultOf(250, 300), 4);
  expect(table.complete).toBe(true);
  expect(table.report(0)).toMatchObject({ rows: 20, chunks: 2 });
});

test('chunks that still wait are found after others have disappeared before them', () => {
  const table = tableOf(100, 110, 120, 200, 300);
  const [first, second, third] = [take(table), take(table), take(table)];
  table.completeChunk(second, resultOf(105, 110), 1);
  table.completeChunk(third, resultOf(115, 120), 2);
  const fourth = take(table);
  table.completeChunk(first, resultOf(0, 150), 3);
  const fifth = take(table);
  expect(fifth).toMatchObject({ start: 200, end: 300 });
  table.completeChunk(fourth, resultOf(150, 201), 4);
  table.completeChunk(fifth, resultOf(201, 300), 5);
  expect(table.complete).toBe(true);
});

test('a chunk that reaches its line limit hands the rest of its range back', () => {
  const table = tableOf(100, 200);
  const first = take(table);
  table.completeChunk(first, resultOf(0, 60), 1);
  const rest = take(table);
  expect(rest).toMatchObject({ start: 60, end: 100, startExact: true });
  table.completeChunk(rest, resultOf(60, 103), 2);
  table.completeChunk(take(table), resultOf(103, 200), 3);
  expect(table.complete).toBe(true);
});

test('a chunk that stopped for its rejects is not taken for a short one', () => {
  const table = tableOf(100);
  const first = take(table);
  const reject = { line: 2 } as ScanResult['rejects'][number];
  const { rejects } = table.completeChunk(
    first,
    resultOf(0, 60, { stopped: 'rejects', rejects: [reject] }),
    1,
  );
  expect(rejects).toEqual([{ line: 2 }]);
  expect(table.takeChunk()).toBeNull();
});
