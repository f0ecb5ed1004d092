import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createVersion } from '../../../src/index/base-version.ts';
import { digestVersion } from '../../../src/index/digest.ts';
import { type IndexDirectory, openDirectory } from '../../../src/index/directory/directory.ts';
import { VERSIONS_KEPT } from '../../../src/limits.ts';
import { nextLine, startFixture } from './child.ts';
import { contentOf, testDefinition } from './content.ts';

let root: string;
let directory: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'bitloom-directory-'));
  directory = path.join(root, 'data');
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function publishAll(...ids: number[]): Promise<void> {
  const opened = await openDirectory(directory);
  for (const id of ids) await opened.publish({ id, definition: testDefinition, segments: contentOf(id) });
  await opened.close();
}

function expectLatest(opened: IndexDirectory, id: number): void {
  const { latest } = opened;
  expect(latest?.id).toBe(id);
  const digest = (segments: ReturnType<typeof contentOf>) =>
    digestVersion(createVersion({ id, definition: testDefinition, segments }));
  expect(digest(latest!.segments)).toEqual(digest(contentOf(id)));
}

async function filesMatching(pattern: RegExp): Promise<string[]> {
  return (await readdir(directory)).filter((file) => pattern.test(file)).sort();
}

test('a new directory is created and holds no version; what is published is there when it is opened again', async () => {
  let opened = await openDirectory(directory);
  expect(opened.latest).toBeNull();
  expect(opened.warnings).toEqual([]);
  const extra = { registry: [{ name: 'dump' }], cursor: 17 };
  await opened.publish({ id: 1, definition: testDefinition, segments: contentOf(1), extra });
  await opened.close();
  opened = await openDirectory(directory);
  expectLatest(opened, 1);
  expect(opened.latest).toMatchObject({
    extra,
    definition: testDefinition.normalised,
    definitionHash: testDefinition.hash,
  });
  await opened.close();
});

test('an index directory is used by one process; reading needs no lock', async () => {
  await publishAll(1);
  const opened = await openDirectory(directory);
  await expect(openDirectory(directory)).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED' });
  const before = await readdir(directory);
  const reader = await openDirectory(directory, { readOnly: true });
  expectLatest(reader, 1);
  expect(await readdir(directory)).toEqual(before);
  await expect(
    reader.publish({ id: 2, definition: testDefinition, segments: contentOf(2) }),
  ).rejects.toMatchObject({ code: 'DIRECTORY_READ_ONLY' });
  await reader.close();
  await opened.close();
  await expect(
    opened.publish({ id: 2, definition: testDefinition, segments: contentOf(2) }),
  ).rejects.toMatchObject({ code: 'DIRECTORY_CLOSED' });
});

test('unchanged segments are shared by versions, old versions and their files go', async () => {
  const opened = await openDirectory(directory);
  const first = contentOf(1);
  await opened.publish({ id: 1, definition: testDefinition, segments: first });
  for (let id = 2; id <= 5; id++) {
    const { alive } = contentOf(id);
    await opened.publish({ id, definition: testDefinition, segments: { alive, fields: first.fields } });
  }
  expect(await filesMatching(/^manifest/)).toHaveLength(VERSIONS_KEPT);
  expect(await filesMatching(/^segment/)).toEqual([
    'segment-1-1.bin',
    'segment-1-2.bin',
    'segment-4-0.bin',
    'segment-5-0.bin',
  ]);
  await opened.publish({ id: 6, definition: testDefinition, segments: contentOf(6) });
  await opened.publish({ id: 7, definition: testDefinition, segments: contentOf(7) });
  // The files of these segments are gone, so they are written again.
  await opened.publish({ id: 8, definition: testDefinition, segments: first });
  await opened.close();
  const reopened = await openDirectory(directory);
  expect(reopened.latest?.id).toBe(8);
  await reopened.publish({ id: 9, definition: testDefinition, segments: reopened.latest!.segments });
  expect(await filesMatching(/^segment-9/)).toEqual([]);
  await reopened.close();
});

test('a version that does not follow the last one is refused', async () => {
  const opened = await openDirectory(directory);
  await opened.publish({ id: 3, definition: testDefinition, segments: contentOf(3) });
  await expect(
    opened.publish({ id: 3, definition: testDefinition, segments: contentOf(3) }),
  ).rejects.toMatchObject({ code: 'VERSION_NOT_NEW' });
  await opened.close();
});

