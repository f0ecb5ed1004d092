/** The label of a load becomes durable with what it published, and stays until the next dump. */
import { join } from 'node:path';
import { openIndex } from 'bitloom';
import { beforeAll, expect, test } from 'vitest';
import { generateDump } from '../../src/generate/generate.ts';
import { temporaryDirectory } from '../temporary.ts';

const temporary = temporaryDirectory();
const definition = join(temporary.path, 'index.yaml');
const images = join(temporary.path, 'images.csv');
const directory = join(temporary.path, 'data');

beforeAll(() => generateDump({ rows: 1000, out: temporary.path }));

test('the last load is told by stats, across reopening, and a failed load leaves it', async () => {
  const first = await openIndex({ definition, directory, inProcess: true });
  expect((await first.stats()).lastLoad).toBeNull();
  await first.load({ images }, { threads: 1, label: 'monday' });
  await expect(first.load({ images: `${images}.missing` }, { label: 'tuesday' })).rejects.toThrow();
  await first.close();
  const second = await openIndex({ directory, inProcess: true });
  try {
    const lastLoad = { label: 'monday', version: 1, rows: 1000, rejectedRows: 0, alive: 1000 };
    expect((await second.stats()).lastLoad).toEqual(lastLoad);
    await second.load({ images }, { threads: 1, mode: 'merge' });
    expect((await second.stats()).lastLoad).toEqual({ ...lastLoad, label: null, version: 2 });
    await expect(second.load({ images }, { label: 'x'.repeat(257) })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
    });
  } finally {
    await second.close();
  }
});
