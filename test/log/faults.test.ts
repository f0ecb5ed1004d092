/** Disks that are full, fail, or lose their power. */
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import type { LogPosition } from '../../src/log/log-position.ts';
import { type OpLog, type OpLogOptions, openOpLog } from '../../src/log/op-log.ts';
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

function open(fileSystem: SimulatedDisk, options: OpLogOptions = {}): Promise<OpLog> {
  const onWarning = (message: string) => void warnings.push(message);
  return openOpLog(DIRECTORY, { fileSystem, retryDelayMs: 0, segmentBytesMax: 2000, onWarning, ...options });
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
  log = await open(disk, { retryDelayMs: 1_000_000 });
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

test('what was refused does not come back, though the device has it', async () => {
  // Of what is not flushed all sectors reach the device, and no truncation.
  disk = new SimulatedDisk(() => 0.5);
  log = await open(disk);
  await append(0);
  failOn(['sync'], 'EIO');
  await expect(append(1)).rejects.toThrow();
  disk.fault = () => {};
  await append(2);
  await expectAcknowledgedOnly();
});

test.each(['is killed before it flushes', 'is killed after a flush failed'])(
  'what can be read after a process %s is durable',
  async (end) => {
    // Nothing that is not flushed reaches the device.
    disk = new SimulatedDisk(() => 0.99);
    log = await open(disk, { segmentBytesMax: 1_000_000 });
    await append(0);
    let killed: SimulatedDisk | null = null;
    disk.fault = (operation) => {
      if (operation !== 'sync') return;
      if (end === 'is killed before it flushes') killed ??= disk.kill();
      throw systemError('EIO');
    };
    const payloads = [payloadOf(1, 50_000), payloadOf(2, 50_000)];
    await Promise.allSettled(payloads.map((payload) => log.append(payload)));
    killed ??= disk.kill();
    const again = await open(killed);
    const found = await readAll(again);
    expectRecords(found, [
      ...acknowledged,
      { sequence: 2, payload: payloads[0]! },
      { sequence: 3, payload: payloads[1]! },
    ]);
    const afterPowerFailure = await open(killed.crash());
    expectRecords(await readAll(afterPowerFailure), found);
    for (const opened of [log, again, afterPowerFailure]) await opened.close();
  },
);

test('what a crash left of making a segment is cleared away', async () => {
  for (let id = 0; id < 3; id++) await append(id, 1000);
  await log.close();
  const before = [...disk.contents().keys()].sort();
  const empty = '/log/segment-0000000000000003-00000000.log';
  disk.put(empty, Buffer.alloc(32));
  disk.put('/log/segment-0000000000000003-00000001.log', Buffer.alloc(5));
  disk.put('/log/segment-0000000000000004-00000002.log.tmp', Buffer.alloc(5));
  disk.put('/log/notes.txt', Buffer.from('kept'));
  log = await open(disk);
  expect([...disk.contents().keys()].sort()).toEqual(['/log/notes.txt', ...before].sort());
  await append(3);
  await expectAcknowledgedOnly();
});

test('a segment that cannot be removed stays, is told, and goes the next time', async () => {
  for (let id = 0; id < 6; id++) await append(id, 1000);
  failOn(['remove'], 'EIO');
  await log.removeBelow(log.end);
  expect(log.stats().segments).toBe(3);
  expect(warnings).toEqual([expect.stringMatching(/could not be removed: EIO/)]);
  const operations: Operation[] = [];
  disk.fault = (operation) => void operations.push(operation);
  await log.removeBelow(log.end);
  expect(log.stats().segments).toBe(1);
  expect(operations).toEqual(['remove', 'syncDirectory', 'remove', 'syncDirectory']);
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
  disk.isFull = true;
  log = await open(disk);
  expectRecords(await readAll(log), acknowledged);
  await expect(append(1)).rejects.toMatchObject({ code: 'LOG_UNWRITABLE' });
  expectRecords(await readAll(log), acknowledged);
  disk.isFull = false;
  await append(2);
  await expectAcknowledgedOnly();
});

/** A log on a disk that fails now and then, and what became of every append to it. */
class Life {
  readonly disk: SimulatedDisk;
  readonly random: () => number;
  readonly payloads: Map<number, Buffer>;
  /** Ids by sequence number. */
  readonly acknowledged = new Map<number, number>();
  cursor: LogPosition;
  #appends: Promise<void>[] = [];
  #faultRate = 0;

  constructor(disk: SimulatedDisk, random: () => number, payloads: Map<number, Buffer>, cursor: LogPosition) {
    this.disk = disk;
    this.random = random;
    this.payloads = payloads;
    this.cursor = cursor;
    disk.fault = () => {
      if (random() < this.#faultRate) throw systemError(random() < 0.5 ? 'EIO' : 'ENOSPC');
    };
  }

  async live(log: OpLog): Promise<void> {
    for (let burst = 0; burst < 6; burst++) {
      this.#faultRate = this.random() < 0.3 ? 0.3 : 0;
      for (let count = Math.floor(this.random() * 4); count >= 0; count--) this.#append(log);
      if (this.random() < 0.7) await Promise.all(this.#appends);
      if (this.random() < 0.2) {
        this.cursor = log.end;
        await log.removeBelow(this.cursor);
      }
    }
    // The end may come with appends under way.
    for (let turns = Math.floor(this.random() * 60); turns > 0; turns--) await Promise.resolve();
  }

  async end(log: OpLog): Promise<void> {
    this.#faultRate = 0;
    await Promise.all(this.#appends);
    await log.close();
  }

  #append(log: OpLog): void {
    const id = this.payloads.size;
    const payload = payloadOf(id, 4 + Math.floor(this.random() ** 4 * 70_000));
    this.payloads.set(id, payload);
    const appending = log.append(payload).then(
      ({ sequence }) => void this.acknowledged.set(sequence, id),
      (error) => expect(error.code).toBe('LOG_UNWRITABLE'),
    );
    this.#appends.push(appending);
  }
}

/** Everything acknowledged is there, and everything there is whole, in order and once. Returns ids by sequence number. */
async function readAndCheck(log: OpLog, life: Life, acknowledged: Map<number, number>) {
  const found = await readAll(log, life.cursor);
  const ids = new Map<number, number>();
  for (const { sequence, payload } of found) {
    const id = Buffer.from(payload).readUInt32LE(0);
    expect(Buffer.compare(payload, life.payloads.get(id)!)).toBe(0);
    expect(sequence).toBeGreaterThan(Math.max(life.cursor.sequence, ...ids.keys()));
    expect([...ids.values()]).not.toContain(id);
    ids.set(sequence, id);
  }
  for (const [sequence, id] of acknowledged) {
    if (sequence > life.cursor.sequence) expect(ids.get(sequence), `record ${sequence}`).toBe(id);
  }
  return ids;
}

test('power failures, kills and faults at any moment lose nothing acknowledged', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const random = randomFrom(seed);
      const payloads = new Map<number, Buffer>();
      let disk = new SimulatedDisk(random);
      let cursor: LogPosition = { sequence: 0, offset: 0 };
      let acknowledged = new Map<number, number>();
      for (let lives = 0; lives < 5; lives++) {
        const options = { segmentBytesMax: 3000, retryDelayMs: 0, fromPosition: cursor };
        const log = await openOpLog(DIRECTORY, { fileSystem: disk, ...options });
        const life = new Life(disk, random, payloads, cursor);
        // What could be read at the start may have been used: it counts as acknowledged.
        for (const [sequence, id] of await readAndCheck(log, life, acknowledged)) {
          life.acknowledged.set(sequence, id);
        }
        await life.live(log);
        acknowledged = new Map(life.acknowledged);
        ({ cursor } = life);
        disk = random() < 0.5 ? life.disk.crash() : life.disk.kill();
        // On its own copy of the disk the process that ended lives on, so that nothing of it is left behind.
        await life.end(log);
      }
    }),
    { numRuns: Number(process.env.BITLOOM_LOG_CRASH_RUNS ?? 100) },
  );
}, 120_000);
