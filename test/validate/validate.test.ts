import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseDefinition } from '../../src/config/parse.ts';
import { openIndex } from '../../src/index.ts';
import { checkSame } from '../../src/validate/model-checks.ts';
import { VALIDATION_MODES } from '../../src/validate/modes.ts';
import { buildNaiveModel } from '../../src/validate/naive-model.ts';
import { compareWithModel, validate, validateFiles } from '../../src/validate/validate.ts';
import { formatValidationReport } from '../../src/validate/validation-report.ts';
import { readFixtures } from '../fixtures/fixtures.ts';
import { temporaryDirectory } from '../temporary.ts';

const folder = temporaryDirectory();

test('generated dumps agree in every check of every mode, with progress, and leave nothing behind', async () => {
  const steps: string[] = [];
  const report = await validate({
    rows: [300, 1_000],
    seed: 9,
    threads: 2,
    directory: folder.path,
    onProgress: ({ run, mode, step }) => steps.push(`${run}, ${mode}: ${step}`),
  });
  expect(report.runs.flatMap((run) => run.checks).filter((check) => check.state !== 'passed')).toEqual([]);
  expect(report.passed).toBe(true);
  expect(report.runs.map(({ name, mode }) => `${name} ${mode}`)).toEqual(
    ['300 images', '1,000 images'].flatMap((name) => VALIDATION_MODES.map((mode) => `${name} ${mode}`)),
  );
  for (const [at, { checks, digest }] of report.runs.entries()) {
    const first = at % VALIDATION_MODES.length === 0;
    expect(checks.map(({ name }) => name)).toEqual(
      first
        ? ['counts', 'rejects', 'content', 'queries', 'duckdb', 'reopened']
        : ['counts', 'content', 'queries', 'reopened', 'same'],
    );
    expect(digest).toBe(report.runs[at < VALIDATION_MODES.length ? 0 : VALIDATION_MODES.length].digest);
  }
  expect(steps.slice(0, 8)).toEqual([
    '300 images, null: generate',
    ...['load', 'model', 'compare', 'duckdb'].map((step) => `300 images, direct: ${step}`),
    ...['load', 'compare'].map((step) => `300 images, log: ${step}`),
    '300 images, steady: load',
  ]);
  expect(readdirSync(folder.path)).toEqual([]);
  const text = formatValidationReport(report);
  expect(text).toContain('1,000 images, alive: direct 1,000, log 1,000, steady 1,000, model 1,000');
  expect(text).toContain('Everything agrees.');
});

test.each(
  readFixtures()
    .filter(({ expected }) => expected.loadError === undefined)
    .map((fixture) => [fixture.name, fixture] as const),
)('fixture %s agrees as ops', async (_, fixture) => {
  const report = await validateFiles({
    definition: fixture.definitionPath,
    files: fixture.files,
    directory: folder.path,
    modes: ['log', 'steady'],
  });
  expect(report.runs.map(({ mode }) => mode)).toEqual(['log', 'steady']);
  const failed = report.runs.flatMap((run) => run.checks).filter(({ state }) => state === 'failed');
  expect(failed).toEqual([]);
  for (const { digest } of report.runs) expect(digest).toBe(fixture.expected.digest);
});

test('files with rejects are compared row by row', async () => {
  const fixture = readFixtures().find(({ name }) => name === 'numbers')!;
  const { definitionPath: definition, files } = fixture;
  const report = await validateFiles({ definition, files, directory: folder.path });
  expect(report.runs[0].checks.find(({ name }) => name === 'rejects')).toMatchObject({ state: 'passed' });
  expect(report.passed).toBe(true);
});

test('modes can be chosen; what one alone gets wrong fails where it is compared', async () => {
  const fixture = readFixtures().find(({ name }) => name === 'numbers')!;
  const report = await validateFiles({
    definition: fixture.definitionPath,
    files: fixture.files,
    directory: folder.path,
    modes: ['steady'],
  });
  expect(report.runs.map(({ mode }) => mode)).toEqual(['steady']);
  const states = Object.fromEntries(report.runs[0].checks.map(({ name, state }) => [name, state]));
  expect(states).toEqual({
    counts: 'passed',
    content: 'passed',
    queries: 'passed',
    duckdb: 'not run',
    reopened: 'passed',
  });
  const content = { alive: 2, digest: 'aa' };
  expect(checkSame('steady', content, 'direct', content)).toMatchObject({ state: 'passed' });
  expect(checkSame('steady', content, 'direct', { alive: 2, digest: 'ab' })).toEqual({
    name: 'same',
    state: 'failed',
    detail: 'steady gives 2 alive and the digest aa, direct 2 alive and the digest ab',
  });
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
      runs: [
        {
          name: 'tampered',
          mode: 'direct',
          rows: 3,
          loadMs: 1,
          modelMs: 1,
          alive: 3,
          modelAlive: 3,
          digest: '',
          checks,
        },
      ],
    });
    expect(text).toContain('failed   content  filter level, value 21, slot 2');
    expect(text).toContain('4 checks failed.');
  } finally {
    await index.close();
  }
});
