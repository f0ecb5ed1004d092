import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SCAN_SLACK_BYTES, SCAN_STATS, SCAN_STATS_BYTES } from '../../src/kernels/csv-kernels.ts';
import { loadKernels } from '../../src/kernels/kernels.ts';
import { entries, placeText } from './text-in-memory.ts';
import { type ScanTwin, scanTwin } from './twins/scan.ts';

const kernels = loadKernels();

function scan(text: Uint8Array, alignment: number, delimiter = 44, quote = 34): ScanTwin {
  const mark = kernels.memory.mark();
  const source = placeText(kernels, text, alignment);
  const positions = kernels.memory.allocate(text.length * 4 + SCAN_SLACK_BYTES);
  const stats = kernels.memory.allocate(SCAN_STATS_BYTES);
  const count = kernels.scan(source, source + text.length, delimiter, quote, positions, stats);
  const counters = entries(kernels, stats, 4);
  const twin = {
    positions: entries(kernels, positions, count).map((address) => address - source),
    recordLines: counters[SCAN_STATS.recordLines],
    allLines: counters[SCAN_STATS.allLines],
    irregular: counters[SCAN_STATS.irregular] === 1,
    endsInsideQuotes: counters[SCAN_STATS.endsInsideQuotes] === 1,
  };
  kernels.memory.release(mark);
  return twin;
}

const structure = fc.array(fc.constantFrom(',', '"', '\n', '\r', 'x', '""', '"\r\n', '","', 'long text, '), {
  maxLength: 120,
});

describe('scan', () => {
  test('equals the byte-wise twin at every alignment', () => {
    fc.assert(
      fc.property(structure, fc.nat({ max: 63 }), (parts, alignment) => {
        const text = Buffer.from(parts.join(''));
        expect(scan(text, alignment)).toEqual(scanTwin(text, 44, 34));
      }),
      { numRuns: 1500 },
    );
  });

  test('equals the twin for every length around the step of 64 bytes, quotes and returns on the edge', () => {
    for (const tail of ['"', '"\r', '"\r\n', '"x', ',"', 'x"', '"\n"', '\n', ',', '"\rx']) {
      for (let length = 50; length < 80; length++) {
        for (const opened of ['', '"']) {
          const text = Buffer.from(opened + 'a'.repeat(length) + tail);
          expect(scan(text, 0), JSON.stringify(text.toString())).toEqual(scanTwin(text, 44, 34));
          const more = Buffer.from(`${text.toString()}${'b,'.repeat(40)}\n`);
          expect(scan(more, 7), JSON.stringify(more.toString())).toEqual(scanTwin(more, 44, 34));
        }
      }
    }
  });

  test('takes other delimiters and quotes', () => {
    const text = Buffer.from("a\t'b\t\n'\t\"c\n");
    expect(scan(text, 3, 9, 39)).toEqual(scanTwin(text, 9, 39));
    expect(scan(text, 3, 9, 39).positions).toEqual([1, 7, 10]);
  });

  test('finds nothing irregular in well-formed text and something in each malformed one', () => {
    for (const text of ['"a""b",c\r\n"d"\r\n', '""\n', '"a,\n""b"\n', ',"",\n']) {
      expect(scan(Buffer.from(text), 0).irregular, text).toBe(false);
    }
    for (const text of ['a"b\n', '"a"b\n', '"a" ,b\n', ' "a"\n', '"a"\rb\n', 'a,b"\n']) {
      expect(scan(Buffer.from(text), 0).irregular, text).toBe(true);
    }
  });
});
