import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BitloomError } from '../../src/errors.ts';
import { BATCH_BYTES_MAX } from '../../src/limits.ts';
import { dedup } from '../../src/ops/dedup.ts';
import type { BatchMeta, Entity } from '../../src/ops/op.ts';
import { decodeBatch, encodeBatch } from '../../src/ops/op-codec.ts';
import { definitionOf, fieldOf } from '../index/model.ts';
import { batchOf, definition, entities, entitiesOf } from './stream.ts';

const meta: fc.Arbitrary<BatchMeta> = fc.record(
  { source: fc.string(), cursor: fc.maxSafeNat(), maxId: fc.maxSafeNat(), lagRows: fc.maxSafeNat() },
  { requiredKeys: ['source'] },
);

function errorOf(bytes: Uint8Array, by = definition): BitloomError {
  try {
    decodeBatch(bytes, by);
  } catch (error) {
    if (error instanceof BitloomError) return error;
    throw error;
  }
  throw new Error('no error');
}

const EXAMPLE: Entity[] = [
  {
    slot: 4_294_967_295,
    alive: true,
    source: 'images',
    ops: [
      { op: 'set', field: 'kind', value: 'naïve 🎈' },
      { op: 'set', field: 'tags', value: [1, 300, 70_000, 4_294_967_295] },
      { op: 'remove', field: 'flag', value: true },
      { op: 'add', field: 'labels', value: '' },
    ],
  },
  {
    slot: 0,
    source: 'posts',
    ops: [
      {
        op: 'queryOpSet',
        where: { score: { gt: -5 } },
        ops: [{ op: 'delete' }, { op: 'set', field: 'score', value: -1 }],
      },
      { op: 'queryOpSet', where: null, ops: [] },
      { op: 'delete' },
    ],
  },
  { slot: 7, ops: [] },
];

describe('there and back', () => {
  test('decode(encode(x)) = x', () => {
    fc.assert(
      fc.property(entities, fc.option(meta, { nil: undefined }), (stream, given) => {
        const batch = batchOf(stream, given);
        expect(decodeBatch(encodeBatch(batch), definition)).toEqual(batch);
      }),
      { numRuns: 1000 },
    );
  });

  test('after dedup too', () => {
    fc.assert(
      fc.property(entities, (stream) => {
        const batch = dedup(batchOf(stream));
        expect(decodeBatch(encodeBatch(batch), definition)).toEqual(batch);
      }),
    );
  });

  test('a batch of nothing', () => {
    const batch = batchOf([]);
    expect(decodeBatch(encodeBatch(batch), definition)).toEqual(batch);
  });

  test('not above the bytes that a batch may have', () => {
    const value = 'x'.repeat(BATCH_BYTES_MAX);
    const batch = batchOf([{ slot: 1, ops: [{ op: 'set', field: 'kind', value }] }]);
    expect(() => encodeBatch(batch)).toThrow(expect.objectContaining({ code: 'BATCH_TOO_LARGE' }));
  });

  test('bytes in the middle of a larger buffer', () => {
    const bytes = encodeBatch(batchOf(EXAMPLE));
    const larger = new Uint8Array(bytes.length + 20).fill(0xff);
    larger.set(bytes, 7);
    expect(decodeBatch(larger.subarray(7, 7 + bytes.length), definition)).toEqual(batchOf(EXAMPLE));
  });

  test('the bytes of format 1', () => {
    const batch = batchOf([{ slot: 3, alive: true, ops: [{ op: 'set', field: 'level', value: 300 }] }]);
    expect(Buffer.from(encodeBatch(batch)).toString('hex')).toBe(
      [
        '424c4f42 01', // BLOB, version
        '01 05 6c6576656c 01', // one field: level, uint32
        '00 00 00', // no strings, sources, meta
        '01 01 00 00', // one entity, one op
        '05 06', // one op and alive, slot +3
        '00 ac02', // set of field 0, 300
      ]
        .join('')
        .replaceAll(' ', ''),
    );
  });
});

