import { describe, expect, test } from 'vitest';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatRate,
  formatTable,
} from '../../src/cli/text-table.ts';

describe('text for people', () => {
  test('counts have separators', () => {
    expect(formatCount(1234567)).toBe('1,234,567');
  });

  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [127_000_000, '127 MB'],
    [999_900, '1.0 MB'],
    [14_500_000_000, '14.5 GB'],
  ])('%i bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test.each([
    [0.25, '0.25 ms'],
    [85, '85 ms'],
    [1500, '1.5 s'],
    [61_000, '1 m 01 s'],
    [3_660_000, '1 h 01 m'],
  ])('%d ms are %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test('rates scale and survive no time at all', () => {
    expect(formatRate(1_000_000, 100)).toBe('10.0M rows/s');
    expect(formatRate(5000, 100)).toBe('50k rows/s');
    expect(formatRate(10, 0)).toBe('0 rows/s');
  });

  test('columns line up, numbers to the right', () => {
    expect(
      formatTable(
        ['table', 'rows'],
        [
          ['images', '1,000'],
          ['tags', '5'],
        ],
      ),
    ).toBe(['table    rows', 'images  1,000', 'tags        5'].join('\n'));
  });
});
