import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DictionaryBuilder, DictionarySegment } from '../../src/index/dictionary-segment.ts';

const strings = fc.array(
  fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', 'a', 'ä', '\ufffd', '👍')),
  {
    maxLength: 200,
  },
);

function add(builder: DictionaryBuilder, text: string): number {
  const bytes = Buffer.from(`<${text}>`);
  return builder.add(bytes, 1, bytes.length - 1);
}

test('codes count up in the order of first appearance and read back, across builders stacked on a segment', () => {
  fc.assert(
    fc.property(strings, strings, (first, second) => {
      const codes = new Map<string, number>();
      let builder = new DictionaryBuilder();
      for (const text of first) {
        if (!codes.has(text)) codes.set(text, codes.size);
        expect(add(builder, text)).toBe(codes.get(text));
      }
      builder = new DictionaryBuilder(new DictionarySegment(builder.finish()));
      for (const text of second) {
        if (!codes.has(text)) codes.set(text, codes.size);
        expect(add(builder, text)).toBe(codes.get(text));
      }
      const dictionary = new DictionarySegment(builder.finish());
      expect(dictionary.size).toBe(codes.size);
      for (const [text, code] of codes) {
        expect(dictionary.textOf(code)).toBe(text);
        expect(dictionary.codeOf(text)).toBe(code);
        expect(dictionary.codeOf(`${text}?`)).toBe(codes.get(`${text}?`));
      }
      const inOneGo = new DictionaryBuilder();
      for (const text of codes.keys()) add(inOneGo, text);
      expect(Buffer.compare(dictionary.content, inOneGo.finish()) === 0).toBe(true);
    }),
  );
});

test('a text that has no UTF-8 form is no string of the dictionary', () => {
  const builder = new DictionaryBuilder();
  add(builder, '\ufffd');
  const dictionary = new DictionarySegment(builder.finish());
  expect(dictionary.codeOf('\ufffd')).toBe(0);
  expect(dictionary.codeOf('\ud800')).toBeUndefined();
});

test('a code without a string is refused', () => {
  const dictionary = new DictionarySegment(new DictionaryBuilder().finish());
  expect(() => dictionary.textOf(0)).toThrow('no string has the code 0');
  expect(dictionary.codeOf('')).toBeUndefined();
});
