/**
 * A batch as bytes: what the op log stores. Compact (a set of a small value is two bytes), independent of the order of
 * the fields in the definition, and read with suspicion: `decodeBatch` checks every count, index and value before it is
 * used, and takes memory in proportion to the bytes it was given.
 *
 * Format 1. Numbers are varints (seven bits a byte, low first, at most 32 bits) unless said otherwise; texts are UTF-8.
 *   "BLOB", format version (one byte)
 *   fields used: count; each: bytes of its name, name, type (one byte: index into FIELD_TYPES, plus 128 for many)
 *   strings, then sources: count; bytes of each; all bytes
 *   meta: one byte of bits (1 meta, 2 cursor, 4 maxId, 8 lagRows); bytes of the source, source; each number as a double
 *   counts: entities, their ops, queryOpSets, ops inside of queryOpSets
 *   entities: ops * 4 + 2 (has a source) + 1 (alive); difference of the slot to the one before, zigzag; source
 *   ops, those inside of queryOpSets last: index into the fields used * 8 + kind; of set, add and remove the value
 *   queryOpSets: ops inside; bytes of the JSON of `where`, JSON
 */
import type { FieldDefinition, FieldType, IndexDefinition } from '../config/definition.ts';
import { BitloomError } from '../errors.ts';
import { BATCH_BYTES_MAX } from '../limits.ts';
import type { Clause } from '../query/clause.ts';
import { parseWhere } from '../query/where.ts';
import { BatchReader } from './batch-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import {
  type BatchMeta,
  ENTITY_ALIVE,
  OP_ADD,
  OP_DELETE,
  OP_QUERY,
  OP_REMOVE,
  OP_SET,
  type OpBatch,
  type QueryOp,
} from './op.ts';

const MAGIC = 'BLOB';
const FORMAT_VERSION = 1;
/** The order is part of the format. */
const FIELD_TYPES: readonly FieldType[] = ['boolean', 'uint32', 'int32', 'string', 'timestamp'];
const MANY = 0x80;
/** Bits of the head of an entity, below its number of ops. */
const HEAD_ALIVE = 1;
const HEAD_SOURCE = 2;
const META_COUNTS = ['cursor', 'maxId', 'lagRows'] as const;

/** @throws BitloomError BATCH_TOO_LARGE */
export function encodeBatch(batch: OpBatch): Uint8Array {
  const writer = new ByteWriter(1024 + batch.entityCount * 8 + batch.kinds.length * 4);
  writer.text(MAGIC, false);
  writer.byte(FORMAT_VERSION);
  const localIndexes = writeFields(writer, batch);
  writeTexts(writer, batch.strings);
  writeTexts(writer, batch.sources);
  writeMeta(writer, batch.meta);
  const directOps = batch.opStarts[batch.entityCount];
  writer.varint(batch.entityCount);
  writer.varint(directOps);
  writer.varint(batch.queries.length);
  writer.varint(batch.kinds.length - directOps);
  writeEntities(writer, batch);
  writeOps(writer, batch, localIndexes);
  for (const { whereText, opStart, opEnd } of batch.queries) {
    writer.varint(opEnd - opStart);
    writer.text(whereText ?? 'null');
  }
  const bytes = writer.finish();
  if (bytes.length <= BATCH_BYTES_MAX) return bytes;
  throw new BitloomError('BATCH_TOO_LARGE', `batch: ${bytes.length} bytes, more than ${BATCH_BYTES_MAX}`, {
    hint: 'send it as several batches',
  });
}

/**
 * The batch that was encoded, with the fields of `definition`.
 * @throws BitloomError BATCH_CORRUPT with `at.byteOffset`; BATCH_FORMAT for the format of another release;
 *   BATCH_DEFINITION_CHANGED when the definition lacks a field, or an index that a `where` needs, or has a field with
 *   another type
 */
export function decodeBatch(bytes: Uint8Array, definition: IndexDefinition): OpBatch {
  const reader = new BatchReader(bytes);
  if (reader.text(MAGIC.length) !== MAGIC) throw reader.corrupt('these are not the bytes of a batch');
  const version = reader.byte();
  if (version !== FORMAT_VERSION) {
    throw new BitloomError('BATCH_FORMAT', `encoded batch: unknown format version ${version}`, {
      hint: 'open it with the release that wrote it, or a later one',
    });
  }
  const usedFields = readFields(reader, definition);
  const strings = readTexts(reader);
  const sources = readTexts(reader);
  const meta = readMeta(reader);
  const entityCount = reader.count(2);
  const directOps = reader.count(1);
  const queryCount = reader.count(2);
  const nestedOps = reader.count(1);
  const entities = readEntities(reader, entityCount, directOps, sources.length);
  const ops = readOps(reader, { definition, usedFields, stringCount: strings.length, directOps, nestedOps });
  if (ops.queryCount !== queryCount) throw reader.corrupt('queryOpSets are missing, or there are too many');
  const queries = readQueries(reader, definition, queryCount, directOps, nestedOps);
  if (reader.bytesLeft > 0) throw reader.corrupt('bytes are left at the end');
  const { kinds, fieldIndexes, values } = ops;
  return {
    fields: definition.fields,
    meta,
    entityCount,
    ...entities,
    kinds,
    fieldIndexes,
    values,
    strings,
    sources,
    queries,
  };
}

