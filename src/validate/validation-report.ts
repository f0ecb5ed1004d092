/** What a validation found, and its text for people. */
import type { Check } from './check.ts';

/** One set of files, loaded and compared. */
export interface ValidationRun {
  readonly name: string;
  readonly mode: ValidationMode;
  /** Rows of all tables. */
  readonly rows: number;
  readonly loadMs: number;
  readonly modelMs: number;
  readonly checks: readonly Check[];
}

/** How the data gets into the index that is compared. */
export type ValidationMode = 'direct';

export interface ValidationReport {
  /** No check failed; those not run do not count. */
  readonly passed: boolean;
  readonly runs: readonly ValidationRun[];
}

/** A block per run, a line per check. */
export function formatValidationReport(report: ValidationReport): string {
  const blocks = report.runs.map((run) => {
    const width = Math.max(...run.checks.map((check) => check.name.length));
    const head = `${run.name} (${run.mode}): ${run.rows.toLocaleString('en-US')} rows, loaded in ${Math.round(run.loadMs)} ms`;
    return [head, ...run.checks.map((check) => formatCheck(check, width))].join('\n');
  });
  const failures = report.runs
    .flatMap((run) => run.checks)
    .filter((check) => check.state === 'failed').length;
  const verdict = report.passed
    ? 'Everything agrees.'
    : `${failures} ${failures === 1 ? 'check' : 'checks'} failed.`;
  return [...blocks, verdict].join('\n\n');
}

function formatCheck(check: Check, width: number): string {
  return `  ${check.state.padEnd('not run'.length)}  ${check.name.padEnd(width)}  ${check.detail}`;
}
