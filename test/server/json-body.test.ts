import { expect, test } from 'vitest';
import { JSON_DEPTH_MAX } from '../../src/limits.ts';
import { parseJsonBody } from '../../src/server/json-body.ts';

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

test('nesting is bounded, brackets in strings do not count', () => {
  expect(() => parseJsonBody(Buffer.from(nested(JSON_DEPTH_MAX)))).not.toThrow();
  expect(() => parseJsonBody(Buffer.from(nested(JSON_DEPTH_MAX + 1)))).toThrow(/nested/);
  expect(() => parseJsonBody(Buffer.from(nested(500_000)))).toThrow(/nested/);
  const quoted = JSON.stringify({ a: `\\"${'[{'.repeat(1000)}` });
  expect(parseJsonBody(Buffer.from(quoted))).toEqual(JSON.parse(quoted));
});

test('what is not JSON or not UTF-8 is an error', () => {
  for (const bytes of ['', '{', '"', '"\\', '[1,]', 'undefined', ']['].map((text) => Buffer.from(text))) {
    expect(() => parseJsonBody(bytes)).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }));
  }
  expect(() => parseJsonBody(Buffer.from([0x22, 0xff, 0x22]))).toThrow(/UTF-8/);
});
