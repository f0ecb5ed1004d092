/** `bitloom validate`: does a load give what an independent, naive reading of the same files gives? */
import { tmpdir } from 'node:os';
import type { Command } from 'commander';
import { BitloomError } from '../errors.ts';
import { type ValidationProgress, validate, validateFiles } from '../validate/validate.ts';
import { formatValidationReport, type ValidationReport } from '../validate/validation-report.ts';
import { parseCount, parseCountList, parsePositiveCount, parseTableFiles } from './arguments.ts';
import { EXIT_DONE, EXIT_FAILED } from './exit-code.ts';
import { StatusLine } from './status-line.ts';

interface ValidateArguments {
  rows: number[];
  definition?: string;
  directory: string;
  threads?: number;
  seed?: number;
  json?: boolean;
}

const ROWS_DEFAULT = [10_000, 100_000];

export function addValidateCommand(program: Command): void {
  program
    .command('validate')
    .summary('compare a load with a naive model and, where installed, DuckDB')
    .description(
      'Loads files and compares counts, rejects, the digest of every bitmap and the answers of queries with those of a\n' +
        'naive model that shares no code with the loader, and with DuckDB where @duckdb/node-api is installed. Without\n' +
        'files it generates its own. What it writes is removed again.',
    )
    .argument('[table=path...]', 'files to validate with, one per table; needs --definition')
    .option('-r, --rows <counts>', 'sizes of the dumps to generate, as 10k,1M', parseCountList, ROWS_DEFAULT)
    .option('--definition <path>', 'definition of the given files')
    .option('--directory <path>', 'where to write', tmpdir())
    .option('--threads <count>', 'worker threads (default: the cores available)', parsePositiveCount)
    .option('--seed <number>', 'seed of the generated dumps (default: 1)', parseCount)
    .option('--json', 'print the report as JSON')
    .addHelpText(
      'after',
      `
Exit code: 0 everything agrees, 1 something differs or failed.

Examples:
  $ bitloom validate --rows 10k,1M
  $ bitloom validate --definition dump/index.yaml images=dump/images.csv tags=dump/tags.csv`,
    )
    .action(runValidate);
}

async function runValidate(pairs: string[], given: ValidateArguments): Promise<void> {
  const line = new StatusLine(process.stderr);
  let report: ValidationReport;
  try {
    report = await validateGiven(pairs, given, ({ run, step }) => line.show(`${run}: ${step}`, true));
  } finally {
    line.clear();
  }
  process.stdout.write(`${given.json ? JSON.stringify(report) : formatValidationReport(report)}\n`);
  process.exitCode = report.passed ? EXIT_DONE : EXIT_FAILED;
}

function validateGiven(
  pairs: string[],
  given: ValidateArguments,
  onProgress: (progress: ValidationProgress) => void,
): Promise<ValidationReport> {
  const shared = {
    directory: given.directory,
    onProgress,
    ...(given.threads === undefined ? {} : { threads: given.threads }),
  };
  if (pairs.length === 0) {
    return validate({
      ...shared,
      rows: given.rows,
      ...(given.seed === undefined ? {} : { seed: given.seed }),
    });
  }
  if (given.definition === undefined) {
    throw new BitloomError('ARGUMENT_INVALID', 'files are given without a definition', {
      hint: 'add --definition and the path of the YAML file that describes them',
    });
  }
  return validateFiles({ ...shared, definition: given.definition, files: parseTableFiles(pairs) });
}
