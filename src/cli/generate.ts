/** `bitloom generate`: a deterministic dump with its definition, to try things on. */
import type { Command } from 'commander';
import { type GenerateSummary, generateDump } from '../generate/generate.ts';
import { parseCount, parsePositiveCount } from './arguments.ts';
import { StatusLine } from './status-line.ts';
import { formatBytes, formatCount, formatTable } from './text-table.ts';

interface GenerateArguments {
  rows: number;
  out: string;
  seed?: number;
  json?: boolean;
}

export function addGenerateCommand(program: Command): void {
  program
    .command('generate')
    .summary('write a sample dump and its definition')
    .description(
      'Writes index.yaml, images.csv, tags.csv and tools.csv. The same rows and seed give the same bytes.',
    )
    .requiredOption('-r, --rows <count>', 'rows of images.csv, as 250000, 250k or 1M', parsePositiveCount)
    .requiredOption('-o, --out <path>', 'directory to write to, created when missing')
    .option('--seed <number>', 'seed of the random numbers (default: 1)', parseCount)
    .option('--json', 'print what was written as JSON')
    .addHelpText(
      'after',
      `
Examples:
  $ bitloom generate --rows 1M --out dump
  $ bitloom load -d data --definition dump/index.yaml images=dump/images.csv tags=dump/tags.csv tools=dump/tools.csv`,
    )
    .action(runGenerate);
}

async function runGenerate(given: GenerateArguments): Promise<void> {
  const line = new StatusLine(process.stderr);
  let summary: GenerateSummary;
  try {
    summary = await generateDump({
      rows: given.rows,
      out: given.out,
      ...(given.seed === undefined ? {} : { seed: given.seed }),
      onProgress: ({ table, images, imagesTotal }) =>
        line.show(`${table}.csv  ${Math.floor((100 * images) / imagesTotal)}%`),
    });
  } finally {
    line.clear();
  }
  process.stdout.write(`${given.json ? JSON.stringify(summary) : formatSummary(summary)}\n`);
}

function formatSummary(summary: GenerateSummary): string {
  const rows = summary.files.map((file) => [file.path, formatCount(file.rows), formatBytes(file.bytes)]);
  return formatTable(['file', 'rows', 'size'], [[summary.definition, '-', '-'], ...rows]);
}
