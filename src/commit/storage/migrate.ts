/**
 * Brings the schema of a database up to this program: numbered SQL files, each applied once, in order, in one transaction
 * under an advisory lock. A migration that changes what two programs must agree on raises `lease.protocol_version` and
 * `lease.epoch`, so that an older program can neither go on leading nor lead again.
 */
import { readdir, readFile } from 'node:fs/promises';
import { CommitError } from '../commit-error.ts';
import type { Database, MigrationSession } from './database.ts';

/** What this program speaks; see the lease. */
export const PROTOCOL_VERSION = 1;

/** The build copies them beside the compiled file. */
const DIRECTORY = new URL('./migrations/', import.meta.url);
const FILE_PATTERN = /^(\d{4})-[a-z0-9-]+\.sql$/;

interface Migration {
  readonly number: number;
  readonly file: string;
}

/** @throws CommitError SCHEMA_TOO_NEW when a newer program has migrated the schema. */
export async function migrate(database: Database): Promise<void> {
  const migrations = await listMigrations();
  await database.migrate(async (session) => {
    await session.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
      `bitloom commit migrations ${database.schema}`,
    ]);
    const applied = await appliedNumber(session, database.schema);
    assertKnown(applied, migrations, database.schema);
    for (const { number, file } of migrations.slice(applied)) {
      await session.script(await readFile(new URL(file, DIRECTORY), 'utf8'));
      await session.query('INSERT INTO migration (number, file) VALUES ($1, $2)', [number, file]);
    }
  });
}

export function schemaTooNew(what: string): CommitError {
  return new CommitError('SCHEMA_TOO_NEW', what, {
    hint: 'run at least the version of bitloom that migrated it, or use another schema',
  });
}

async function listMigrations(): Promise<readonly Migration[]> {
  const files = (await readdir(DIRECTORY)).filter((file) => FILE_PATTERN.test(file)).sort();
  return files.map((file) => ({ number: Number(file.slice(0, 4)), file }));
}

/** The highest migration applied, 0 in a new schema. Changes nothing in one that is up to date, so needs no rights there. */
async function appliedNumber(session: MigrationSession, schema: string): Promise<number> {
  const [{ has_schema: hasSchema, has_table: hasTable }] = await session.query(
    'SELECT to_regnamespace($1) IS NOT NULL AS has_schema, to_regclass($2) IS NOT NULL AS has_table',
    [`"${schema}"`, `"${schema}".migration`],
  );
  if (hasSchema !== true) await session.script(`CREATE SCHEMA "${schema}"`);
  if (hasTable !== true) {
    await session.script(
      'CREATE TABLE migration (number int4 PRIMARY KEY, file text NOT NULL, ' +
        'applied_at timestamptz NOT NULL DEFAULT clock_timestamp())',
    );
  }
  const [row] = await session.query('SELECT coalesce(max(number), 0) AS number FROM migration', []);
  return row.number as number;
}

function assertKnown(applied: number, migrations: readonly Migration[], schema: string): void {
  const newest = migrations.length;
  if (applied <= newest) return;
  throw schemaTooNew(
    `schema '${schema}' is at migration ${applied}, this program knows migrations up to ${newest}`,
  );
}
