import { describe, expect, test } from 'vitest';
import { compareInTurn, summarise } from '../../bench/measure.ts';

describe('summarise', () => {
  test('gives values that occurred, whatever the order', () => {
    const samples = Array.from({ length: 200 }, (_, at) => ((at * 77) % 200) + 1);
    expect(summarise(samples)).toEqual({ median: 100, min: 1, max: 200, p99: 198, count: 200 });
    expect(summarise([5])).toEqual({ median: 5, min: 5, max: 5, p99: 5, count: 1 });
  });

  test('orders numbers as numbers', () => {
    expect(summarise([10, 9, 100])).toMatchObject({ median: 10, min: 9, max: 100 });
  });
});

test('a ratio compares medians and neighbours', () => {
  expect(compareInTurn([1, 2, 4], [8, 8, 8])).toEqual({ ofMedians: 4, min: 2, max: 8 });
});
