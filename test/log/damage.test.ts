/** Logs cut short and bytes flipped, every one in turn: nothing outside the damaged record is lost. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openOpLog } from '../../src/log/op-log.ts';
import { areSame, expectRecords, type ReadBack, readAll } from './log-content.ts';
import { payloadOf } from './log-payload.ts';
import { SimulatedDisk, systemError } from './simulated-disk.ts';

const DIRECTORY = '/log';
const BLOCK = 32_768;

interface Written extends ReadBack {
  /** Byte range in the segment, padding before it included. */
  start: number;
  end: number;
}

interface Content {
  file: string;
  bytes: Buffer;
  records: Written[];
}

/** A log of one segment. */
async function writeLog(sizes: readonly number[]): Promise<Content> {
  const disk = new SimulatedDisk();
  const log = await openOpLog(DIRECTORY, { fileSystem: disk });
  const records: Written[] = [];
  let start = 32;
  for (const [id, bytes] of sizes.entries()) {
    const payload = payloadOf(id, bytes);
    const { sequence, offset } = await log.append(payload);
    records.push({ sequence, payload, start, end: offset });
    start = offset;
  }
  await log.close();
  const [[file, bytes]] = [...disk.contents()] as [[string, Buffer]];
  return { file, bytes: Buffer.from(bytes), records };
}

/** Small records and records over several blocks; the second block has a bit of everything, padding included. */
const SIZES = [100, 20_000, 25_000, 0, 1, 3000, 100, 100, 7000, 12, 4984, 5, 2500, 10_000, 10, 200];

function diskWith(...files: [string, Buffer][]): SimulatedDisk {
  const disk = new SimulatedDisk();
  for (const [file, bytes] of files) disk.put(file, bytes);
  return disk;
}

function quarantined(disk: SimulatedDisk): { name: string; content: Buffer }[] {
  return [...disk.contents()]
    .filter(([file]) => file.includes('/quarantine/'))
    .map(([file, content]) => ({ name: path.basename(file), content }));
}

/** Opens, reads, and returns what was found; whatever happened, the log takes another record and reads it. */
async function openAndRead(disk: SimulatedDisk) {
  const warnings: string[] = [];
  const log = await openOpLog(DIRECTORY, {
    fileSystem: disk,
    onWarning: (message) => warnings.push(message),
  });
  const { tornBytes } = log.stats();
  const found = await readAll(log);
  const quarantinedAtOpening = log.stats().quarantinedRecords;
  const payload = payloadOf(77, 50);
  const { sequence } = await log.append(payload);
  const after = await readAll(log);
  expectRecords(after, [...found, { sequence, payload }]);
  expect(log.stats().quarantinedRecords).toBe(quarantinedAtOpening);
  await log.close();
  return { found, warnings, tornBytes, sequence, quarantinedRecords: quarantinedAtOpening };
}

test('a log cut at every byte of its last 4 KiB keeps every record before the cut, and sets nothing aside', async () => {
  const { file, bytes, records } = await writeLog([33_000, 300, 0, 1, 900, 5, 1200, 40, 1500]);
  let torn = 0;
  for (let cut = bytes.length - 4096; cut <= bytes.length; cut++) {
    const disk = diskWith([file, bytes.subarray(0, cut)]);
    const whole = records.filter(({ end }) => end <= cut);
    const { found, warnings, tornBytes, sequence } = await openAndRead(disk);
    expectRecords(found, whole);
    expect(warnings).toEqual([]);
    expect(tornBytes).toBe(cut - whole.at(-1)!.end);
    expect(sequence).toBe(whole.length + 1);
    expect(quarantined(disk)).toEqual([]);
    if (tornBytes > 0) torn++;
  }
  expect(torn).toBeGreaterThan(4000);
});

test('a log cut at every byte up to its first records opens', async () => {
  const { file, bytes, records } = await writeLog([10, 20]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const { found, warnings } = await openAndRead(diskWith([file, bytes.subarray(0, cut)]));
    expectRecords(
      found,
      records.filter(({ end }) => end <= cut),
    );
    expect(warnings).toEqual([]);
  }
});

/** Every byte takes some minutes on real files, so the suite takes every so many; BITLOOM_LOG_DAMAGE=all takes each. */
const isEveryByte = process.env.BITLOOM_LOG_DAMAGE === 'all';
const CUT_STEP = isEveryByte ? 1 : 13;
const FLIP_STEP = isEveryByte ? 1 : 101;

