/**
 * The generated dump that everything of one size is measured on. Its files are read once after they are written, so that
 * no measurement depends on what the page cache happens to hold.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { type GeneratedFile, generateDump } from '../src/generate/generate.ts';

export interface BenchDump {
  /** Of images.csv. */
  readonly rows: number;
  readonly definition: string;
  readonly files: readonly GeneratedFile[];
}

/** Values as they occur in the dump, popular ones often, to ask for. */
export interface DumpValues {
  readonly userIds: readonly number[];
  readonly tagIds: readonly number[];
  readonly existedAt: readonly number[];
}

const STRETCHES = 16;
const STRETCH_BYTES = 32 * 1024;
const IMAGE = { userId: 6, createdAtSecs: 9 } as const;
const TAG = { tagId: 0 } as const;

export async function prepareDump(rows: number, directory: string): Promise<BenchDump> {
  const { definition, files } = await generateDump({ rows, out: join(directory, String(rows)) });
  for (const { path } of files) for await (const _ of createReadStream(path));
  return { rows, definition, files };
}

export function filesOf(dump: BenchDump, tables: readonly string[]): GeneratedFile[] {
  return dump.files.filter(({ table }) => tables.includes(table));
}

export async function sampleValues(dump: BenchDump): Promise<DumpValues> {
  const [images, tags] = await Promise.all(
    filesOf(dump, ['images', 'tags']).map(({ path }) => sampleRecords(path)),
  );
  return {
    userIds: images.map((record) => Number(record[IMAGE.userId])),
    existedAt: images.map((record) => Number(record[IMAGE.createdAtSecs])),
    tagIds: tags.map((record) => Number(record[TAG.tagId])),
  };
}

/** Records of evenly spaced stretches of a generated file, in which no field holds a line feed. */
async function sampleRecords(path: string): Promise<string[][]> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const bytes = Buffer.alloc(Math.min(STRETCH_BYTES, size));
    const records: string[][] = [];
    for (let stretch = 0; stretch < STRETCHES; stretch++) {
      const offset = Math.floor(((size - bytes.length) * stretch) / (STRETCHES - 1));
      await file.read(bytes, 0, bytes.length, offset);
      const from = offset === 0 ? 0 : bytes.indexOf(10) + 1;
      records.push(...parse(bytes.subarray(from, bytes.lastIndexOf(10) + 1)));
    }
    return records;
  } finally {
    await file.close();
  }
}