test('a segment or manifest damaged anywhere is named and the version before it is served', async () => {
  await publishAll(1, 2);
  for (const file of await filesMatching(/^(segment|manifest)-2/)) {
    const target = path.join(directory, file);
    const original = await readFile(target);
    const damages: (() => Promise<void>)[] = [
      () => truncate(target, 0),
      () => truncate(target, original.length - 2),
      () => writeFile(target, Buffer.concat([original, Buffer.of(0)])),
      () => rm(target),
    ];
    // A flipped bit in the header, the section directory and all over the rest.
    for (let i = 0; i < 40; i++) {
      const at = i < 10 ? i * 20 : Math.floor((i / 40) * original.length);
      if (at >= original.length || /\s/.test(String.fromCharCode(original[at]))) continue;
      const flipped = Buffer.from(original);
      flipped[at] ^= 1 << (i % 8);
      damages.push(() => writeFile(target, flipped));
    }
    for (const damage of damages) {
      await damage();
      const opened = await openDirectory(directory, { readOnly: true });
      // A removed manifest is a version that never was.
      const isGone = file.startsWith('manifest') && !(await readdir(directory)).includes(file);
      if (!isGone) expect(opened.warnings.join(), file).toContain(target);
      expectLatest(opened, 1);
      await opened.close();
      await writeFile(target, original);
    }
  }
  const opened = await openDirectory(directory);
  expectLatest(opened, 2);
  await opened.close();
});

test('a damaged version keeps its files until the next publish, which takes its place', async () => {
  await publishAll(1, 2);
  await truncate(path.join(directory, 'segment-2-1.bin'), 100);
  const opened = await openDirectory(directory);
  expectLatest(opened, 1);
  expect(await filesMatching(/^manifest/)).toEqual(['manifest-1.json', 'manifest-2.json']);
  await opened.publish({ id: 2, definition: testDefinition, segments: contentOf(2) });
  await opened.close();
  const reopened = await openDirectory(directory);
  expect(reopened.warnings).toEqual([]);
  expectLatest(reopened, 2);
  await reopened.close();
});

test('a damaged version that is newer than the next one goes before the next one is stored', async () => {
  await publishAll(1, 7);
  await truncate(path.join(directory, 'segment-7-1.bin'), 100);
  const opened = await openDirectory(directory);
  await mkdir(path.join(directory, 'manifest-2.json.tmp', 'in-the-way'), { recursive: true });
  await expect(
    opened.publish({ id: 2, definition: testDefinition, segments: contentOf(2) }),
  ).rejects.toMatchObject({ code: 'SNAPSHOT_WRITE_FAILED' });
  expect(await filesMatching(/^manifest-.*json$/)).toEqual(['manifest-1.json']);
  await opened.close();
});

test('without any whole version the damaged files are named', async () => {
  await publishAll(1, 2);
  await truncate(path.join(directory, 'segment-1-1.bin'), 100);
  await rm(path.join(directory, 'segment-2-0.bin'));
  const opening = openDirectory(directory);
  await expect(opening).rejects.toMatchObject({ code: 'SNAPSHOT_CORRUPT' });
  await expect(opening).rejects.toThrow('segment-1-1.bin: 100 bytes instead of');
  await expect(opening).rejects.toThrow('segment-2-0.bin: missing');
  // The failed opening has given the lock back.
  await expect(openDirectory(directory)).rejects.toMatchObject({ code: 'SNAPSHOT_CORRUPT' });
});

test('leftovers of a publish cut short are removed at opening, other files stay', async () => {
  await publishAll(1);
  const leftovers = ['segment-2-0.bin', 'segment-2-1.bin.tmp', 'manifest-2.json.tmp'];
  for (const file of [...leftovers, 'notes.txt', 'segment.bin'])
    await writeFile(path.join(directory, file), 'x');
  const opened = await openDirectory(directory);
  expect(opened.warnings).toEqual([]);
  await opened.close();
  expect(await readdir(directory)).toEqual(expect.arrayContaining(['notes.txt', 'segment.bin']));
  for (const file of leftovers) expect(await readdir(directory)).not.toContain(file);
});

