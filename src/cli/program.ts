/** The `bitloom` command. Results go to standard output, progress and errors to standard error. */
import { createRequire } from 'node:module';
import { Command } from 'commander';
import { errorToData, formatError } from '../errors.ts';
import { addBenchCommand } from './bench.ts';
import { addCountCommand } from './count.ts';
import { addDemoCommand } from './demo.ts';
import { EXIT_FAILED, EXIT_INTERRUPTED } from './exit-code.ts';
import { addGenerateCommand } from './generate.ts';
import { Interrupted } from './interrupt.ts';
import { addLoadCommand } from './load.ts';
import { addQueryCommand } from './query.ts';
import { addServeCommand } from './serve.ts';
import { addStatsCommand } from './stats.ts';
import { addValidateCommand } from './validate.ts';

/** Runs the command with its arguments (without node and script) and sets the exit code of the process. */
export async function runCommand(args: readonly string[]): Promise<void> {
  stopWhenUnread();
  try {
    await createProgram().parseAsync(args, { from: 'user' });
  } catch (error) {
    reportFailure(error, args.includes('--json'));
  }
}

function createProgram(): Command {
  const program = new Command('bitloom')
    .description(
      'Turns CSV dumps and change streams into a roaring-bitmap index and answers filter + sort + page queries from it.',
    )
    .version(createRequire(import.meta.url)('bitloom/package.json').version)
    .showHelpAfterError('(add --help for the arguments and examples)')
    .addHelpText(
      'after',
      `
Start with a sample dump:
  $ bitloom generate --rows 1M --out dump
  $ bitloom load -d data --definition dump/index.yaml images=dump/images.csv tags=dump/tags.csv tools=dump/tools.csv
  $ bitloom query -d data '{ "where": { "nsfwLevel": 1 }, "orderBy": { "existedAt": "desc" }, "take": 5 }'`,
    );
  addLoadCommand(program);
  addQueryCommand(program);
  addCountCommand(program);
  addStatsCommand(program);
  addServeCommand(program);
  addGenerateCommand(program);
  addValidateCommand(program);
  addBenchCommand(program);
  addDemoCommand(program);

  return program;
}

/** A reader that has seen enough (`| head`) is no failure of this process. */
function stopWhenUnread(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}

/** With --json an error is one line of JSON too, still on standard error. */
function reportFailure(error: unknown, json: boolean): void {
  if (error instanceof Interrupted) {
    const text = json
      ? JSON.stringify({ error: { code: 'INTERRUPTED', message: error.message } })
      : error.message;
    process.stderr.write(`${text}\n`);
    process.exitCode = EXIT_INTERRUPTED;
    return;
  }
  process.stderr.write(`${json ? formatErrorJson(error) : `error: ${formatError(error)}`}\n`);
  process.exitCode = EXIT_FAILED;
}

function formatErrorJson(error: unknown): string {
  const { stack: _, ...data } = errorToData(error);
  return JSON.stringify({ error: data });
}
