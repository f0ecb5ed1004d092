import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  type DumpRegistry,
  type DumpRequest,
  type DumpStatus,
  openDumpRegistry,
  type PublishedLoad,
} from '../../src/load/dump-registry.ts';
import { temporaryDirectory } from '../temporary.ts';

const temporary = temporaryDirectory();
let directories = 0;
const newDirectory = (): string => {
  const directory = join(temporary.path, String(directories++));
  mkdirSync(directory);
  return directory;
};

const request: DumpRequest = {
  name: 'monday',
  tables: { images: { file: '/dumps/images.csv', definitionHash: 'abc' } },
  mode: 'replace',
  maxRejects: 0,
};
const counts = { rows: 3, rejectedRows: 1, alive: 2, version: 7 };

const open = (directory: string | null, lastLoad: PublishedLoad | null = null): Promise<DumpRegistry> =>
  openDumpRegistry({ directory, lastLoad, onWarning: (message) => expect.fail(message) });

/** A way from `registered` to each status. */
const WAYS: Record<DumpStatus, DumpStatus[]> = {
  registered: [],
  loading: ['loading'],
  publishing: ['loading', 'publishing'],
  complete: ['loading', 'publishing', 'complete'],
  failed: ['loading', 'failed'],
  cancelled: ['loading', 'cancelled'],
};
const STATUSES = Object.keys(WAYS) as DumpStatus[];
const LEGAL = new Set(
  [
    ['registered loading', 'registered failed', 'registered cancelled'],
    ['loading publishing', 'loading failed', 'loading cancelled'],
    ['publishing complete', 'publishing failed', 'publishing cancelled'],
  ].flat(),
);

async function registryWith(status: DumpStatus, directory: string | null = null): Promise<DumpRegistry> {
  const registry = await open(directory);
  await registry.register(request);
  for (const step of WAYS[status]) await registry.record(request.name, step);
  return registry;
}

test.each(STATUSES.flatMap((from) => STATUSES.map((to) => [from, to] as const)))(
  'from %s to %s: legal or an error that changes nothing',
  async (from, to) => {
    const registry = await registryWith(from);
    const before = registry.get('monday');
    for (const step of ['begin', 'record'] as const) {
      const stepping = (await registryWith(from))[step]('monday', to);
      if (LEGAL.has(`${from} ${to}`)) expect((await stepping).status).toBe(to);
      else await expect(stepping).rejects.toMatchObject({ code: 'DUMP_STATE' });
    }
    expect(registry.get('monday')).toEqual(before);
  },
);

test.each(STATUSES)('a dump that is %s survives reopening, or is settled', async (status) => {
  const directory = newDirectory();
  const before = (await registryWith(status, directory)).get('monday');
  const after = (await open(directory)).get('monday');
  if (status !== 'loading' && status !== 'publishing') {
    expect(after).toEqual(before);
    return;
  }
  expect(after).toMatchObject({ status: 'failed', reason: { code: 'DUMP_INTERRUPTED' }, counts: null });
  expect(after.endedAt).not.toBeNull();
  // It is settled once and for all.
  expect((await open(directory)).get('monday')).toEqual(after);
});

test.each(['registered', 'loading', 'publishing'] as const)(
  'a dump left %s is not complete because another one was published',
  async (status) => {
    const directory = newDirectory();
    await registryWith(status, directory);
    const foreign = await open(directory, { label: 'of another dump', ...counts });
    expect(foreign.get('monday').status).toBe(status === 'registered' ? 'registered' : 'failed');
  },
);

test.each(['registered', 'loading', 'publishing'] as const)(
  'a dump left %s is complete when the manifest names it',
  async (status) => {
    const directory = newDirectory();
    const { id } = (await registryWith(status, directory)).get('monday');
    const registry = await open(directory, { label: id, ...counts });
    expect(registry.get('monday')).toMatchObject({ status: 'complete', counts, reason: null });
  },
);

test('times come with their steps', async () => {
  const registry = await open(null);
  const { entry } = await registry.register(request);
  expect(entry).toMatchObject({ startedAt: null, endedAt: null });
  expect(await registry.begin('monday', 'loading')).toMatchObject({
    startedAt: expect.any(String),
    endedAt: null,
  });
  await registry.record('monday', 'publishing');
  expect(await registry.record('monday', 'complete', { counts })).toMatchObject({
    counts,
    endedAt: expect.any(String),
  });
});

