import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { createVersion, emptyVersion } from '../../src/index/base-version.ts';
import { digestVersion } from '../../src/index/digest.ts';
import { buildAlive, buildFilter, buildSort, definitionOf, fieldOf } from './model.ts';

const definition = definitionOf([
  fieldOf('userId', 'uint32', 'filter'),
  fieldOf('type', 'string', 'filter'),
  fieldOf('createdAt', 'timestamp', 'sort'),
]);

test('threads read the same segments at the same time', async () => {
  const slots = Array.from({ length: 3000 }, (_, i) => i * 37);
  const options = {
    id: 1,
    definition,
    segments: {
      alive: buildAlive(slots),
      fields: {
        userId: {
          filter: buildFilter(
            new Map([
              [1, new Set(slots)],
              [2, new Set([5])],
            ]),
          ),
        },
        createdAt: { sort: buildSort(new Map(slots.map((slot) => [slot, slot * 3]))) },
      },
    },
  };
  // A thread takes a .ts file only through the loader, which has to be registered inside it first.
  const fixture = new URL('fixtures/digest-worker.ts', import.meta.url).href;
  const source = `import('tsx/esm/api').then(({ register }) => (register(), import(${JSON.stringify(fixture)})))`;
  const worker = () => new Worker(source, { eval: true, workerData: options });
  const threads = [worker(), worker()];
  const digests = await Promise.all(threads.map((thread) => once(thread, 'message')));
  await Promise.all(threads.map((thread) => thread.terminate()));
  const own = digestVersion(createVersion(options));
  expect(digests).toEqual([[own], [own]]);
});

test('a field of the definition without segments is empty, any other field is unknown', () => {
  const version = emptyVersion(3, definition);
  expect([version.id, version.aliveCount]).toEqual([3, 0]);
  expect(version.filter('userId')!.valueCount).toBe(0);
  expect(version.sort('createdAt')!.present.size).toBe(0);
  expect(version.dictionary('type')!.size).toBe(0);
  expect(version.withinAlive('userId')).toBe(true);
  expect([version.sort('userId'), version.filter('createdAt'), version.dictionary('userId')]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test('a segment in the place of another kind is refused', () => {
  const segments = { alive: buildFilter(new Map()), fields: {} };
  expect(() => createVersion({ id: 1, definition, segments })).toThrow('kind 2 where a bitmap is expected');
});