/** Runs in a directory on the disk, with the segment under the name it was written by. */
async function onRealFiles(
  file: string,
  use: (directory: string, segment: string) => Promise<void>,
): Promise<void> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'bitloom-log-'));
  try {
    await use(root, path.join(root, path.basename(file)));
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

test(`the same on real files: cut at every byte (by ${CUT_STEP}) of the last 4 KiB`, async () => {
  const { file, bytes, records } = await writeLog([33_000, 300, 0, 1, 900, 5, 1200, 40, 1500]);
  let torn = 0;
  for (let cut = bytes.length - 4096; cut <= bytes.length; cut += CUT_STEP) {
    await onRealFiles(file, async (directory, segment) => {
      await writeFile(segment, bytes.subarray(0, cut));
      const whole = records.filter(({ end }) => end <= cut);
      const warnings: string[] = [];
      const log = await openOpLog(directory, { onWarning: (message) => warnings.push(message) });
      expectRecords(await readAll(log), whole);
      expect(log.stats().tornBytes).toBe(cut - whole.at(-1)!.end);
      expect((await readFile(segment)).length).toBe(whole.at(-1)!.end);
      // It goes on where it was cut, and says the same when it is opened again.
      const payload = payloadOf(77, 50);
      const { sequence } = await log.append(payload);
      expect(sequence).toBe(whole.length + 1);
      await log.close();
      const again = await openOpLog(directory, { onWarning: (message) => warnings.push(message) });
      expectRecords(await readAll(again), [...whole, { sequence, payload }]);
      if (log.stats().tornBytes > 0) torn++;
      await again.close();
      expect(warnings).toEqual([]);
      expect(await readdir(directory)).toEqual([path.basename(file)]);
    });
  }
  expect(torn).toBeGreaterThan(4000 / CUT_STEP);
}, 600_000);

test(`the same on real files: every byte (by ${FLIP_STEP}) of a block flipped, in the last segment and before it`, async () => {
  const { file, bytes, records } = await writeLog(SIZES);
  let hits = 0;
  for (let at = BLOCK; at < 2 * BLOCK; at += FLIP_STEP) {
    const isLast = Math.floor(at / FLIP_STEP) % 2 === 0;
    await onRealFiles(file, async (directory, segment) => {
      await writeFile(segment, bytes);
      const expected: ReadBack[] = [...records];
      if (!isLast) {
        const log = await openOpLog(directory, { segmentBytesMax: 1 });
        const payload = payloadOf(1, 10);
        expected.push({ sequence: (await log.append(payload)).sequence, payload });
        await log.close();
      }
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1 << (at % 8);
      await writeFile(segment, flipped);
      const log = await openOpLog(directory);
      const found = await readAll(log);
      const { quarantinedRecords, tornBytes } = log.stats();
      await log.close();
      const hit = records.find(({ start, end }) => at >= start && at < end)!;
      const isLost = found.length < expected.length;
      // Padding is nobody's.
      if (!isLost) expect(bytes[at]).toBe(0);
      expectRecords(found, isLost ? expected.filter(({ sequence }) => sequence !== hit.sequence) : expected);
      expect({ quarantinedRecords, tornBytes }).toEqual({ quarantinedRecords: isLost ? 1 : 0, tornBytes: 0 });
      // The segment is not changed, and its damage is set aside on the disk.
      expect((await readFile(segment)).equals(flipped)).toBe(true);
      if (isLost) {
        hits++;
        const aside = await readdir(path.join(directory, 'quarantine'));
        expect(aside.map((name) => path.extname(name)).sort()).toEqual(['.bin', '.json']);
      }
    });
  }
  expect(hits).toBeGreaterThan(BLOCK / FLIP_STEP - 24);
}, 3_600_000);

test.each([
  { place: 'the last segment', step: 1 },
  { place: 'a segment before', step: 7 },
])(
  'every byte (by $step) of a block in $place flipped in turn costs the record it is in and no other',
  async ({ place, step }) => {
    const { file, bytes, records } = await writeLog(SIZES);
    const second: [string, Buffer][] = [];
    if (place !== 'the last segment') {
      const disk = diskWith([file, bytes]);
      const log = await openOpLog(DIRECTORY, { fileSystem: disk, segmentBytesMax: 1 });
      const payload = payloadOf(1, 10);
      const { sequence } = await log.append(payload);
      records.push({ sequence, payload, start: 0, end: 0 });
      await log.close();
      second.push(...[...disk.contents()].filter(([name]) => name !== file));
    }
    const flipped = Buffer.from(bytes);
    const wrong: number[] = [];
    let hits = 0;
    for (let at = BLOCK; at < 2 * BLOCK; at += step) {
      flipped[at] = bytes[at]! ^ (1 << (at % 8));
      const disk = diskWith([file, flipped], ...second);
      const log = await openOpLog(DIRECTORY, { fileSystem: disk });
      const found = await readAll(log);
      const { quarantinedRecords, tornBytes } = log.stats();
      await log.close();
      flipped[at] = bytes[at]!;
      const hit = records.find(({ start, end }) => at >= start && at < end)!;
      const isLost = found.length < records.length;
      // Padding is nobody's.
      const isRight =
        areSame(found, isLost ? records.filter((record) => record !== hit) : records) &&
        quarantinedRecords === (isLost ? 1 : 0) &&
        tornBytes === 0 &&
        (isLost || bytes[at] === 0);
      if (!isRight) wrong.push(at);
      if (isLost) hits++;
    }
    expect(wrong).toEqual([]);
    expect(hits).toBeGreaterThan(BLOCK / step - 24);
  },
  120_000,
);

test('a flipped byte anywhere in the file header costs nothing and is told', async () => {
  const { file, bytes, records } = await writeLog([10, 20, 30]);
  for (let at = 0; at < 32; at++) {
    const flipped = Buffer.from(bytes);
    flipped[at]! ^= 0x10;
    const { found, warnings, quarantinedRecords } = await openAndRead(diskWith([file, flipped]));
    expectRecords(found, records);
    expect(quarantinedRecords).toBe(0);
    expect(warnings).toEqual([expect.stringMatching(/header is damaged; no record is lost/)]);
  }
});

test('a damaged last record is set aside, not taken for a torn tail, and its number is not given out again', async () => {
  const { file, bytes, records } = await writeLog([100, 200, 300]);
  const last = records[2]!;
  for (const at of [last.start, last.start + 17, last.start + 30, last.end - 1]) {
    const flipped = Buffer.from(bytes);
    flipped[at]! ^= 1;
    const disk = diskWith([file, flipped]);
    const { found, warnings, tornBytes, sequence, quarantinedRecords } = await openAndRead(disk);
    expectRecords(found, records.slice(0, 2));
    expect({ tornBytes, sequence, quarantinedRecords }).toEqual({
      tornBytes: 0,
      sequence: 4,
      quarantinedRecords: 1,
    });
    expect(warnings).toEqual([expect.stringMatching(/records 3 to 3 \(1\) are lost/)]);
    expect(disk.contents().get(file)).toEqual(flipped);
    const [bin, json] = quarantined(disk);
    expect(bin!.content.equals(flipped.subarray(last.start, last.end))).toBe(true);
    expect(JSON.parse(json!.content.toString())).toMatchObject({
      file: path.basename(file),
      start: last.start,
      end: last.end,
      lostFrom: 3,
      lostThrough: 3,
      isCopied: true,
    });
    // Opened again, it is still there to see, counted again and copied once.
    const again = await openAndRead(disk);
    expect(again.found.map((record) => record.sequence)).toEqual([1, 2, 4]);
    expect(again.quarantinedRecords).toBe(1);
    expect(quarantined(disk)).toHaveLength(2);
  }
});

test('zeros behind the last record are a write that never happened', async () => {
  const { file, bytes, records } = await writeLog([100, 40_000]);
  const zeros = Buffer.alloc(5000);
  for (const kept of [bytes, bytes.subarray(0, BLOCK)]) {
    const { found, warnings, tornBytes } = await openAndRead(diskWith([file, Buffer.concat([kept, zeros])]));
    const whole = kept === bytes ? records : records.slice(0, 1);
    expectRecords(found, whole);
    expect(warnings).toEqual([]);
    expect(tornBytes).toBe(kept.length + zeros.length - whole.at(-1)!.end);
  }
});

test('whole blocks lost cost their records, and reading goes on behind them', async () => {
  const sizes = Array.from({ length: 200 }, (_, id) => (id * 37) % 1500);
  const { file, bytes, records } = await writeLog(sizes);
  for (const fill of [0, 0xff, 0x5a]) {
    const damaged = Buffer.from(bytes);
    damaged.fill(fill, BLOCK, 3 * BLOCK);
    const { found, quarantinedRecords } = await openAndRead(diskWith([file, damaged]));
    const kept = records.filter(({ start, end }) => end <= BLOCK || start >= 3 * BLOCK);
    expect(kept.at(-1)!.sequence).toBe(200);
    expectRecords(found, kept);
    expect(quarantinedRecords).toBe(200 - kept.length);
  }
});

test('blocks in each others place are noticed', async () => {
  const { file, bytes, records } = await writeLog([100, 4 * BLOCK, 100]);
  const swapped = Buffer.from(bytes);
  bytes.copy(swapped, BLOCK, 2 * BLOCK, 3 * BLOCK);
  bytes.copy(swapped, 2 * BLOCK, BLOCK, 2 * BLOCK);
  const { found, quarantinedRecords } = await openAndRead(diskWith([file, swapped]));
  expectRecords(found, [records[0]!, records[2]!]);
  expect(quarantinedRecords).toBe(1);
});

test('a payload that looks like the log itself is not taken for records when the header before it is damaged', async () => {
  const disk = new SimulatedDisk();
  const log = await openOpLog(DIRECTORY, { fileSystem: disk });
  await log.append(payloadOf(0, 100));
  const [[file, before]] = [...disk.contents()] as [[string, Buffer]];
  const other = await writeLog([1, 2, 3, 4, 5, 6]);
  // The log so far, whose salt is right, and another one with higher sequence numbers, whose salt is not.
  await log.append(Buffer.concat([before, other.bytes]));
  const { offset } = await log.append(payloadOf(2, 100));
  await log.close();
  const damaged = Buffer.from(disk.contents().get(file)!);
  expect(offset).toBe(damaged.length);
  damaged[before.length + 4]! ^= 1;
  const { found, quarantinedRecords } = await openAndRead(diskWith([file, damaged]));
  expectRecords(found, [
    { sequence: 1, payload: payloadOf(0, 100) },
    { sequence: 3, payload: payloadOf(2, 100) },
  ]);
  expect(quarantinedRecords).toBe(1);
});

test('a segment that is gone, or ends too early, is counted and the next one is read', async () => {
  const disk = new SimulatedDisk();
  const log = await openOpLog(DIRECTORY, { fileSystem: disk, segmentBytesMax: 1000 });
  for (let id = 0; id < 9; id++) await log.append(payloadOf(id, 400));
  await log.close();
  const files = [...disk.contents()].sort(([a], [b]) => (a < b ? -1 : 1));
  expect(files).toHaveLength(3);
  const [first, second, third] = files as [[string, Buffer], [string, Buffer], [string, Buffer]];
  const gone = await openAndRead(diskWith(first, third));
  expect(gone.found.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 7, 8, 9]);
  expect(gone.quarantinedRecords).toBe(3);
  for (const kept of [1300, 1290, 900, 10, 0]) {
    const short = await openAndRead(diskWith(first, [second[0], second[1].subarray(0, kept)], third));
    const lost = kept >= 880 ? 1 : 3;
    expect(short.found.length).toBe(9 - lost);
    expect(short.quarantinedRecords).toBe(lost);
  }
});

