import { expect, test } from 'vitest';
import { SOURCE_CHARACTERS_MAX, SOURCES_TRACKED_MAX } from '../../src/limits.ts';
import { SourceProgressTable } from '../../src/server/source-progress.ts';

test('what a batch does not say stays, and zero is said', () => {
  const table = new SourceProgressTable();
  table.applied({ source: 'a', cursor: 5, maxId: 9, lagRows: 4 }, 10);
  table.applied({ source: 'a', lagRows: 0 }, 1);
  expect(table.list()).toMatchObject([{ source: 'a', cursor: 5, maxId: 9, lagRows: 0, entities: 11 }]);
});

test('names cannot fill the memory: those beyond the limits count together', () => {
  const table = new SourceProgressTable();
  for (let i = 0; i < 2 * SOURCES_TRACKED_MAX; i++) table.applied({ source: `source ${i}`, cursor: i }, 1);
  expect(table.applied({ source: 'x'.repeat(SOURCE_CHARACTERS_MAX + 1), cursor: 1 }, 1)).toBe('');
  expect(table.applied(null, 1)).toBe('');
  expect(table.applied({ source: 'source 3', cursor: 77 }, 1)).toBe('source 3');
  const sources = table.list();
  expect(sources).toHaveLength(SOURCES_TRACKED_MAX + 1);
  expect(sources[3]).toMatchObject({ cursor: 77, entities: 2 });
  expect(sources.at(-1)).toMatchObject({ source: '', cursor: null, entities: SOURCES_TRACKED_MAX + 2 });
});
