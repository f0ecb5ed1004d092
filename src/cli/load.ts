/** `bitloom load`: one dump into an index directory, all or nothing. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { formatPlace } from '../errors.ts';
import type { LoadMode, LoadOptions, LoadReport } from '../index.ts';
import { parseByteSize, parseCount, parsePositiveCount, parseTableFiles } from './arguments.ts';
import { EXIT_DONE, EXIT_DONE_WITH_REJECTS } from './exit-code.ts';
import { withInterrupt } from './interrupt.ts';
import { type DirectoryArguments, withIndex } from './opened-index.ts';
import { createProgressReporter, type ProgressStyle } from './progress.ts';
import { formatBytes, formatCount, formatDuration, formatRate, formatTable } from './text-table.ts';

interface LoadArguments extends DirectoryArguments {
  mode: LoadMode;
  threads?: number;
  chunkLines?: number;
  maxRejects: number;
  rejectsFile?: string;
  memoryLimit?: number;
  progress: ProgressStyle;
}

const REJECTS_SHOWN_MAX = 10;

export function addLoadCommand(program: Command): void {
  program
    .command('load')
    .summary('load the CSV files of a dump and publish them in one step')
    .description(
      'Loads the CSV files of a dump and publishes them in one step. Queries of other processes see the previous ' +
        'version until then; a load that fails or is interrupted publishes nothing.',
    )
    .argument('<table=path...>', 'one file per table of the definition; a name ending in .gz is decompressed')
    .requiredOption('-d, --directory <path>', 'index directory, created when missing')
    .option('--definition <path>', 'index definition (default: the one of the last load)')
    .addOption(
      new Option(
        '--mode <mode>',
        'replace: exactly the dump for the fields of its tables; merge: added to what is there',
      )
        .choices(['replace', 'merge'])
        .default('replace'),
    )
    .option('--threads <count>', 'worker threads (default: the cores available)', parsePositiveCount)
    .option('--chunk-lines <count>', 'lines in one chunk at most', parsePositiveCount)
    .option(
      '--max-rejects <count>',
      'rejected rows tolerated before the load fails; "unlimited" for any number',
      parseBudget,
      0,
    )
    .option('--rejects-file <path>', 'write every rejected row there, one JSON object a line')
    .option(
      '--memory-limit <size>',
      'bytes the load may use, as 512MB or 2GiB (default: half of the memory)',
      parseByteSize,
    )
    .addOption(
      new Option(
        '--progress <style>',
        'progress on standard error; auto draws a line on a terminal, json writes lines',
      )
        .choices(['auto', 'tty', 'json', 'none'])
        .default('auto'),
    )
    .option('--json', 'print the report as JSON')
    .addHelpText(
      'after',
      `
Exit code: 0 published, 1 failed, 2 published with rejected rows, 130 interrupted.

Examples:
  $ bitloom load --definition dump/index.yaml --directory data images=dump/images.csv tags=dump/tags.csv
  $ bitloom load --directory data --mode merge images=delta.csv.gz
  $ bitloom load --directory data --max-rejects 100 --rejects-file rejects.jsonl images=images.csv`,
    )
    .action(runLoad);
}

async function runLoad(pairs: string[], given: LoadArguments): Promise<void> {
  const files = parseTableFiles(pairs);
  const report = await withInterrupt((signal) => loadFiles(files, given, signal));
  process.stdout.write(`${given.json ? JSON.stringify(report) : formatLoadReport(report)}\n`);
  process.exitCode = report.rejectedRows > 0 ? EXIT_DONE_WITH_REJECTS : EXIT_DONE;
}

async function loadFiles(
  files: Record<string, string>,
  given: LoadArguments,
  signal: AbortSignal,
): Promise<LoadReport> {
  const progress = createProgressReporter(given.progress, process.stderr);
  try {
    return await withIndex(given, (index) =>
      index.load(
        files,
        loadOptions(given, signal, (update) => progress.update(update)),
      ),
    );
  } finally {
    progress.finish();
  }
}

function loadOptions(
  given: LoadArguments,
  signal: AbortSignal,
  onProgress: NonNullable<LoadOptions['onProgress']>,
): LoadOptions {
  const options: LoadOptions = { mode: given.mode, maxRejects: given.maxRejects, signal, onProgress };
  if (given.threads !== undefined) options.threads = given.threads;
  if (given.chunkLines !== undefined) options.chunkLines = given.chunkLines;
  if (given.rejectsFile !== undefined) options.rejectsFile = given.rejectsFile;
  if (given.memoryLimit !== undefined) options.memoryLimitBytes = given.memoryLimit;
  return options;
}

/** The report of a load as text: a row per table, the sum, the first rejects, the warnings. */
export function formatLoadReport(report: LoadReport): string {
  const rows = Object.entries(report.tables).map(([name, table]) => [
    name,
    formatCount(table.rows),
    formatCount(table.skippedRows),
    formatCount(table.rejectedRows),
    formatCount(table.duplicateRows),
    formatBytes(table.bytes),
    formatCount(table.chunks),
    formatDuration(table.durationMs),
  ]);
  const lines = [
    formatTable(['table', 'rows', 'skipped', 'rejected', 'duplicate', 'size', 'chunks', 'time'], rows),
    '',
    `version ${report.version} published: ${formatCount(report.rows)} rows in ${formatDuration(report.durationMs)} ` +
      `(${formatRate(report.rows, report.durationMs)}), ${formatCount(report.alive)} slots alive`,
  ];
  for (const warning of report.warnings) lines.push(`warning: ${warning}`);
  if (report.rejectedRows > 0) {
    const shown = report.rejects.slice(0, REJECTS_SHOWN_MAX);
    lines.push(
      '',
      `${formatCount(report.rejectedRows)} rejected rows${shown.length < report.rejectedRows ? `, the first ${shown.length}` : ''}:`,
    );
    for (const reject of shown) {
      const column = reject.column === null ? '' : ` ${reject.column}:`;
      lines.push(
        `  ${formatPlace({ file: reject.file, line: reject.line })}:${column} ${reject.message} [${reject.code}]`,
      );
    }
  }
  return lines.join('\n');
}

function parseBudget(text: string): number {
  if (text === 'unlimited') return Number.POSITIVE_INFINITY;
  try {
    return parseCount(text);
  } catch {
    throw new InvalidArgumentError('Expected a whole number, or "unlimited".');
  }
}
