/**
 * The canonical digest of a version: equal for equal content, however the content came to be and whatever the
 * dictionary codes are. Everything stored counts, slots that are not alive too; a value without slots does not exist.
 *
 * The format, all integers little-endian, every hash SHA-256 written in lower-case hexadecimal:
 *
 * alive       hash of: u64 number of alive slots; then every slot, ascending, as u32.
 * filter part hash of, for every value with at least one slot, in the order of values:
 *               u32 byte length of the value's text; the text in UTF-8; u64 number of slots; every slot, ascending, as u32.
 *             Text of a value: `false`, `true`; the integer in decimal with `-` if negative (uint32, int32, timestamp in
 *             epoch seconds); the string itself. Order of values: false before true; integers ascending by value;
 *             strings by their UTF-8 bytes, unsigned, the shorter first where one begins the other.
 *             Without any value this is the hash of no bytes.
 * sort part   hash of: u64 number of slots with a value; then for each of these slots, ascending: u32 slot, u32 key; then
 *             for each bit 0 to 31 that at least one key has: u32 bit, u64 number of slots whose key has it, and these
 *             slots, ascending, as u32. Key: boolean 0 or 1; uint32 and timestamp the value; int32 the value + 2^31.
 *             (The layers are hashed as stored, so a layer that disagrees with its column shows.)
 * index       hash of these lines in UTF-8, each ended by a line feed: `alive <hex>`; then for each field of the
 *             definition, in the order of the UTF-8 bytes of its name: `filter <name> <hex>` if it is a filter field,
 *             then `sort <name> <hex>` if it is a sort field.
 */
import { createHash, type Hash } from 'node:crypto';
import type { FieldDefinition } from '../config/definition.ts';
import { valueOfKey } from './key.ts';
import type { RoaringBitmap32 } from './roaring.ts';
import type { Dictionary, FilterField, SortField, Version } from './version.ts';

const KEY_BITS = 32;
/** Slots taken out of a bitmap at a time, so that memory does not grow with it. */
const BATCH_SLOTS = 65_536;
const BUFFER_BYTES = 256 * 1024;

export interface VersionDigest {
  readonly index: string;
  readonly alive: string;
  readonly fields: Readonly<Record<string, FieldDigest>>;
}

export interface FieldDigest {
  readonly filter?: string;
  readonly sort?: string;
}

/** The digest of everything stored in a version, in the format above. */
export function digestVersion(version: Version): VersionDigest {
  const alive = digestAlive(version.alive);
  const lines = [`alive ${alive}\n`];
  const fields: Record<string, FieldDigest> = {};
  for (const field of [...version.definition.fields].sort(compareNames)) {
    const digest: { filter?: string; sort?: string } = {};
    const filter = version.filter(field.name);
    if (filter !== undefined) {
      digest.filter = digestFilter(field, filter, version.dictionary(field.name));
      lines.push(`filter ${field.name} ${digest.filter}\n`);
    }
    const sort = version.sort(field.name);
    if (sort !== undefined) {
      digest.sort = digestSort(sort);
      lines.push(`sort ${field.name} ${digest.sort}\n`);
    }
    fields[field.name] = digest;
  }
  return { index: createHash('sha256').update(lines.join('')).digest('hex'), alive, fields };
}

function digestAlive(alive: RoaringBitmap32): string {
  const stream = new HashStream();
  stream.count(alive.size);
  stream.bitmap(alive);
  return stream.hex();
}

function digestFilter(
  field: FieldDefinition,
  filter: FilterField,
  dictionary: Dictionary | undefined,
): string {
  const stream = new HashStream();
  for (const { key, text } of valuesInOrder(field, filter, dictionary)) {
    const cardinality = filter.cardinality(key);
    stream.word(text.length);
    stream.bytes(text);
    stream.count(cardinality);
    if (cardinality <= BATCH_SLOTS) stream.words(filter.slots(key));
    else stream.bitmap(filter.bitmap(key));
  }
  return stream.hex();
}

function digestSort(sort: SortField): string {
  const stream = new HashStream();
  stream.count(sort.present.size);
  const keys = new Uint32Array(BATCH_SLOTS);
  const pairs = new Uint32Array(BATCH_SLOTS * 2);
  for (const slots of batches(sort.present)) {
    sort.gather(slots, keys, slots.length);
    for (let i = 0; i < slots.length; i++) {
      pairs[2 * i] = slots[i];
      pairs[2 * i + 1] = keys[i];
    }
    stream.words(pairs.subarray(0, slots.length * 2));
  }
  for (let bit = 0; bit < KEY_BITS; bit++) {
    const layer = sort.layer(bit);
    if (layer.isEmpty) continue;
    stream.word(bit);
    stream.count(layer.size);
    stream.bitmap(layer);
  }
  return stream.hex();
}

/** Keys in canonical order with the text of their value. */
function* valuesInOrder(
  field: FieldDefinition,
  filter: FilterField,
  dictionary: Dictionary | undefined,
): Generator<{ key: number; text: Uint8Array }> {
  if (field.type !== 'string') {
    for (const { key } of filter.keys()) {
      yield { key, text: Buffer.from(String(valueOfKey(field.type, key))) };
    }
    return;
  }
  const values: { key: number; text: Buffer }[] = [];
  for (const { key } of filter.keys()) values.push({ key, text: Buffer.from(dictionary!.textOf(key)) });
  values.sort((a, b) => Buffer.compare(a.text, b.text));
  yield* values;
}

function compareNames(a: FieldDefinition, b: FieldDefinition): number {
  return Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));
}

/** The slots of a bitmap, ascending, in arrays that are overwritten by the next. */
function* batches(bitmap: RoaringBitmap32): Generator<Uint32Array> {
  const target = new Uint32Array(BATCH_SLOTS);
  const size = bitmap.size;
  for (let offset = 0; offset < size; offset += BATCH_SLOTS) {
    yield bitmap.rangeUint32Array(target, offset, BATCH_SLOTS);
  }
}

/** Collects small pieces before hashing them; the machine's byte order is little-endian, as roaring demands too. */
class HashStream {
  readonly #hash: Hash = createHash('sha256');
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);
  #used = 0;

  word(value: number): void {
    this.#makeRoom(4);
    this.#used = this.#buffer.writeUInt32LE(value, this.#used);
  }

  /** A count, which may be 2^32, as u64. */
  count(value: number): void {
    this.word(value % 2 ** 32);
    this.word(Math.floor(value / 2 ** 32));
  }

  words(values: Uint32Array): void {
    this.bytes(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }

  bytes(values: Uint8Array): void {
    this.#makeRoom(values.length);
    if (values.length > BUFFER_BYTES) {
      this.#hash.update(values);
      return;
    }
    this.#buffer.set(values, this.#used);
    this.#used += values.length;
  }

  bitmap(bitmap: RoaringBitmap32): void {
    for (const slots of batches(bitmap)) this.words(slots);
  }

  hex(): string {
    this.#flush();
    return this.#hash.digest('hex');
  }

  #makeRoom(byteCount: number): void {
    if (this.#used + byteCount > BUFFER_BYTES) this.#flush();
  }

  #flush(): void {
    if (this.#used > 0) this.#hash.update(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }
}
