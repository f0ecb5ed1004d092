/** Disks that are full, fail, or lose their power. */
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import type { LogPosition } from '../../src/log/log-position.ts';
import { type OpLog, openOpLog } from '../../src/log/op-log.ts';
import { expectRecords, type ReadBack, readAll } from './log-content.ts';
import { payloadOf, randomFrom } from './log-payload.ts';
import { type Operation, SimulatedDisk, systemError } from './simulated-disk.ts';

const DIRECTORY = '/log';

let disk: SimulatedDisk;
let log: OpLog;
let warnings: string[];
let acknowledged: ReadBack[];
beforeEach(async () => {
  disk = new SimulatedDisk(randomFrom(1));
  warnings = [];
  acknowledged = [];
  log = await open(disk);
});

function open(fileSystem: SimulatedDisk, retryDelayMs = 0): Promise<OpLog> {
  return openOpLog(DIRECTORY, {
    fileSystem,
    retryDelayMs,
    segmentBytesMax: 2000,
    onWarning: (message) => warnings.push(message),
  });
}

async function append(id: number, bytes = 100): Promise<LogPosition> {
  const payload = payloadOf(id, bytes);
  const position = await log.append(payload);
  acknowledged.push({ sequence: position.sequence, payload });
  return position;
}

function failOn(operations: readonly Operation[], code: string): void {
  disk.fault = (operation) => {
    if (operations.includes(operation)) throw systemError(code);
  };
}

/** What was acknowledged, and only that, is there now, after reopening, and after a power failure. */
async function expectAcknowledgedOnly(): Promise<void> {
  expectRecords(await readAll(log), acknowledged);
  await log.close();
  expect(disk.openFiles).toBe(0);
  for (const fileSystem of [disk, disk.crash()]) {
    const again = await open(fileSystem);
    expectRecords(await readAll(again), acknowledged);
    expect(again.stats().quarantinedRecords).toBe(0);
    await again.close();
  }
}

test.each([
  ['write', 'ENOSPC'],
  ['write', 'EIO'],
  ['sync', 'EIO'],
  ['sync', 'ENOSPC'],
] as const)(
  '%s fails with %s: appends are refused, reading goes on, and it recovers',
  async (operation, code) => {
    await append(0);
    await append(1);
    failOn([operation, 'truncate'], code);
    const refused = { code: 'LOG_UNWRITABLE', details: { retryable: true, systemCode: code } };
    await expect(log.append(payloadOf(2, 100))).rejects.toMatchObject({
      ...refused,
      hint: expect.anything(),
    });
    expect(log.stats()).toMatchObject({
      state: 'failed',
      failure: expect.stringContaining(code),
      queuedBytes: 0,
    });
    await expect(log.append(payloadOf(3, 100))).rejects.toMatchObject(refused);
    await expect(log.recover()).rejects.toMatchObject(refused);
    expectRecords(await readAll(log), acknowledged);
    disk.fault = () => {};
    await log.recover();
    expect(log.stats()).toMatchObject({ state: 'writable', failure: null });
    const { sequence } = await append(4);
    expect(sequence).toBe(3);
    await expectAcknowledgedOnly();
    expect(warnings).toEqual([]);
  },
);

test('without a call to recover, the next append after the delay tries again', async () => {
  await append(0);
  failOn(['sync'], 'EIO');
  await expect(append(1)).rejects.toMatchObject({ code: 'LOG_UNWRITABLE' });
  disk.fault = () => {};
  await append(2);
  expect(log.stats().state).toBe('writable');
  await expectAcknowledgedOnly();
});

test('during the delay the disk is left alone', async () => {
  log = await open(disk, 1_000_000);
  failOn(['write'], 'ENOSPC');
  await expect(append(0)).rejects.toMatchObject({ code: 'LOG_UNWRITABLE' });
  disk.fault = (operation) => {
    throw new Error(`${operation} was called`);
  };
  await expect(append(0)).rejects.toMatchObject({ details: { systemCode: 'ENOSPC' } });
  disk.fault = () => {};
  await log.recover();
  await append(1);
  await expectAcknowledgedOnly();
});

test('all who wait when the disk fails are refused, and those already durable are not', async () => {
  const sizes = [1500, 1500, 1500, 1500];
  let syncs = 0;
  disk.fault = (operation, file) => {
    // The flush of the second segment.
    if (operation === 'sync' && file.includes('segment-0000000000000003') && ++syncs === 2)
      throw systemError('EIO');
  };
  const settled = await Promise.allSettled(sizes.map((bytes, id) => append(id, bytes)));
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected']);
  disk.fault = () => {};
  await append(9);
  await expectAcknowledgedOnly();
});

test('writes that take a few bytes at a time are finished', async () => {
  disk.writeBytesMax = 7;
  for (let id = 0; id < 5; id++) await append(id, id * 300);
  await expectAcknowledgedOnly();
});

test('a segment that cannot be made leaves nothing behind', async () => {
  for (const operation of ['open', 'write', 'sync', 'rename', 'syncDirectory'] as const) {
    failOn([operation], 'ENOSPC');
    await expect(append(0)).rejects.toMatchObject({ code: 'LOG_UNWRITABLE' });
  }
  expect([...disk.contents()]).toEqual([]);
  disk.fault = () => {};
  await append(1);
  await expectAcknowledgedOnly();
});

