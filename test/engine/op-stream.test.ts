import { expect, test } from 'vitest';
import { type Journal, MemoryJournal } from '../../src/engine/journal.ts';
import { OpStream } from '../../src/engine/op-stream.ts';
import { createVersion, emptyVersion } from '../../src/index/base-version.ts';
import { openBitmapSegment } from '../../src/index/bitmap-segment.ts';
import type { SegmentBytes } from '../../src/index/segment.ts';
import { LOG_START, type LogPosition } from '../../src/log/log-position.ts';
import type { Entity } from '../../src/ops/op.ts';
import { encodeBatch } from '../../src/ops/op-codec.ts';
import { executeCount } from '../../src/query/execute.ts';
import { buildAlive, buildFilter } from '../index/model.ts';
import { batchOf, definition } from '../ops/stream.ts';

function streamOver(journal: Journal): OpStream {
  return new OpStream(journal, emptyVersion(0, definition), LOG_START);
}

function write(stream: OpStream, level: number): Promise<LogPosition> {
  const entity: Entity = { slot: level, alive: true, ops: [{ op: 'set', field: 'level', value: level }] };
  const batch = batchOf([entity]);
  return stream.write(encodeBatch(batch), batch);
}

/** A journal whose appends end when, and as, the test says. */
class SlowJournal extends MemoryJournal {
  readonly waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  override append(payload: Uint8Array): Promise<LogPosition> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve: () => resolve(super.append(payload)), reject });
    });
  }
}

test('nothing is visible before it is durable, and what could not be stored never is', async () => {
  const journal = new SlowJournal();
  const stream = streamOver(journal);
  const writes = [write(stream, 1), write(stream, 2), write(stream, 3)];
  expect(executeCount(stream.version)).toBe(0);
  journal.waiting[0].resolve();
  await writes[0];
  expect(executeCount(stream.version)).toBe(1);
  // The last is durable before the one in the middle is known to have failed; it waits.
  journal.waiting[2].resolve();
  await new Promise(setImmediate);
  expect(executeCount(stream.version)).toBe(1);
  journal.waiting[1].reject(new Error('disk full'));
  await expect(writes[1]).rejects.toThrow('disk full');
  await writes[2];
  expect(executeCount(stream.version, { level: { in: [1, 3] } })).toBe(2);
  expect(executeCount(stream.version)).toBe(2);
});

test('a new base takes over the records after its mark while more arrive', async () => {
  const stream = streamOver(new MemoryJournal());
  await write(stream, 1);
  const mark = stream.mark();
  const { base } = stream.version;
  await write(stream, 2);
  const moving = stream.moveTo(base, mark);
  const later = write(stream, 3);
  await Promise.all([moving, later]);
  // The base was said to have the first, which it has not; so that is what is missing.
  expect(executeCount(stream.version)).toBe(2);
  expect(executeCount(stream.version, { level: { in: [2, 3] } })).toBe(2);
  expect(stream.baseMark).toEqual(mark);
});

test('a snapshot has the batches given before it and no later ones, in no field', async () => {
  const stream = streamOver(new MemoryJournal());
  const batch = (slot: number) =>
    batchOf([
      {
        slot,
        alive: true,
        ops: [
          { op: 'set', field: 'level', value: slot },
          { op: 'set', field: 'seenAt', value: slot },
        ],
      },
    ]);
  const before = stream.write(encodeBatch(batch(1)), batch(1));
  const taken = stream.snapshot();
  const after = stream.write(encodeBatch(batch(2)), batch(2));
  const { mark, changes } = await taken;
  expect(mark.position).toEqual(await before);
  expect([...changes.fields[0].filter!.added.slots]).toEqual([1]);
  expect([...changes.fields[6].sort!.slots]).toEqual([1]);
  expect([...openBitmapSegment(changes.alive)]).toEqual([1]);
  await after;
  expect(executeCount(stream.version)).toBe(2);
});

