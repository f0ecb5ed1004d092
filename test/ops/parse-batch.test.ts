import { describe, expect, test } from 'vitest';
import { BitloomError } from '../../src/errors.ts';
import { BATCH_BYTES_MAX, BATCH_ENTITIES_MAX, BATCH_OPS_MAX, WHERE_DEPTH_MAX } from '../../src/limits.ts';
import { ENTITY_ALIVE, OP_ADD, OP_CLEAR, OP_DELETE, OP_QUERY, OP_REMOVE, OP_SET } from '../../src/ops/op.ts';
import { parseBatch, parseBatchText } from '../../src/ops/parse-batch.ts';
import { definition, entitiesOf } from './stream.ts';

const LEVEL = 0;
const KIND = 1;
const FLAG = 2;
const TAGS = 3;
const SCORE = 5;
const SEEN_AT = 6;

function parse(...ops: unknown[]) {
  return parseBatch({ ops: [{ slot: 1, ops }] }, definition);
}

/** kind, field index, value of the ops of one entity. */
function resolved(...ops: unknown[]): number[][] {
  const { batch, refused } = parse(...ops);
  expect(refused).toEqual([]);
  return Array.from(batch.kinds, (kind, op) => [kind, batch.fieldIndexes[op], batch.values[op]]);
}

function errorOf(run: () => unknown): BitloomError {
  try {
    run();
  } catch (error) {
    if (error instanceof BitloomError) return error;
    throw error;
  }
  throw new Error('no error');
}

describe('resolved', () => {
  test.each([
    ['level', 4_294_967_295, [OP_SET, LEVEL, 4_294_967_295]],
    ['level', -0, [OP_SET, LEVEL, 0]],
    ['flag', true, [OP_SET, FLAG, 1]],
    ['score', -1, [OP_SET, SCORE, 0x7fffffff]],
    ['seenAt', 5, [OP_SET, SEEN_AT, 5]],
    ['seenAt', '2024-05-01T12:00:00Z', [OP_SET, SEEN_AT, 1_714_564_800]],
    ['kind', 'video', [OP_SET, KIND, 0]],
    ['kind', null, [OP_CLEAR, KIND, 0]],
    ['tags', null, [OP_CLEAR, TAGS, 0]],
    ['tags', [], [OP_CLEAR, TAGS, 0]],
  ])('set %s %j', (field, value, op) => {
    expect(resolved({ op: 'set', field, value })).toEqual([op]);
  });

  test('a set of many is a clear and adds', () => {
    expect(resolved({ op: 'set', field: 'tags', value: [7, 0] })).toEqual([
      [OP_CLEAR, TAGS, 0],
      [OP_ADD, TAGS, 7],
      [OP_ADD, TAGS, 0],
    ]);
  });

  test('add and remove', () => {
    expect(
      resolved(
        { op: 'add', field: 'tags', value: 7 },
        { op: 'remove', field: 'tags', value: 7 },
        { op: 'add', field: 'level', value: 7 },
        { op: 'remove', field: 'level', value: 7 },
        { op: 'add', field: 'level', value: null },
        { op: 'delete' },
      ),
    ).toEqual([
      [OP_ADD, TAGS, 7],
      [OP_REMOVE, TAGS, 7],
      [OP_SET, LEVEL, 7],
      [OP_REMOVE, LEVEL, 7],
      [OP_CLEAR, LEVEL, 0],
      [OP_DELETE, 0, 0],
    ]);
  });

  test('what says nothing leaves no op', () => {
    expect(
      resolved(
        { op: 'remove', field: 'level', value: null },
        { op: 'remove', field: 'tags', value: null },
        { op: 'add', field: 'tags', value: null },
      ),
    ).toEqual([]);
  });

  test('entities, each text once, meta', () => {
    const meta = { source: 'outbox', cursor: 2 ** 53 - 1, maxId: 0, lagRows: 5 };
    const ops = [
      { slot: 0, alive: true, source: 'images', ops: [{ op: 'set', field: 'kind', value: 'a' }] },
      { slot: 2 ** 32 - 1, ops: [] },
      { slot: 3, source: 'images', ops: [{ op: 'add', field: 'labels', value: 'a' }] },
    ];
    const { batch } = parseBatchText(JSON.stringify({ ops, meta }), definition);
    expect(batch).toMatchObject({ meta, entityCount: 3, strings: ['a'], sources: ['images'], queries: [] });
    expect([...batch.slots]).toEqual([0, 4_294_967_295, 3]);
    expect([...batch.flags]).toEqual([ENTITY_ALIVE, 0, 0]);
    expect([...batch.entitySources]).toEqual([1, 0, 1]);
    expect([...batch.opStarts]).toEqual([0, 1, 1, 2]);
    expect(entitiesOf(batch)).toEqual(ops);
  });

  test('queryOpSets, their ops behind the others', () => {
    const where = { level: { in: [1, 2] } };
    const { batch, refused } = parse(
      { op: 'queryOpSet', where, ops: [{ op: 'set', field: 'score', value: 0 }, { op: 'delete' }] },
      { op: 'set', field: 'level', value: 9 },
      { op: 'queryOpSet', where: null, ops: [{ op: 'add', field: 'tags', value: 4 }] },
    );
    expect(refused).toEqual([]);
    expect([...batch.kinds]).toEqual([OP_QUERY, OP_SET, OP_QUERY, OP_SET, OP_DELETE, OP_ADD]);
    expect([...batch.values]).toEqual([0, 9, 1, 0x80000000, 0, 4]);
    expect([...batch.opStarts]).toEqual([0, 3]);
    expect(batch.queries).toEqual([
      {
        whereText: JSON.stringify(where),
        clause: { kind: 'values', field: 'level', values: [1, 2] },
        opStart: 3,
        opEnd: 5,
      },
      { whereText: null, clause: null, opStart: 5, opEnd: 6 },
    ]);
  });

  test('more entities and ops than the first buffers hold', () => {
    const ops = Array.from({ length: 3000 }, (_, slot) => ({
      slot,
      ops: [
        { op: 'add', field: 'tags', value: slot },
        { op: 'queryOpSet', where: { level: slot }, ops: [{ op: 'set', field: 'level', value: slot + 1 }] },
      ],
    }));
    expect(entitiesOf(parseBatch({ ops }, definition).batch)).toEqual(ops);
  });

  test('a where is what it says when written, whatever the object does later', () => {
    const where = { level: 1, toJSON: () => ({ level: 2 }) };
    const { batch } = parse({ op: 'queryOpSet', where, ops: [] });
    expect(batch.queries[0]).toMatchObject({ whereText: '{"level":2}', clause: { values: [2] } });
  });
});

