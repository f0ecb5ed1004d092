/**
 * Streams of ops for tests: a small definition, generators that make collisions likely, and the way back from a resolved
 * batch to the shape of the wire.
 */
import fc from 'fast-check';
import { valueOfKey } from '../../src/index/key.ts';
import { NaiveOps } from '../../src/ops/naive-ops.ts';
import {
  type Batch,
  ENTITY_ALIVE,
  type Entity,
  OP_ADD,
  OP_CLEAR,
  OP_DELETE,
  OP_QUERY,
  OP_REMOVE,
  OP_SET,
  type Op,
  type OpBatch,
  type SlotOp,
} from '../../src/ops/op.ts';
import { parseBatch } from '../../src/ops/parse-batch.ts';
import type { Where } from '../../src/query/where.ts';
import { definitionOf, fieldOf } from '../index/model.ts';

export const definition = definitionOf([
  fieldOf('level', 'uint32', 'filter'),
  fieldOf('kind', 'string', 'filter'),
  fieldOf('flag', 'boolean', 'filter'),
  fieldOf('tags', 'uint32', 'filter', true),
  fieldOf('labels', 'string', 'filter', true),
  fieldOf('score', 'int32', 'filter sort'),
  fieldOf('seenAt', 'timestamp', 'sort'),
]);

/** Parses entities that are all acceptable. */
export function batchOf(entities: readonly Entity[], meta?: Batch['meta']): OpBatch {
  const { batch, refused } = parseBatch(
    meta === undefined ? { ops: entities } : { ops: entities, meta },
    definition,
  );
  if (refused.length > 0) throw new Error(`refused: ${JSON.stringify(refused)}`);
  return batch;
}

/** A resolved batch in the shape of the wire. A set on a many field comes back as `set []` and adds. */
export function entitiesOf(batch: OpBatch): Entity[] {
  return Array.from({ length: batch.entityCount }, (_, entity) => {
    const ops: Op[] = [];
    for (let op = batch.opStarts[entity]; op < batch.opStarts[entity + 1]; op++) ops.push(opOf(batch, op));
    const source = batch.entitySources[entity];
    return {
      slot: batch.slots[entity],
      ops,
      ...(batch.flags[entity] === ENTITY_ALIVE ? { alive: true as const } : {}),
      ...(source > 0 ? { source: batch.sources[source - 1] } : {}),
    };
  });
}

function opOf(batch: OpBatch, op: number): Op {
  if (batch.kinds[op] !== OP_QUERY) return slotOpOf(batch, op);
  const { whereText, opStart, opEnd } = batch.queries[batch.values[op]];
  const ops: SlotOp[] = [];
  for (let nested = opStart; nested < opEnd; nested++) ops.push(slotOpOf(batch, nested));
  return { op: 'queryOpSet', where: whereText === null ? null : JSON.parse(whereText), ops };
}

function slotOpOf(batch: OpBatch, op: number): SlotOp {
  const { name, type, many } = batch.fields[batch.fieldIndexes[op]];
  const value = type === 'string' ? batch.strings[batch.values[op]] : valueOfKey(type, batch.values[op]);
  switch (batch.kinds[op]) {
    case OP_SET:
      return { op: 'set', field: name, value };
    case OP_CLEAR:
      return { op: 'set', field: name, value: many ? [] : null };
    case OP_ADD:
      return { op: 'add', field: name, value };
    case OP_REMOVE:
      return { op: 'remove', field: name, value };
    case OP_DELETE:
      return { op: 'delete' };
    default:
      throw new Error(`kind ${batch.kinds[op]}`);
  }
}

export function stateAfter(...streams: readonly (readonly Entity[])[]) {
  const model = new NaiveOps(definition);
  for (const entities of streams) model.apply(entities);
  return model.state();
}

