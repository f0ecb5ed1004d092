import type { BitloomIndex } from 'bitloom';
import { expect } from 'vitest';
import type { IndexDefinition } from '../../src/config/definition.ts';
import { checkContent, checkCounts, checkRejects } from '../../src/validate/model-checks.ts';
import { buildNaiveModel } from '../../src/validate/naive-model.ts';
import type { temporaryDirectory } from '../temporary.ts';

/** Loads the lines as table `rows`; what is loaded has to be what the naive model computes row by row. */
export async function expectModel(
  index: BitloomIndex,
  definition: IndexDefinition,
  temporary: ReturnType<typeof temporaryDirectory>,
  lines: readonly string[],
): Promise<void> {
  const files = { rows: temporary.write('rows.csv', `${lines.join('\n')}\n`) };
  const report = await index.load(files, { threads: 1, maxRejects: Number.POSITIVE_INFINITY });
  const model = await buildNaiveModel(definition, files);
  expect(checkRejects(report.rejects, model)).toMatchObject({ state: 'passed' });
  expect(checkCounts(report, model)).toMatchObject({ state: 'passed' });
  expect(await checkContent(index, model)).toMatchObject({ state: 'passed' });
}
