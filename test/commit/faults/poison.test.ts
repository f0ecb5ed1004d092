/**
 * Requests that are wrong, too large, or more than the database takes: each ends with an error of its own, through the
 * client at the call that is at fault, past it as its outcome. The term goes on, and neighbours in the batch commit.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type PostgresCluster, startPostgres } from '../../../bench/postgres-cluster.ts';
import { CommitError } from '../../../src/commit/commit-error.ts';
import { KEY_BYTES_MAX, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX } from '../../../src/commit/commit-limits.ts';
import type { CommitStorage, Outcome } from '../../../src/commit/commit-storage.ts';
import { CommitStore } from '../../../src/commit/commit-store.ts';
import { openPgDatabase } from '../../../src/commit/storage/pg-database.ts';
import { openSqlStorage } from '../../../src/commit/storage/sql-storage.ts';
import type { Transaction } from '../../../src/commit/transaction.ts';
import { QueueInjector } from './queue-injector.ts';
import { rawRequest, rawSet, singleKey, TAGS, type Tag, varint } from './raw-request.ts';

const SCHEMA = `poison_${randomBytes(6).toString('hex')}`;
const OPERAND_BYTES = [0, 1, 7, 8, 9, 100_000, 100_001];
const KEY_BYTES = [0, 2_600, 2_601, 2_690, 2_696, 10_000, 10_001];
const ATOMICS = Object.keys(TAGS).filter((tag) => tag === tag.toUpperCase()) as Exclude<
  Tag,
  'set' | 'clear' | 'clearRange'
>[];

let postgres: PostgresCluster;
let storage: CommitStorage;
let store: CommitStore;
let injector: QueueInjector;
let admin: pg.Client;

beforeAll(async () => {
  postgres = await startPostgres();
  const open = () => openSqlStorage(openPgDatabase({ url: postgres.url, schema: SCHEMA }));
  storage = await open();
  store = await new CommitStore({ storage: await open() }).start();
  injector = new QueueInjector(storage);
  admin = new pg.Client({ connectionString: postgres.url });
  await admin.connect();
  // It leads from here on.
  await store.transact((tx) => tx.set(bytes('first'), bytes('')));
});

afterAll(async () => {
  try {
    await store?.close();
    await storage?.close();
    await admin?.query(`DROP SCHEMA ${SCHEMA} CASCADE`);
    await admin?.end();
  } finally {
    await postgres?.stop();
  }
});

beforeEach(() => {
  const epoch = store.stats().epoch;
  expect(epoch).not.toBeNull();
  return async () => {
    expect(store.stats()).toMatchObject({ epoch, terms: 1, failedTerms: 0 });
    // And it takes commits of every kind.
    await store.transact((tx) => tx.atomic('ADD', bytes('still'), bytes('\x01')));
  };
});

describe('through the client', () => {
  const refuses = async (code: string, act: (tx: Transaction) => unknown) => {
    const before = store.stats().batches;
    let atCall: unknown;
    await expect(
      store.transact(async (tx) => {
        try {
          await act(tx);
        } catch (error) {
          atCall = error;
          throw error;
        }
      }),
    ).rejects.toMatchObject({ code, retryable: false });
    expect(atCall).toMatchObject({ code });
    expect(atCall).toBeInstanceOf(CommitError);
    expect(store.stats().batches, 'nothing was sent').toBe(before);
  };

  test.each(KEY_BYTES)('a key of %i bytes', async (size) => {
    const key = randomBytes(size);
    const acts: ((tx: Transaction) => unknown)[] = [
      (tx) => tx.set(key, bytes('v')),
      (tx) => tx.get(key),
      (tx) => tx.atomic('ADD', key, bytes('\x01')),
      (tx) => tx.clear(key),
    ];
    for (const act of acts) {
      if (size <= KEY_BYTES_MAX) await store.transact(act);
      else await refuses('KEY_TOO_LARGE', act);
    }
  });

  test.each(ATOMICS)('operands of %s', async (atomic) => {
    for (const size of OPERAND_BYTES) {
      const code = refusalOfOperand(atomic, size);
      const act = (tx: Transaction) => tx.atomic(atomic, keyFor(atomic), operandFor(atomic, size));
      if (code === null) await store.transact(act);
      else await refuses(code, act);
    }
  });

  test.each([-1, 1, 2 ** 31])('a versionstamp at offset %i of a value with room at 0', async (offset) => {
    await refuses('VERSIONSTAMP_OFFSET_INVALID', (tx) =>
      tx.atomic('SET_VERSIONSTAMPED_VALUE', bytes('stamped'), stampTemplate(10, offset)),
    );
    await refuses('VERSIONSTAMP_OFFSET_INVALID', (tx) =>
      tx.atomic('SET_VERSIONSTAMPED_KEY', stampTemplate(10, offset), bytes('v')),
    );
  });

  test('inverted ranges; empty ones are ranges', async () => {
    await refuses('INVERTED_RANGE', (tx) => tx.clearRange(bytes('b'), bytes('a')));
    await refuses('INVERTED_RANGE', (tx) => tx.addConflictRange(bytes('b'), bytes('a'), 'read'));
    await refuses('INVERTED_RANGE', (tx) => tx.addConflictRange(bytes('b'), bytes('a'), 'write'));
    await refuses('INVERTED_RANGE', (tx) => void tx.getRange(bytes('b'), bytes('a')));
    await store.transact(async (tx) => {
      tx.clearRange(bytes('a'), bytes('a'));
      tx.addConflictRange(bytes('a'), bytes('a'), 'read');
      for await (const pair of tx.getRange(bytes('a'), bytes('a'))) expect(pair).toBeUndefined();
    });
  });

  test('a transaction just below 10 MB, one just above, and several large ones at once', async () => {
    const large = (below: number) => async (tx: Transaction) => {
      for (const [key, value] of pairsOf(TRANSACTION_BYTES_MAX - below, CLIENT_PAIR_BYTES))
        tx.set(key, value);
    };
    const { version } = await store.transact(large(0), { timeoutMs: 60_000 });
    expect(version).toBeGreaterThan(0);
    await expect(store.transact(large(-1))).rejects.toMatchObject({ code: 'TRANSACTION_TOO_LARGE' });
    const commits = [1, 2, 3, 4].map((below) => store.transact(large(below), { timeoutMs: 60_000 }));
    const small = store.transact((tx) => tx.set(bytes('beside large ones'), bytes('')), {
      timeoutMs: 60_000,
    });
    const versions = (await Promise.all([...commits, small])).map((result) => result.version);
    expect(new Set(versions).size).toBe(5);
  });
});

describe('past the client', () => {
  /** Sends each with neighbours of its own, all in one statement. @returns the outcomes of `payloads`. */
  const inject = async (payloads: readonly Uint8Array[]): Promise<Outcome[]> => {
    const neighbours = payloads.map(() => rawSet(randomBytes(12), bytes('neighbour')));
    const mixed = payloads.flatMap((payload, at) => [neighbours[at], payload]);
    const outcomes = await injector.run(mixed);
    expect(outcomes.filter((_, at) => at % 2 === 0).map(({ verdict }) => verdict)).toEqual(
      neighbours.map(() => 'committed'),
    );
    return outcomes.filter((_, at) => at % 2 === 1);
  };
  /** The code of the reason, or the verdict without one. */
  const endsOf = async (payloads: readonly Uint8Array[]) =>
    (await inject(payloads)).map(({ verdict, reason }) =>
      verdict === 'rejected' ? reason?.slice(0, reason.indexOf(':')) : verdict,
    );

  test('bytes that are no request', async () => {
    const good = rawSet(bytes('good'), bytes('v'));
    const payloads = [
      new Uint8Array(),
      Buffer.from([0]),
      Buffer.from([1]),
      rawRequest({ format: 2 }),
      Buffer.concat([good, Buffer.from([0])]),
      rawRequest({ operations: [[3, bytes('k')]] }),
      rawRequest({ operations: [[15, bytes('k'), bytes('v')]] }),
      rawRequest({ operations: [[28, bytes('k'), bytes('v')]] }),
      rawRequest({ operations: [[255, bytes('k'), bytes('v')]] }),
      // Counts and lengths that promise more than there is.
      Buffer.concat([rawRequest({}).subarray(0, 17), varint(2 ** 32 - 1)]),
      Buffer.concat([rawRequest({}).subarray(0, 19), varint(2 ** 32 - 1)]),
      Buffer.concat([rawRequest({}).subarray(0, 19), varint(1), Buffer.from([0]), varint(2 ** 32 - 1)]),
      Buffer.concat([rawRequest({}).subarray(0, 17), Buffer.alloc(30, 0xff)]),
      // Numbers that are no safe integers.
      Buffer.concat([Buffer.from([1]), Buffer.alloc(16, 0xff), rawRequest({}).subarray(17)]),
      ...Array.from({ length: 100 }, (_, size) => Buffer.concat([Buffer.from([1]), randomBytes(16 + size)])),
    ];
    const ends = await endsOf(payloads);
    expect(ends.slice(0, -100)).toEqual(ends.slice(0, -100).map(() => 'COMMIT_REJECTED'));
    // Random bytes may name a limit before they turn out to be none of it, or be late.
    for (const end of ends) expect(end).toMatch(/^([A-Z_]+|expired)$/);
  });

  test('every part of a valid request', async () => {
    const whole = rawRequest({
      readRanges: [singleKey(bytes('r'))],
      writeRanges: [{ begin: bytes('a'), end: bytes('b') }],
      operations: [
        ['set', bytes('a1'), bytes('v')],
        ['clear', bytes('a2')],
        ['clearRange', bytes('a3'), bytes('a4')],
        ['ADD', bytes('a5'), bytes('\x01')],
        ['SET_VERSIONSTAMPED_VALUE', bytes('a6'), stampTemplate(10, 0)],
      ],
    });
    const ends = await endsOf(Array.from({ length: whole.length }, (_, size) => whole.subarray(0, size)));
    expect(new Set(ends)).toEqual(new Set(['COMMIT_REJECTED']));
  });

  test.each(ATOMICS)('operands of %s', async (atomic) => {
    const payloads = OPERAND_BYTES.map((size) => {
      const key = keyFor(atomic);
      return rawRequest({
        writeRanges: [singleKey(key)],
        operations: [[atomic, key, operandFor(atomic, size)]],
      });
    });
    expect(await endsOf(payloads)).toEqual(
      OPERAND_BYTES.map((size) => refusalOfOperand(atomic, size) ?? 'committed'),
    );
  });

  test.each(KEY_BYTES)('keys of %i bytes that nothing compresses', async (size) => {
    const key = () => randomBytes(size);
    const after = Buffer.concat([randomBytes(size), Buffer.alloc(1)]);
    const ends = await endsOf([
      rawRequest({ operations: [['set', key(), bytes('v')]] }),
      rawRequest({ operations: [['clear', key()]] }),
      rawRequest({ operations: [['ADD', key(), bytes('\x01')]] }),
      rawRequest({ operations: [['SET_VERSIONSTAMPED_VALUE', key(), stampTemplate(10, 0)]] }),
      rawRequest({ operations: [['clearRange', bytes(''), after]] }),
      rawRequest({ writeRanges: [{ begin: bytes(''), end: after }] }),
      rawRequest({
        operations: [['SET_VERSIONSTAMPED_KEY', stampTemplate(Math.max(10, size), 0), bytes('v')]],
      }),
    ]);
    expect(ends).toEqual(ends.map(() => (size <= KEY_BYTES_MAX ? 'committed' : 'KEY_TOO_LARGE')));
  });

  test('versionstamp offsets before, at and after the end', async () => {
    const offsets = [0, 10, 11, 19, 20, 24, -1, -10, 2 ** 31 - 1, -(2 ** 31)];
    const expected = offsets.map((offset) =>
      offset === 0 || offset === 10 ? 'committed' : 'VERSIONSTAMP_OFFSET_INVALID',
    );
    const stamped = (tag: Tag, offset: number) => {
      const template = stampTemplate(20, offset);
      const strings =
        tag === 'SET_VERSIONSTAMPED_KEY' ? [template, bytes('v')] : [bytes('stamped'), template];
      return rawRequest({ operations: [[tag, ...strings]] });
    };
    expect(await endsOf(offsets.map((offset) => stamped('SET_VERSIONSTAMPED_KEY', offset)))).toEqual(
      expected,
    );
    expect(await endsOf(offsets.map((offset) => stamped('SET_VERSIONSTAMPED_VALUE', offset)))).toEqual(
      expected,
    );
  });

  test('inverted and empty ranges', async () => {
    const inverted = { begin: bytes('b'), end: bytes('a') };
    const empty = { begin: bytes('a'), end: bytes('a') };
    const ends = await endsOf([
      rawRequest({ operations: [['clearRange', inverted.begin, inverted.end]] }),
      rawRequest({ readRanges: [inverted], operations: [['set', bytes('k'), bytes('v')]] }),
      rawRequest({ writeRanges: [inverted] }),
      rawRequest({ operations: [['clearRange', empty.begin, empty.end]] }),
      rawRequest({ writeRanges: [empty] }),
    ]);
    expect(ends).toEqual(['INVERTED_RANGE', 'INVERTED_RANGE', 'INVERTED_RANGE', 'committed', 'committed']);
  });

  test('values around their limit', async () => {
    const ends = await endsOf(
      [0, VALUE_BYTES_MAX, VALUE_BYTES_MAX + 1].map((size) => rawSet(bytes('sized'), randomBytes(size))),
    );
    expect(ends).toEqual(['committed', 'committed', 'VALUE_TOO_LARGE']);
  });

  test('requests just below 10 MB, just above, and past all bounds', async () => {
    const sized = (size: number) =>
      rawRequest({
        operations: pairsOf(size, RAW_PAIR_BYTES).map(([key, value]) => ['set', key, value] as const),
      });
    expect(await endsOf([sized(TRANSACTION_BYTES_MAX)])).toEqual(['committed']);
    expect(await endsOf([sized(TRANSACTION_BYTES_MAX + 1)])).toEqual(['TRANSACTION_TOO_LARGE']);
    expect(await endsOf([Buffer.alloc(2 * TRANSACTION_BYTES_MAX + 1)])).toEqual(['TRANSACTION_TOO_LARGE']);
  });

  test('a hundred requests with ten thousand operations each', async () => {
    const key = bytes('many');
    const many = rawRequest({
      writeRanges: [singleKey(key)],
      operations: Array.from({ length: 10_000 }, () => ['ADD', key, bytes('\x01\0\0\0')] as const),
    });
    const ends = await endsOf(Array.from({ length: 100 }, () => many));
    expect(new Set(ends)).toEqual(new Set(['committed']));
    await store.transact(async (tx) => {
      expect(Buffer.from((await tx.get(key))!).readUInt32LE()).toBe(1_000_000);
    });
  });
});

