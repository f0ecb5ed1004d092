/**
 * Writes a dump for tests and benchmarks: index.yaml, images.csv, tags.csv and tools.csv. The bytes depend on (rows,
 * seed) alone, never on machine or time. Memory does not grow with the row count.
 */
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BitloomError } from '../errors.ts';
import { GENERATE_ROWS_MAX } from '../limits.ts';
import { DUMP_DEFINITION_YAML } from './dump-definition.ts';
import { IMAGE_ROW_BYTES_MAX, ImageRows } from './image-rows.ts';
import { JOIN_ROWS_BYTES_MAX, JoinRows, type JoinShape, tagShape, toolShape } from './join-rows.ts';

export interface GenerateOptions {
  /** Rows of images.csv; the join tables follow from it (about 4.5 tags and 0.5 tools per image). */
  rows: number;
  /** Directory, created when missing; files of the same names are overwritten. */
  out: string;
  /** Unsigned 32-bit integer, 1 when not given. */
  seed?: number;
  /** Called a few times per second of work, with the images of the table handled so far. */
  onProgress?: (progress: GenerateProgress) => void;
}

export interface GenerateProgress {
  table: string;
  images: number;
  imagesTotal: number;
}

export interface GeneratedFile {
  table: string;
  path: string;
  rows: number;
  bytes: number;
}

export interface GenerateSummary {
  rows: number;
  seed: number;
  definition: string;
  files: GeneratedFile[];
}

interface TableRows {
  write(bytes: Uint8Array, at: number): number;
  /** What is left after the last image; fits in WRITE_BYTES. */
  writeRemaining?(bytes: Uint8Array, at: number): number;
}

const WRITE_BYTES = 1024 * 1024;
const SEED_DEFAULT = 1;

/** Errors: GENERATE_OPTIONS; those of the file system pass unchanged. */
export async function generateDump(options: GenerateOptions): Promise<GenerateSummary> {
  const { rows, out, seed = SEED_DEFAULT } = options;
  checkInteger('rows', rows, GENERATE_ROWS_MAX);
  checkInteger('seed', seed, 0xffffffff);
  await mkdir(out, { recursive: true });
  const definition = join(out, 'index.yaml');
  await writeFile(definition, DUMP_DEFINITION_YAML);
  const files = [
    await writeImages(options, seed),
    await writeJoin(options, seed, 'tags', tagShape(rows)),
    await writeJoin(options, seed, 'tools', toolShape(rows)),
  ];
  return { rows, seed, definition, files };
}

async function writeImages(options: GenerateOptions, seed: number): Promise<GeneratedFile> {
  const rows = new ImageRows(options.rows, seed);
  const { path, bytes } = await writeTable(options, 'images', rows, IMAGE_ROW_BYTES_MAX);
  return { table: 'images', path, rows: options.rows, bytes };
}

async function writeJoin(
  options: GenerateOptions,
  seed: number,
  table: string,
  shape: JoinShape,
): Promise<GeneratedFile> {
  const rows = new JoinRows(shape, seed);
  const { path, bytes } = await writeTable(options, table, rows, JOIN_ROWS_BYTES_MAX);
  return { table, path, rows: rows.rowCount, bytes };
}

/** Fills a buffer with the rows of whole images and writes it, until every image had its turn. */
async function writeTable(
  options: GenerateOptions,
  table: string,
  source: TableRows,
  imageBytesMax: number,
): Promise<{ path: string; bytes: number }> {
  const path = join(options.out, `${table}.csv`);
  const buffer = new Uint8Array(WRITE_BYTES);
  const file = await open(path, 'w');
  let bytes = 0;
  let images = 0;
  try {
    while (images < options.rows) {
      let at = 0;
      while (images < options.rows && at + imageBytesMax <= WRITE_BYTES) {
        at = source.write(buffer, at);
        images++;
      }
      await writeFully(file, buffer, at);
      bytes += at;
      options.onProgress?.({ table, images, imagesTotal: options.rows });
    }
    const remaining = source.writeRemaining?.(buffer, 0) ?? 0;
    await writeFully(file, buffer, remaining);
    bytes += remaining;
  } finally {
    await file.close();
  }
  return { path, bytes };
}

type OpenFile = Awaited<ReturnType<typeof open>>;

async function writeFully(file: OpenFile, bytes: Uint8Array, length: number): Promise<void> {
  let done = 0;
  while (done < length) {
    const { bytesWritten } = await file.write(bytes, done, length - done);
    done += bytesWritten;
  }
}

function checkInteger(name: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= max) return;
  throw new BitloomError('GENERATE_OPTIONS', `${name} is ${value}`, {
    hint: `${name} must be an integer from 0 to ${max}`,
  });
}
