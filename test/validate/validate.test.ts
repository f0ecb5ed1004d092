import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseDefinition } from '../../src/config/parse.ts';
import { openIndex } from '../../src/index.ts';
import { buildNaiveModel } from '../../src/validate/naive-model.ts';
import { compareWithModel, validate, validateFiles } from '../../src/validate/validate.ts';
import { formatValidationReport } from '../../src/validate/validation-report.ts';
import { readFixtures } from '../fixtures/fixtures.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder();

test('generated dumps agree in every check, with progress, and leave nothing behind', async () => {
  const steps: string[] = [];
  const report = await validate({
    rows: [300, 1_000],
    seed: 9,
    threads: 2,
    directory: folder.path,
    onProgress: ({ run, step }) => steps.push(`${run}: ${step}`),
  });
  expect(report.runs.flatMap((run) => run.checks).filter((check) => check.state !== 'passed')).toEqual([]);
  expect(report.passed).toBe(true);
  expect(report.runs.map((run) => run.name)).toEqual(['300 images', '1,000 images']);
  expect(steps.slice(0, 5)).toEqual(
    ['generate', 'load', 'model', 'compare', 'duckdb'].map((step) => `300 images: ${step}`),
  );
  expect(readdirSync(folder.path)).toEqual([]);
  expect(formatValidationReport(report)).toContain('Everything agrees.');
});

test('files with rejects are compared row by row', async () => {
  const fixture = readFixtures().find(({ name }) => name === 'numbers')!;
  const report = await validateFiles({
    definition: fixture.definitionPath,
    files: fixture.files,
    directory: folder.path,
  });
  const states = Object.fromEntries(report.runs[0].checks.map(({ name, state }) => [name, state]));
  expect(states).toEqual({
    counts: 'passed',
    rejects: 'passed',
    content: 'passed',
    queries: 'passed',
    duckdb: 'not run',
    reopened: 'passed',
  });
  expect(report.passed).toBe(true);
});

test('a file that is changed between load and model fails the checks it touches, and the report says where', async () => {
  const definition = parseDefinition(
    `
name: tampered
fields: { level: { type: uint32, index: [filter, sort] } }
tables:
  rows:
    csv: { columns: [id, level] }
    slot: id
    alive: true
    fields: { level: level }
`,
    'tampered.yaml',
  );
  const index = await openIndex({ definition: definition.normalised as object, inProcess: true });
  try {
    const file = folder.write('rows.csv', '1,10\n2,20\nbad,1\n3,30\n');
    const report = await index.load({ rows: file }, { maxRejects: 1 });
    folder.write('rows.csv', '1,10\n2,21\n3,30\nbad,1\n3,30\n');
    const model = await buildNaiveModel(definition, { rows: file });
    const checks = await compareWithModel(index, report, report.rejects, model);
    expect(checks.map(({ name, state, detail }) => `${name} ${state}: ${detail}`)).toEqual([
      'counts failed: table rows, rows: the load says 3, the model 4',
      'rejects failed: the load has INVALID_INTEGER in rows, line 3, byte 10, column id, the model INVALID_INTEGER in rows, line 4, byte 15, column id',
      'content failed: filter level, value 21, slot 2: the slot has the value in the model only',
      expect.stringMatching(/^queries failed: \{"where":.*in the model/),
    ]);
    const text = formatValidationReport({
      passed: false,
      runs: [{ name: 'tampered', mode: 'direct', rows: 3, loadMs: 1, modelMs: 1, checks }],
    });
    expect(text).toContain('failed   content  filter level, value 21, slot 2');
    expect(text).toContain('4 checks failed.');
  } finally {
    await index.close();
  }
});
