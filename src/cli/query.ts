/** `bitloom query`: one page of ids from an index directory. */
import type { Command } from 'commander';
import type { Page, Query } from '../index.ts';
import { parseCount, readJsonArgument } from './arguments.ts';
import { type DirectoryArguments, withReadOnlyIndex } from './opened-index.ts';
import { formatCount } from './text-table.ts';

interface QueryArguments extends DirectoryArguments {
  take?: number;
  cursor?: string;
}

export function addQueryCommand(program: Command): void {
  program
    .command('query')
    .summary('print one page of matching ids')
    .description('Prints one page of ids that match a query: { where?, orderBy?, take?, cursor? } as JSON.')
    .argument('[query]', 'the query as JSON, or - to read it from standard input', '{}')
    .requiredOption('-d, --directory <path>', 'index directory')
    .option('--definition <path>', 'definition to answer by while the directory holds no version yet')
    .option('--take <count>', 'ids in the page, instead of take in the query', parseCount)
    .option('--cursor <cursor>', 'continue after a page: its nextCursor, instead of cursor in the query')
    .option('--json', 'print { ids, total, nextCursor } as JSON')
    .addHelpText(
      'after',
      `
Examples:
  $ bitloom query -d data '{ "where": { "nsfwLevel": 1 }, "orderBy": { "existedAt": "desc" }, "take": 5 }'
  $ bitloom query -d data '{ "where": { "tagIds": { "in": [12, 45] }, "NOT": { "type": "video" } } }' --json
  $ echo '{ "where": { "hasMeta": true } }' | bitloom query -d data -`,
    )
    .action(runQuery);
}

async function runQuery(argument: string, given: QueryArguments): Promise<void> {
  // The index validates the shape: it takes untrusted JSON.
  const query = (await readJsonArgument(argument, 'query')) as Query;
  const overrides: Partial<Query> = {};
  if (given.take !== undefined) overrides.take = given.take;
  if (given.cursor !== undefined) overrides.cursor = given.cursor;
  const page = await withReadOnlyIndex(given, (index) => index.query({ ...query, ...overrides }));
  process.stdout.write(`${given.json ? JSON.stringify(page) : formatPage(page)}\n`);
}

/** The ids one a line, so that they can be piped on, then what there is besides them. */
function formatPage(page: Page): string {
  const lines = page.ids.map(String);
  lines.push(`${formatCount(page.ids.length)} of ${formatCount(page.total)} matches`);
  if (page.nextCursor !== null) lines.push(`next page: --cursor ${page.nextCursor}`);
  return lines.join('\n');
}
