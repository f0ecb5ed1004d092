import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadKernels } from '../../src/kernels/kernels.ts';
import { entries, placeText } from './text-in-memory.ts';
import { rowsTwin } from './twins/rows.ts';
import { scanTwin } from './twins/scan.ts';

const kernels = loadKernels();
const BYTES_MAX = 1000;

function shape(text: Uint8Array, columns: number, bytesMax = BYTES_MAX) {
  const mark = kernels.memory.mark();
  const { memory } = kernels;
  const twin = scanTwin(text, 44, 34);
  const source = placeText(kernels, text);
  const count = twin.positions.length;
  const positions = memory.allocate(count * 4 + 4);
  memory.u32.set(
    twin.positions.map((at) => at + source),
    positions >>> 2,
  );
  const out = memory.allocate((2 * count + columns + 1) * 4);
  const odd = memory.allocate((2 * twin.recordLines + 1) * 4);
  const regular = kernels.checkRows(positions, count, columns, twin.recordLines, source, bytesMax);
  const rowCount = kernels.compactRows(positions, count, columns, source, out, odd, bytesMax);
  const stride = columns + 1;
  const rows = Array.from({ length: Math.max(rowCount, 0) }, (_, row) =>
    entries(kernels, out + row * stride * 4, stride).map((at) => at - source),
  );
  const oddCount = entries(kernels, odd, 1)[0];
  const pairs = Array.from({ length: rowCount < 0 ? 0 : oddCount }, (_, i) =>
    entries(kernels, odd + 4 + i * 8, 2).map((at) => at - source),
  );
  memory.release(mark);
  return { regular, rowCount, rows, odd: pairs, twin: rowsTwin(text, twin.positions, columns) };
}

const records = fc.array(
  fc.constantFrom(
    '',
    '\r',
    'a',
    'a,b',
    ',',
    ',,',
    'a,b,c',
    '"x\n",y',
    '1,2,3\r',
    '"",""',
    'abcdefgh,12345678',
  ),
  { maxLength: 30 },
);

describe('row shape', () => {
  test('checkRows and compactRows equal the twin', () => {
    fc.assert(
      fc.property(records, fc.integer({ min: 1, max: 4 }), (lines, columns) => {
        const text = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const result = shape(text, columns);
        const { twin } = result;
        expect(result.rows).toEqual(twin.rows);
        expect(result.odd).toEqual(twin.odd);
        expect(result.regular).toBe(twin.odd.length === 0 && twin.blankLines === 0 ? 1 : 0);
      }),
      { numRuns: 500 },
    );
  });

  test('checkRows sees an LF where a delimiter belongs even when the counts agree', () => {
    expect(shape(Buffer.from('a\nb,c,d\n'), 2).regular).toBe(0);
    expect(shape(Buffer.from('a,b\nc,d\n'), 2).regular).toBe(1);
  });

  test('both refuse a record above the byte limit and take one at it', () => {
    for (const text of ['abcd,e\nf,g\n', 'f,g\nabcd,e\n']) {
      expect(shape(Buffer.from(text), 2, 6)).toMatchObject({ regular: 1, rowCount: 2 });
      expect(shape(Buffer.from(text), 2, 5)).toMatchObject({ regular: 0, rowCount: -1 });
    }
  });

  test('an incomplete last record is left out', () => {
    expect(shape(Buffer.from('a,b\nc,d'), 2)).toMatchObject({ rowCount: 1, odd: [] });
  });

  test('countLines counts LFs in the range only', () => {
    for (let length = 0; length < 40; length++) {
      for (let alignment = 0; alignment < 20; alignment++) {
        const text = Buffer.from('\n"x\n\nx\r\n,x'.repeat(4)).subarray(0, length);
        const mark = kernels.memory.mark();
        const source = placeText(kernels, text, alignment);
        const lines = kernels.countLines(source, source + length);
        kernels.memory.release(mark);
        expect(lines).toBe(text.filter((byte) => byte === 10).length);
      }
    }
  });
});
