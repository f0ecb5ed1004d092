/**
 * Dedup: a batch with the same meaning and fewer ops. An optimisation only, `apply(dedup(x)) = apply(x)` for every x.
 *
 * A slot is made of parts: whether it is alive, the value of each single-valued field, and the membership of each key of
 * each many field. An op is dropped when a later op fixes all the parts it writes and nothing in between could have read
 * them. What fixes what:
 *   delete   every part of the slot
 *   set, clear   the field
 *   add, remove of a key on a many field   the membership of that key
 *   remove of a key on a single-valued field   an earlier remove of the same key
 *   `alive`   alive
 * The removes that follow a set or clear are folded into it: on a single-valued field the outcome is known (a set whose
 * value is removed becomes a clear), on a many field a clear leaves nothing to remove.
 *
 * Only a queryOpSet reads, and it may read and write any slot. So it is a barrier: an op before it is never dropped for
 * one after it, and queryOpSets are never dropped, merged or moved, except those that can do nothing. The ops inside of
 * one are a stretch of their own, for they go to every match one after the other with nothing in between. A delete is no
 * barrier: it fixes what came before, and what comes after is judged without it, so a slot that is created again keeps
 * its new values.
 *
 * What stays, stays in its order, with its entity: entities are not merged, so those of different sources that touch one
 * slot keep their order, and the slot of an entity that has only queryOpSets is no slot at all. An entity without ops
 * stays while its `alive` says something.
 *
 * One pass backwards, with one table row per part: linear in the ops. Whether it pays is another question (repeats.ts).
 */
import {
  ENTITY_ALIVE,
  OP_ADD,
  OP_CLEAR,
  OP_DELETE,
  OP_QUERY,
  OP_REMOVE,
  OP_SET,
  type OpBatch,
  type QueryOp,
} from './op.ts';
import { PartTable } from './part-table.ts';

/** The batch itself when there is nothing to drop; else a new one that shares its texts. */
export function dedup(batch: OpBatch): OpBatch {
  const opCount = batch.kinds.length;
  const pass: Pass = {
    batch,
    // One slot more stands for the matches of a queryOpSet.
    parts: new PartTable({
      slots: batch.entityCount + 1,
      fields: batch.fields.length,
      ops: opCount,
      keys: keysIn(batch.kinds),
    }),
    kinds: batch.kinds.slice(),
    flags: batch.flags.slice(),
    dropped: new Uint8Array(opCount),
    removeBefore: new Uint32Array(opCount),
    changes: 0,
  };
  dropQueries(pass);
  for (let entity = batch.entityCount - 1; entity >= 0; entity--) visitEntity(pass, entity);
  return pass.changes === 0 ? batch : compact(pass);
}

interface Pass {
  readonly batch: OpBatch;
  /** Parts that an op later in the stream, up to the next barrier, fixes. */
  readonly parts: PartTable;
  /** As in the batch, with what became of them. */
  readonly kinds: Uint8Array;
  readonly flags: Uint8Array;
  /** 1 for the ops that are gone. */
  readonly dropped: Uint8Array;
  /** Chains of the removes of one field of one slot: index of the next one in the chain plus 1, or 0. */
  readonly removeBefore: Uint32Array;
  changes: number;
}

/** Bits of the state of a slot's row. */
const ALIVE_FIXED = 1;
const DELETED = 2;

/** State of a field's row once a later op fixes the field; else the head of its chain of removes plus 1, or 0. */
const FIELD_FIXED = 0xffff_ffff;

/** Ops that name a key of which a slot may have several. */
function keysIn(kinds: Uint8Array): number {
  let count = 0;
  for (let op = 0; op < kinds.length; op++) {
    if (kinds[op] === OP_ADD || kinds[op] === OP_REMOVE) count++;
  }
  return count;
}

/** QueryOpSets that match nothing or have no ops are gone first, so that they are no barrier. */
function dropQueries(pass: Pass): void {
  const { batch, dropped } = pass;
  if (batch.queries.length === 0) return;
  for (let op = 0; op < batch.opStarts[batch.entityCount]; op++) {
    if (batch.kinds[op] !== OP_QUERY || canAct(batch.queries[batch.values[op]])) continue;
    dropped[op] = 1;
    pass.changes++;
  }
}

function canAct(query: QueryOp): boolean {
  return query.clause !== null && query.clause.kind !== 'nothing' && query.opStart < query.opEnd;
}

function visitEntity(pass: Pass, entity: number): void {
  const { batch, parts, flags } = pass;
  const slot = batch.slots[entity];
  let end = batch.opStarts[entity + 1];
  for (let op = end - 1; op >= batch.opStarts[entity]; op--) {
    if (batch.kinds[op] !== OP_QUERY || pass.dropped[op] === 1) continue;
    visitOps(pass, slot, op + 1, end);
    visitQuery(pass, batch.queries[batch.values[op]]);
    end = op;
  }
  visitOps(pass, slot, batch.opStarts[entity], end);

  if ((flags[entity] & ENTITY_ALIVE) === 0) return;
  const row = parts.rowOfSlot(slot);
  if ((parts.states[row] & ALIVE_FIXED) !== 0) {
    flags[entity] &= ~ENTITY_ALIVE;
    pass.changes++;
  }
  parts.states[row] |= ALIVE_FIXED;
}

