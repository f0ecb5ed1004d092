/** An index and the report of its load against the naive model of the same files: one check per aspect. */
import type { Reject } from '../csv/reject.ts';
import type { LoadReport } from '../load/options.ts';
import type { Check } from './check.ts';
import { findDifference, formatDifference } from './difference.ts';
import type { ModelReject, ModelTable, NaiveModel } from './naive-model.ts';
import { NaiveQueries } from './naive-query.ts';
import { type ReadableIndex, readPages } from './paging.ts';
import { sampleQueries } from './sample-queries.ts';
import type { RowCounts } from './table-rows.ts';

/** What an index holds, in short. */
export interface Content {
  readonly alive: number;
  /** Canonical digest. */
  readonly digest: string;
}

const PAGE_IDS = 50;
const PAGES = 3;

/** Rows loaded, skipped, rejected and duplicate, table by table, and the number of alive slots. */
export function checkCounts(report: LoadReport, model: NaiveModel): Check {
  const counts = ['rows', 'skippedRows', 'rejectedRows', 'duplicateRows'] as const;
  return compareCounts(counts, report.tables, report.alive, model);
}

/** The same for rows that became ops, which know nothing of duplicates. */
export function checkOpCounts(
  tables: Readonly<Record<string, RowCounts>>,
  alive: number,
  model: NaiveModel,
): Check {
  return compareCounts(['rows', 'skippedRows', 'rejectedRows'], tables, alive, model);
}

/** The content of one mode against that of the first one. */
export function checkSame(mode: string, content: Content, first: string, firstContent: Content): Check {
  const [actual, expected] = [describeContent(content), describeContent(firstContent)];
  if (actual === expected) return passed('same', `${actual}, as ${first}`);
  return failed('same', `${mode} gives ${actual}, ${first} ${expected}`);
}

/** Every rejected row: line, byte offset, column and code. `rejects` is the whole rejects file. */
export function checkRejects(rejects: readonly Reject[], model: NaiveModel): Check {
  const tables = model.definition.tables.map((table) => table.name);
  const inOrder = rejects.toSorted(
    (a, b) => tables.indexOf(a.table) - tables.indexOf(b.table) || a.byteOffset - b.byteOffset,
  );
  for (let place = 0; place < Math.max(inOrder.length, model.rejects.length); place++) {
    const actual = describeReject(inOrder.at(place));
    const expected = describeReject(model.rejects.at(place));
    if (actual !== expected) return failed('rejects', `the load has ${actual}, the model ${expected}`);
  }
  return passed('rejects', `${inOrder.length} rejected rows`);
}

/** Digests of alive and of every field. */
export async function checkContent(index: ReadableIndex, model: NaiveModel): Promise<Check> {
  const difference = await findDifference(index, model);
  if (difference !== null) return failed('content', formatDifference(difference));
  return passed('content', `digests of alive and ${model.fields.size} fields agree`);
}

/** Totals and first pages of the sample queries. */
export async function checkQueries(index: ReadableIndex, model: NaiveModel): Promise<Check> {
  const naive = new NaiveQueries(model);
  const queries = sampleQueries(model);
  for (const query of queries) {
    const expected = naive.ordered(query.where ?? {}, query.orderBy);
    const { total } = await index.query({ ...query, take: 0 });
    const text = JSON.stringify(query);
    if (total !== expected.length)
      return failed('queries', `${text}: ${total} in the index, ${expected.length} in the model`);
    const ids = await readPages(index, { ...query, take: PAGE_IDS }, PAGES);
    const place = expected.subarray(0, PAGE_IDS * PAGES).findIndex((slot, at) => slot !== ids[at]);
    if (place >= 0)
      return failed('queries', `${text}, id ${place + 1}: ${ids[place]}, in the model ${expected[place]}`);
    if (ids.length > expected.length) return failed('queries', `${text}: the pages hold more ids than match`);
  }
  return passed('queries', `${queries.length} queries agree in total and pages`);
}

/** The same index after it was closed and opened again from its directory. */
export async function checkReopened(reopened: ReadableIndex, digestBefore: string): Promise<Check> {
  const { digest } = await reopened.stats({ digest: true });
  if (digest?.index === digestBefore)
    return passed('reopened', 'the published version opens with the same digest');
  return failed(
    'reopened',
    `the digest was ${digestBefore}, and ${digest?.index} after opening the directory again`,
  );
}

function compareCounts<Count extends keyof ModelTable>(
  counts: readonly Count[],
  tables: Readonly<Record<string, Readonly<Record<Count, number>>>>,
  alive: number,
  model: NaiveModel,
): Check {
  for (const [name, expected] of Object.entries(model.tables)) {
    for (const count of counts) {
      const actual = tables[name]?.[count];
      if (actual === expected[count]) continue;
      return failed(
        'counts',
        `table ${name}, ${count}: the load says ${actual}, the model ${expected[count]}`,
      );
    }
  }
  if (alive !== model.alive.size) {
    return failed('counts', `alive: the load says ${alive}, the model ${model.alive.size}`);
  }
  return passed('counts', `${Object.keys(model.tables).length} tables, ${model.alive.size} alive`);
}

function describeContent({ alive, digest }: Content): string {
  return `${alive} alive and the digest ${digest}`;
}

function describeReject(reject: Reject | ModelReject | undefined): string {
  if (reject === undefined) return 'none';
  const column = reject.column === null ? '' : `, column ${reject.column}`;
  return `${reject.code} in ${reject.table}, line ${reject.line}, byte ${reject.byteOffset}${column}`;
}

function passed(name: string, detail: string): Check {
  return { name, state: 'passed', detail };
}

function failed(name: string, detail: string): Check {
  return { name, state: 'failed', detail };
}
