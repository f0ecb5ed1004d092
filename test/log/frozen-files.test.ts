/** A log as it was at one moment, read beside the process that writes it. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FrozenFiles } from '../../src/log/frozen-files.ts';
import { openOpLog } from '../../src/log/op-log.ts';
import { temporaryDirectory } from '../temporary.ts';
import { readAll } from './log-content.ts';
import { payloadOf } from './log-payload.ts';

const temporary = temporaryDirectory();

test('what is appended, cut off or removed afterwards does not show, and nothing of the writer is touched', async () => {
  const directory = join(temporary.path, 'log');
  // Every record has a segment of its own.
  const writer = await openOpLog(directory, { segmentBytesMax: 1 });
  for (let id = 0; id < 5; id++) await writer.append(payloadOf(id, 40_000));
  const files = await FrozenFiles.freeze(directory);
  const end = await writer.append(payloadOf(5, 10));
  await writer.removeBelow(end);
  const names = await readdir(directory);
  expect(names).toHaveLength(1);
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  for (let reading = 0; reading < 2; reading++) {
    const log = await openOpLog(directory, { fileSystem: files, onWarning });
    const records = await readAll(log);
    expect(records.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5]);
    for (const [id, { payload }] of records.entries()) expect(payload).toEqual(payloadOf(id, 40_000));
    await log.close();
  }
  await files.release();
  expect(warnings).toEqual([]);
  expect(await readdir(directory)).toEqual(names);
  expect((await readAll(writer)).map(({ sequence }) => sequence)).toEqual([6]);
  await writer.close();
});

test('a segment that grows ends where it ended', async () => {
  const directory = join(temporary.path, 'growing');
  const writer = await openOpLog(directory);
  for (let id = 0; id < 3; id++) await writer.append(payloadOf(id, 100));
  const files = await FrozenFiles.freeze(directory);
  for (let id = 3; id < 6; id++) await writer.append(payloadOf(id, 100));
  const log = await openOpLog(directory, { fileSystem: files });
  expect((await readAll(log)).map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  await log.close();
  await files.release();
  await writer.close();
});

test('a directory that is not there has no records and is not made', async () => {
  const directory = join(temporary.path, 'missing');
  const files = await FrozenFiles.freeze(directory);
  const log = await openOpLog(directory, { fileSystem: files });
  expect(await readAll(log)).toEqual([]);
  await log.close();
  await expect(readdir(directory)).rejects.toMatchObject({ code: 'ENOENT' });
});
