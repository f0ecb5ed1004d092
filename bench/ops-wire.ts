/** Batches of ops in the shape of the wire, made from a dump before anything is measured. */
import type { IndexDefinition } from '../src/config/definition.ts';
import { valueOfKey } from '../src/index/key.ts';
import type { Batch, Entity, SlotOp } from '../src/index.ts';
import { loadKernels } from '../src/kernels/kernels.ts';
import { ENTITY_ALIVE, OP_ADD, OP_CLEAR, type OpBatch } from '../src/ops/op.ts';
import { csvOps } from '../src/validate/csv-ops.ts';
import { type BenchDump, filesOf } from './dump.ts';

/** Entities for rows of images.csv, from its start. */
export async function imageEntities(
  dump: BenchDump,
  definition: IndexDefinition,
  entitiesMax: number,
): Promise<Entity[]> {
  const [{ table, path }] = filesOf(dump, ['images']);
  const entities: Entity[] = [];
  for await (const batch of csvOps(definition, { [table]: path }, loadKernels()).batches) {
    for (let entity = 0; entity < batch.entityCount && entities.length < entitiesMax; entity++) {
      entities.push(entityOf(batch, entity));
    }
    if (entities.length === entitiesMax) break;
  }
  return entities;
}

/** The same statements about other slots, so that nearly every value of every slot changes. */
export function exchanged(entities: readonly Entity[]): Entity[] {
  const half = Math.floor(entities.length / 2);
  return entities.map((entity, at) => ({ ...entity, slot: entities[(at + half) % entities.length].slot }));
}

export function batchesOf(entities: readonly Entity[], batchEntities: number): Batch[] {
  const batches: Batch[] = [];
  for (let from = 0; from < entities.length; from += batchEntities) {
    batches.push({ ops: entities.slice(from, from + batchEntities) });
  }
  return batches;
}

/** One entity of a dump's batch as it travels. */
export function entityOf(batch: OpBatch, entity: number): Entity {
  const ops: SlotOp[] = [];
  for (let op = batch.opStarts[entity]; op < batch.opStarts[entity + 1]; op++) ops.push(opOf(batch, op));
  const slot = batch.slots[entity];
  return batch.flags[entity] === ENTITY_ALIVE ? { slot, alive: true, ops } : { slot, ops };
}

/** A dump gives no other kinds. */
function opOf({ fields, fieldIndexes, kinds, values, strings }: OpBatch, op: number): SlotOp {
  const { name: field, type } = fields[fieldIndexes[op]];
  if (kinds[op] === OP_CLEAR) return { op: 'set', field, value: null };
  const value = type === 'string' ? strings[values[op]] : valueOfKey(type, values[op]);
  return { op: kinds[op] === OP_ADD ? 'add' : 'set', field, value };
}