describe('refused entities', () => {
  const good = { slot: 1, ops: [{ op: 'set', field: 'level', value: 1 }] };

  test.each<[unknown, string, string]>([
    [null, 'ENTITY_INVALID', 'ops[1]: expected an object, got null'],
    [[], 'ENTITY_INVALID', 'ops[1]: expected an object, got a list'],
    [{ ops: [] }, 'SLOT_INVALID', 'ops[1].slot: expected an integer from 0 to 4294967295, got undefined'],
    [{ slot: -1, ops: [] }, 'SLOT_INVALID', 'ops[1].slot: expected an integer from 0 to 4294967295, got -1'],
    [
      { slot: 2 ** 32, ops: [] },
      'SLOT_INVALID',
      'ops[1].slot: expected an integer from 0 to 4294967295, got 4294967296',
    ],
    [
      { slot: 1.5, ops: [] },
      'SLOT_INVALID',
      'ops[1].slot: expected an integer from 0 to 4294967295, got 1.5',
    ],
    [
      { slot: '1', ops: [] },
      'SLOT_INVALID',
      'ops[1].slot: expected an integer from 0 to 4294967295, got "1"',
    ],
    [{ slot: 1 }, 'ENTITY_INVALID', 'ops[1].ops: expected a list, got undefined'],
    [{ slot: 1, ops: {} }, 'ENTITY_INVALID', 'ops[1].ops: expected a list, got an object'],
    [
      { slot: 1, ops: [], alive: false },
      'ENTITY_INVALID',
      'ops[1].alive: expected true or nothing, got false; the op delete ends a slot',
    ],
    [{ slot: 1, ops: [], source: null }, 'ENTITY_INVALID', 'ops[1].source: expected a text, got null'],
    [
      { slot: 1, ops: [], source: '\ud800' },
      'ENTITY_INVALID',
      'ops[1].source: expected a text, got "\\ud800"',
    ],
    [{ slot: 1, ops: [], creates_slot: true }, 'ENTITY_INVALID', 'ops[1]: unknown key "creates_slot"'],
    [JSON.parse('{"slot":1,"ops":[],"__proto__":1}'), 'ENTITY_INVALID', 'ops[1]: unknown key "__proto__"'],
  ])('%j', (entity, code, message) => {
    const { batch, refused } = parseBatch({ ops: [good, entity, good] }, definition);
    expect(refused).toEqual([{ index: 1, code, message }]);
    expect(entitiesOf(batch)).toEqual([good, good]);
  });

  test.each<[unknown, string, string, string?]>([
    [7, 'OP_INVALID', ': expected an object, got 7'],
    [{}, 'OP_INVALID', '.op: expected set, remove, add, delete or queryOpSet, got undefined'],
    [{ op: 'upsert' }, 'OP_INVALID', '.op: expected set, remove, add, delete or queryOpSet, got "upsert"'],
    [{ op: 'delete', field: 'level' }, 'OP_INVALID', ': unknown key "field"'],
    [{ op: 'set', field: 'level', value: 1, old: 2 }, 'OP_INVALID', ': unknown key "old"'],
    [{ op: 'set', value: 1 }, 'OP_INVALID', '.field: expected a text, got undefined'],
    [{ op: 'set', field: 'level' }, 'OP_INVALID', '.value: missing; null is no value'],
    [
      { op: 'set', field: 'levle', value: 1 },
      'OP_UNKNOWN_FIELD',
      '.field: no field is named "levle"',
      'levle',
    ],
    [
      { op: 'add', field: 'constructor', value: 1 },
      'OP_UNKNOWN_FIELD',
      '.field: no field is named "constructor"',
      'constructor',
    ],
    [
      { op: 'set', field: 'level', value: -1 },
      'OP_VALUE',
      '.value: field "level" is uint32 and takes an integer from 0 to 4294967295, got -1',
      'level',
    ],
    [
      { op: 'set', field: 'level', value: '1' },
      'OP_VALUE',
      '.value: field "level" is uint32 and takes an integer from 0 to 4294967295, got "1"',
      'level',
    ],
    [
      { op: 'set', field: 'level', value: [] },
      'OP_VALUE',
      '.value: field "level" is uint32 and takes an integer from 0 to 4294967295, got a list',
      'level',
    ],
    [
      { op: 'remove', field: 'flag', value: 0 },
      'OP_VALUE',
      '.value: field "flag" is boolean and takes true or false, got 0',
      'flag',
    ],
    [
      { op: 'add', field: 'tags', value: [1] },
      'OP_VALUE',
      '.value: field "tags" is uint32 and takes an integer from 0 to 4294967295, got a list',
      'tags',
    ],
    [
      { op: 'remove', field: 'tags', value: [1] },
      'OP_VALUE',
      '.value: field "tags" is uint32 and takes an integer from 0 to 4294967295, got a list',
      'tags',
    ],
    [
      { op: 'set', field: 'tags', value: 1 },
      'OP_VALUE',
      '.value: field "tags" has many values, so set takes a list or null, got 1',
      'tags',
    ],
    [
      { op: 'set', field: 'tags', value: [1, null] },
      'OP_VALUE',
      '.a member of value: field "tags" is uint32 and takes an integer from 0 to 4294967295, got null',
      'tags',
    ],
    [
      { op: 'set', field: 'kind', value: '\udc00' },
      'OP_VALUE',
      '.value: field "kind" is string and takes a text, got "\\udc00"',
      'kind',
    ],
    [{ op: 'queryOpSet', ops: [] }, 'OP_INVALID', '.where: missing; null matches no slot'],
    [{ op: 'queryOpSet', where: null }, 'OP_INVALID', '.ops: expected a list, got undefined'],
    [{ op: 'queryOpSet', where: null, ops: [], query: 'a' }, 'OP_INVALID', ': unknown key "query"'],
    [{ op: 'queryOpSet', where: 1, ops: [] }, 'QUERY_INVALID', '.where: expected an object, got 1'],
    [
      { op: 'queryOpSet', where: { size: 1 }, ops: [] },
      'QUERY_UNKNOWN_FIELD',
      '.where: no field is named "size"',
      'size',
    ],
    [
      { op: 'queryOpSet', where: { level: 2 ** 53 }, ops: [] },
      'QUERY_TYPE',
      '.where.level: field "level" is uint32 and takes an integer from 0 to 4294967295, got 9007199254740992',
      'level',
    ],
    [
      { op: 'queryOpSet', where: { level: { gt: 1 } }, ops: [] },
      'QUERY_RANGE_WITHOUT_SORT',
      '.where.level.gt: field "level" has no sort index, so it has no ranges',
      'level',
    ],
    [
      { op: 'queryOpSet', where: null, ops: [{ op: 'delete' }, { op: 'queryOpSet', where: null, ops: [] }] },
      'OP_NESTED_QUERY',
      '.ops[1].op: a queryOpSet holds set, remove, add and delete only',
    ],
    [
      { op: 'queryOpSet', where: null, ops: [{ op: 'set', field: 'x', value: 1 }] },
      'OP_UNKNOWN_FIELD',
      '.ops[0].field: no field is named "x"',
      'x',
    ],
  ])('%j', (op, code, place, field) => {
    const fine = [
      { op: 'set', field: 'kind', value: 'fine' },
      { op: 'queryOpSet', where: {}, ops: [{ op: 'set', field: 'kind', value: 'nested' }] },
    ];
    const entities = [
      { slot: 1, ops: fine },
      { slot: 2, source: 'gone', ops: [...fine, { op: 'set', field: 'kind', value: 'gone' }, op, ...fine] },
      { slot: 3, ops: fine },
    ];
    const { batch, refused } = parseBatch({ ops: entities }, definition);
    expect(refused).toEqual([
      { index: 1, code, message: `ops[1].ops[3]${place}`, ...(field === undefined ? {} : { field }) },
    ]);
    // It leaves no trace: not an op, not a text, not a query.
    expect(batch).toEqual(parseBatch({ ops: [entities[0], entities[2]] }, definition).batch);
  });

  test('texts of a refused entity are met anew', () => {
    const withTexts = (slot: number, source: string, ...values: string[]) => ({
      slot,
      source,
      ops: values.map((value) => ({ op: 'set', field: 'kind', value })),
    });
    const gone = withTexts(-1, 'gone', 'a', 'b');
    const refusedLate = { ...gone, slot: 1, ops: [...gone.ops, {}] };
    const kept = [withTexts(2, 'kept', 'c', 'b'), withTexts(3, 'gone', 'a')];
    const { batch } = parseBatch({ ops: [refusedLate, ...kept] }, definition);
    expect(entitiesOf(batch)).toEqual(kept);
  });

  test('the first reason of each, ascending', () => {
    const bad = { slot: -1, ops: 7 };
    const { refused } = parseBatch({ ops: [bad, good, bad] }, definition);
    expect(refused.map((each) => [each.index, each.code])).toEqual([
      [0, 'SLOT_INVALID'],
      [2, 'SLOT_INVALID'],
    ]);
  });

  test.each(['9007199254740992', '9007199254740993', '-9007199254740993', '18446744073709551616', '1e400'])(
    'the number %s is not rounded into one that fits',
    (digits) => {
      const text = `{"ops":[{"slot":1,"ops":[{"op":"set","field":"level","value":${digits}}]},{"slot":${digits},"ops":[]}]}`;
      const { batch, refused } = parseBatchText(text, definition);
      expect(batch.entityCount).toBe(0);
      expect(refused.map((each) => each.code)).toEqual(['OP_VALUE', 'SLOT_INVALID']);
    },
  );

  test('a where that JSON cannot say', () => {
    for (const where of [{ level: 1n }, () => 1]) {
      expect(parse({ op: 'queryOpSet', where, ops: [] }).refused).toEqual([
        {
          index: 0,
          code: 'OP_INVALID',
          message: 'ops[0].ops[0].where: not JSON, or nested too deeply to be written',
        },
      ]);
    }
  });

  test('a where nested without end', () => {
    const nested = (depth: number) => `${'{"NOT":'.repeat(depth)}{}${'}'.repeat(depth)}`;
    const text = (depth: number) =>
      `{"ops":[{"slot":1,"ops":[{"op":"queryOpSet","where":${nested(depth)},"ops":[]}]}]}`;
    expect(parseBatchText(text(WHERE_DEPTH_MAX), definition).refused[0].code).toBe('WHERE_TOO_DEEP');
    expect(parseBatchText(text(1_000_000), definition).refused[0].code).toBe('OP_INVALID');
  });
});

