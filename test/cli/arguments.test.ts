import { describe, expect, test } from 'vitest';
import {
  parseByteSize,
  parseCount,
  parseCountList,
  parsePositiveCount,
  parseTableFiles,
  readJsonArgument,
} from '../../src/cli/arguments.ts';

describe('counts', () => {
  test.each([
    ['0', 0],
    ['250000', 250_000],
    ['250_000', 250_000],
    ['250k', 250_000],
    ['1.5M', 1_500_000],
    ['1.1k', 1100],
    ['2G', 2_000_000_000],
  ])('%s is %i', (text, count) => {
    expect(parseCount(text)).toBe(count);
  });

  test.each(['', '-1', '1.5', '1e6', '0x10', 'ten', '1 2', '1kk', '1MB', '99999999999999999999', '1.0005k'])(
    '"%s" is refused',
    (text) => {
      expect(() => parseCount(text)).toThrow(/a whole number such as/);
    },
  );

  test('zero is refused where at least one is needed', () => {
    expect(() => parsePositiveCount('0')).toThrow(/at least 1/);
  });

  test('a list of counts keeps its order', () => {
    expect(parseCountList('10k,1M,5')).toEqual([10_000, 1_000_000, 5]);
    expect(() => parseCountList('10k,')).toThrow();
  });
});

describe('byte sizes', () => {
  test.each([
    ['268435456', 268_435_456],
    ['512MB', 512_000_000],
    ['512mb', 512_000_000],
    ['512 MB', 512_000_000],
    ['512MiB', 536_870_912],
    ['2GiB', 2_147_483_648],
    ['1.5GB', 1_500_000_000],
    ['64k', 64_000],
    ['10B', 10],
  ])('%s is %i bytes', (text, bytes) => {
    expect(parseByteSize(text)).toBe(bytes);
  });

  test.each(['', '0', '0MB', 'MB', '-1MB', '5TBs', '1.5B'])('"%s" is refused', (text) => {
    expect(() => parseByteSize(text)).toThrow();
  });
});

describe('table=path', () => {
  test('splits at the first equals sign only', () => {
    expect(parseTableFiles(['images=a=b.csv', 'tags=t.csv'])).toEqual({ images: 'a=b.csv', tags: 't.csv' });
  });

  test('takes names that objects inherit', () => {
    expect(Object.entries(parseTableFiles(['constructor=a.csv', '__proto__x=b.csv']))).toEqual([
      ['constructor', 'a.csv'],
      ['__proto__x', 'b.csv'],
    ]);
  });

  test.each(['images.csv', '=images.csv', 'images='])('"%s" is refused with the expected form', (pair) => {
    expect(() => parseTableFiles([pair])).toThrow(
      expect.objectContaining({
        code: 'ARGUMENT_INVALID',
        hint: expect.stringContaining('images=dump/images.csv'),
      }),
    );
  });

  test('a table given twice is refused', () => {
    expect(() => parseTableFiles(['images=a.csv', 'images=b.csv'])).toThrow(/"images" is given twice/);
  });
});

describe('JSON arguments', () => {
  test('are parsed', async () => {
    await expect(readJsonArgument('{"take":5}', 'query')).resolves.toEqual({ take: 5 });
  });

  test('say what is wrong and how to quote', async () => {
    await expect(readJsonArgument('{take:5}', 'query')).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      message: expect.stringContaining('the query is not valid JSON'),
      hint: expect.stringContaining('quote the query'),
    });
  });
});
