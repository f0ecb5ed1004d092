/** The loader against the fixtures: hard CSV with results worked out by hand, under every way of cutting the files. */

import { type BitloomIndex, openIndex, type Where } from 'bitloom';
import { expect, test } from 'vitest';
import { type Fixture, readFixtures } from '../fixtures/fixtures.ts';

/** `chunkLines: 1` cuts as often as can be, mostly inside records. */
const CUTS = [{}, { chunkLines: 1 }, { chunkLines: 2 }];

async function slotsWhere(index: BitloomIndex, where: Where): Promise<number[]> {
  return (await index.query({ where, take: 10_000 })).ids;
}

async function expectFixture(index: BitloomIndex, { expected, files }: Fixture, cut: object): Promise<void> {
  const report = await index.load(files, { maxRejects: Number.POSITIVE_INFINITY, threads: 2, ...cut });
  expect(
    report.rejects.map(({ table, line, byteOffset, column, code }) => ({
      table,
      line,
      byteOffset,
      column,
      code,
    })),
  ).toEqual(expected.rejects);
  for (const [table, counts] of Object.entries(expected.tables))
    expect(report.tables[table]).toMatchObject(counts);
  expect(await slotsWhere(index, {})).toEqual(expected.alive);
  const alive = new Set(expected.alive);
  for (const [field, values] of Object.entries(expected.fields)) {
    for (const [value, slots] of values) {
      const visible = slots.filter((slot) => alive.has(slot));
      expect(await slotsWhere(index, { [field]: value }), `${field} = ${value}`).toEqual(visible);
    }
  }
  expect((await index.stats({ digest: true })).digest?.index).toBe(expected.digest);
}

for (const fixture of readFixtures()) {
  test(`fixture ${fixture.name} loads as expected however it is cut`, async () => {
    const index = await openIndex({ definition: fixture.definitionPath, inProcess: true });
    try {
      for (const cut of CUTS) {
        if (fixture.expected.loadError === undefined) await expectFixture(index, fixture, cut);
        else
          await expect(index.load(fixture.files)).rejects.toMatchObject({ code: fixture.expected.loadError });
      }
    } finally {
      await index.close();
    }
  });
}
