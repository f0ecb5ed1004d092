/** What a validation found, and its text for people. */
import type { Check } from './check.ts';
import type { ValidationMode } from './modes.ts';

/** One set of files, taken in one way and compared. */
export interface ValidationRun {
  /** Of the set of files. */
  readonly name: string;
  readonly mode: ValidationMode;
  /** Rows of all tables. */
  readonly rows: number;
  readonly loadMs: number;
  /** Of the model, which all modes of a set share. */
  readonly modelMs: number;
  readonly alive: number;
  readonly modelAlive: number;
  /** Canonical digest of the index. */
  readonly digest: string;
  readonly checks: readonly Check[];
}

export interface ValidationReport {
  /** No check failed; those not run do not count. */
  readonly passed: boolean;
  readonly runs: readonly ValidationRun[];
}

/** A block per run, a line per check; after the runs of a set what is alive, side by side. */
export function formatValidationReport(report: ValidationReport): string {
  const blocks = [...new Set(report.runs.map(({ name }) => name))].flatMap((name) => {
    const runs = report.runs.filter((run) => run.name === name);
    return [...runs.map(formatRun), formatAlive(runs)];
  });
  const failures = report.runs
    .flatMap((run) => run.checks)
    .filter((check) => check.state === 'failed').length;
  const verdict = report.passed
    ? 'Everything agrees.'
    : `${failures} ${failures === 1 ? 'check' : 'checks'} failed.`;
  return [...blocks, verdict].join('\n\n');
}

function formatRun({ name, mode, rows, loadMs, checks }: ValidationRun): string {
  const width = Math.max(...checks.map((check) => check.name.length));
  const rate = Math.round((rows * 1000) / Math.max(loadMs, 1));
  const head = `${name} (${mode}): ${count(rows)} rows in ${count(Math.round(loadMs))} ms, ${count(rate)} rows/s`;
  return [head, ...checks.map((check) => formatCheck(check, width))].join('\n');
}

function formatAlive(runs: readonly ValidationRun[]): string {
  const sides = runs.map(({ mode, alive }) => `${mode} ${count(alive)}`);
  sides.push(`model ${count(runs[0].modelAlive)}`);
  return `${runs[0].name}, alive: ${sides.join(', ')}`;
}

function formatCheck(check: Check, width: number): string {
  return `  ${check.state.padEnd('not run'.length)}  ${check.name.padEnd(width)}  ${check.detail}`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