function hasField(kind: number): boolean {
  return kind !== OP_DELETE && kind !== OP_QUERY;
}

function hasValue(kind: number): boolean {
  return kind === OP_SET || kind === OP_ADD || kind === OP_REMOVE;
}

/** Index in the definition → index among the fields used. */
function writeFields(writer: ByteWriter, batch: OpBatch): Uint16Array {
  const { fields, kinds, fieldIndexes } = batch;
  const isUsed = new Uint8Array(fields.length);
  for (let op = 0; op < kinds.length; op++) {
    if (hasField(kinds[op])) isUsed[fieldIndexes[op]] = 1;
  }
  const used = fields.filter((_, index) => isUsed[index] === 1);
  writer.varint(used.length);
  for (const { name, type, many } of used) {
    writer.text(name);
    writer.byte(FIELD_TYPES.indexOf(type) + (many ? MANY : 0));
  }
  const localIndexes = new Uint16Array(fields.length);
  used.forEach((field, localIndex) => {
    localIndexes[fields.indexOf(field)] = localIndex;
  });
  return localIndexes;
}

/** Index among the fields used → index in the definition. */
function readFields(reader: BatchReader, definition: IndexDefinition): Uint16Array {
  const usedFields = new Uint16Array(reader.count(3));
  for (let localIndex = 0; localIndex < usedFields.length; localIndex++) {
    const name = reader.text(reader.varint());
    const type = reader.byte();
    const index = definition.fields.findIndex((field) => field.name === name);
    if (index < 0) throw definitionChanged(`no field is named "${name}" any more`);
    const field = definition.fields[index];
    if (FIELD_TYPES[type & ~MANY] !== field.type || type >= MANY !== field.many) {
      throw definitionChanged(`field "${name}" has another type than when it was written`);
    }
    usedFields[localIndex] = index;
  }
  return usedFields;
}

function writeTexts(writer: ByteWriter, texts: readonly string[]): void {
  writer.varint(texts.length);
  for (const text of texts) writer.varint(Buffer.byteLength(text));
  for (const text of texts) writer.text(text, false);
}

function readTexts(reader: BatchReader): string[] {
  const byteCounts = new Uint32Array(reader.count(1));
  for (let index = 0; index < byteCounts.length; index++) byteCounts[index] = reader.varint();
  const texts = reader.texts(byteCounts);
  // Dedup takes two indexes for two texts.
  if (new Set(texts).size < texts.length) throw reader.corrupt('a text stands twice');
  return texts;
}

function writeMeta(writer: ByteWriter, meta: BatchMeta | null): void {
  if (meta === null) {
    writer.byte(0);
    return;
  }
  let bits = 1;
  META_COUNTS.forEach((name, index) => {
    if (meta[name] !== undefined) bits |= 2 << index;
  });
  writer.byte(bits);
  writer.text(meta.source);
  for (const name of META_COUNTS) {
    const value = meta[name];
    if (value !== undefined) writer.double(value);
  }
}

function readMeta(reader: BatchReader): BatchMeta | null {
  const bits = reader.byte();
  if (bits === 0) return null;
  if ((bits & 1) === 0 || bits > 15) throw reader.corrupt(`no meta has the bits ${bits}`);
  const meta: BatchMeta = { source: reader.text(reader.varint()) };
  META_COUNTS.forEach((name, index) => {
    if ((bits & (2 << index)) === 0) return;
    const value = reader.double();
    if (!Number.isSafeInteger(value) || value < 0) throw reader.corrupt(`${name} is not an integer from 0`);
    meta[name] = value;
  });
  return meta;
}

function writeEntities(writer: ByteWriter, batch: OpBatch): void {
  const { slots, flags, entitySources, opStarts } = batch;
  let previous = 0;
  for (let entity = 0; entity < batch.entityCount; entity++) {
    const opCount = opStarts[entity + 1] - opStarts[entity];
    const source = entitySources[entity];
    const head = (flags[entity] & ENTITY_ALIVE ? HEAD_ALIVE : 0) + (source > 0 ? HEAD_SOURCE : 0);
    writer.varint(opCount * 4 + head);
    const difference = (slots[entity] - previous) | 0;
    writer.varint(((difference << 1) ^ (difference >> 31)) >>> 0);
    if (source > 0) writer.varint(source - 1);
    previous = slots[entity];
  }
}

