/**
 * A second opinion on the same files from DuckDB: its CSV reader, its types, its grouping and its sorting against the
 * naive model's values and the pages that a query gives. It needs @duckdb/node-api, which is not a dependency of the
 * package; without it, or for data DuckDB cannot take, the check is reported as not run.
 */
import type { Query } from '../query/query.ts';
import type { Check } from './check.ts';
import { type OracleTable, oracleStatements } from './duckdb-sql.ts';
import { columnsOfFile, type ModelField, type ModelValue, type NaiveModel } from './naive-model.ts';

export interface OracleInput {
  readonly model: NaiveModel;
  /** Table → CSV file. */
  readonly files: Readonly<Record<string, string>>;
  /** The first `count` ids of a query, from the side that is compared with DuckDB. */
  readonly idsOf: (query: Query, count: number) => Promise<readonly number[]>;
}

const NAME = 'duckdb';
const PAGE_IDS = 150;
/** Values of a filter field under which pages are compared: the first few the model knows. */
const PAGE_VALUES = 3;

type Row = readonly unknown[];
type RunSql = (sql: string) => Promise<Row[]>;

/** Counts and slot checksums of every value of every field, and the first pages of every sort field. */
export async function compareWithDuckdb(input: OracleInput): Promise<Check> {
  const { model } = input;
  if (model.rejects.length > 0)
    return notRun(`DuckDB has no reject lane, and ${model.rejects.length} rows are rejected`);
  const library = await importDuckdb();
  if (library === null) return notRun('@duckdb/node-api is not installed');
  const instance = await library.DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const run: RunSql = async (sql) => (await connection.runAndReadAll(sql)).getRows();
  try {
    const problem = await buildTables(input, run);
    if (problem !== null) return notRun(`DuckDB cannot read the data: ${problem}`);
    const counts = await compareCounts(model, run);
    if (counts.difference !== null) return failed(counts.difference);
    const pages = await comparePages(input, run);
    if (pages.difference !== null) return failed(pages.difference);
    return {
      name: NAME,
      state: 'passed',
      detail: `${counts.compared} values and ${pages.compared} pages agree`,
    };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

interface Compared {
  readonly compared: number;
  readonly difference: string | null;
}

async function importDuckdb(): Promise<typeof import('@duckdb/node-api') | null> {
  try {
    return await import('@duckdb/node-api');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  }
}

/** The message of DuckDB when it refuses the files. */
async function buildTables({ model, files }: OracleInput, run: RunSql): Promise<string | null> {
  const tables: OracleTable[] = [];
  for (const table of model.definition.tables) {
    const file = files[table.name];
    if (file !== undefined) tables.push({ table, file, columns: await columnsOfFile(table, file) });
  }
  try {
    for (const statement of oracleStatements(model.definition, tables)) await run(statement);
    return null;
  } catch (error) {
    return (error as Error).message.split('\n')[0];
  }
}

async function compareCounts(model: NaiveModel, run: RunSql): Promise<Compared> {
  const [[aliveCount, aliveXor]] = await run('SELECT count(*), coalesce(bit_xor(slot), 0) FROM alive');
  const expectedAlive = summary(model.alive);
  if (Number(aliveCount) !== expectedAlive.count || Number(aliveXor) !== expectedAlive.xor) {
    return {
      compared: 1,
      difference: `alive: DuckDB has ${aliveCount} slots, the model ${expectedAlive.count}`,
    };
  }
  let compared = 1;
  for (const [index, { name }] of model.definition.fields.entries()) {
    const field = model.fields.get(name)!;
    const rows = await run(`SELECT value, count(*), bit_xor(slot) FROM field_${index} GROUP BY value`);
    const difference = differenceOfCounts(field, rows);
    if (difference !== null) return { compared, difference };
    compared += rows.length;
  }
  return { compared, difference: null };
}

function differenceOfCounts(field: ModelField, rows: readonly Row[]): string | null {
  const { name } = field.definition;
  const unseen = new Set(field.slotsOfValue.keys());
  for (const [sqlValue, count, xor] of rows) {
    const value = (typeof sqlValue === 'bigint' ? Number(sqlValue) : sqlValue) as ModelValue;
    const expected = summary(field.slotsOfValue.get(value) ?? []);
    if (Number(count) !== expected.count || Number(xor) !== expected.xor) {
      const counts = Number(count) === expected.count ? 'the same number of other slots' : `${count} slots`;
      return `${name}, value ${JSON.stringify(value)}: DuckDB has ${counts}, the model ${expected.count}`;
    }
    unseen.delete(value);
  }
  const [missing] = unseen;
  return missing === undefined ? null : `${name}, value ${JSON.stringify(missing)}: DuckDB does not have it`;
}

async function comparePages({ model, idsOf }: OracleInput, run: RunSql): Promise<Compared> {
  let compared = 0;
  for (const [sortIndex, sort] of model.definition.fields.entries()) {
    if (!sort.sort) continue;
    for (const direction of ['asc', 'desc'] as const) {
      for (const { where, join } of pageFilters(model)) {
        const rows =
          await run(`SELECT alive.slot FROM alive ${join} LEFT JOIN field_${sortIndex} ordered USING (slot)
          ORDER BY ordered.value ${direction} NULLS LAST, alive.slot ${direction} LIMIT ${PAGE_IDS}`);
        const ids = await idsOf({ where, orderBy: { [sort.name]: direction } }, PAGE_IDS);
        const place = firstDifference(
          rows.map(([slot]) => Number(slot)),
          ids,
        );
        if (place !== null) {
          const query = JSON.stringify({ where, orderBy: { [sort.name]: direction } });
          return {
            compared,
            difference: `${query}, id ${place + 1}: DuckDB ${rows[place]?.[0]}, query ${ids[place]}`,
          };
        }
        compared++;
      }
    }
  }
  return { compared, difference: null };
}

interface PageFilter {
  readonly where: Record<string, ModelValue>;
  readonly join: string;
}

/** All slots, and those of the first values of every filter field. */
function pageFilters(model: NaiveModel): PageFilter[] {
  const filters: PageFilter[] = [{ where: {}, join: '' }];
  for (const [index, { name, filter }] of model.definition.fields.entries()) {
    if (!filter) continue;
    for (const value of [...model.fields.get(name)!.slotsOfValue.keys()].slice(0, PAGE_VALUES)) {
      const literal = typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value);
      const join = `JOIN (SELECT slot FROM field_${index} WHERE value = ${literal}) chosen USING (slot)`;
      filters.push({ where: { [name]: value }, join });
    }
  }
  return filters;
}

function summary(slots: Iterable<number>): { count: number; xor: number } {
  let count = 0;
  let xor = 0;
  for (const slot of slots) {
    count++;
    xor ^= slot;
  }
  return { count, xor: xor >>> 0 };
}

function firstDifference(expected: readonly number[], actual: readonly number[]): number | null {
  for (let place = 0; place < Math.max(expected.length, actual.length); place++) {
    if (expected[place] !== actual[place]) return place;
  }
  return null;
}

function notRun(detail: string): Check {
  return { name: NAME, state: 'not run', detail };
}

function failed(detail: string): Check {
  return { name: NAME, state: 'failed', detail };
}
