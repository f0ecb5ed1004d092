/** `bitloom stats`: what the current version of an index directory holds. */
import type { Command } from 'commander';
import type { IndexStats } from '../index.ts';
import { type DirectoryArguments, withReadOnlyIndex } from './opened-index.ts';
import { formatBytes, formatCount, formatTable } from './text-table.ts';

interface StatsArguments extends DirectoryArguments {
  digest?: boolean;
}

export function addStatsCommand(program: Command): void {
  program
    .command('stats')
    .summary('print what an index holds')
    .description('Prints version, alive slots and, by field, the number of values, bit layers and bytes.')
    .requiredOption('-d, --directory <path>', 'index directory')
    .option('--definition <path>', 'definition to answer by while the directory holds no version yet')
    .option(
      '--digest',
      'also compute the SHA-256 of the content, equal for equal content however it was loaded',
    )
    .option('--json', 'print the figures as JSON')
    .addHelpText(
      'after',
      `
Examples:
  $ bitloom stats -d data
  $ bitloom stats -d data --digest --json`,
    )
    .action(runStats);
}

async function runStats(given: StatsArguments): Promise<void> {
  const stats = await withReadOnlyIndex(given, (index) => index.stats({ digest: given.digest ?? false }));
  process.stdout.write(`${given.json ? JSON.stringify(stats) : formatStats(stats)}\n`);
}

function formatStats(stats: IndexStats): string {
  const rows = Object.entries(stats.fields).map(([name, field]) => [
    name,
    formatCount(field.present),
    field.values === undefined ? '-' : formatCount(field.values),
    field.layers === undefined ? '-' : formatCount(field.layers),
    formatBytes(field.bytes),
  ]);
  const lines = [
    `version ${stats.version}, ${formatCount(stats.alive)} slots alive, ${formatBytes(stats.memory.indexBytes)}`,
    '',
    formatTable(['field', 'slots', 'values', 'layers', 'size'], rows),
  ];
  if (stats.digest !== undefined) lines.push('', `digest ${stats.digest.index}`);
  return lines.join('\n');
}