test.each(STATUSES)('registering again what is %s', async (status) => {
  const registry = await registryWith(status);
  const before = registry.get('monday');
  const { entry, isNew } = await registry.register({ ...request });
  if (status === 'failed' || status === 'cancelled') {
    expect(isNew).toBe(true);
    expect(entry).toMatchObject({ status: 'registered', reason: null, startedAt: null, endedAt: null });
    expect(entry.id).not.toBe(before.id);
    return;
  }
  expect({ entry, isNew }).toEqual({ entry: before, isNew: false });
  for (const other of [
    { ...request, mode: 'merge' as const },
    { ...request, maxRejects: null },
    { ...request, tables: {} },
    { ...request, tables: { images: { file: '/dumps/other.csv', definitionHash: 'abc' } } },
    { ...request, tables: { images: { file: '/dumps/images.csv', definitionHash: 'other' } } },
    { ...request, tables: { constructor: { file: '/dumps/images.csv', definitionHash: 'abc' } } },
  ]) {
    await expect(registry.register(other)).rejects.toMatchObject({ code: 'DUMP_EXISTS' });
  }
});

test.each(STATUSES)('only what has ended can be removed: %s', async (status) => {
  const directory = newDirectory();
  const registry = await registryWith(status, directory);
  if (['complete', 'failed', 'cancelled'].includes(status)) {
    await registry.remove('monday');
    expect(registry.list()).toEqual([]);
    expect((await open(directory)).list()).toEqual([]);
  } else {
    await expect(registry.remove('monday')).rejects.toMatchObject({ code: 'DUMP_STATE' });
    expect(registry.list()).toHaveLength(1);
  }
});

test('names', async () => {
  const registry = await open(null);
  for (const name of ['', '.', '..', 'a/b', '-a', 'a b', 'é', 'x'.repeat(129), 'a\n']) {
    expect(() => registry.register({ ...request, name }), JSON.stringify(name)).toThrow(
      expect.objectContaining({ code: 'DUMP_NAME_INVALID' }),
    );
  }
  for (const name of ['a', '2026-11-20.full_v2', 'constructor', 'x'.repeat(128)]) {
    expect((await registry.register({ ...request, name })).isNew).toBe(true);
  }
  expect(() => registry.get('toString')).toThrow(expect.objectContaining({ code: 'DUMP_UNKNOWN' }));
});

test('concurrent changes take turns', async () => {
  const directory = newDirectory();
  const registry = await open(directory);
  const names = Array.from({ length: 20 }, (_, i) => `dump-${i}`);
  await Promise.all(names.map((name) => registry.register({ ...request, name })));
  expect((await open(directory)).list().map(({ name }) => name)).toEqual(names);
});

test.each([
  ['cut', (text: string) => text.slice(0, -20)],
  ['flipped', (text: string) => text.replace('registered', 'complete\u0020\u0020')],
  ['empty', () => ''],
  ['null', () => 'null'],
])('a file that is %s is an error that names it, and is left alone', async (_what, damage) => {
  const directory = newDirectory();
  await registryWith('registered', directory);
  const file = join(directory, 'dumps.json');
  const damaged = damage(readFileSync(file, 'utf8'));
  writeFileSync(file, damaged);
  await expect(open(directory)).rejects.toMatchObject({
    code: 'DUMP_REGISTRY_UNREADABLE',
    message: expect.stringContaining(file),
  });
  expect(readFileSync(file, 'utf8')).toBe(damaged);
});

test('when the file cannot be written, promises are refused and what has happened stands', async () => {
  const directory = newDirectory();
  const warnings: string[] = [];
  const registry = await openDumpRegistry({
    directory,
    lastLoad: null,
    onWarning: (message) => warnings.push(message),
  });
  await registry.register(request);
  rmSync(directory, { recursive: true });
  await expect(registry.register({ ...request, name: 'tuesday' })).rejects.toMatchObject({
    code: 'DUMP_REGISTRY_UNWRITABLE',
  });
  await expect(registry.begin('monday', 'loading')).rejects.toMatchObject({
    code: 'DUMP_REGISTRY_UNWRITABLE',
  });
  expect(registry.list()).toMatchObject([{ name: 'monday', status: 'registered' }]);
  await registry.record('monday', 'failed', { reason: { code: 'X', message: 'y' } });
  expect(registry.get('monday').status).toBe('failed');
  expect(warnings).toHaveLength(1);
  // The next write that succeeds has it all.
  mkdirSync(directory);
  await registry.flush();
  expect((await open(directory)).get('monday').status).toBe('failed');
  expect(existsSync(join(directory, 'dumps.json.tmp'))).toBe(false);
});
