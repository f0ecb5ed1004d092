/**
 * What else could do the work, measured in the same run. DuckDB gets explicit columns (no sniffing) and as many threads as
 * the loader, otherwise its defaults, and once more freedom of row order, which makes it faster; it is not a dependency of
 * the package and is left out where it is missing.
 */
import { createReadStream } from 'node:fs';
import type { DuckDBConnection, DuckDBInstance, DuckDBPreparedStatement } from '@duckdb/node-api';
import { parse } from 'csv-parse';
import { assertAgree } from './difference.ts';
import type { BenchDump } from './dump.ts';
import type { LoadPeer } from './load.ts';

/** Column lists of read_csv, and what is made of them: the fields that dump's definition makes. */
const DUCKDB_TABLES: Readonly<Record<string, { columns: string; select: string }>> = {
  images: {
    columns:
      "'id': 'UINTEGER', 'url': 'VARCHAR', 'nsfwLevel': 'UINTEGER', 'hash': 'VARCHAR', 'flags': 'UINTEGER', " +
      "'type': 'VARCHAR', 'userId': 'UINTEGER', 'blockedFor': 'VARCHAR', 'scannedAtSecs': 'UINTEGER', " +
      "'createdAtSecs': 'UINTEGER', 'postId': 'UINTEGER'",
    // greatest ignores nulls.
    select:
      'id, nsfwLevel, type, userId, postId, blockedFor, ' +
      '((flags >> 13) & 1) = 1 AND ((flags >> 2) & 1) = 0 AS hasMeta, ((flags >> 14) & 1) = 1 AS onSite, ' +
      '((flags >> 3) & 1) = 1 AS minor, ((flags >> 4) & 1) = 1 AS poi, ' +
      'greatest(scannedAtSecs, createdAtSecs) AS existedAt',
  },
  tags: { columns: "'tagId': 'UINTEGER', 'imageId': 'UINTEGER'", select: 'tagId, imageId' },
  tools: { columns: "'toolId': 'UINTEGER', 'imageId': 'UINTEGER'", select: 'toolId, imageId' },
};

export function duckdbLoadSql(table: string, path: string): string {
  const { columns, select } = DUCKDB_TABLES[table];
  const file = path.replaceAll("'", "''");
  return (
    `CREATE OR REPLACE TABLE ${table} AS SELECT ${select} FROM read_csv('${file}', columns = { ${columns} }, ` +
    `auto_detect = false, header = false, delim = ',', quote = '"', escape = '"')`
  );
}

export class DuckdbPeer implements LoadPeer {
  readonly name: string;
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;

  private constructor(name: string, instance: DuckDBInstance, connection: DuckDBConnection) {
    this.name = name;
    this.#instance = instance;
    this.#connection = connection;
  }

  /** In memory; null where @duckdb/node-api is not installed. `ordered`: rows keep the order of the file, its default. */
  static async open(threads: number, { ordered = true } = {}): Promise<DuckdbPeer | null> {
    const library = await importDuckdb();
    if (library === null) return null;
    const instance = await library.DuckDBInstance.create(':memory:', { threads: String(threads) });
    const connection = await instance.connect();
    if (ordered) return new DuckdbPeer('DuckDB', instance, connection);
    await connection.run('SET preserve_insertion_order = false');
    return new DuckdbPeer('DuckDB in any order', instance, connection);
  }

  async load(files: BenchDump['files']): Promise<number> {
    const startMs = performance.now();
    for (const { table, path } of files) await this.#connection.run(duckdbLoadSql(table, path));
    const elapsedMs = performance.now() - startMs;
    for (const { table, rows } of files) {
      const counted = await this.#connection.runAndReadAll(`SELECT count(*)::INTEGER FROM ${table}`);
      assertAgree(`rows of ${table} in ${this.name}`, counted.getRows()[0][0], rows);
    }
    return elapsedMs;
  }

  prepare(sql: string): Promise<DuckDBPreparedStatement> {
    return this.#connection.prepare(sql);
  }

  close(): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }
}

/**
 * What one writes first: csv-parse, a Set of slots per value, a Map of the values to order by. Of images.csv alone;
 * returns milliseconds.
 */
export async function loadNaively({ path, rows }: BenchDump['files'][number]): Promise<number> {
  const startMs = performance.now();
  const alive = new Set<number>();
  const existedAt = new Map<number, number>();
  const filters = Array.from({ length: 9 }, () => new Map<number | string | boolean, Set<number>>());
  const records = createReadStream(path, { highWaterMark: 1024 * 1024 }).pipe(parse());
  for await (const record of records as AsyncIterable<string[]>) {
    const [id, , nsfwLevel, , flagsText, type, userId, blockedFor, scannedAt, createdAt, postId] = record;
    const slot = Number(id);
    const flags = Number(flagsText);
    alive.add(slot);
    existedAt.set(slot, Math.max(Number(scannedAt), Number(createdAt)));
    addTo(filters[0], Number(nsfwLevel), slot);
    addTo(filters[1], type, slot);
    addTo(filters[2], Number(userId), slot);
    if (postId !== '') addTo(filters[3], Number(postId), slot);
    if (blockedFor !== '') addTo(filters[4], blockedFor, slot);
    addTo(filters[5], ((flags >> 13) & 1) === 1 && ((flags >> 2) & 1) === 0, slot);
    addTo(filters[6], ((flags >> 14) & 1) === 1, slot);
    addTo(filters[7], ((flags >> 3) & 1) === 1, slot);
    addTo(filters[8], ((flags >> 4) & 1) === 1, slot);
  }
  const elapsedMs = performance.now() - startMs;
  assertAgree('rows of the naive index', [alive.size, existedAt.size], [rows, rows]);
  return elapsedMs;
}

function addTo<Value>(filter: Map<Value, Set<number>>, value: Value, slot: number): void {
  const slots = filter.get(value);
  if (slots === undefined) filter.set(value, new Set([slot]));
  else slots.add(slot);
}

async function importDuckdb(): Promise<typeof import('@duckdb/node-api') | null> {
  try {
    return await import('@duckdb/node-api');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  }
}
