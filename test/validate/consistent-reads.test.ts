/**
 * Queries while batches keep coming and while dumps are loaded, in a thread as in earnest: none sees a slot that is not
 * alive, half a batch, a version put together of two, or one without what was acknowledged.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type BitloomIndex, type Entity, openIndex } from '../../src/index.ts';
import { temporaryDirectory } from '../temporary.ts';

/** Slots that every batch writes to, and slots of which every batch replaces one half by the other. */
const SLOTS = 200;
const FIRST_REPLACED = 100_000;
const ROWS = 20_000;
const FIRST_ROW = 1_000_000;
const READERS = 3;

const DEFINITION = {
  name: 'consistent',
  fields: {
    batch: { type: 'uint32', index: ['filter', 'sort'] },
    again: { type: 'uint32', index: 'filter' },
    tags: { type: 'uint32', index: 'filter', many: true },
    half: { type: 'boolean', index: 'filter' },
    dump: { type: 'uint32', index: ['filter', 'sort'] },
    same: { type: 'uint32', index: 'filter' },
  },
  tables: {
    rows: {
      csv: { columns: ['id', 'dump'] },
      slot: 'id',
      alive: true,
      fields: { dump: 'dump', same: 'dump' },
    },
    unused: {
      csv: { columns: ['id', 'batch'] },
      slot: 'id',
      fields: { batch: 'batch', again: 'batch', tags: 'batch', half: 'batch > 0' },
    },
  },
};

const folder = temporaryDirectory();

function entitiesOf(batch: number): Entity[] {
  const entities: Entity[] = [];
  for (let at = 0; at < SLOTS; at++) {
    entities.push({
      slot: at * 331,
      alive: true,
      ops: [
        { op: 'set', field: 'batch', value: batch },
        { op: 'set', field: 'tags', value: [batch, batch + 1] },
      ],
    });
  }
  // A later part of the batch, through a queryOpSet.
  entities.push({
    slot: 0,
    ops: [{ op: 'queryOpSet', where: { batch }, ops: [{ op: 'set', field: 'again', value: batch }] }],
  });
  for (let at = 0; at < SLOTS; at++) {
    const slot = FIRST_REPLACED + at;
    if ((at + batch) % 2 === 0) entities.push({ slot, ops: [{ op: 'delete' }] });
    else entities.push({ slot, alive: true, ops: [{ op: 'set', field: 'half', value: batch % 2 === 0 }] });
  }
  return entities;
}

/**
 * What must hold of every single answer, whatever happens meanwhile; `batch` is acknowledged. A dump that replaces takes
 * the place of what there was when its load began, all of it, so until the next batch its rows may be all there is.
 *
 * @param mayBeReplaced whether every batch acknowledged so far may be older than the load that was published last
 */
async function read(
  index: BitloomIndex,
  dumps: readonly number[],
  batch: number,
  mayBeReplaced: () => boolean,
): Promise<void> {
  /** All of it, or nothing where that may be. */
  const expectWhole = (count: number, whole: number, what: string): void => {
    if (count !== 0 || !mayBeReplaced()) expect(count, what).toBe(whole);
  };
  expectWhole(await index.count({ batch: { gte: batch } }), SLOTS, 'what was acknowledged shows');
  // Half a batch: `batch` and `again` are written by different entities of it.
  const { ids, total } = await index.query({
    where: { batch: { gt: 0 } },
    orderBy: { batch: 'desc' },
    take: SLOTS,
  });
  expectWhole(total, SLOTS, 'slots of a batch');
  // In one order of ties all slots have one value: it is the order of the slots.
  expect(ids).toEqual(Array.from({ length: total }, (_, at) => (SLOTS - 1 - at) * 331));
  const halves = Array.from({ length: 8 }, (_, at) => ({ batch: batch + at, NOT: { again: batch + at } }));
  expect(await index.count({ OR: halves }), 'half a batch').toBe(0);
  // Dead slots: of the replaced ones half are there, all odd or all even, and their value says which.
  expectWhole(await index.count({ half: { isNull: false } }), SLOTS / 2, 'one half');
  for (const half of [true, false]) {
    const replaced = await index.query({ where: { half }, take: SLOTS });
    expect([0, SLOTS / 2]).toContain(replaced.total);
    expect(replaced.ids.filter((slot) => slot % 2 !== Number(half))).toEqual([]);
  }
  // A torn version: fields of two dumps, or alive of one and fields of the other.
  const counts = await Promise.all(dumps.map((dump) => index.count({ dump, same: dump })));
  expect(counts.every((count) => count === 0 || count === ROWS)).toBe(true);
  const mixed = dumps.map((dump) => ({ dump, NOT: { same: dump } }));
  expect(await index.count({ OR: mixed })).toBe(0);
  const rows = await index.query({ where: { dump: { gte: 0 } }, orderBy: { dump: 'asc' }, take: 1 });
  expect(rows.total).toBe(ROWS);
  expectWhole((await index.count()) - ROWS, SLOTS + SLOTS / 2, 'slots of batches beside the dump');
}

test.each(['merge', 'replace'] as const)(
  'every answer is that of one moment between two batches and two versions, with dumps that %s',
  async (mode) => {
    const dumps = [1, 2].map((dump) => {
      const rows = Array.from({ length: ROWS }, (_, row) => `${FIRST_ROW + row},${dump}\n`);
      return folder.write(`dump-${dump}.csv`, rows.join(''));
    });
    const index = await openIndex({
      definition: DEFINITION,
      directory: `${folder.path}/data-${mode}`,
      checkpointLogBytes: 100_000,
    });
    try {
      await index.load({ rows: dumps[0] });
      await index.apply({ ops: entitiesOf(1) });
      let isGoingOn = true;
      let batches = 1;
      let reads = 0;
      /** The batches sent when the last load began: its dump may replace them. */
      let batchesReplaced = 0;
      const write = async (): Promise<void> => {
        while (isGoingOn) {
          await index.apply({ ops: entitiesOf(batches + 1) }, { strict: true });
          batches++;
        }
      };
      const readAll = async (): Promise<void> => {
        while (isGoingOn) {
          const batch = batches;
          // Asked after an answer: a load that began meanwhile may have been published before it.
          await read(index, [1, 2], batch, () => batch <= batchesReplaced);
          reads++;
          await nextTurn();
        }
      };
      const loadAll = async (): Promise<void> => {
        for (let load = 1; load <= 6; load++) {
          // Merging leaves the slots of batches alive. The batch under way may be older than the load too.
          if (mode === 'replace') batchesReplaced = batches + 1;
          await index.load({ rows: dumps[load % 2] }, { mode, threads: 1, chunkLines: 3000 });
        }
      };
      const readers = Array.from({ length: READERS }, readAll);
      const stop = (): void => {
        isGoingOn = false;
      };
      await Promise.all([
        loadAll().finally(stop),
        write().finally(stop),
        ...readers.map((each) => each.finally(stop)),
      ]);
      expect(reads).toBeGreaterThan(6);
      expect(batches).toBeGreaterThan(10);
      expect((await index.stats()).checkpoints).toBeGreaterThan(0);
    } finally {
      await index.close();
    }
  },
);