describe('what the database refuses', () => {
  /** Sends it amid neighbours, which commit. @returns how it ended. */
  const amidNeighbours = async (culprit: Uint8Array, count = 4) => {
    const keys = Array.from({ length: count }, () => randomBytes(12));
    const payloads = keys.map((key) => rawSet(key, bytes('neighbour')));
    payloads.splice(count / 2, 0, culprit);
    const outcomes = await injector.run(payloads);
    const [refused] = outcomes.splice(count / 2, 1);
    expect(outcomes.map(({ verdict }) => verdict)).toEqual(keys.map(() => 'committed'));
    await store.transact(async (tx) => {
      const values = await Promise.all(keys.map((key) => tx.get(key)));
      expect(values).toEqual(keys.map(() => new Uint8Array(bytes('neighbour'))));
    });
    return refused;
  };

  test('a key against a constraint of the table is isolated', async () => {
    await admin.query(`ALTER TABLE ${SCHEMA}.kv ADD CONSTRAINT poison CHECK (key <> 'forbidden')`);
    const refused = await amidNeighbours(rawSet(bytes('forbidden'), bytes('v')), 500);
    expect(refused).toMatchObject({ verdict: 'rejected', reason: expect.stringContaining('poison') });
    await expect(store.transact((tx) => tx.set(bytes('forbidden'), bytes('v')))).rejects.toMatchObject({
      code: 'COMMIT_REJECTED',
      retryable: false,
    });
    await admin.query(`ALTER TABLE ${SCHEMA}.kv DROP CONSTRAINT poison`);
  });

  test('a range clear that takes too long is isolated', async () => {
    await store.transact((tx) => tx.set(bytes('slow/1'), bytes('v')));
    await admin.query(`
      CREATE FUNCTION ${SCHEMA}.dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN OLD; END';
      CREATE TRIGGER dawdle BEFORE DELETE ON ${SCHEMA}.kv
      FOR EACH ROW WHEN (OLD.key = 'slow/1') EXECUTE FUNCTION ${SCHEMA}.dawdle();`);
    const refused = await amidNeighbours(clearSlow());
    expect(refused).toMatchObject({
      verdict: 'rejected',
      reason: expect.stringMatching(/^COMMIT_REJECTED: .*timeout/),
    });
    await admin.query(`DROP TRIGGER dawdle ON ${SCHEMA}.kv`);
    expect((await injector.run([clearSlow()]))[0].verdict).toBe('committed');
  });

  test('a range clear that waits for a lock is isolated', async () => {
    await store.transact((tx) => tx.set(bytes('slow/1'), bytes('v')));
    await admin.query('BEGIN');
    await admin.query(`SELECT FROM ${SCHEMA}.kv WHERE key = 'slow/1' FOR UPDATE`);
    const refused = await amidNeighbours(clearSlow());
    expect(refused).toMatchObject({
      verdict: 'rejected',
      reason: expect.stringMatching(/^COMMIT_REJECTED: .*timeout/),
    });
    await admin.query('ROLLBACK');
    expect((await injector.run([clearSlow()]))[0].verdict).toBe('committed');
  });

  function clearSlow(): Uint8Array {
    const range = { begin: bytes('slow/'), end: bytes('slow0') };
    return rawRequest({ writeRanges: [range], operations: [['clearRange', range.begin, range.end]] });
  }
});

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** A template of `size` bytes for a stamp, and its offset. */
function stampTemplate(size: number, offset: number): Uint8Array {
  const template = Buffer.concat([randomBytes(size), Buffer.alloc(4)]);
  template.writeInt32LE(offset | 0, size);
  return template;
}

