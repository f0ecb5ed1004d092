/** `bitloom count`: how many alive slots match. */
import type { Command } from 'commander';
import type { Where } from '../index.ts';
import { readJsonArgument } from './arguments.ts';
import { type DirectoryArguments, withReadOnlyIndex } from './opened-index.ts';

export function addCountCommand(program: Command): void {
  program
    .command('count')
    .summary('print how many slots match')
    .description('Prints the number of alive slots that match a where clause; without one, of all.')
    .argument('[where]', 'the where clause as JSON, or - to read it from standard input', '{}')
    .requiredOption('-d, --directory <path>', 'index directory')
    .option('--definition <path>', 'definition to answer by while the directory holds no version yet')
    .option('--json', 'print { "count": n } as JSON')
    .addHelpText(
      'after',
      `
Examples:
  $ bitloom count -d data
  $ bitloom count -d data '{ "hasMeta": true, "existedAt": { "gte": "2024-01-01" } }'`,
    )
    .action(runCount);
}

async function runCount(argument: string, given: DirectoryArguments): Promise<void> {
  // The index validates the shape: it takes untrusted JSON.
  const where = (await readJsonArgument(argument, 'where')) as Where;
  const count = await withReadOnlyIndex(given, (index) => index.count(where));
  process.stdout.write(`${given.json ? JSON.stringify({ count }) : String(count)}\n`);
}