/** Three values per field, so that ops meet. */
const VALUES: Record<string, readonly (string | number | boolean)[]> = {
  level: [0, 1, 4_294_967_295],
  kind: ['', 'video', 'naïve 🎈'],
  flag: [false, true],
  tags: [0, 1, 2],
  labels: ['a', 'b', 'video'],
  score: [-2_147_483_648, -1, 7],
  seenAt: [0, 1_714_564_800, '2024-05-01T12:00:00Z'],
};

const fieldWithValue = fc
  .constantFrom(...definition.fields)
  .chain((field) => fc.record({ field: fc.constant(field), value: fc.constantFrom(...VALUES[field.name]) }));

export const slotOp: fc.Arbitrary<SlotOp> = fc.oneof(
  { weight: 6, arbitrary: fieldWithValue.chain(({ field, value }) => setOf(field.name, field.many, value)) },
  {
    weight: 4,
    arbitrary: fieldWithValue.map(({ field, value }) => ({
      op: 'remove' as const,
      field: field.name,
      value,
    })),
  },
  {
    weight: 4,
    arbitrary: fieldWithValue.map(({ field, value }) => ({ op: 'add' as const, field: field.name, value })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ op: fc.constantFrom('set', 'add', 'remove'), field: fc.constantFrom(...definition.fields) })
      .map(({ op, field }) => ({ op, field: field.name, value: null }) as SlotOp),
  },
  { weight: 1, arbitrary: fc.constant<SlotOp>({ op: 'delete' }) },
);

function setOf(field: string, many: boolean, value: string | number | boolean): fc.Arbitrary<SlotOp> {
  if (!many) return fc.constant({ op: 'set', field, value });
  return fc
    .array(fc.constantFrom(...VALUES[field]), { maxLength: 3 })
    .map((list) => ({ op: 'set', field, value: list }));
}

const condition: fc.Arbitrary<Where> = fieldWithValue.chain(({ field, value }) =>
  fc.constantFrom<Where>(
    { [field.name]: value },
    { [field.name]: null },
    { [field.name]: { in: [value, VALUES[field.name][0]] } },
    { [field.name]: { notIn: [value] } },
    { [field.name]: { not: value } },
    { [field.name]: { isNull: false } },
    { NOT: { [field.name]: value } },
    field.many
      ? { [field.name]: { all: [value, VALUES[field.name][1]] } }
      : { [field.name]: { equals: value } },
    { score: { gt: -1 } },
    { seenAt: { lte: 1_714_564_800 } },
    { seenAt: { gte: '2024-05-01 12:00', lt: 4_000_000_000 } },
    {},
    { OR: [] },
  ),
);

export const where: fc.Arbitrary<Where | null> = fc.oneof(
  { weight: 6, arbitrary: condition },
  { weight: 1, arbitrary: fc.constant(null) },
  { weight: 2, arbitrary: fc.array(condition, { maxLength: 3 }).map((OR) => ({ OR })) },
  { weight: 2, arbitrary: fc.tuple(condition, condition).map(([AND, NOT]) => ({ AND, NOT })) },
);

const queryOp: fc.Arbitrary<Op> = fc.record({
  op: fc.constant('queryOpSet' as const),
  where,
  ops: fc.array(slotOp, { maxLength: 4 }),
});

function entityWith(op: fc.Arbitrary<Op>): fc.Arbitrary<Entity> {
  return fc
    .record({
      slot: fc.constantFrom(0, 1, 2, 65_536, 4_294_967_295),
      ops: fc.array(op, { maxLength: 6 }),
      alive: fc.boolean(),
      source: fc.constantFrom(undefined, 'images', 'tags'),
    })
    .map(({ slot, ops, alive, source }) => ({
      slot,
      ops,
      ...(alive ? { alive: true as const } : {}),
      ...(source === undefined ? {} : { source }),
    }));
}

/** Entities without queryOpSet. */
export const plainEntities = fc.array(entityWith(slotOp), { maxLength: 12 });

export const entities = fc.array(
  entityWith(
    fc.oneof({ weight: 5, arbitrary: slotOp as fc.Arbitrary<Op> }, { weight: 1, arbitrary: queryOp }),
  ),
  { maxLength: 12 },
);
