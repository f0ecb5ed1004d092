/** `bitloom validate`: do loads and ops give what an independent, naive reading of the same files gives? */
import { tmpdir } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import { BitloomError } from '../errors.ts';
import { VALIDATION_MODES, type ValidationMode } from '../validate/modes.ts';
import { type ValidationProgress, validate, validateFiles } from '../validate/validate.ts';
import { formatValidationReport, type ValidationReport } from '../validate/validation-report.ts';
import { parseCount, parseCountList, parsePositiveCount, parseTableFiles } from './arguments.ts';
import { EXIT_DONE, EXIT_FAILED } from './exit-code.ts';
import { StatusLine } from './status-line.ts';

interface ValidateArguments {
  rows: number[];
  mode?: ValidationMode[];
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
    .summary('compare loads and ops with a naive model and, where installed, DuckDB')
    .description(
      'Takes files in directly, as ops through the op log into accumulators (log), and as ops through the op log batch by ' +
        'batch (steady), and compares counts, rejects, the digest of every bitmap and the answers of queries: with each ' +
        'other, with a naive model that shares no code with the loader, and with DuckDB where @duckdb/node-api is ' +
        'installed. Without files it generates its own. What it writes is removed again.',
    )
    .argument('[table=path...]', 'files to validate with, one per table; needs --definition')
    .option('-r, --rows <counts>', 'sizes of the dumps to generate, as 10k,1M', parseCountList, ROWS_DEFAULT)
    .option(
      '-m, --mode <mode>',
      `${VALIDATION_MODES.join(', ')} or all; may be given several times (default: all)`,
      addMode,
    )
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
  $ bitloom validate --rows 100k --mode direct --mode steady
  $ bitloom validate --definition dump/index.yaml images=dump/images.csv tags=dump/tags.csv`,
    )
    .action(runValidate);
}

async function runValidate(pairs: string[], given: ValidateArguments): Promise<void> {
  const line = new StatusLine(process.stderr);
  let report: ValidationReport;
  try {
    report = await validateGiven(pairs, given, ({ run, mode, step }) =>
      line.show(mode === null ? `${run}: ${step}` : `${run}, ${mode}: ${step}`, true),
    );
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
    ...(given.mode === undefined ? {} : { modes: given.mode }),
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

/** In the order of the list whatever the order given, so that the first is compared with. */
function addMode(text: string, before: readonly ValidationMode[] = []): ValidationMode[] {
  if (text === 'all') return [...VALIDATION_MODES];
  if (!VALIDATION_MODES.some((mode) => mode === text)) {
    throw new InvalidArgumentError(`"${text}" is none of ${VALIDATION_MODES.join(', ')}, all.`);
  }
  return VALIDATION_MODES.filter((mode) => mode === text || before.includes(mode));
}
