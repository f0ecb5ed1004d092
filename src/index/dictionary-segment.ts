/**
 * Builds and reads the segment of a dictionary: strings as UTF-8 bytes one after the other, in the order of their codes, with a
 * hash table over them. No object per string. Strings are equal when their bytes are.
 *
 * Sections: offsets u32[n + 1] within the bytes; hash table u32 (a power of two of entries: code + 1, or 0 for free;
 * linear probing from `hashOfBytes`); the bytes.
 */
import { BitloomError } from '../errors.ts';
import { DICTIONARY_BYTES_MAX } from '../limits.ts';
import { GrowableWords } from './growable.ts';
import { Segment, type SegmentBytes } from './segment.ts';
import type { Dictionary } from './version.ts';

const DICTIONARY_SECTIONS = { offsets: 0, table: 1, bytes: 2 } as const;
const DICTIONARY_SECTION_COUNT = 3;
const TABLE_ENTRIES_MIN = 16;

export class DictionarySegment implements Dictionary {
  readonly content: SegmentBytes;
  readonly size: number;
  /** String of code c: bytes[offsets[c] … offsets[c + 1]). Read-only, as is all below. */
  readonly offsets: Uint32Array;
  readonly bytes: Uint8Array;
  readonly table: Uint32Array;

  constructor(content: SegmentBytes) {
    const segment = Segment.open(content, 'dictionary', DICTIONARY_SECTION_COUNT);
    this.content = content;
    this.offsets = segment.words(DICTIONARY_SECTIONS.offsets);
    this.bytes = segment.bytes(DICTIONARY_SECTIONS.bytes);
    this.table = segment.words(DICTIONARY_SECTIONS.table);
    this.size = this.offsets.length - 1;
  }

  codeOf(text: string): number | undefined {
    if (hasLoneSurrogate(text)) return undefined;
    const bytes = Buffer.from(text, 'utf8');
    const entry = findEntry(this.table, this.offsets, this.bytes, bytes, 0, bytes.length);
    const code = this.table[entry] - 1;
    return code < 0 ? undefined : code;
  }

  textOf(code: number): string {
    if (!(code < this.size)) throw new RangeError(`no string has the code ${code}, there are ${this.size}`);
    const { buffer, byteOffset } = this.bytes;
    const start = this.offsets[code];
    return Buffer.from(buffer, byteOffset + start, this.offsets[code + 1] - start).toString('utf8');
  }
}

/**
 * Builds the segment of a dictionary. Codes are given in the order of first appearance; a builder on top of a segment
 * keeps all of its codes, so a code never changes its string.
 */
export class DictionaryBuilder {
  readonly #offsets = new GrowableWords();
  #bytes: Uint8Array;
  #table: Uint32Array;

  constructor(previous?: DictionarySegment) {
    if (previous === undefined) {
      this.#offsets.push(0);
      this.#bytes = new Uint8Array(4096);
      this.#table = new Uint32Array(TABLE_ENTRIES_MIN);
      return;
    }
    this.#offsets.reserve(previous.offsets.length);
    this.#offsets.values.set(previous.offsets);
    this.#offsets.length = previous.offsets.length;
    this.#bytes = new Uint8Array(Math.max(4096, previous.bytes.length * 2));
    this.#bytes.set(previous.bytes);
    this.#table = previous.table.slice();
  }

  /** Strings so far: the code that the next new one gets. */
  get size(): number {
    return this.#offsets.length - 1;
  }

  /**
   * The code of the UTF-8 string bytes[start…end), new or not.
   * @throws BitloomError DICTIONARY_TOO_LARGE when the strings pass DICTIONARY_BYTES_MAX.
   */
  add(bytes: Uint8Array, start: number, end: number): number {
    const entry = findEntry(this.#table, this.#offsets.values, this.#bytes, bytes, start, end);
    const existing = this.#table[entry] - 1;
    if (existing >= 0) return existing;
    const code = this.size;
    this.#append(bytes, start, end);
    this.#table[entry] = code + 1;
    if (this.size * 2 > this.#table.length) {
      this.#table = new Uint32Array(this.#table.length * 2);
      fillTable(this.#table, this.#offsets.view(), this.#bytes);
    }
    return code;
  }

  /** The segment; the builder can go on. */
  finish(): SegmentBytes {
    const byteCount = this.#offsets.values[this.size];
    const segment = Segment.allocate('dictionary', [
      this.#offsets.length * 4,
      this.#table.length * 4,
      byteCount,
    ]);
    segment.words(DICTIONARY_SECTIONS.offsets).set(this.#offsets.view());
    segment.words(DICTIONARY_SECTIONS.table).set(this.#table);
    segment.bytes(DICTIONARY_SECTIONS.bytes).set(this.#bytes.subarray(0, byteCount));
    return segment.content;
  }

  #append(bytes: Uint8Array, start: number, end: number): void {
    const offset = this.#offsets.values[this.size];
    const byteCount = offset + end - start;
    if (byteCount > DICTIONARY_BYTES_MAX) {
      throw new BitloomError(
        'DICTIONARY_TOO_LARGE',
        `the strings of a field take over ${DICTIONARY_BYTES_MAX} bytes`,
        {
          hint: 'index a shorter form of the string, or leave the field out',
        },
      );
    }
    if (byteCount > this.#bytes.length) {
      const grown = new Uint8Array(
        Math.min(DICTIONARY_BYTES_MAX, Math.max(byteCount, this.#bytes.length * 2)),
      );
      grown.set(this.#bytes.subarray(0, offset));
      this.#bytes = grown;
    }
    for (let i = start; i < end; i++) this.#bytes[offset + i - start] = bytes[i];
    this.#offsets.push(byteCount);
  }
}

/** Such a text has no UTF-8 form: encoding it would give the bytes of another string. */
export function hasLoneSurrogate(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}

/** Position in the table of the string text[start…end), or of the free entry where it belongs. */
function findEntry(
  table: Uint32Array,
  offsets: Uint32Array,
  bytes: Uint8Array,
  text: Uint8Array,
  start: number,
  end: number,
): number {
  const mask = table.length - 1;
  const length = end - start;
  let entry = hashOfBytes(text, start, end) & mask;
  for (;;) {
    const code = table[entry] - 1;
    if (code < 0) return entry;
    const offset = offsets[code];
    if (offsets[code + 1] - offset === length) {
      let i = 0;
      while (i < length && bytes[offset + i] === text[start + i]) i++;
      if (i === length) return entry;
    }
    entry = (entry + 1) & mask;
  }
}

/** FNV-1a with the finalizer of MurmurHash3, so that the low bits spread. */
function hashOfBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Enters codes in ascending order, so that equal content gives an equal table however it grew. */
function fillTable(table: Uint32Array, offsets: Uint32Array, bytes: Uint8Array): void {
  const mask = table.length - 1;
  for (let code = 0; code < offsets.length - 1; code++) {
    let entry = hashOfBytes(bytes, offsets[code], offsets[code + 1]) & mask;
    while (table[entry] !== 0) entry = (entry + 1) & mask;
    table[entry] = code + 1;
  }
}
