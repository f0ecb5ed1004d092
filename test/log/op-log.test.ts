import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LOG_QUEUE_BYTES_MAX, LOG_RECORD_BYTES_MAX } from '../../src/limits.ts';
import type { LogPosition } from '../../src/log/log-position.ts';
import { type OpLog, type OpLogOptions, openOpLog } from '../../src/log/op-log.ts';
import { expectRecords, type ReadBack, readAll } from './log-content.ts';
import { payloadOf } from './log-payload.ts';
import { SimulatedDisk, systemError } from './simulated-disk.ts';

let root: string;
let warnings: string[];
beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'bitloom-log-'));
  warnings = [];
});
afterEach(() => rm(root, { recursive: true, force: true }));

function open(options: OpLogOptions = {}): Promise<OpLog> {
  return openOpLog(path.join(root, 'log'), { onWarning: (message) => warnings.push(message), ...options });
}

async function segmentFiles(): Promise<string[]> {
  return (await readdir(path.join(root, 'log'))).filter((file) => file.endsWith('.log')).sort();
}

test('records are read in the order they were appended, after opening again too', async () => {
  let log = await open();
  expect(log.end).toEqual({ sequence: 0, offset: 0 });
  expect(await readAll(log)).toEqual([]);
  const expected: ReadBack[] = [];
  for (const [id, bytes] of [5, 0, 70_000, 1].entries()) {
    const payload = payloadOf(id, bytes);
    const position = await log.append(payload);
    expect(position).toEqual(log.end);
    expected.push({ sequence: position.sequence, payload });
  }
  expect(expected.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
  expectRecords(await readAll(log), expected);
  const { end } = log;
  await log.close();
  log = await open();
  expect(log.end).toEqual(end);
  expectRecords(await readAll(log), expected);
  expect((await log.append(payloadOf(9, 10))).sequence).toBe(5);
  expect(warnings).toEqual([]);
  await log.close();
});

test('any sizes, across blocks and segments, can be read on from every position', async () => {
  const size = fc.oneof(
    fc.integer({ min: 0, max: 200 }),
    // Around the ends of blocks, where fragments split and padding begins.
    fc
      .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: -90, max: 30 }))
      .map(([n, d]) => n * 32_768 + d),
  );
  const groups = fc.array(fc.array(size, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 });
  const options = fc.record({ segmentBytesMax: fc.constantFrom(1, 100, 40_000, 1_000_000) });
  await fc.assert(
    fc.asyncProperty(groups, options, fc.nat(), async (groups, options, reopenAfter) => {
      const fileSystem = new SimulatedDisk();
      let log = await open({ fileSystem, ...options });
      const positions: (LogPosition | null)[] = [null];
      const expected: ReadBack[] = [];
      for (const [i, group] of groups.entries()) {
        const payloads = group.map((bytes) => payloadOf(expected.length + bytes, bytes));
        const appended = await Promise.all(payloads.map((payload) => log.append(payload)));
        appended.forEach((position, k) => {
          positions.push(position);
          expected.push({ sequence: position.sequence, payload: payloads[k]! });
        });
        if (i === reopenAfter % groups.length) {
          await log.close();
          log = await open({ fileSystem, ...options });
        }
      }
      for (const [count, position] of positions.entries()) {
        const from = JSON.parse(JSON.stringify(position));
        expectRecords(await readAll(log, from), expected.slice(count));
        // The offset is a shortcut and never decides.
        if (from !== null) expectRecords(await readAll(log, { ...from, offset: 33 }), expected.slice(count));
      }
      await log.close();
      expect(fileSystem.openFiles).toBe(0);
    }),
    { numRuns: 60 },
  );
  expect(warnings).toEqual([]);
});

