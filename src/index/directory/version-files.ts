/**
 * The segments of a version as files: writing the ones that are new, reading all of a manifest.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { SEGMENT_FILES_PARALLEL_MAX } from '../../limits.ts';
import type { SegmentBytes } from '../segment.ts';
import type { FieldSegments, VersionSegments } from '../version.ts';
import { partsOf } from '../version-parts.ts';
import { readVerified, writeWhole } from './durable-files.ts';
import { type Manifest, type SegmentEntry, segmentFile } from './manifest.ts';

/** Entries of segments that already have a file here, by their memory. */
export type KnownSegments = WeakMap<SegmentBytes, SegmentEntry>;

/** Writes the segments that are not known among `files`, the files there. On failure it removes what it wrote and throws. */
export async function writeSegments(
  directory: string,
  version: number,
  segments: VersionSegments,
  known: KnownSegments,
  files: ReadonlySet<string>,
): Promise<SegmentEntry[]> {
  const parts = partsOf(segments);
  const entries: SegmentEntry[] = new Array(parts.length);
  const written: string[] = [];
  const results = await inParallel(parts.length, async (i) => {
    const { role, field, content } = parts[i];
    const existing = known.get(content);
    if (existing !== undefined && files.has(existing.file)) {
      entries[i] = { ...existing, role, field };
      return;
    }
    const file = segmentFile(version, i);
    written.push(file);
    const checksum = await writeWhole(directory, file, content);
    entries[i] = { role, field, file, bytes: content.byteLength, crc32: checksum };
  });
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await removeFiles(directory, written);
    throw failed.reason;
  }
  return entries;
}

/** The segments of a manifest, or what is wrong with its files. No bitmap is made of unverified bytes. */
export async function readSegments(
  directory: string,
  manifest: Manifest,
  known: KnownSegments,
): Promise<{ segments: VersionSegments } | { damages: string[] }> {
  const damages: string[] = [];
  let alive: SegmentBytes | undefined;
  const fields: Record<string, { -readonly [role in keyof FieldSegments]: SegmentBytes }> = {};
  const results = await inParallel(manifest.segments.length, async (i) => {
    const entry = manifest.segments[i];
    const reading = await readVerified(path.join(directory, entry.file), entry.bytes, entry.crc32);
    if ('damage' in reading) {
      damages.push(`${entry.file}: ${reading.damage}`);
      return;
    }
    known.set(reading.content, entry);
    if (entry.role === 'alive') {
      alive = reading.content;
    } else {
      const field = (fields[entry.field ?? ''] ??= {});
      field[entry.role] = reading.content;
    }
  });
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  if (alive === undefined && damages.length === 0) damages.push('it names no file for alive');
  return alive === undefined || damages.length > 0 ? { damages } : { segments: { alive, fields } };
}

/** Removes what is there; a file that stays behind is removed at the next occasion. */
export async function removeFiles(directory: string, files: readonly string[]): Promise<void> {
  await Promise.allSettled(files.map((file) => rm(path.join(directory, file), { force: true })));
}

/** Runs `work(0 … count − 1)`, a few at a time, to the end of all of them. */
async function inParallel(
  count: number,
  work: (i: number) => Promise<void>,
): Promise<PromiseSettledResult<void>[]> {
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  return Promise.allSettled(Array.from({ length: Math.min(count, SEGMENT_FILES_PARALLEL_MAX) }, lane));
}