/** Its ops are a stretch of their own, on one slot that stands for every match. */
function visitQuery(pass: Pass, query: QueryOp): void {
  pass.parts.forget();
  visitOps(pass, 0, query.opStart, query.opEnd);
  pass.parts.forget();
}

/** A stretch of ops on one slot, without queryOpSets that act. */
function visitOps(pass: Pass, slot: number, start: number, end: number): void {
  if (start === end) return;
  const { parts, kinds } = pass;
  const { fieldIndexes, values } = pass.batch;
  const slotRow = parts.rowOfSlot(slot);
  for (let op = end - 1; op >= start; op--) {
    const kind = kinds[op];
    if (kind === OP_QUERY) continue;
    if ((parts.states[slotRow] & DELETED) !== 0) {
      drop(pass, op);
    } else if (kind === OP_DELETE) {
      parts.states[slotRow] = DELETED | ALIVE_FIXED;
    } else {
      const fieldIndex = fieldIndexes[op];
      const row = parts.rowOfField(slotRow, slot, fieldIndex);
      const state = parts.states[row];
      if (state === FIELD_FIXED) {
        drop(pass, op);
      } else if (kind === OP_SET || kind === OP_CLEAR) {
        if (state !== 0) foldRemoves(pass, op, state - 1);
        parts.states[row] = FIELD_FIXED;
      } else if (!parts.addKey(slot, fieldIndex, values[op])) {
        drop(pass, op);
      } else if (kind === OP_REMOVE) {
        pass.removeBefore[op] = state;
        parts.states[row] = op + 1;
      }
    }
  }
}

/** Drops the removes of a chain for the set or clear before them. */
function foldRemoves(pass: Pass, op: number, lastRemove: number): void {
  const { values } = pass.batch;
  let isRemoved = false;
  for (let remove = lastRemove; remove >= 0; remove = pass.removeBefore[remove] - 1) {
    isRemoved ||= values[remove] === values[op];
    drop(pass, remove);
  }
  if (isRemoved) pass.kinds[op] = OP_CLEAR;
}

function drop(pass: Pass, op: number): void {
  pass.dropped[op] = 1;
  pass.changes++;
}

/** The batch without the dropped ops, and without the entities that then say nothing. */
function compact(pass: Pass): OpBatch {
  const { batch, flags } = pass;
  const target: Ops = {
    kinds: new Uint8Array(batch.kinds.length),
    fieldIndexes: new Uint16Array(batch.kinds.length),
    values: new Uint32Array(batch.kinds.length),
    count: 0,
  };
  const slots = new Uint32Array(batch.entityCount);
  const entitySources = new Uint32Array(batch.entityCount);
  const opStarts = new Uint32Array(batch.entityCount + 1);
  const queriesKept: QueryOp[] = [];
  let entityCount = 0;
  for (let entity = 0; entity < batch.entityCount; entity++) {
    const opStart = target.count;
    copyOps(pass, batch.opStarts[entity], batch.opStarts[entity + 1], target, queriesKept);
    if (target.count === opStart && (flags[entity] & ENTITY_ALIVE) === 0) continue;
    slots[entityCount] = batch.slots[entity];
    flags[entityCount] = flags[entity];
    entitySources[entityCount] = batch.entitySources[entity];
    opStarts[entityCount++] = opStart;
  }
  opStarts[entityCount] = target.count;
  const queries = queriesKept.map((query) => {
    const opStart = target.count;
    copyOps(pass, query.opStart, query.opEnd, target, []);
    return { ...query, opStart, opEnd: target.count };
  });
  return {
    ...batch,
    entityCount,
    slots: slots.subarray(0, entityCount),
    flags: flags.subarray(0, entityCount),
    entitySources: entitySources.subarray(0, entityCount),
    opStarts: opStarts.subarray(0, entityCount + 1),
    kinds: target.kinds.subarray(0, target.count),
    fieldIndexes: target.fieldIndexes.subarray(0, target.count),
    values: target.values.subarray(0, target.count),
    queries,
  };
}

interface Ops {
  readonly kinds: Uint8Array;
  readonly fieldIndexes: Uint16Array;
  readonly values: Uint32Array;
  count: number;
}

/** Appends what stays of a range; queryOpSets are numbered anew by their place in `queries`. */
function copyOps(pass: Pass, start: number, end: number, target: Ops, queries: QueryOp[]): void {
  const { batch, kinds, dropped } = pass;
  for (let op = start; op < end; op++) {
    if (dropped[op] === 1) continue;
    const kind = kinds[op];
    let value = kind === OP_CLEAR ? 0 : batch.values[op];
    if (kind === OP_QUERY) {
      queries.push(batch.queries[value]);
      value = queries.length - 1;
    }
    target.kinds[target.count] = kind;
    target.fieldIndexes[target.count] = batch.fieldIndexes[op];
    target.values[target.count++] = value;
  }
}
