/**
 * Validation: the same files through every mode and through the naive model, compared by counts, rejects, digests and
 * queries, with each other, and by DuckDB where it is installed.
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
import {
  type Content,
  checkContent,
  checkCounts,
  checkOpCounts,
  checkQueries,
  checkRejects,
  checkReopened,
  checkSame,
} from './model-checks.ts';
import { type FilledIndex, fillIndex, VALIDATION_MODES, type ValidationMode } from './modes.ts';
import { buildNaiveModel, type NaiveModel } from './naive-model.ts';
import { type ReadableIndex, readPages } from './paging.ts';
import type { ValidationReport, ValidationRun } from './validation-report.ts';

export interface ValidationProgress {
  readonly run: string;
  readonly mode: ValidationMode | null;
  /** What is being done now. */
  readonly step: 'generate' | 'load' | 'model' | 'compare' | 'duckdb';
}

interface SharedOptions {
  /** Holds everything the validation writes, which is removed again. */
  directory: string;
  /** In this order; default: all. The others are compared with the first one. */
  modes?: readonly ValidationMode[];
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
      options.onProgress?.({ run: name, mode: null, step: 'generate' });
      const seed = options.seed === undefined ? {} : { seed: options.seed };
      const dump = await generateDump({ rows, out: folder, ...seed });
      const files = Object.fromEntries(dump.files.map(({ table, path }) => [table, path]));
      runs.push(
        ...(await runValidation(name, await readDefinition(dump.definition), files, folder, options)),
      );
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
    reportOf(await runValidation(parsed.name, parsed, files, folder, options)),
  );
}

/** Every mode of one set of files; the model is the same for all of them. */
async function runValidation(
  name: string,
  definition: IndexDefinition,
  files: Readonly<Record<string, string>>,
  folder: string,
  options: SharedOptions,
): Promise<ValidationRun[]> {
  const set = new ValidationSet(name, definition, files, options);
  for (const mode of options.modes ?? VALIDATION_MODES) await set.run(mode, join(folder, mode));
  return set.runs;
}

class ValidationSet {
  readonly runs: ValidationRun[] = [];
  readonly #name: string;
  readonly #definition: IndexDefinition;
  readonly #files: Readonly<Record<string, string>>;
  readonly #options: SharedOptions;
  #model: { readonly content: NaiveModel; readonly durationMs: number } | null = null;

  constructor(
    name: string,
    definition: IndexDefinition,
    files: Readonly<Record<string, string>>,
    options: SharedOptions,
  ) {
    this.#name = name;
    this.#definition = definition;
    this.#files = files;
    this.#options = options;
  }

  async run(mode: ValidationMode, folder: string): Promise<void> {
    await mkdir(folder);
    const rejectsFile = join(folder, 'rejects.jsonl');
    const loadOptions = loadOptionsOf(rejectsFile, this.#options.threads);
    this.#step(mode, 'load');
    const input = { definition: this.#definition, files: this.#files, folder, loadOptions };
    const filled = await fillIndex(mode, input);
    const checks: Check[] = [];
    let content: Content;
    let model: NaiveModel;
    try {
      model = await this.#modelFor(mode);
      this.#step(mode, 'compare');
      checks.push(...(await compareFilled(filled, rejectsFile, model)));
      // What agrees with the model has been seen by DuckDB with the first mode.
      if (this.runs.length === 0) checks.push(await this.#askDuckdb(mode, filled.index, model));
      const { alive, digest } = await filled.index.stats({ digest: true });
      content = { alive, digest: digest!.index };
    } finally {
      await filled.index.close();
    }
    checks.push(await this.#checkReopened(filled.directory, content));
    const first = this.runs.at(0);
    if (first !== undefined) checks.push(checkSame(mode, content, first.mode, first));
    await rm(folder, { recursive: true });
    this.runs.push({
      name: this.#name,
      mode,
      rows: Object.values(filled.tables).reduce((sum, { rows }) => sum + rows, 0),
      loadMs: filled.loadMs,
      modelMs: this.#model!.durationMs,
      ...content,
      modelAlive: model.alive.size,
      checks,
    });
  }

  async #modelFor(mode: ValidationMode): Promise<NaiveModel> {
    if (this.#model === null) {
      this.#step(mode, 'model');
      const startMs = performance.now();
      const content = await buildNaiveModel(this.#definition, this.#files);
      this.#model = { content, durationMs: performance.now() - startMs };
    }
    return this.#model.content;
  }

  #askDuckdb(mode: ValidationMode, index: ReadableIndex, model: NaiveModel): Promise<Check> {
    this.#step(mode, 'duckdb');
    return compareWithDuckdb({
      model,
      files: this.#files,
      idsOf: (query, count) => readPages(index, { ...query, take: count }, 1),
    });
  }

  async #checkReopened(directory: string, { digest }: Content): Promise<Check> {
    const definition = this.#definition.normalised as object;
    const reopened = await openIndex({ definition, directory, inProcess: true, readOnly: true });
    try {
      return await checkReopened(reopened, digest);
    } finally {
      await reopened.close();
    }
  }

  #step(mode: ValidationMode, step: ValidationProgress['step']): void {
    this.#options.onProgress?.({ run: this.#name, mode, step });
  }
}

async function compareFilled(filled: FilledIndex, rejectsFile: string, model: NaiveModel): Promise<Check[]> {
  const { index, report, tables } = filled;
  if (report !== null) return compareWithModel(index, report, await readRejects(rejectsFile), model);
  const { alive } = await index.stats();
  return [
    checkOpCounts(tables, alive, model),
    await checkContent(index, model),
    await checkQueries(index, model),
  ];
}

/** Every check that needs no more than the loaded index, the report of its load and the model. */
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

function loadOptionsOf(rejectsFile: string, threads: number | undefined): LoadOptions {
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
