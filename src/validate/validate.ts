/**
 * Validation: the same files through the loader and through the naive model, compared by counts, rejects, digests and
 * queries, and by DuckDB where it is installed. Only public interfaces of the index are used.
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { IndexDefinition } from '../config/definition.ts';
import { normaliseDefinition, readDefinition } from '../config/parse.ts';
import type { Reject } from '../csv/reject.ts';
import { openIndex } from '../engine/open-index.ts';
import { generateDump } from '../generate/generate.ts';
import type { LoadOptions, LoadReport } from '../load/options.ts';
import type { Check } from './check.ts';
import { compareWithDuckdb } from './duckdb-oracle.ts';
import { checkContent, checkCounts, checkQueries, checkRejects, checkReopened } from './model-checks.ts';
import { buildNaiveModel, type NaiveModel } from './naive-model.ts';
import { type ReadableIndex, readPages } from './paging.ts';
import type { ValidationMode, ValidationReport, ValidationRun } from './validation-report.ts';

export interface ValidationProgress {
  readonly run: string;
  /** What is being done now. */
  readonly step: 'generate' | 'load' | 'model' | 'compare' | 'duckdb';
}

interface SharedOptions {
  /** Holds everything the validation writes, which is removed again. */
  directory: string;
  mode?: ValidationMode;
  threads?: number;
  onProgress?: (progress: ValidationProgress) => void;
}

export interface ValidateOptions extends SharedOptions {
  /** Sizes of the dumps to generate, one run each. */
  rows: readonly number[];
  seed?: number;
}

export interface ValidateFilesOptions extends SharedOptions {
  /** Path of a definition file, or its content as an object. */
  definition: string | object;
  /** Table → CSV file. Rows may be rejected; the rejects are compared too. */
  files: Readonly<Record<string, string>>;
}

/** Validates generated dumps. Errors: those of generating and loading; a difference is a failed check, not an error. */
export async function validate(options: ValidateOptions): Promise<ValidationReport> {
  const runs: ValidationRun[] = [];
  for (const rows of options.rows) {
    const name = `${rows.toLocaleString('en-US')} images`;
    await withFolder(options.directory, async (folder) => {
      options.onProgress?.({ run: name, step: 'generate' });
      const seed = options.seed === undefined ? {} : { seed: options.seed };
      const dump = await generateDump({ rows, out: folder, ...seed });
      const files = Object.fromEntries(dump.files.map(({ table, path }) => [table, path]));
      runs.push(await runValidation(name, await readDefinition(dump.definition), files, folder, options));
    });
  }
  return reportOf(runs);
}

/** Validates files of the caller. Errors: those of the definition and of loading. */
export async function validateFiles(options: ValidateFilesOptions): Promise<ValidationReport> {
  const { definition, files } = options;
  const parsed =
    typeof definition === 'string' ? await readDefinition(definition) : normaliseDefinition(definition);
  return withFolder(options.directory, async (folder) =>
    reportOf([await runValidation(parsed.name, parsed, files, folder, options)]),
  );
}

async function runValidation(
  name: string,
  definition: IndexDefinition,
  files: Readonly<Record<string, string>>,
  folder: string,
  options: SharedOptions,
): Promise<ValidationRun> {
  const step = (now: ValidationProgress['step']) => options.onProgress?.({ run: name, step: now });
  const directory = join(folder, 'data');
  const rejectsFile = join(folder, 'rejects.jsonl');
  const open = { definition: definition.normalised as object, directory, inProcess: true };
  const checks: Check[] = [];

  step('load');
  const index = await openIndex(open);
  let report: LoadReport;
  let modelMs: number;
  let digest: string;
  try {
    report = await index.load(files, loadOptions(rejectsFile, options.threads));
    step('model');
    const startedAtMs = performance.now();
    const model = await buildNaiveModel(definition, files);
    modelMs = performance.now() - startedAtMs;
    step('compare');
    checks.push(...(await compareWithModel(index, report, await readRejects(rejectsFile), model)));
    step('duckdb');
    checks.push(
      await compareWithDuckdb({
        model,
        files,
        idsOf: (query, count) => readPages(index, { ...query, take: count }, 1),
      }),
    );
    digest = (await index.stats({ digest: true })).digest!.index;
  } finally {
    await index.close();
  }
  const reopened = await openIndex({ ...open, readOnly: true });
  try {
    checks.push(await checkReopened(reopened, digest));
  } finally {
    await reopened.close();
  }
  return {
    name,
    mode: options.mode ?? 'direct',
    rows: report.rows,
    loadMs: report.durationMs,
    modelMs,
    checks,
  };
}

/** Every check that needs no more than the loaded index and the model. */
export async function compareWithModel(
  index: ReadableIndex,
  report: LoadReport,
  rejects: readonly Reject[],
  model: NaiveModel,
): Promise<Check[]> {
  return [
    checkCounts(report, model),
    checkRejects(rejects, model),
    await checkContent(index, model),
    await checkQueries(index, model),
  ];
}

function loadOptions(rejectsFile: string, threads: number | undefined): LoadOptions {
  const options: LoadOptions = { maxRejects: Number.POSITIVE_INFINITY, rejectsFile };
  if (threads !== undefined) options.threads = threads;
  return options;
}

/** One JSON object a line; the file may be missing when nothing was rejected. */
async function readRejects(file: string): Promise<Reject[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Reject);
}

async function withFolder<Result>(
  directory: string,
  work: (folder: string) => Promise<Result>,
): Promise<Result> {
  await mkdir(directory, { recursive: true });
  const folder = await mkdtemp(join(directory, 'validate-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function reportOf(runs: readonly ValidationRun[]): ValidationReport {
  return { passed: runs.every((run) => run.checks.every((check) => check.state !== 'failed')), runs };
}