test('a base is not taken over when the journal has lost a record behind it', async () => {
  class LossyJournal extends MemoryJournal {
    override async *read(from: LogPosition | null) {
      for await (const record of super.read(from)) if (record.position.sequence !== 2) yield record;
    }
  }
  for (const count of [2, 3]) {
    const stream = streamOver(new LossyJournal());
    const mark = stream.mark();
    for (let level = 1; level <= count; level++) await write(stream, level);
    const before = stream.version;
    await expect(stream.moveTo(before.base, mark)).rejects.toMatchObject({ code: 'LOG_DAMAGED' });
    expect(stream.version).toBe(before);
  }
});

test('a stream that could not apply a batch in full serves nothing more', async () => {
  const stream = streamOver(new MemoryJournal());
  await write(stream, 1);
  const batch = batchOf([{ slot: 2, ops: [{ op: 'set', field: 'kind', value: 'x' }] }]);
  const broken = { ...batch, fieldIndexes: Uint16Array.of(99) };
  await expect(stream.write(encodeBatch(batch), broken)).rejects.toMatchObject({ code: 'INDEX_BROKEN' });
  expect(() => stream.version).toThrow('could not be applied in full');
  await expect(write(stream, 3)).rejects.toMatchObject({ code: 'INDEX_BROKEN' });
});

test('the journal in memory gives back what comes after a position, and lets go of what is stored', async () => {
  const journal = new MemoryJournal();
  const positions: LogPosition[] = [];
  for (let i = 0; i < 5; i++) positions.push(await journal.append(Uint8Array.of(i)));
  const after = async (from: LogPosition) => {
    const payloads: number[] = [];
    for await (const { payload } of journal.read(from)) payloads.push(payload[0]);
    return payloads;
  };
  expect(await after(positions[1])).toEqual([2, 3, 4]);
  await journal.removeBelow(positions[2]);
  expect(await after(positions[2])).toEqual([3, 4]);
  await journal.removeBelow(positions[0]);
  expect(await after(positions[3])).toEqual([4]);
  await journal.removeBelow(positions[4]);
  expect(await after(positions[4])).toEqual([]);
  expect((await journal.append(Uint8Array.of(5))).sequence).toBe(6);
  expect(await after(positions[4])).toEqual([5]);
});

test('the memory of a base is passed on when no version and no snapshot has it any more', async () => {
  const stream = streamOver(new MemoryJournal());
  const bases = [1, 2, 3].map((id) =>
    createVersion({
      id,
      definition,
      segments: { alive: buildAlive([id]), fields: { level: { filter: levels() } } },
    }),
  );
  const memoryOf = (base: number) => bases[base].segments.fields.level.filter!.buffer;
  const moveTo = (base: number) => stream.moveTo(bases[base], stream.mark());
  await moveTo(0);
  await moveTo(1);
  expect(stream.memory.take('filter', 'level')).toBe(memoryOf(0));
  const { release } = await stream.snapshot();
  await moveTo(2);
  expect(stream.memory.take('filter', 'level')).toBeNull();
  release();
  expect(stream.memory.take('filter', 'level')).toBe(memoryOf(1));
  expect(stream.memory.take('filter', 'level')).toBeNull();
});

test('a base that was not taken over is nobody’s, the one before stays held', async () => {
  class DamagedJournal extends MemoryJournal {
    override async *read() {}
  }
  const stream = streamOver(new DamagedJournal());
  const segments = { alive: buildAlive([1]), fields: { level: { filter: levels() } } };
  const base = createVersion({ id: 1, definition, segments });
  await stream.moveTo(base, stream.mark());
  const mark = stream.mark();
  await write(stream, 1);
  const next = { ...segments, fields: { level: { filter: levels() } } };
  await expect(stream.moveTo(createVersion({ id: 2, definition, segments: next }), mark)).rejects.toThrow(
    'lost a record',
  );
  expect(stream.memory.take('filter', 'level')).toBe(next.fields.level.filter.buffer);
  expect(stream.memory.take('filter', 'level')).toBeNull();
});

/** A segment that is worth keeping. */
function levels(): SegmentBytes {
  return buildFilter(new Map(Array.from({ length: 20_000 }, (_, slot) => [slot, new Set([slot])])));
}