test('a place that the device cannot read costs the records on it', async () => {
  const sizes = Array.from({ length: 200 }, (_, id) => (id * 37) % 1500);
  const { file, bytes, records } = await writeLog(sizes);
  const disk = diskWith([file, bytes]);
  const { open } = disk;
  // A read that touches the second block fails.
  disk.open = async (name, mode) => {
    const handle = await open.call(disk, name, mode);
    const { read } = handle;
    handle.read = async (target, targetOffset, count, position) => {
      if (name === file && position < 2 * BLOCK && position + count > BLOCK) throw systemError('EIO');
      return read(target, targetOffset, count, position);
    };
    return handle;
  };
  const { found, quarantinedRecords } = await openAndRead(disk);
  const kept = records.filter(({ start, end }) => end <= BLOCK || start >= 2 * BLOCK);
  expectRecords(found, kept);
  expect(quarantinedRecords).toBe(200 - kept.length);
});

test('that damage cannot be set aside keeps nothing from being read', async () => {
  const { file, bytes, records } = await writeLog([100, 200, 300]);
  bytes[records[1]!.end - 1]! ^= 1;
  const disk = diskWith([file, bytes]);
  disk.fault = (operation, name) => {
    if (operation === 'write' && name.includes('quarantine')) throw systemError('ENOSPC');
  };
  const { found, warnings } = await openAndRead(disk);
  expectRecords(found, [records[0]!, records[2]!]);
  expect(warnings).toEqual([
    expect.stringMatching(/records 2 to 2/),
    expect.stringMatching(/could not be written: ENOSPC/),
  ]);
});

test('another format version is refused, not taken for damage', async () => {
  const { file, bytes } = await writeLog([10]);
  const { crc32 } = await import('node:zlib');
  bytes.writeUInt32LE(2, 8);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 28), bytes.readUInt32LE(12)), 28);
  await expect(openOpLog(DIRECTORY, { fileSystem: diskWith([file, bytes]) })).rejects.toMatchObject({
    code: 'LOG_FORMAT',
    message: expect.stringMatching(/format version 2/),
  });
});