function readEntities(reader: BatchReader, entityCount: number, directOps: number, sourceCount: number) {
  const slots = new Uint32Array(entityCount);
  const flags = new Uint8Array(entityCount);
  const entitySources = new Uint32Array(entityCount);
  const opStarts = new Uint32Array(entityCount + 1);
  let previous = 0;
  let opStart = 0;
  for (let entity = 0; entity < entityCount; entity++) {
    const head = reader.varint();
    const zigzag = reader.varint();
    previous = (previous + ((zigzag >>> 1) ^ -(zigzag & 1))) >>> 0;
    slots[entity] = previous;
    if (head & HEAD_ALIVE) flags[entity] = ENTITY_ALIVE;
    if (head & HEAD_SOURCE) {
      const source = reader.varint();
      if (source >= sourceCount) throw reader.corrupt(`there is no source ${source}`);
      entitySources[entity] = source + 1;
    }
    opStart += head >>> 2;
    opStarts[entity + 1] = opStart;
  }
  if (opStart !== directOps) throw reader.corrupt('the entities have more or fewer ops than there are');
  return { slots, flags, entitySources, opStarts };
}

function writeOps(writer: ByteWriter, batch: OpBatch, localIndexes: Uint16Array): void {
  const { kinds, fieldIndexes, values } = batch;
  for (let op = 0; op < kinds.length; op++) {
    const kind = kinds[op];
    writer.varint((hasField(kind) ? localIndexes[fieldIndexes[op]] * 8 : 0) + kind);
    if (hasValue(kind)) writer.varint(values[op]);
  }
}

interface OpsExpected {
  readonly definition: IndexDefinition;
  readonly usedFields: Uint16Array;
  readonly stringCount: number;
  readonly directOps: number;
  readonly nestedOps: number;
}

function readOps(reader: BatchReader, expected: OpsExpected) {
  const { usedFields, directOps } = expected;
  const opCount = directOps + expected.nestedOps;
  const kinds = new Uint8Array(opCount);
  const fieldIndexes = new Uint16Array(opCount);
  const values = new Uint32Array(opCount);
  const fields = expected.definition.fields;
  const valuesMax = Float64Array.from(fields, (field) => valueMax(field, expected.stringCount));
  let queryCount = 0;
  for (let op = 0; op < opCount; op++) {
    const head = reader.varint();
    const kind = head & 7;
    const localIndex = head >>> 3;
    kinds[op] = kind;
    if (kind >= OP_DELETE) {
      if (localIndex > 0 || kind > OP_QUERY || (kind === OP_QUERY && op >= directOps)) {
        throw reader.corrupt(`no op here has the head ${head}`);
      }
      if (kind === OP_QUERY) values[op] = queryCount++;
      continue;
    }
    if (localIndex >= usedFields.length) throw reader.corrupt(`there is no field ${localIndex}`);
    const fieldIndex = usedFields[localIndex];
    if (kind === (fields[fieldIndex].many ? OP_SET : OP_ADD)) {
      throw reader.corrupt(`field "${fields[fieldIndex].name}" takes no op of kind ${kind}`);
    }
    fieldIndexes[op] = fieldIndex;
    if (!hasValue(kind)) continue;
    const value = reader.varint();
    if (value > valuesMax[fieldIndex]) {
      throw reader.corrupt(`field "${fields[fieldIndex].name}" has no value ${value}`);
    }
    values[op] = value;
  }
  return { kinds, fieldIndexes, values, queryCount };
}

/** −1 for a string field when there are no strings. */
function valueMax(field: FieldDefinition, stringCount: number): number {
  if (field.type === 'string') return stringCount - 1;
  return field.type === 'boolean' ? 1 : 0xffffffff;
}

function readQueries(
  reader: BatchReader,
  definition: IndexDefinition,
  queryCount: number,
  directOps: number,
  nestedOps: number,
): QueryOp[] {
  const queries: QueryOp[] = [];
  const end = directOps + nestedOps;
  let opStart = directOps;
  for (let index = 0; index < queryCount; index++) {
    const opEnd = opStart + reader.varint();
    const text = reader.text(reader.varint());
    const whereText = text === 'null' ? null : text;
    const clause = whereText === null ? null : clauseOf(reader, definition, whereText);
    queries.push({ whereText, clause, opStart, opEnd });
    opStart = opEnd;
  }
  if (opStart !== end) throw reader.corrupt('the queryOpSets have more or fewer ops than there are');
  return queries;
}

function clauseOf(reader: BatchReader, definition: IndexDefinition, whereText: string): Clause {
  let where: unknown;
  try {
    where = JSON.parse(whereText);
  } catch {
    throw reader.corrupt('a where is not JSON');
  }
  try {
    return parseWhere(definition, where);
  } catch (cause) {
    throw definitionChanged('a queryOpSet does not suit it', cause);
  }
}

function definitionChanged(reason: string, cause?: unknown): BitloomError {
  return new BitloomError('BATCH_DEFINITION_CHANGED', `encoded batch: ${reason}`, {
    hint: 'open it with the definition it was written for, or load the index anew',
    ...(cause === undefined ? {} : { cause }),
  });
}