describe('definitions that changed', () => {
  const reordered = definitionOf([...definition.fields].reverse());

  test('fields in another order', () => {
    const decoded = decodeBatch(encodeBatch(batchOf(EXAMPLE)), reordered);
    expect(entitiesOf(decoded)).toEqual(entitiesOf(batchOf(EXAMPLE)));
  });

  test('fields that the batch does not use may be gone', () => {
    const batch = batchOf([{ slot: 1, ops: [{ op: 'set', field: 'flag', value: true }] }]);
    const fewer = definitionOf(definition.fields.filter((field) => field.name === 'flag'));
    expect(entitiesOf(decodeBatch(encodeBatch(batch), fewer))).toEqual(entitiesOf(batch));
  });

  test.each([
    [
      'a field is gone',
      definition.fields.filter((field) => field.name !== 'tags'),
      /no field is named "tags"/,
    ],
    [
      'a field has another type',
      definition.fields.map((field) =>
        field.name === 'tags' ? fieldOf('tags', 'int32', 'filter', true) : field,
      ),
      /"tags" has another type/,
    ],
    [
      'a field has one value now',
      definition.fields.map((field) => (field.name === 'tags' ? fieldOf('tags', 'uint32', 'filter') : field)),
      /"tags" has another type/,
    ],
    [
      'a range has no sort index any more',
      definition.fields.map((field) =>
        field.name === 'score' ? fieldOf('score', 'int32', 'filter') : field,
      ),
      /queryOpSet/,
    ],
  ])('%s', (_, fields, message) => {
    const error = errorOf(encodeBatch(batchOf(EXAMPLE)), definitionOf(fields));
    expect(error.code).toBe('BATCH_DEFINITION_CHANGED');
    expect(error.message).toMatch(message);
    expect(error.hint).toBeDefined();
  });
});

