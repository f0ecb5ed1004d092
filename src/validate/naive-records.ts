/**
 * The records of a CSV file for the naive model, in file order. A byte-at-a-time splitter finds where records begin and
 * end and which are malformed; the well-formed ones go through csv-parse in blocks, which must find exactly the same
 * records. Nothing here is shared with the loader.
 */
import { Buffer, isUtf8 } from 'node:buffer';
import { open } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { parse } from 'csv-parse/sync';
import type { CsvDialect } from '../config/definition.ts';
import { BitloomError } from '../errors.ts';
import { RECORD_BYTES_MAX } from '../limits.ts';
import { type RecordExtent, splitRecords } from './naive-splitter.ts';

/** The text of one field, null when it means null, or INVALID_TEXT when its bytes are not UTF-8. */
export type NaiveText = string | null | typeof INVALID_TEXT;

export const INVALID_TEXT = Symbol('not UTF-8');

export interface NaiveRecord {
  /** Physical line of its first byte, from 1. */
  readonly line: number;
  /** Of its first byte in the (decompressed) file, from 0. */
  readonly byteOffset: number;
  /** Null for a malformed record, then `code` says why. */
  readonly fields: readonly NaiveText[] | null;
  readonly code: string | null;
  /** Nothing but its line end. */
  readonly blank: boolean;
}

const BLOCK_BYTES = 256 * 1024;
const READ_BYTES = 1024 * 1024;
const LINE_FEED = 0x0a;

/** In batches. Blank lines are records here; a byte order mark at the start is no text. */
export async function* readNaiveRecords(file: string, dialect: CsvDialect): AsyncGenerator<NaiveRecord[]> {
  let carried: Buffer = Buffer.alloc(0);
  let carriedOffset = 0;
  let line = 1;
  for await (const { bytes, atEnd } of readChunks(file, dialect.gzip ?? file.endsWith('.gz'))) {
    const text = carried.length === 0 ? bytes : Buffer.concat([carried, bytes]);
    const start = carriedOffset === 0 && startsWithByteOrderMark(text) ? 3 : 0;
    if (!atEnd && text.length < 3) {
      carried = text;
      continue;
    }
    const { extents, end, lines } = splitRecords(text, start, atEnd, dialect, RECORD_BYTES_MAX);
    for (const batch of inBlocks(extents)) {
      yield parseBlock(text, batch, dialect, line, carriedOffset, file);
    }
    line += lines;
    carriedOffset += end;
    carried = text.subarray(end);
  }
}

/** Stretches of well-formed records up to BLOCK_BYTES; malformed records stand alone. */
function* inBlocks(extents: readonly RecordExtent[]): Generator<RecordExtent[]> {
  let block: RecordExtent[] = [];
  for (const extent of extents) {
    const first = block.at(0);
    if (
      first !== undefined &&
      (first.code !== null || extent.code !== null || extent.end - first.start > BLOCK_BYTES)
    ) {
      yield block;
      block = [];
    }
    block.push(extent);
  }
  if (block.length > 0) yield block;
}

function parseBlock(
  text: Buffer,
  block: readonly RecordExtent[],
  dialect: CsvDialect,
  line: number,
  offset: number,
  file: string,
): NaiveRecord[] {
  const place = (extent: RecordExtent) => ({
    line: line + extent.line,
    byteOffset: offset + extent.start,
    blank: extent.blank,
  });
  if (block[0].code !== null) {
    return block.map((extent) => ({ ...place(extent), fields: null, code: extent.code }));
  }
  const bytes = Buffer.concat(block.map((extent) => text.subarray(extent.start, extent.end)));
  const rows = isUtf8(bytes)
    ? parseText(bytes, dialect)
    : reinterpretLatin1(parseText(bytes, dialect, 'latin1'));
  if (rows.length !== block.length) {
    throw new BitloomError(
      'MODEL_DISAGREES',
      `${file}: csv-parse finds ${rows.length} records where the splitter finds ${block.length}`,
      {
        hint: 'this is a fault of the naive model itself; report it with the file',
        at: { file, byteOffset: offset + block[0].start },
      },
    );
  }
  return block.map((extent, index) => ({ ...place(extent), fields: rows[index], code: null }));
}

/** Texts equal to the null token are null unless quoted; csv-parse is slow at telling, so it is asked only if need be. */
function parseText(
  bytes: Buffer,
  dialect: CsvDialect,
  encoding: BufferEncoding = 'utf8',
): (string | null)[][] {
  const options = {
    encoding,
    delimiter: dialect.delimiter,
    quote: dialect.quote,
    escape: dialect.escape,
    record_delimiter: ['\r\n', '\n'],
    relax_column_count: true,
    skip_empty_lines: false,
  };
  const nullToken = dialect.null;
  if (bytes.includes(dialect.quote + nullToken + dialect.quote)) {
    return parse(bytes, {
      ...options,
      cast: (value, context) => (!context.quoting && value === nullToken ? null : value),
    });
  }
  return parse(bytes, options).map((row) => row.map((text) => (text === nullToken ? null : text)));
}

/** A block with some invalid bytes was parsed as Latin-1, one character a byte: each field is judged on its own. */
function reinterpretLatin1(rows: (string | null)[][]): NaiveText[][] {
  return rows.map((row) =>
    row.map((text) => {
      if (text === null) return null;
      const bytes = Buffer.from(text, 'latin1');
      return isUtf8(bytes) ? bytes.toString('utf8') : INVALID_TEXT;
    }),
  );
}

function startsWithByteOrderMark(bytes: Buffer): boolean {
  return bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

/** The file in pieces, the last one flagged and ended with a line feed; an empty file is one empty piece. */
async function* readChunks(file: string, gzip: boolean): AsyncGenerator<{ bytes: Buffer; atEnd: boolean }> {
  const handle = await open(file, 'r');
  try {
    const raw = handle.createReadStream({ highWaterMark: READ_BYTES, autoClose: false });
    let previous: Buffer = Buffer.alloc(0);
    for await (const bytes of gzip ? raw.pipe(createGunzip()) : raw) {
      if (previous.length > 0) yield { bytes: previous, atEnd: false };
      previous = bytes as Buffer;
    }
    const complete = previous.length === 0 || previous.at(-1) === LINE_FEED;
    yield { bytes: complete ? previous : Buffer.concat([previous, Buffer.of(LINE_FEED)]), atEnd: true };
  } finally {
    await handle.close();
  }
}