test('what a failed flush lost of the block before the end is written anew', async () => {
  await append(0);
  // The flush fails for good: what it should have written is gone, the cache still shows it.
  failOn(['sync'], 'EIO');
  await expect(append(1)).rejects.toThrow();
  disk.fault = () => {};
  const file = [...disk.contents().keys()].find((name) => name.includes('segment-0000000000000001'))!;
  const writes: string[] = [];
  disk.fault = (operation, name) => {
    if (operation === 'write') writes.push(name);
  };
  await append(2);
  expect(writes[0]).toBe(file);
  expect(log.stats().segments).toBe(2);
  await expectAcknowledgedOnly();
});

test('a segment that cannot be removed stays, is told, and goes the next time', async () => {
  for (let id = 0; id < 6; id++) await append(id, 1000);
  failOn(['remove'], 'EIO');
  await log.removeBelow(log.end);
  expect(log.stats().segments).toBe(3);
  expect(warnings).toEqual([expect.stringMatching(/could not be removed: EIO/)]);
  disk.fault = () => {};
  await log.removeBelow(log.end);
  expect(log.stats().segments).toBe(1);
  await log.close();
});

test('a directory that cannot be used is an error that says so', async () => {
  for (const operation of ['makeDirectory', 'list', 'syncDirectory'] as const) {
    failOn([operation], 'EACCES');
    await expect(open(disk)).rejects.toMatchObject({ code: 'LOG_UNUSABLE', cause: { code: 'EACCES' } });
  }
});

test('a full disk lets a log be opened and read', async () => {
  await append(0);
  await log.close();
  failOn(['write', 'truncate'], 'ENOSPC');
  log = await open(disk);
  expectRecords(await readAll(log), acknowledged);
  await expect(append(1)).rejects.toMatchObject({ code: 'LOG_UNWRITABLE' });
  expectRecords(await readAll(log), acknowledged);
  disk.fault = () => {};
  await append(2);
  await expectAcknowledgedOnly();
});

/**
 * Random lives of a log: bursts of appends, faults at random operations, removals, reopenings, power failures. After each
 * power failure what was acknowledged is there in order, and of the rest only whole records.
 */
test('power failures and faults at any moment lose nothing acknowledged', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const random = randomFrom(seed);
      let disk = new SimulatedDisk(random);
      /** Every payload ever handed to append, and the sequence numbers that were acknowledged. */
      const payloads = new Map<number, Buffer>();
      const acknowledged = new Map<number, number>();
      let nextId = 1;
      let cursor: LogPosition | null = null;
      for (let life = 0; life < 4; life++) {
        let faultRate = 0;
        const options = { segmentBytesMax: 3000, retryDelayMs: 0 };
        const log = await openOpLog(
          DIRECTORY,
          cursor === null
            ? { fileSystem: disk, ...options }
            : { fileSystem: disk, fromPosition: cursor, ...options },
        );
        const current = disk;
        current.fault = () => {
          if (random() < faultRate) throw systemError(random() < 0.5 ? 'EIO' : 'ENOSPC');
        };
        const cutShort = random() < 0.5;
        const appends: Promise<void>[] = [];
        for (let burst = 0; burst < 6; burst++) {
          faultRate = random() < 0.3 ? 0.3 : 0;
          for (let count = Math.floor(random() * 4); count >= 0; count--) {
            const id = nextId++;
            const bytes = 4 + Math.floor(random() ** 4 * 70_000);
            payloads.set(id, payloadOf(id, bytes));
            const appending = log.append(payloads.get(id)!).then(
              ({ sequence }) => void acknowledged.set(sequence, id),
              (error) => expect(error.code).toBe('LOG_UNWRITABLE'),
            );
            appends.push(appending);
          }
          if (!cutShort || burst < 5) await Promise.all(appends);
          else for (let turns = Math.floor(random() * 60); turns > 0; turns--) await Promise.resolve();
          if (random() < 0.3) {
            faultRate = 0;
            const kept = log.end;
            await log.removeBelow(kept);
            cursor = kept;
          }
        }
        faultRate = 0;
        // The power fails here, with appends under way or not.
        const acknowledgedBefore = new Map(acknowledged);
        disk = current.crash();
        // The one it failed for lives on in its cache; what it acknowledges from here on does not count.
        await Promise.all(appends);
        await log.close();
        acknowledged.clear();
        for (const [sequence, id] of acknowledgedBefore) acknowledged.set(sequence, id);

        const again = await openOpLog(DIRECTORY, { fileSystem: disk, ...options });
        const found = await readAll(again, cursor);
        const bySequence = new Map(found.map(({ sequence, payload }) => [sequence, payload]));
        for (const [sequence, id] of acknowledged) {
          if (sequence <= (cursor?.sequence ?? 0)) continue;
          const payload = bySequence.get(sequence);
          expect(payload, `seed ${seed}: record ${sequence}`).toBeDefined();
          expect(Buffer.compare(payload!, payloads.get(id)!)).toBe(0);
        }
        for (const { payload } of found) {
          const id = Buffer.from(payload).readUInt32LE(0);
          expect(Buffer.compare(payload, payloads.get(id)!)).toBe(0);
        }
        const sequences = found.map(({ sequence }) => sequence);
        expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
        expect(new Set(sequences).size).toBe(sequences.length);
        // What is there now counts as acknowledged: a reader may have used it.
        for (const { sequence, payload } of found) {
          acknowledged.set(sequence, Buffer.from(payload).readUInt32LE(0));
        }
        await again.close();
      }
    }),
    { numRuns: Number(process.env.BITLOOM_LOG_CRASH_RUNS ?? 80) },
  );
}, 120_000);
