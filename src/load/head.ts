/**
 * The first bytes of a source: the names of its columns where the first record is the header, and how long its lines
 * are, for the plan.
 */
import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { parse } from 'csv-parse/sync';
import { bindColumns } from '../config/bind.ts';
import { BitloomError } from '../errors.ts';
import { RECORD_BYTES_MAX } from '../limits.ts';
import type { Source } from './source.ts';

export interface Head {
  readonly columns: readonly string[];
  readonly averageLineBytes: number;
}

const SAMPLE_BYTES = 64 * 1024;
const LINE_FEED = 10;

/** Errors: HEADER_INVALID, SOURCE_UNREADABLE, COLUMN_UNKNOWN, COLUMN_DUPLICATE. */
export async function readHead(source: Source): Promise<Head> {
  const { csv } = source.table;
  const sample = await readFirst(source, csv.columns === null ? RECORD_BYTES_MAX : SAMPLE_BYTES);
  const columns = csv.columns ?? parseHeader(source, sample);
  bindColumns(source.table, columns);
  return { columns, averageLineBytes: averageLine(sample.subarray(0, SAMPLE_BYTES)) };
}

async function readFirst(source: Source, bytes: number): Promise<Buffer> {
  try {
    return source.gzip ? await readFirstUnzipped(source.path, bytes) : readFirstPlain(source.path, bytes);
  } catch (cause) {
    throw new BitloomError('SOURCE_UNREADABLE', `table ${source.table.name}: reading ${source.file} failed`, {
      hint: source.gzip
        ? 'check that the file is intact gzip (gzip -t)'
        : 'check the file and its permissions',
      at: { file: source.file },
      cause,
    });
  }
}

/** Synchronous, as it takes less time than setting up a stream. */
function readFirstPlain(path: string, bytes: number): Buffer {
  const first = Buffer.allocUnsafe(bytes);
  const descriptor = openSync(path, 'r');
  try {
    let filled = 0;
    for (let count = -1; count !== 0 && filled < bytes; filled += count) {
      count = readSync(descriptor, first, filled, bytes - filled, filled);
    }
    return first.subarray(0, filled);
  } finally {
    closeSync(descriptor);
  }
}

async function readFirstUnzipped(path: string, bytes: number): Promise<Buffer> {
  const blocks: Buffer[] = [];
  let filled = 0;
  const file = createReadStream(path);
  const stream = file.pipe(createGunzip());
  file.on('error', (error) => stream.destroy(error));
  try {
    for await (const block of stream) {
      blocks.push(block);
      filled += block.length;
      if (filled >= bytes) break;
    }
  } catch (error) {
    // A cut-off stream still has a readable head; the scan reports where it ends.
    if ((error as NodeJS.ErrnoException).code !== 'Z_BUF_ERROR' || filled === 0) throw error;
  } finally {
    file.destroy();
  }
  return Buffer.concat(blocks).subarray(0, bytes);
}

function parseHeader(source: Source, sample: Buffer): string[] {
  const { csv } = source.table;
  let records: string[][];
  try {
    records = parse(sample, {
      to: 1,
      bom: true,
      delimiter: csv.delimiter,
      quote: csv.quote,
      escape: csv.escape,
      relax_column_count: true,
    });
  } catch (cause) {
    throw headerError(source, 'cannot be read as a header', cause);
  }
  const [header] = records;
  if (header === undefined) throw headerError(source, 'is missing');
  return header;
}

function headerError(source: Source, problem: string, cause?: unknown): BitloomError {
  return new BitloomError('HEADER_INVALID', `table ${source.table.name}: the first record ${problem}`, {
    hint: 'give the column names in csv.columns if the file has no header',
    at: { file: source.file, line: 1 },
    cause,
  });
}

/** Searches from line to line rather than looking at every byte: all threads wait for the plan. */
function averageLine(sample: Buffer): number {
  let lines = 0;
  for (let at = sample.indexOf(LINE_FEED); at !== -1; at = sample.indexOf(LINE_FEED, at + 1)) lines++;
  return Math.max(1, sample.length / Math.max(1, lines));
}