describe('refused batches', () => {
  test.each<[unknown, string]>([
    [null, 'batch: expected an object, got null'],
    [[], 'batch: expected an object, got a list'],
    [{}, 'batch: ops: expected a list, got undefined'],
    [{ ops: [], mta: 1 }, 'batch: unknown key "mta"; there are ops and meta'],
    [{ ops: [], meta: null }, 'batch: meta: expected an object, got null'],
    [{ ops: [], meta: {} }, 'batch: meta.source: expected a text, got undefined'],
    [{ ops: [], meta: { source: 'a', lag: 1 } }, 'batch: meta: unknown key "lag"'],
    [
      { ops: [], meta: { source: 'a', cursor: -1 } },
      'batch: meta.cursor: expected an integer from 0 to 2^53 - 1, got -1',
    ],
    [
      { ops: [], meta: { source: 'a', maxId: 2 ** 53 } },
      'batch: meta.maxId: expected an integer from 0 to 2^53 - 1, got 9007199254740992',
    ],
    [
      { ops: [], meta: { source: 'a', lagRows: '1' } },
      'batch: meta.lagRows: expected an integer from 0 to 2^53 - 1, got "1"',
    ],
  ])('%j', (batch, message) => {
    const error = errorOf(() => parseBatch(batch, definition));
    expect(error).toMatchObject({ code: 'BATCH_INVALID', message });
    expect(error.hint).toMatch(/ops: \[/);
  });

  test.each([
    ['text that is not JSON', '{"ops":[', /not JSON/],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22]), /UTF-8/],
  ])('%s', (_, text, message) => {
    const error = errorOf(() => parseBatchText(text, definition));
    expect(error.code).toBe('BATCH_INVALID');
    expect(error.message).toMatch(message);
  });

  test('bytes are read as UTF-8', () => {
    const ops = [{ slot: 1, ops: [{ op: 'set', field: 'kind', value: 'naïve 🎈' }] }];
    expect(parseBatchText(Buffer.from(JSON.stringify({ ops })), definition).batch.strings).toEqual([
      'naïve 🎈',
    ]);
  });

  test('more entities than a batch may have', () => {
    const ops = Array.from({ length: BATCH_ENTITIES_MAX + 1 }, (_, slot) => ({ slot, ops: [] }));
    expect(errorOf(() => parseBatch({ ops }, definition)).code).toBe('BATCH_TOO_LARGE');
    expect(parseBatch({ ops: ops.slice(1) }, definition).batch.entityCount).toBe(BATCH_ENTITIES_MAX);
  });

  test('more bytes than a batch may have', () => {
    const text = `{"ops":[]}${' '.repeat(BATCH_BYTES_MAX)}`;
    expect(errorOf(() => parseBatchText(text, definition)).code).toBe('BATCH_TOO_LARGE');
  });

  test('more ops than a batch may have', () => {
    const list = new Array(BATCH_OPS_MAX / 50).fill(7);
    const ops = Array.from({ length: 50 }, (_, slot) => ({
      slot,
      ops: [{ op: 'set', field: 'tags', value: list }],
    }));
    expect(errorOf(() => parseBatch({ ops }, definition)).code).toBe('BATCH_TOO_LARGE');
  });
});