test('concurrent appends share flushes and keep their order', async () => {
  const log = await open();
  const payloads = Array.from({ length: 200 }, (_, id) => payloadOf(id, 300));
  const positions = await Promise.all(payloads.map((payload) => log.append(payload)));
  expect(positions.map(({ sequence }) => sequence)).toEqual(payloads.map((_, id) => id + 1));
  expectRecords(
    await readAll(log),
    payloads.map((payload, id) => ({ sequence: id + 1, payload })),
  );
  expect(log.stats()).toMatchObject({
    state: 'writable',
    appends: 200,
    appendedBytes: 60_000,
    queuedBytes: 0,
  });
  expect(log.stats().flushSeconds.count).toBe(1);
  await log.close();
});

test('appends that come while a flush is under way share the next one', async () => {
  const log = await open({ fileSystem: new SimulatedDisk() });
  const appends: Promise<LogPosition>[] = [log.append(payloadOf(0, 10))];
  // The first is on its way to the device by then.
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  for (let id = 1; id <= 50; id++) {
    appends.push(log.append(payloadOf(id, 10)));
    await Promise.resolve();
  }
  await Promise.all(appends);
  expect(log.stats().flushSeconds.count).toBeLessThan(10);
  await log.close();
});

test('flushDelayMs gathers appends of several turns', async () => {
  const log = await open({ flushDelayMs: 40 });
  const appends: Promise<LogPosition>[] = [];
  for (let id = 0; id < 5; id++) {
    appends.push(log.append(payloadOf(id, 10)));
    await new Promise((resolve) => setImmediate(resolve));
  }
  // Closing waits for them.
  await log.close();
  await Promise.all(appends);
  expect(log.stats().flushSeconds.count).toBe(1);
});

test('an append resolves only after the flush', async () => {
  const fileSystem = new SimulatedDisk();
  const log = await open({ fileSystem });
  const events: string[] = [];
  fileSystem.fault = (operation) => void events.push(operation);
  await log.append(payloadOf(1, 10));
  events.push('resolved');
  expect(events.slice(-3)).toEqual(['write', 'sync', 'resolved']);
  await log.close();
});

test('segments are rotated, and removed only where all of them is below the cursor', async () => {
  const log = await open({ segmentBytesMax: 1000 });
  const positions: LogPosition[] = [];
  for (let id = 0; id < 30; id++) positions.push(await log.append(payloadOf(id, 400)));
  const files = await segmentFiles();
  expect(files.length).toBe(10);
  expect(log.stats().segments).toBe(10);
  // A segment holds three of these records: the second one ends with record 6.
  await log.removeBelow(positions[4]!);
  expect(await segmentFiles()).toEqual(files.slice(1));
  await log.removeBelow(positions[5]!);
  expect(await segmentFiles()).toEqual(files.slice(2));
  expect((await readAll(log)).map(({ sequence }) => sequence)[0]).toBe(7);
  expect((await readAll(log, positions[5]!)).length).toBe(24);
  await expect(readAll(log, positions[4]!)).rejects.toMatchObject({
    code: 'LOG_POSITION_REMOVED',
    message: expect.stringMatching(/record 7.*record 5/),
  });
  await log.removeBelow(positions[29]!);
  expect(await segmentFiles()).toEqual(files.slice(9));
  expect(log.stats().segments).toBe(1);
  await log.close();
  const again = await open({ segmentBytesMax: 1000 });
  expect((await again.append(payloadOf(1, 1))).sequence).toBe(31);
  expect(await readAll(again, positions[29]!)).toHaveLength(1);
  await again.close();
});

test('reading goes on with what is appended meanwhile, over segments too', async () => {
  const log = await open({ segmentBytesMax: 500 });
  await log.append(payloadOf(0, 100));
  const read: number[] = [];
  for await (const { position, payload } of log.read(null)) {
    expect(Buffer.compare(payload, payloadOf(read.length, 100))).toBe(0);
    read.push(position.sequence);
    if (read.length < 20) await log.append(payloadOf(read.length, 100));
  }
  expect(read).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  await log.close();
});