const PAIR_KEY_BYTES = 16;
/** What a pair counts beside its value: its key, and with the client the two ends of its write range. */
const RAW_PAIR_BYTES = PAIR_KEY_BYTES;
const CLIENT_PAIR_BYTES = PAIR_KEY_BYTES + PAIR_KEY_BYTES + (PAIR_KEY_BYTES + 1);

/** Pairs that count `bytesTotal` together. */
function pairsOf(bytesTotal: number, pairBytes: number): [Uint8Array, Uint8Array][] {
  const pairs: [Uint8Array, Uint8Array][] = [];
  for (let left = bytesTotal; left > 0; ) {
    const size = Math.min(VALUE_BYTES_MAX, left - pairBytes);
    pairs.push([randomBytes(PAIR_KEY_BYTES), randomBytes(size)]);
    left -= size + pairBytes;
  }
  return pairs;
}

function keyFor(atomic: Tag): Uint8Array {
  return atomic === 'SET_VERSIONSTAMPED_KEY' ? stampTemplate(10, 0) : bytes(`atomic ${atomic}`);
}

function operandFor(atomic: Tag, size: number): Uint8Array {
  const operand = randomBytes(size);
  // The operand is the template; where there is room for an offset, it names the first byte.
  if (atomic === 'SET_VERSIONSTAMPED_VALUE' && size >= 4) operand.writeUInt32LE(0, size - 4);
  return operand;
}

/** The code of the refusal, or null. */
function refusalOfOperand(atomic: Tag, size: number): string | null {
  if (atomic === 'SET_VERSIONSTAMPED_VALUE') {
    // The offset does not count.
    if (size > VALUE_BYTES_MAX + 4) return 'VALUE_TOO_LARGE';
    return size < 14 ? 'VERSIONSTAMP_OFFSET_INVALID' : null;
  }
  return size > VALUE_BYTES_MAX ? 'VALUE_TOO_LARGE' : null;
}