describe('bytes that are not a batch', () => {
  const bytes = encodeBatch(batchOf(EXAMPLE, { source: 'outbox', cursor: 9, lagRows: 2 }));
  const CODES = ['BATCH_CORRUPT', 'BATCH_DEFINITION_CHANGED', 'BATCH_FORMAT'];

  test('every truncation is an error with its place', () => {
    for (let length = 0; length < bytes.length; length++) {
      const error = errorOf(bytes.subarray(0, length));
      expect(error.code).toBe('BATCH_CORRUPT');
      expect(error.at?.byteOffset).toBeLessThanOrEqual(length);
    }
  });

  test('every changed byte gives a batch that encodes, or an error of ours', () => {
    for (let at = 0; at < bytes.length; at++) {
      for (const value of [0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 1, bytes[at] ^ 0x10]) {
        const changed = bytes.slice();
        changed[at] = value;
        expectBatchOrError(changed);
      }
    }
  });

  test('so do random bytes behind a right head', () => {
    fc.assert(
      fc.property(fc.nat({ max: bytes.length }), fc.uint8Array({ maxLength: 200 }), (kept, rest) => {
        expectBatchOrError(Buffer.concat([bytes.subarray(0, kept), rest]));
      }),
      { numRuns: 3000 },
    );
  });

  function expectBatchOrError(changed: Uint8Array): void {
    try {
      const batch = decodeBatch(changed, definition);
      // What came through is whole: it can be read, deduped and written again.
      expect(decodeBatch(encodeBatch(batch), definition)).toEqual(batch);
      dedup(batch);
    } catch (error) {
      if (!(error instanceof BitloomError)) throw error;
      expect(CODES).toContain(error.code);
    }
  }

  test('a count without the bytes for it takes no memory', () => {
    // Head, no fields, then 4,294,967,295 strings.
    const hostile = Buffer.from('424c4f420100ffffffff0f', 'hex');
    expect(errorOf(hostile).message).toMatch(/4294967295 is more than the bytes hold/);
  });

  test('bytes after the end', () => {
    expect(errorOf(Buffer.concat([bytes, Buffer.from([0])])).message).toMatch(/left at the end/);
  });

  test('a format of the future', () => {
    const future = bytes.slice();
    future[4] = 2;
    expect(errorOf(future)).toMatchObject({
      code: 'BATCH_FORMAT',
      message: expect.stringContaining('version 2'),
    });
  });

  /** One field (its name, type), the hex of what follows the meta. */
  function encoded(field: string, rest: string): Uint8Array {
    return Buffer.from(`424c4f4201${field}000000${rest}`.replaceAll(' ', ''), 'hex');
  }
  const LEVEL = '01 05 6c6576656c 01';
  const TAGS = '01 04 74616773 81';
  const FLAG = '01 04 666c6167 00';
  const KIND = '01 04 6b696e64 03';

  test.each([
    ['an add on a field of one value', encoded(LEVEL, '01010000 0402 0201'), /takes no op of kind 2/],
    ['a set on a field of many', encoded(TAGS, '01010000 0402 0001'), /takes no op of kind 0/],
    ['a boolean that is 2', encoded(FLAG, '01010000 0402 0002'), /"flag" has no value 2/],
    ['a string that is not there', encoded(KIND, '01010000 0402 0000'), /"kind" has no value 0/],
    ['a field that is not there', encoded(LEVEL, '01010000 0402 0801'), /no field 1/],
    ['a kind that is none', encoded(LEVEL, '01010000 0402 06'), /head 6/],
    ['more ops than the entities have', encoded(LEVEL, '01010000 0002 04'), /more or fewer ops/],
    ['fewer ops than the entities have', encoded(LEVEL, '01010000 0802 04'), /more or fewer ops/],
    ['a source that is not there', encoded(LEVEL, '01010000 060200 04'), /no source 0/],
    ['a queryOpSet without its where', encoded(LEVEL, '01010000 0402 05'), /queryOpSets are missing/],
    ['a queryOpSet inside of one', encoded(LEVEL, '01010101 0402 05 05 0100'), /head 5/],
    ['a nested op without queryOpSet', encoded(LEVEL, '01010001 0402 04 04'), /more or fewer ops/],
    ['a where that is not JSON', encoded(LEVEL, '01010100 0402 05 00 017b'), /not JSON/],
    [
      'fewer nested ops than its queryOpSet has',
      encoded(LEVEL, '01010101 0402 05 04 02 027b7d'),
      /more or fewer ops/,
    ],
    ['a delete with a field', encoded(LEVEL, '01010000 0402 0c'), /head 12/],
    ['a number above 32 bits', encoded(LEVEL, '01010000 0402 00ffffffff1f'), /32 bits/],
  ])('%s', (_, hostile, message) => {
    const error = errorOf(hostile);
    expect(error.code).toBe('BATCH_CORRUPT');
    expect(error.message).toMatch(message);
  });

  test.each([
    ['bits that say nothing', '02 00', /bits 2/],
    ['unknown bits', '11 00', /bits 17/],
    ['a cursor that is no integer', '03 00 000000000000e03f', /cursor/],
    ['a cursor below 0', '03 00 000000000000f0bf', /cursor/],
    ['a cursor above 2^53', '03 00 0000000000004043', /cursor/],
    ['a source that is not UTF-8', '01 01 ff', /UTF-8/],
  ])('a meta with %s', (_, meta, message) => {
    const hostile = Buffer.from(`424c4f42010000 00${meta} 00000000`.replaceAll(' ', ''), 'hex');
    expect(errorOf(hostile)).toMatchObject({
      code: 'BATCH_CORRUPT',
      message: expect.stringMatching(message),
    });
  });

  test.each([
    ['is not UTF-8', '01 01 ff', /UTF-8/],
    ['begins in the middle of a character', '02 01 01 c3a9', /UTF-8/],
    ['stands twice', '02 01 01 6161', /twice/],
  ])('a text that %s', (_, strings, message) => {
    const hostile = Buffer.from(`424c4f420100${strings} 00 00 00000000`.replaceAll(' ', ''), 'hex');
    expect(errorOf(hostile).message).toMatch(message);
  });
});
