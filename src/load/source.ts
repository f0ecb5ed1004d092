/**
 * One input file of a dump: opened and checked before any work starts, and checked again when the work is done, so
 * that a directory, a missing, empty or unreadable file, or one that changes under the load gets an error of its own.
 */
import { type BigIntStats, closeSync, openSync, readSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { TableDefinition } from '../config/definition.ts';
import { BitloomError } from '../errors.ts';

export interface Source {
  readonly table: TableDefinition;
  /** As the caller wrote it, for messages. */
  readonly file: string;
  /** Absolute. */
  readonly path: string;
  /** Bytes on disk: compressed bytes for gzip. */
  readonly bytes: number;
  readonly gzip: boolean;
  readonly identity: string;
}

const GZIP_MAGIC_FIRST = 0x1f;
const GZIP_MAGIC_SECOND = 0x8b;

/** Opens nothing that stays open. Errors: SOURCE_NOT_FOUND, SOURCE_NOT_A_FILE, SOURCE_EMPTY, SOURCE_UNREADABLE. */
export async function inspectSource(table: TableDefinition, file: string): Promise<Source> {
  const path = resolve(file);
  const stats = await statSource(table, file, path);
  if (!stats.isFile()) {
    throw new BitloomError(
      'SOURCE_NOT_A_FILE',
      `table ${table.name}: ${file} is ${stats.isDirectory() ? 'a directory' : 'not a regular file'}`,
      { hint: 'give the path of one CSV file, plain or .gz', at: { file } },
    );
  }
  const magic = readFirstBytes(table, file, path);
  if (stats.size === 0n || magic.length === 0) {
    throw new BitloomError('SOURCE_EMPTY', `table ${table.name}: ${file} is empty`, {
      hint: 'leave a table without rows out of the load, or check the export that wrote the file',
      at: { file },
    });
  }
  const gzip = table.csv.gzip ?? file.endsWith('.gz');
  const looksGzip = magic[0] === GZIP_MAGIC_FIRST && magic[1] === GZIP_MAGIC_SECOND;
  if (gzip !== looksGzip) {
    throw new BitloomError(
      'SOURCE_FORMAT',
      gzip
        ? `table ${table.name}: ${file} is declared gzip but is not`
        : `table ${table.name}: ${file} is gzip-compressed but not declared so`,
      { hint: 'name the file .gz, or set csv.gzip in the definition', at: { file } },
    );
  }
  return { table, file, path, bytes: Number(stats.size), gzip, identity: identityOf(stats) };
}

/** Error SOURCE_CHANGED when the file is not the one that was inspected, or was written to since. */
export async function assertUnchanged(source: Source): Promise<void> {
  const stats = await statSource(source.table, source.file, source.path);
  if (identityOf(stats) === source.identity) return;
  throw new BitloomError(
    'SOURCE_CHANGED',
    `${source.file} changed while it was loaded; nothing was published`,
    {
      hint: 'load from a file that nothing writes to: export to a temporary name and rename it when complete',
      at: { file: source.file },
    },
  );
}

async function statSource(table: TableDefinition, file: string, path: string): Promise<BigIntStats> {
  try {
    return await stat(path, { bigint: true });
  } catch (cause) {
    throw unreadable(table, file, cause);
  }
}

function readFirstBytes(table: TableDefinition, file: string, path: string): Uint8Array {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(path, 'r');
    const magic = new Uint8Array(2);
    return magic.subarray(0, readSync(descriptor, magic, 0, magic.length, 0));
  } catch (cause) {
    throw unreadable(table, file, cause);
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

function unreadable(table: TableDefinition, file: string, cause: unknown): BitloomError {
  const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
  return new BitloomError(
    missing ? 'SOURCE_NOT_FOUND' : 'SOURCE_UNREADABLE',
    `table ${table.name}: ${file} ${missing ? 'does not exist' : 'cannot be read'}`,
    { hint: missing ? 'check the path' : 'check the permissions of the file', at: { file }, cause },
  );
}

function identityOf(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}`;
}