test('a reader that stops early leaves no file open', async () => {
  const fileSystem = new SimulatedDisk();
  const log = await open({ fileSystem });
  for (let id = 0; id < 3; id++) await log.append(payloadOf(id, 10));
  for await (const _ of log.read(null)) break;
  expect(fileSystem.openFiles).toBe(1);
  await log.close();
  expect(fileSystem.openFiles).toBe(0);
});

test('sequence numbers up to the stored cursor are never given out again', async () => {
  const log = await open({ fromPosition: { sequence: 41, offset: 5000 } });
  expect(warnings).toEqual([expect.stringMatching(/ends at record 0, but record 41 was there/)]);
  expect(log.end.sequence).toBe(41);
  expect(await readAll(log)).toEqual([]);
  await expect(readAll(log, { sequence: 40, offset: 0 })).rejects.toMatchObject({
    code: 'LOG_POSITION_REMOVED',
  });
  expect((await log.append(payloadOf(0, 10))).sequence).toBe(42);
  expect(await readAll(log, { sequence: 41, offset: 5000 })).toHaveLength(1);
  await log.close();
  const again = await open({ fromPosition: { sequence: 50, offset: 40 } });
  expect((await again.append(payloadOf(0, 10))).sequence).toBe(51);
  expect(await readAll(again, { sequence: 50, offset: 40 })).toHaveLength(1);
  expect(again.stats().quarantinedRecords).toBe(0);
  // Who reads from further back learns of the gap.
  expect((await readAll(again)).map(({ sequence }) => sequence)).toEqual([42, 51]);
  expect(again.stats().quarantinedRecords).toBe(8);
  await again.close();
});

test('too large a record and too many waiting are refused by name', async () => {
  const fileSystem = new SimulatedDisk();
  const log = await open({ fileSystem, retryDelayMs: 0 });
  const large = new Uint8Array(LOG_RECORD_BYTES_MAX + 1);
  await expect(log.append(large)).rejects.toMatchObject({ code: 'LOG_RECORD_TOO_LARGE' });
  const most = large.subarray(1);
  fileSystem.fault = (operation) => {
    if (operation === 'write') throw systemError('ENOSPC');
  };
  const waiting = Array.from({ length: LOG_QUEUE_BYTES_MAX / LOG_RECORD_BYTES_MAX }, () => log.append(most));
  expect(log.stats().queuedBytes).toBe(LOG_QUEUE_BYTES_MAX);
  await expect(log.append(payloadOf(0, 1))).rejects.toMatchObject({
    code: 'LOG_OVERLOADED',
    details: { retryable: true },
  });
  expect((await Promise.allSettled(waiting)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(log.stats().queuedBytes).toBe(0);
  fileSystem.fault = () => {};
  await log.append(payloadOf(0, 1));
  await log.close();
});

test('a closed log refuses, and what was appended before is durable', async () => {
  const log = await open();
  const appended = log.append(payloadOf(0, 10));
  await log.close();
  expect((await appended).sequence).toBe(1);
  await expect(log.append(payloadOf(1, 10))).rejects.toMatchObject({ code: 'LOG_CLOSED' });
  await expect(log.recover()).rejects.toMatchObject({ code: 'LOG_CLOSED' });
  expect(log.stats().state).toBe('closed');
  await log.close();
});

test.each([
  [{ segmentBytesMax: 0 }, 'OPTION_INVALID', /segmentBytesMax/],
  [{ flushDelayMs: -1 }, 'OPTION_INVALID', /flushDelayMs/],
  [{ retryDelayMs: Number.NaN }, 'OPTION_INVALID', /retryDelayMs/],
  [{ fromPosition: { sequence: 1.5, offset: 0 } }, 'LOG_POSITION_INVALID', /1\.5/],
])('%o is refused', async (options, code, message) => {
  await expect(open(options)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});

test('a position that is none is refused', async () => {
  const log = await open();
  for (const position of [{}, { sequence: -1, offset: 0 }, { sequence: 1 }, 'x'] as LogPosition[]) {
    await expect(readAll(log, position)).rejects.toMatchObject({ code: 'LOG_POSITION_INVALID' });
  }
  await log.close();
});