test('a failed publish leaves the version before it and no trace', async () => {
  const opened = await openDirectory(directory);
  await opened.publish({ id: 1, definition: testDefinition, segments: contentOf(1) });
  const before = (await readdir(directory)).sort();
  for (const blocked of ['segment-2-1.bin', 'manifest-2.json.tmp']) {
    // A directory in the place of the file makes its rename fail, as a full disk would.
    await mkdir(path.join(directory, blocked, 'in-the-way'), { recursive: true });
    await expect(
      opened.publish({ id: 2, definition: testDefinition, segments: contentOf(2) }),
    ).rejects.toMatchObject({ code: 'SNAPSHOT_WRITE_FAILED', cause: { code: expect.any(String) } });
    await rm(path.join(directory, blocked), { recursive: true });
    expect((await readdir(directory)).sort()).toEqual(before);
  }
  await opened.publish({ id: 2, definition: testDefinition, segments: contentOf(2) });
  await opened.close();
  const reopened = await openDirectory(directory);
  expectLatest(reopened, 2);
  await reopened.close();
});

test('what is not an index directory is refused and left alone', async () => {
  await expect(openDirectory(directory, { readOnly: true })).rejects.toMatchObject({
    code: 'DIRECTORY_MISSING',
  });
  await mkdir(directory);
  await writeFile(path.join(directory, 'thesis.tex'), 'x');
  const opening = openDirectory(directory);
  await expect(opening).rejects.toMatchObject({ code: 'DIRECTORY_FOREIGN' });
  await expect(opening).rejects.toThrow('thesis.tex');
  expect(await readdir(directory)).toEqual(['thesis.tex']);
  const file = path.join(directory, 'thesis.tex');
  await expect(openDirectory(file)).rejects.toMatchObject({ code: 'DIRECTORY_UNUSABLE' });
  await expect(openDirectory(file, { readOnly: true })).rejects.toMatchObject({ code: 'DIRECTORY_UNUSABLE' });
  await expect(openDirectory(path.join(file, 'data'))).rejects.toMatchObject({ code: 'DIRECTORY_UNUSABLE' });
});

test('the format of a newer program is an error, never passed over', async () => {
  await publishAll(1);
  const manifest = path.join(directory, 'manifest-2.json');
  const { crc32 } = await import('node:zlib');
  const content = { format: 'bitloom-manifest', formatVersion: 99 };
  await writeFile(manifest, JSON.stringify({ crc32: crc32(JSON.stringify(content)), ...content }));
  await expect(openDirectory(directory)).rejects.toMatchObject({ code: 'DIRECTORY_FORMAT' });
  await rm(manifest);
  await writeFile(path.join(directory, 'bitloom.json'), '{"format":"bitloom-index","formatVersion":2}');
  for (const readOnly of [true, false]) {
    await expect(openDirectory(directory, { readOnly })).rejects.toMatchObject({ code: 'DIRECTORY_FORMAT' });
  }
  await writeFile(path.join(directory, 'bitloom.json'), '{"format":"other"}');
  await expect(openDirectory(directory)).rejects.toMatchObject({ code: 'DIRECTORY_FOREIGN' });
});

test('a process killed while publishing leaves a whole version, at least the last that it called durable', async () => {
  let durable = 0;
  for (let round = 0; round < 6; round++) {
    const child = startFixture('publish-forever.ts', directory);
    const until = durable + 1 + (round % 3);
    while (durable < until) durable = Number(await nextLine(child));
    await new Promise((resolve) => setTimeout(resolve, round * 3));
    await child.kill();
    for await (const line of child.lines) durable = Number(line);
    const opened = await openDirectory(directory);
    expect(opened.warnings).toEqual([]);
    expect(opened.latest!.id).toBeGreaterThanOrEqual(durable);
    durable = opened.latest!.id;
    expectLatest(opened, durable);
    expect(opened.latest!.extra).toEqual({ cursor: durable });
    await opened.close();
    for (const file of await readdir(directory)) {
      expect(file).toMatch(/^(bitloom\.json|manifest-\d+\.json|segment-\d+-\d+\.bin)$/);
    }
  }
});

test('a reader without the lock finds whole versions while a writer replaces them', async () => {
  const child = startFixture('publish-forever.ts', directory);
  await nextLine(child);
  for (let round = 0; round < 30; round++) {
    const opened = await openDirectory(directory, { readOnly: true });
    expectLatest(opened, opened.latest!.id);
    await opened.close();
  }
  await child.kill();
});

test('files are as large as their segments', async () => {
  await publishAll(1);
  const { alive } = contentOf(1);
  expect((await stat(path.join(directory, 'segment-1-0.bin'))).size).toBe(alive.byteLength);
});
