import { expect, test } from 'vitest';
import { Permits } from '../../src/server/permits.ts';

test('permits are bounded by count and by bytes, and returned once', () => {
  const permits = new Permits({ what: 'things', countMax: 3, bytesMax: 100 });
  const overloaded = expect.objectContaining({ code: 'SERVER_OVERLOADED' });
  const first = permits.take(60);
  expect(() => permits.take(41)).toThrow(overloaded);
  const second = permits.take(40);
  const third = permits.take();
  expect(() => permits.take()).toThrow(overloaded);
  third();
  third();
  expect([permits.count, permits.bytes]).toEqual([2, 100]);
  permits.take(0);
  first();
  second();
  expect([permits.count, permits.bytes]).toEqual([1, 0]);
});
