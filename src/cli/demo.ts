/**
 * `bitloom demo`: the whole way once, on a generated dump: generate, load, check the counts against the text of the
 * files, query. Fails when a count is off, so it is a smoke test of an installation too.
 */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { BitloomError } from '../errors.ts';
import { type GenerateSummary, generateDump } from '../generate/generate.ts';
import type { BitloomIndex, Query } from '../index.ts';
import { parsePositiveCount } from './arguments.ts';
import { withInterrupt } from './interrupt.ts';
import { formatLoadReport } from './load.ts';
import { withIndex, withReadOnlyIndex } from './opened-index.ts';
import { createProgressReporter } from './progress.ts';
import { StatusLine } from './status-line.ts';
import { formatBytes, formatCount, formatDuration } from './text-table.ts';

interface DemoArguments {
  rows: number;
  out: string;
}

const ROWS_DEFAULT = 1_000_000;
const QUERY_RUNS = 101;

const QUERIES: readonly { title: string; query: Query }[] = [
  {
    title: 'the newest safe images',
    query: { where: { nsfwLevel: 1, type: 'image' }, orderBy: { existedAt: 'desc' }, take: 5 },
  },
  {
    title: 'the oldest with tag 1 or 3522 that are no videos',
    query: {
      where: { tagIds: { in: [1, 3522] }, NOT: { type: 'video' } },
      orderBy: { existedAt: 'asc' },
      take: 5,
    },
  },
  {
    title: 'with both tags and metadata, on site, by id',
    query: { where: { tagIds: { all: [1, 3522] }, hasMeta: true, onSite: true }, take: 5 },
  },
];

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .summary('generate a dump, load it, check the counts, run a few queries')
    .description(
      'Generates a dump, loads it, checks counts against the text of the files and runs a few queries.',
    )
    .option('-r, --rows <count>', 'images in the dump', parsePositiveCount, ROWS_DEFAULT)
    .option('-o, --out <path>', 'directory for the dump and, under data, the index', 'demo')
    .addHelpText('after', '\nExample:\n  $ bitloom demo --rows 100k --out /tmp/demo')
    .action(runDemo);
}

async function runDemo(given: DemoArguments): Promise<void> {
  const dump = await generate(given);
  const directory = join(given.out, 'data');
  say(`\nLoading it into ${directory}`);
  await load(dump, directory);
  await withReadOnlyIndex({ directory }, async (index) => {
    say('\nComparing counts with the text of the files');
    await verify(index, dump);
    say('\nQuerying, in this thread');
    for (const { title, query } of QUERIES) await showQuery(index, title, query);
  });
  say(`\nYour turn:\n  npx bitloom query -d ${directory} '${JSON.stringify(QUERIES[0].query)}'`);
}

async function generate({ rows, out }: DemoArguments): Promise<GenerateSummary> {
  say(`Generating ${formatCount(rows)} images with tags and tools in ${out}`);
  const line = new StatusLine(process.stderr);
  const startMs = performance.now();
  const dump = await generateDump({ rows, out, onProgress: ({ table }) => line.show(`  ${table}.csv`) });
  line.clear();
  const bytes = dump.files.reduce((sum, file) => sum + file.bytes, 0);
  say(
    `  ${dump.files.length} files, ${formatBytes(bytes)}, in ${formatDuration(performance.now() - startMs)}`,
  );
  return dump;
}

async function load(dump: GenerateSummary, directory: string): Promise<void> {
  const files = Object.fromEntries(dump.files.map(({ table, path }) => [table, path]));
  const progress = createProgressReporter('auto', process.stderr);
  const report = await withInterrupt((signal) =>
    withIndex({ definition: dump.definition, directory }, (index) =>
      index.load(files, { signal, onProgress: (update) => progress.update(update) }),
    ).finally(() => progress.finish()),
  );
  say(indent(formatLoadReport(report)));
}

/** Counts words in the text of the files, which shares nothing with the loader, and compares. */
async function verify(index: BitloomIndex, dump: GenerateSummary): Promise<void> {
  const images = fileOf(dump, 'images');
  check('images', await index.count(), images.rows);
  for (const type of ['image', 'video', 'audio']) {
    check(`type ${type}`, await index.count({ type }), await countInFile(images.path, `,${type},`));
  }
  check('tag 1', await index.count({ tagIds: 1 }), await countInFile(fileOf(dump, 'tags').path, '\n1,'));
}

function check(what: string, actual: number, expected: number): void {
  if (actual !== expected) {
    throw new BitloomError('DEMO_COUNT', `${what}: the index counts ${actual}, the file ${expected}`);
  }
  say(`  ${what}: ${formatCount(actual)}, as in the file`);
}

async function showQuery(index: BitloomIndex, title: string, query: Query): Promise<void> {
  const timesMs: number[] = [];
  let page = await index.query(query);
  for (let run = 0; run < QUERY_RUNS; run++) {
    const startMs = performance.now();
    page = await index.query(query);
    timesMs.push(performance.now() - startMs);
  }
  timesMs.sort((a, b) => a - b);
  say(`  ${title}\n    ${JSON.stringify(query)}`);
  say(
    `    ${formatCount(page.total)} matches${page.ids.length > 0 ? `, first ${page.ids.join(' ')}` : ''}; ` +
      `median ${formatDuration(timesMs[QUERY_RUNS >> 1])}`,
  );
}

function fileOf(dump: GenerateSummary, table: string): GenerateSummary['files'][number] {
  const file = dump.files.find((candidate) => candidate.table === table);
  if (file === undefined) throw new BitloomError('DEMO_COUNT', `the dump has no table ${table}`);
  return file;
}

/** Occurrences of `text`; a line feed in it also matches before the first line. */
async function countInFile(path: string, text: string): Promise<number> {
  let count = 0;
  let carry: Buffer = Buffer.from('\n');
  for await (const part of createReadStream(path, { highWaterMark: 4 * 1024 * 1024 })) {
    const bytes: Buffer = Buffer.concat([carry, part as Buffer]);
    for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + 1)) count++;
    carry = bytes.subarray(Math.max(0, bytes.length - text.length + 1));
  }
  return count;
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
