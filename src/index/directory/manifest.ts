/**
 * A manifest names everything one version consists of; the version exists as soon as its manifest has its final name.
 * It is JSON with a checksum over its own content (everything but `crc32`, as JSON without white space).
 */
import { crc32 } from 'node:zlib';
import type { SegmentRole } from '../version-parts.ts';

/** Counts up when a file of the directory, or what a manifest says about it, changes its meaning. */
export const DIRECTORY_FORMAT_VERSION = 1;
const FORMAT = 'bitloom-manifest';

export interface SegmentEntry {
  readonly role: SegmentRole;
  /** Null for alive. */
  readonly field: string | null;
  readonly file: string;
  readonly bytes: number;
  readonly crc32: number;
}

export interface Manifest {
  readonly version: number;
  readonly definitionHash: string;
  /** The normalised definition, as plain JSON. */
  readonly definition: unknown;
  /** What belongs to the version in the same atomic step, by owner. Plain JSON. */
  readonly extra: Readonly<Record<string, unknown>>;
  readonly segments: readonly SegmentEntry[];
}

/** What a manifest file holds; `unknownFormat` is the format version of a newer program. */
export type ManifestReading =
  | { readonly manifest: Manifest }
  | { readonly unknownFormat: unknown }
  | { readonly damage: string };

const MANIFEST_PATTERN = /^manifest-([0-9]{1,15})\.json$/;
const SEGMENT_PATTERN = /^segment-[0-9]{1,15}-[0-9]{1,9}\.bin$/;
export const TEMPORARY_PATTERN =
  /^(manifest-[0-9]+\.json|segment-[0-9]+-[0-9]+\.bin|bitloom\.json|bitloom-spill-[0-9a-f-]+)\.tmp$/;

export function manifestFile(version: number): string {
  return `manifest-${version}.json`;
}

export function segmentFile(version: number, ordinal: number): string {
  return `segment-${version}-${ordinal}.bin`;
}

/** Version of a manifest's file name, or null for any other file. */
export function versionOfFile(file: string): number | null {
  const match = MANIFEST_PATTERN.exec(file);
  return match === null ? null : Number(match[1]);
}

export function isSegmentFile(file: string): boolean {
  return SEGMENT_PATTERN.test(file);
}

export function encodeManifest(manifest: Manifest): string {
  const content = { format: FORMAT, formatVersion: DIRECTORY_FORMAT_VERSION, ...manifest };
  const crc = crc32(JSON.stringify(content));
  return `${JSON.stringify({ crc32: crc, ...content }, null, 1)}\n`;
}

export function decodeManifest(text: string, version: number): ManifestReading {
  let parsed: Record<string, unknown>;
  try {
    parsed = JSON.parse(text);
  } catch {
    return { damage: 'not valid JSON' };
  }
  const { crc32: crc, ...content } = parsed ?? {};
  if (crc32(JSON.stringify(content)) !== crc) return { damage: 'checksum mismatch' };
  if (content.format !== FORMAT) return { damage: 'not a manifest' };
  if (content.formatVersion !== DIRECTORY_FORMAT_VERSION) return { unknownFormat: content.formatVersion };
  // The checksum holds, so the content is what a program of this format wrote: types need no second proof. Names do,
  // because they are joined to a path.
  const {
    format: _,
    formatVersion: __,
    ...manifest
  } = content as unknown as Manifest & Record<string, unknown>;
  if (manifest.version !== version) return { damage: `it says version ${manifest.version}` };
  const foreign = manifest.segments.find(({ file }) => !isSegmentFile(file));
  if (foreign !== undefined) return { damage: `it names ${JSON.stringify(foreign.file)}` };
  return { manifest };
}
