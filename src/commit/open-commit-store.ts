/** Opens a node of a commit store over Postgres, for many nodes, or over PGlite in this process, for one. */
import { CommitError } from './commit-error.ts';
import { CommitStore } from './commit-store.ts';
import type { Database } from './storage/database.ts';

/** Where the data lies. Nodes with the same place and schema are one store. */
export type CommitStoreLocation = (
  | {
      /** A Postgres connection string. No pooler between: sessions listen and have settings. */
      readonly url: string;
    }
  | {
      /** A directory of its own, made when it is missing; `true` keeps everything in memory. */
      readonly embedded: string | true;
    }
) & {
  /** Of its tables. Default `bitloom_commit`. */
  readonly schema?: string;
};

export interface OpenCommitStoreOptions {
  /** Connections for reads, with `url`; four more do the rest of the work. */
  readonly readSessionsMax?: number;
}

const SCHEMA = 'bitloom_commit';

/** @throws CommitError DATABASE_UNREACHABLE; OPTION_INVALID; and what opening PGlite's directory throws. */
export async function openCommitStore(
  location: CommitStoreLocation,
  options: OpenCommitStoreOptions = {},
): Promise<CommitStore> {
  const database = await openDatabase(location, options);
  // Drivers are loaded when they are needed: PGlite brings a whole Postgres with it.
  const { openSqlStorage } = await import('./storage/sql-storage.ts');
  const storage = await openSqlStorage(database);
  return await new CommitStore({ storage }).start();
}

async function openDatabase(
  location: CommitStoreLocation,
  { readSessionsMax }: OpenCommitStoreOptions,
): Promise<Database> {
  const { schema = SCHEMA } = location;
  if ('url' in location) {
    if (typeof location.url !== 'string' || location.url === '') throw noLocation();
    const { openPgDatabase } = await import('./storage/pg-database.ts');
    return openPgDatabase({
      url: location.url,
      schema,
      ...(readSessionsMax === undefined ? {} : { readSessionsMax }),
    });
  }
  const { embedded } = location;
  if (embedded !== true && (typeof embedded !== 'string' || embedded === '')) throw noLocation();
  const { openPgliteDatabase } = await import('./storage/pglite-database.ts');
  return await openPgliteDatabase({ schema, ...(embedded === true ? {} : { directory: embedded }) });
}

function noLocation(): CommitError {
  return new CommitError('OPTION_INVALID', 'a commit store needs to know where its data lies', {
    hint: 'url: a Postgres connection string; or embedded: a directory, or true for memory',
  });
}
