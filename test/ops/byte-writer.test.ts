import { expect, test } from 'vitest';
import { BatchReader } from '../../src/ops/batch-reader.ts';
import { ByteWriter } from '../../src/ops/byte-writer.ts';

test('it grows with whatever is written', () => {
  const writes: [(writer: ByteWriter) => void, (reader: BatchReader) => unknown, unknown][] = [
    [(writer) => writer.byte(255), (reader) => reader.byte(), 255],
    [(writer) => writer.double(2 ** 53 - 1), (reader) => reader.double(), 2 ** 53 - 1],
    [(writer) => writer.text('naïve 🎈'), (reader) => reader.text(reader.varint()), 'naïve 🎈'],
    [(writer) => writer.varint(300), (reader) => reader.varint(), 300],
  ];
  for (const [write, read, value] of writes) {
    const writer = new ByteWriter(0);
    for (let times = 0; times < 100; times++) write(writer);
    const reader = new BatchReader(writer.finish());
    for (let times = 0; times < 100; times++) expect(read(reader)).toBe(value);
    expect(reader.bytesLeft).toBe(0);
  }
});

test.each([0, 1, 127, 128, 16_383, 16_384, 2 ** 21 - 1, 2 ** 21, 2 ** 28 - 1, 2 ** 28, 2 ** 31, 2 ** 32 - 1])(
  'the number %i',
  (value) => {
    const writer = new ByteWriter(8);
    writer.varint(value);
    expect(new BatchReader(writer.finish()).varint()).toBe(value);
  },
);
