/**
 * When dedup pays. It costs about 1 ms for a batch of 5,000 entities with ten ops each, a little less than encoding and
 * decoding the batch, so it has to drop a good part to be worth that. Sources mostly send a slot once per batch, and then one look at
 * the slots and one at the ops, 0.2 ms, say that there is nothing to gain.
 *
 * Measured with such batches, slots in any order, milliseconds (the looks included) and bytes of the op log:
 *
 *   entities about a slot met before   dedup   saved in encoding, decoding, applying   saved in the log
 *   20 %                                1.1     0.7                                     15 %
 *   30 %                                1.1     1.2                                     22 %
 *   50 %                                1.1     2.3                                     37 %
 *   80 %                                1.0     3.8                                     59 %
 *
 * Most of what is saved is the time of the engine's thread and the disk, and dedup runs on the caller's.
 */
import { randomInt } from 'node:crypto';
import { DEDUP_REPEATS_PART } from '../limits.ts';
import { dedup } from './dedup.ts';
import { OP_ADD, OP_DELETE, type OpBatch } from './op.ts';
import { finished } from './part-table.ts';

/** Chosen anew by every process, so that no one can prepare slots that collide. */
const SEED = randomInt(2 ** 32);

/** The batch, without what it says twice where that is much of it. */
export function dedupRepeats(batch: OpBatch): OpBatch {
  const repeats = repeatedSlots(batch) + repeatedFields(batch);
  return repeats > 0 && repeats >= batch.entityCount * DEDUP_REPEATS_PART ? dedup(batch) : batch;
}

/** Entities about the slot of an entity before. */
function repeatedSlots({ slots, entityCount }: OpBatch): number {
  let ascending = 1;
  while (ascending < entityCount && slots[ascending - 1] < slots[ascending]) ascending++;
  if (ascending >= entityCount) return 0;
  const mask = 2 ** Math.ceil(Math.log2(2 * entityCount)) - 1;
  // By hash: an entity with the slot plus 1, or 0.
  const table = new Uint32Array(mask + 1);
  let count = 0;
  for (let entity = 0; entity < entityCount; entity++) {
    const slot = slots[entity];
    let row = finished(slot ^ SEED) & mask;
    while (table[row] !== 0 && slots[table[row] - 1] !== slot) row = (row + 1) & mask;
    if (table[row] !== 0) count++;
    table[row] = entity + 1;
  }
  return count;
}

/**
 * Entities that name a field again other than by a further member, or say something besides a delete. Kinds below OP_ADD
 * are about a whole field, those from OP_DELETE on name none.
 */
function repeatedFields({ fields, entityCount, opStarts, kinds, fieldIndexes }: OpBatch): number {
  // By field: the last entity to name it plus 1.
  const namedBy = new Uint32Array(fields.length);
  let count = 0;
  for (let entity = 0; entity < entityCount; entity++) {
    const start = opStarts[entity];
    const end = opStarts[entity + 1];
    let isRepeating = false;
    for (let op = start; op < end; op++) {
      const kind = kinds[op];
      const field = fieldIndexes[op];
      if (kind >= OP_DELETE) {
        if (kind === OP_DELETE && end - start > 1) isRepeating = true;
      } else if (namedBy[field] !== entity + 1) {
        namedBy[field] = entity + 1;
      } else if (!fields[field].many || kind < OP_ADD) {
        isRepeating = true;
      }
    }
    if (isRepeating) count++;
  }
  return count;
}
