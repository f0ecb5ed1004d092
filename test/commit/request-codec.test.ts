import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CommitError } from '../../src/commit/commit-error.ts';
import { KEY_BYTES_MAX, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX } from '../../src/commit/commit-limits.ts';
import type { Operation } from '../../src/commit/operation.ts';
import { decodeRanges, encodeRanges } from '../../src/commit/range-codec.ts';
import {
  type CommitRequest,
  decodeRequest,
  encodeRequest,
  setExpiry,
} from '../../src/commit/request-codec.ts';
import { operations, ranges, template } from './operation-fixtures.ts';

const requests: fc.Arbitrary<CommitRequest> = fc.record({
  readVersion: fc.maxSafeNat(),
  expiresAtMs: fc.maxSafeNat(),
  readRanges: fc.array(ranges, { maxLength: 4 }),
  writeRanges: fc.array(ranges, { maxLength: 4 }),
  operations: fc.array(operations, { maxLength: 8 }),
});

const EMPTY: CommitRequest = {
  readVersion: 0,
  expiresAtMs: 0,
  readRanges: [],
  writeRanges: [],
  operations: [],
};

/** Byte strings as hex, so that a Buffer equals a plain array. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, part) => {
      if (part instanceof Uint8Array) return Buffer.from(part).toString('hex');
      if (part?.type === 'Buffer') return Buffer.from(part.data).toString('hex');
      return part;
    }),
  );
}

function codeOf(act: () => unknown): string | undefined {
  try {
    act();
  } catch (error) {
    if (!(error instanceof CommitError)) throw error;
    expect(error.retryable).toBe(false);
    return error.code;
  }
  return undefined;
}

const decoding = (operation: Operation) =>
  codeOf(() => decodeRequest(encodeRequest({ ...EMPTY, operations: [operation] })));

describe('there and back', () => {
  test('a request', () => {
    fc.assert(
      fc.property(requests, (request) => {
        expect(plain(decodeRequest(encodeRequest(request)))).toEqual(plain(request));
      }),
      { numRuns: 1000 },
    );
  });

  test('in the middle of a larger buffer, and as a plain array', () => {
    fc.assert(
      fc.property(requests, (request) => {
        const payload = encodeRequest(request);
        const larger = new Uint8Array(payload.length + 20).fill(0xff);
        larger.set(payload, 7);
        expect(plain(decodeRequest(larger.subarray(7, 7 + payload.length)))).toEqual(plain(request));
      }),
    );
  });

  test('ranges', () => {
    fc.assert(
      fc.property(fc.array(ranges), (list) => {
        expect(plain(decodeRanges(encodeRanges(list)))).toEqual(plain(list));
      }),
    );
  });

  test('a range of one key takes one byte for its end', () => {
    const begin = Buffer.from('key');
    const single = encodeRanges([{ begin, end: Buffer.from('key\0') }]);
    expect(single.length).toBe(1 + 1 + 1 + 4);
  });

  test('the expiry can be set afterwards, and is rounded down', () => {
    fc.assert(
      fc.property(requests, fc.maxSafeNat(), (request, expiresAtMs) => {
        const payload = encodeRequest(request);
        setExpiry(payload, expiresAtMs);
        expect(plain(decodeRequest(payload))).toEqual(plain({ ...request, expiresAtMs }));
      }),
    );
    const payload = encodeRequest(EMPTY);
    setExpiry(payload, 1234.9);
    expect(decodeRequest(payload).expiresAtMs).toBe(1234);
  });

  test('the bytes of format 1', () => {
    const key = Buffer.from('k');
    const payload = encodeRequest({
      readVersion: 300,
      expiresAtMs: 2 ** 40,
      readRanges: [{ begin: key, end: Buffer.from('m') }],
      writeRanges: [{ begin: key, end: Buffer.from('k\0') }],
      operations: [
        { type: 'set', key, value: Buffer.from('v') },
        { type: 'clear', key },
        { type: 'clearRange', begin: key, end: key },
        { type: 'atomic', atomic: 'COMPARE_AND_CLEAR', key, operand: Buffer.from('') },
      ],
    });
    expect(Buffer.from(payload).toString('hex')).toBe(
      [
        '01 0000010000000000 000000000000012c',
        '01 02 6b 01 6d', // read ranges
        '01 03 6b 00', // write ranges
        '04 00 01 6b 01 76', // set
        '01 01 6b',
        '02 01 6b 01 6b',
        '1b 01 6b 00',
      ]
        .join('')
        .replaceAll(' ', ''),
    );
  });
});

describe('bytes that may be anything', () => {
  const decodesOrRejects = (payload: Uint8Array) => {
    if (codeOf(() => decodeRequest(payload)) !== undefined) return;
    // What decodes is within the limits: it can be encoded and decodes again.
    const request = decodeRequest(payload);
    expect(plain(decodeRequest(encodeRequest(request)))).toEqual(plain(request));
  };

  test('every prefix is rejected, and every change of one byte is rejected or valid', () => {
    fc.assert(
      fc.property(requests, (request) => {
        const payload = encodeRequest(request);
        for (let length = 0; length < payload.length; length++) {
          expect(codeOf(() => decodeRequest(payload.subarray(0, length)))).toBeDefined();
        }
        for (let at = 0; at < payload.length; at++) {
          const before = payload[at];
          for (const value of [0, 1, before ^ 1, before ^ 0x80, 0x7f, 0x80, 0xff]) {
            payload[at] = value;
            decodesOrRejects(payload);
          }
          payload[at] = before;
        }
      }),
      { numRuns: 40 },
    );
  });

  test('every value of every byte of one message', () => {
    const key = Buffer.from('key');
    const payload = encodeRequest({
      readVersion: 7,
      expiresAtMs: 9,
      readRanges: [{ begin: key, end: Buffer.from('m') }],
      writeRanges: [{ begin: key, end: Buffer.from('key\0') }],
      operations: [
        { type: 'clearRange', begin: key, end: Buffer.from('l') },
        { type: 'atomic', atomic: 'SET_VERSIONSTAMPED_KEY', key: template(key, key), operand: key },
        { type: 'atomic', atomic: 'SET_VERSIONSTAMPED_VALUE', key, operand: template(key, key) },
      ],
    });
    for (let at = 0; at < payload.length; at++) {
      const before = payload[at];
      for (let value = 0; value < 256; value++) {
        payload[at] = value;
        decodesOrRejects(payload);
      }
      payload[at] = before;
    }
  });

  test('random bytes, also after a good header', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, hasHeader) => {
        decodesOrRejects(hasHeader ? Buffer.concat([encodeRequest(EMPTY).subarray(0, 17), bytes]) : bytes);
      }),
      { numRuns: 2000 },
    );
  });

  test('a count that the bytes cannot hold is refused', () => {
    const header = encodeRequest(EMPTY).subarray(0, 17);
    const message = (...bytes: number[]) => Buffer.concat([header, Uint8Array.from(bytes)]);
    for (const payload of [
      message(0xff, 0xff, 0xff, 0xff, 0x0f),
      message(0, 0xff, 0xff, 0xff, 0xff, 0x0f),
      message(0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f),
    ]) {
      expect(() => decodeRequest(payload)).toThrow(
        expect.objectContaining({ message: expect.stringContaining('more than the bytes hold') }),
      );
    }
    expect(codeOf(() => decodeRequest(message(1, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0)))).toBe('COMMIT_REJECTED');
  });

  test('numbers that cannot be meant are refused', () => {
    const above = Object.assign(new Uint8Array(encodeRequest(EMPTY)), { 10: 0x20 });
    expect(() => decodeRequest(above)).toThrow(
      expect.objectContaining({ message: expect.stringContaining('read version is above 2^53') }),
    );
    const header = encodeRequest(EMPTY).subarray(0, 17);
    // Its low 32 bits would be a count of 0.
    const wide = Buffer.concat([header, Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x10, 0, 0)]);
    expect(() => decodeRequest(wide)).toThrow(
      expect.objectContaining({ message: expect.stringContaining('longer than 32 bits') }),
    );
  });

  test('the end of a single key is its key and a zero', () => {
    expect(plain(decodeRanges(Buffer.from('0101036b00', 'hex')))).toEqual([{ begin: '6b', end: '6b00' }]);
    expect(codeOf(() => decodeRanges(Buffer.from('0101036b01', 'hex')))).toBe('COMMIT_REJECTED');
  });

  test('what this version does not know is named', () => {
    const payload = encodeRequest({ ...EMPTY, operations: [{ type: 'clear', key: Buffer.from('k') }] });
    const other = (at: number, value: number) => Object.assign(new Uint8Array(payload), { [at]: value });
    expect(() => decodeRequest(other(0, 9))).toThrow(
      expect.objectContaining({
        code: 'COMMIT_REJECTED',
        message: expect.stringContaining('format 9 is unknown'),
      }),
    );
    expect(() => decodeRequest(other(20, 77))).toThrow(
      expect.objectContaining({ code: 'COMMIT_REJECTED', message: expect.stringContaining('operation 77') }),
    );
    expect(codeOf(() => decodeRanges(Uint8Array.of(2, 0)))).toBe('COMMIT_REJECTED');
    expect(codeOf(() => decodeRanges(Uint8Array.of(1, 0, 0)))).toBe('COMMIT_REJECTED');
  });
});

describe('limits are checked again', () => {
  const key = Buffer.from('k');
  const bytes = (count: number) => Buffer.alloc(count, 1);
  const stamped = (bodyBytes: number, offset: number) => {
    const operand = bytes(bodyBytes + 4);
    operand.writeUInt32LE(offset, bodyBytes);
    return operand;
  };
  const stampedKey = (template: Uint8Array): Operation => ({
    type: 'atomic',
    atomic: 'SET_VERSIONSTAMPED_KEY',
    key: template,
    operand: key,
  });
  const stampedValue = (template: Uint8Array): Operation => ({
    type: 'atomic',
    atomic: 'SET_VERSIONSTAMPED_VALUE',
    key,
    operand: template,
  });

  test.each<[string, Operation, string | undefined]>([
    ['longest key', { type: 'clear', key: bytes(KEY_BYTES_MAX) }, undefined],
    ['longer key', { type: 'clear', key: bytes(KEY_BYTES_MAX + 1) }, 'KEY_TOO_LARGE'],
    ['longer key to set', { type: 'set', key: bytes(KEY_BYTES_MAX + 1), value: key }, 'KEY_TOO_LARGE'],
    ['longest value', { type: 'set', key, value: bytes(VALUE_BYTES_MAX) }, undefined],
    ['longer value', { type: 'set', key, value: bytes(VALUE_BYTES_MAX + 1) }, 'VALUE_TOO_LARGE'],
    ['longest operand', { type: 'atomic', atomic: 'ADD', key, operand: bytes(VALUE_BYTES_MAX) }, undefined],
    [
      'longer operand',
      { type: 'atomic', atomic: 'ADD', key, operand: bytes(VALUE_BYTES_MAX + 1) },
      'VALUE_TOO_LARGE',
    ],
    [
      'longer key of an operand',
      { type: 'atomic', atomic: 'ADD', key: bytes(KEY_BYTES_MAX + 1), operand: key },
      'KEY_TOO_LARGE',
    ],
    [
      'range after the longest key',
      { type: 'clearRange', begin: key, end: bytes(KEY_BYTES_MAX + 1) },
      'INVERTED_RANGE',
    ],
    [
      'range up to the longest key',
      { type: 'clearRange', begin: bytes(1), end: bytes(KEY_BYTES_MAX + 1) },
      undefined,
    ],
    ['range beyond', { type: 'clearRange', begin: bytes(1), end: bytes(KEY_BYTES_MAX + 2) }, 'KEY_TOO_LARGE'],
    ['empty range', { type: 'clearRange', begin: key, end: key }, undefined],
    ['inverted range', { type: 'clearRange', begin: Buffer.from('l'), end: key }, 'INVERTED_RANGE'],
    ['longest stamped key', stampedKey(stamped(KEY_BYTES_MAX, KEY_BYTES_MAX - 10)), undefined],
    ['longer stamped key', stampedKey(stamped(KEY_BYTES_MAX + 1, 0)), 'KEY_TOO_LARGE'],
    ['stamp at the end', stampedKey(stamped(12, 2)), undefined],
    ['stamp beyond the end', stampedKey(stamped(12, 3)), 'VERSIONSTAMP_OFFSET_INVALID'],
    ['stamp far beyond', stampedKey(stamped(12, 0xffffffff)), 'VERSIONSTAMP_OFFSET_INVALID'],
    ['no room for a stamp', stampedKey(stamped(9, 0)), 'VERSIONSTAMP_OFFSET_INVALID'],
    ['no offset', stampedKey(bytes(3)), 'VERSIONSTAMP_OFFSET_INVALID'],
    ['longest stamped value', stampedValue(stamped(VALUE_BYTES_MAX, 0)), undefined],
    ['longer stamped value', stampedValue(stamped(VALUE_BYTES_MAX + 1, 0)), 'VALUE_TOO_LARGE'],
    ['stamp beyond the value', stampedValue(stamped(12, 3)), 'VERSIONSTAMP_OFFSET_INVALID'],
    ['empty template', stampedValue(bytes(0)), 'VERSIONSTAMP_OFFSET_INVALID'],
  ])('%s', (_, operation, code) => {
    expect(decoding(operation)).toBe(code);
  });

  test('inverted and long conflict ranges', () => {
    const inverted = { begin: Buffer.from('b'), end: Buffer.from('a') };
    const long = { begin: key, end: Buffer.alloc(KEY_BYTES_MAX + 2, 0xff) };
    for (const which of ['readRanges', 'writeRanges']) {
      expect(codeOf(() => decodeRequest(encodeRequest({ ...EMPTY, [which]: [inverted] })))).toBe(
        'INVERTED_RANGE',
      );
      expect(codeOf(() => decodeRequest(encodeRequest({ ...EMPTY, [which]: [long] })))).toBe('KEY_TOO_LARGE');
    }
  });

  test('the size of all together, on both sides', () => {
    const value = bytes(99_999);
    const full: Operation[] = Array.from({ length: 100 }, () => ({ type: 'set', key, value }));
    const payload = encodeRequest({ ...EMPTY, operations: full });
    expect(decodeRequest(payload).operations).toHaveLength(100);
    const range = { begin: key, end: key };
    for (const which of ['readRanges', 'writeRanges']) {
      expect(codeOf(() => encodeRequest({ ...EMPTY, operations: full, [which]: [range] }))).toBe(
        'TRANSACTION_TOO_LARGE',
      );
    }
    // One more operation behind what the encoder lets pass.
    const larger = Buffer.concat([payload, Buffer.from('01016b', 'hex')]);
    larger[19]++;
    expect(codeOf(() => decodeRequest(larger))).toBe('TRANSACTION_TOO_LARGE');
    expect(codeOf(() => decodeRequest(Buffer.alloc(2 * TRANSACTION_BYTES_MAX + 1, 1)))).toBe(
      'TRANSACTION_TOO_LARGE',
    );
  });
});
