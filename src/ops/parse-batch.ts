/**
 * Untrusted JSON to a resolved batch. Nothing is trusted or ignored: every key is known, every field exists, every value
 * is one its field can hold. An entity is taken whole or refused whole; a refused one does not touch the others.
 *
 * Numbers: JSON.parse rounds an integer beyond 2^53 to another beyond 2^53 and is exact below, so refusing what is not a
 * safe integer refuses exactly the integers that were, or could have been, rounded.
 */
import { isUtf8 } from 'node:buffer';
import type { FieldDefinition, IndexDefinition } from '../config/definition.ts';
import { BitloomError } from '../errors.ts';
import { hasLoneSurrogate } from '../index/dictionary-segment.ts';
import { BATCH_BYTES_MAX, BATCH_ENTITIES_MAX, BATCH_OPS_MAX } from '../limits.ts';
import { describeValue, parseLiteral } from '../query/literal.ts';
import { parseWhere } from '../query/where.ts';
import { BatchBuilder } from './batch-builder.ts';
import { type BatchMeta, OP_ADD, OP_CLEAR, OP_DELETE, OP_REMOVE, OP_SET, type OpBatch } from './op.ts';

/** An entity that is not in the batch, and the first reason why. */
export interface RefusedEntity {
  /** Position in the `ops` of the batch. */
  readonly index: number;
  /**
   * ENTITY_INVALID, SLOT_INVALID, OP_INVALID, OP_UNKNOWN_FIELD, OP_VALUE, OP_NESTED_QUERY, or of a `where`: QUERY_*,
   * WHERE_*.
   */
  readonly code: string;
  /** Begins with the place: `ops[3].ops[0].value: …`. */
  readonly message: string;
  readonly field?: string;
}

export interface ParsedBatch {
  /** The accepted entities, in their order. */
  readonly batch: OpBatch;
  /** The others, ascending by index. */
  readonly refused: readonly RefusedEntity[];
}

/**
 * @param json a `Batch` as JSON.parse gives it
 * @throws BitloomError BATCH_INVALID when what is wrong belongs to no entity, BATCH_TOO_LARGE
 */
export function parseBatch(json: unknown, definition: IndexDefinition): ParsedBatch {
  if (!isPlainObject(json)) throw invalidBatch(`expected an object, got ${describeValue(json)}`);
  const unknown = unknownKey(json, 'ops', 'meta');
  if (unknown !== null) throw invalidBatch(`unknown key ${describeValue(unknown)}; there are ops and meta`);
  const entities = json.ops;
  if (!Array.isArray(entities)) throw invalidBatch(`ops: expected a list, got ${describeValue(entities)}`);
  if (entities.length > BATCH_ENTITIES_MAX) throw tooLarge(`more than ${BATCH_ENTITIES_MAX} entities`);
  const meta = json.meta === undefined ? null : parseMeta(json.meta);

  const context = contextOf(definition);
  const refused: RefusedEntity[] = [];
  for (let index = 0; index < entities.length; index++) {
    const refusal = parseEntity(context, entities[index], index);
    if (refusal !== null) refused.push(refusal);
    if (context.builder.opCount > BATCH_OPS_MAX) throw tooLarge(`more than ${BATCH_OPS_MAX} ops`);
  }
  return { batch: context.builder.finish(meta), refused };
}

/**
 * @param text JSON; bytes are UTF-8
 * @throws as `parseBatch`; BATCH_INVALID also when it is not JSON
 */
export function parseBatchText(text: string | Uint8Array, definition: IndexDefinition): ParsedBatch {
  const byteCount = typeof text === 'string' ? Buffer.byteLength(text) : text.length;
  if (byteCount > BATCH_BYTES_MAX) throw tooLarge(`more than ${BATCH_BYTES_MAX} bytes`);
  let json: unknown;
  try {
    json = JSON.parse(typeof text === 'string' ? text : textOfBytes(text));
  } catch (cause) {
    if (cause instanceof BitloomError) throw cause;
    throw new BitloomError('BATCH_INVALID', 'the batch is not JSON', {
      hint: 'send { "ops": [...] } as one JSON text',
      cause,
    });
  }
  return parseBatch(json, definition);
}

interface Context {
  readonly definition: IndexDefinition;
  readonly fieldIndexes: ReadonlyMap<string, number>;
  readonly builder: BatchBuilder;
  /** The op at hand, and the one inside of it, for messages; −1 for none. */
  opIndex: number;
  nestedIndex: number;
}

function contextOf(definition: IndexDefinition): Context {
  const fieldIndexes = new Map(definition.fields.map((field, index) => [field.name, index]));
  const builder = new BatchBuilder(definition);
  return { definition, fieldIndexes, builder, opIndex: -1, nestedIndex: -1 };
}

/** Adds the entity, or returns why not. */
function parseEntity(context: Context, entity: unknown, index: number): RefusedEntity | null {
  context.opIndex = -1;
  context.nestedIndex = -1;
  let isAdded = false;
  try {
    if (!isPlainObject(entity))
      throw refusal('ENTITY_INVALID', '', `expected an object, got ${describeValue(entity)}`);
    const { slot, ops, alive, source } = entity;
    checkKeys('ENTITY_INVALID', entity, 'slot', 'ops', 'alive', 'source');
    checkEntity(slot, ops, alive, source);
    context.builder.addEntity(slot as number, alive === true, (source as string | undefined) ?? null);
    isAdded = true;
    const list = ops as readonly unknown[];
    for (let op = 0; op < list.length; op++) {
      context.opIndex = op;
      parseOp(context, list[op]);
    }
    return null;
  } catch (error) {
    if (!(error instanceof BitloomError)) throw error;
    if (isAdded) context.builder.dropEntity();
    return refusedEntity(context, index, error);
  }
}

function checkEntity(slot: unknown, ops: unknown, alive: unknown, source: unknown): void {
  if (!isCount(slot) || slot > 0xffffffff) {
    throw refusal(
      'SLOT_INVALID',
      'slot',
      `expected an integer from 0 to 4294967295, got ${describeValue(slot)}`,
    );
  }
  if (!Array.isArray(ops)) {
    throw refusal('ENTITY_INVALID', 'ops', `expected a list, got ${describeValue(ops)}`);
  }
  if (alive !== undefined && alive !== true) {
    const reason = `expected true or nothing, got ${describeValue(alive)}; the op delete ends a slot`;
    throw refusal('ENTITY_INVALID', 'alive', reason);
  }
  if (source !== undefined && !isText(source)) {
    throw refusal('ENTITY_INVALID', 'source', `expected a text, got ${describeValue(source)}`);
  }
}

function parseOp(context: Context, op: unknown): void {
  if (!isPlainObject(op)) throw refusal('OP_INVALID', '', `expected an object, got ${describeValue(op)}`);
  if (op.op === 'queryOpSet') parseQueryOp(context, op);
  else parseSlotOp(context, op);
}

/** Set, remove, add or delete, of the entity or inside of a queryOpSet. */
function parseSlotOp(context: Context, op: Record<string, unknown>): void {
  switch (op.op) {
    case 'set':
      parseSet(context, fieldIndexOf(context, op), op.value);
      break;
    case 'remove':
      parseRemove(context, fieldIndexOf(context, op), op.value);
      break;
    case 'add':
      parseAdd(context, fieldIndexOf(context, op), op.value);
      break;
    case 'delete':
      checkKeys('OP_INVALID', op, 'op');
      addOp(context, OP_DELETE, 0, 0);
      break;
    default: {
      const reason = `expected set, remove, add, delete or queryOpSet, got ${describeValue(op.op)}`;
      throw refusal('OP_INVALID', 'op', reason);
    }
  }
}

function parseSet(context: Context, fieldIndex: number, value: unknown): void {
  const field = context.definition.fields[fieldIndex];
  if (value === null) {
    addOp(context, OP_CLEAR, fieldIndex, 0);
  } else if (!field.many) {
    addOp(context, OP_SET, fieldIndex, keyOf(context, field, value, 'value'));
  } else if (Array.isArray(value)) {
    addOp(context, OP_CLEAR, fieldIndex, 0);
    for (let index = 0; index < value.length; index++) {
      addOp(context, OP_ADD, fieldIndex, keyOf(context, field, value[index], 'a member of value'));
    }
  } else {
    const reason = `field "${field.name}" has many values, so set takes a list or null, got ${describeValue(value)}`;
    throw refusal('OP_VALUE', 'value', reason, field.name);
  }
}

function parseAdd(context: Context, fieldIndex: number, value: unknown): void {
  const field = context.definition.fields[fieldIndex];
  if (!field.many) parseSet(context, fieldIndex, value);
  else if (value !== null) addOp(context, OP_ADD, fieldIndex, keyOf(context, field, value, 'value'));
}

function parseRemove(context: Context, fieldIndex: number, value: unknown): void {
  const field = context.definition.fields[fieldIndex];
  if (value !== null) addOp(context, OP_REMOVE, fieldIndex, keyOf(context, field, value, 'value'));
}

function parseQueryOp(context: Context, op: Record<string, unknown>): void {
  if (context.nestedIndex >= 0) {
    throw refusal('OP_NESTED_QUERY', 'op', 'a queryOpSet holds set, remove, add and delete only');
  }
  checkKeys('OP_INVALID', op, 'op', 'where', 'ops');
  const { where, ops } = op;
  if (where === undefined) throw refusal('OP_INVALID', 'where', 'missing; null matches no slot');
  if (!Array.isArray(ops)) throw refusal('OP_INVALID', 'ops', `expected a list, got ${describeValue(ops)}`);
  // What is checked is what the text says, and so what a log gives back, whatever the object does when written.
  const whereText = where === null ? null : textOfJson(where);
  const clause = whereText === null ? null : parseWhere(context.definition, JSON.parse(whereText));
  context.builder.addQuery(whereText, clause);
  for (let index = 0; index < ops.length; index++) {
    context.nestedIndex = index;
    parseOp(context, ops[index]);
  }
  context.nestedIndex = -1;
}

function addOp(context: Context, kind: number, fieldIndex: number, value: number): void {
  if (context.nestedIndex < 0) context.builder.addOp(kind, fieldIndex, value);
  else context.builder.addNestedOp(kind, fieldIndex, value);
}

function fieldIndexOf(context: Context, op: Record<string, unknown>): number {
  checkKeys('OP_INVALID', op, 'op', 'field', 'value');
  const name = op.field;
  const index = typeof name === 'string' ? context.fieldIndexes.get(name) : undefined;
  if (index === undefined) {
    if (typeof name !== 'string')
      throw refusal('OP_INVALID', 'field', `expected a text, got ${describeValue(name)}`);
    throw refusal('OP_UNKNOWN_FIELD', 'field', `no field is named ${describeValue(name)}`, name);
  }
  if (op.value === undefined) throw refusal('OP_INVALID', 'value', 'missing; null is no value');
  return index;
}

/** The key of a value; of a string, its index. */
function keyOf(context: Context, field: FieldDefinition, value: unknown, path: string): number {
  let literal: number | string;
  try {
    literal = parseLiteral(field, value, path);
  } catch (error) {
    if (!(error instanceof BitloomError)) throw error;
    throw new BitloomError('OP_VALUE', error.message, { details: { field: field.name } });
  }
  return typeof literal === 'string' ? context.builder.indexOfString(literal) : literal;
}

const META_COUNTS = ['cursor', 'maxId', 'lagRows'] as const;

function parseMeta(given: unknown): BatchMeta {
  if (!isPlainObject(given)) throw invalidBatch(`meta: expected an object, got ${describeValue(given)}`);
  const unknown = unknownKey(given, 'source', ...META_COUNTS);
  if (unknown !== null) throw invalidBatch(`meta: unknown key ${describeValue(unknown)}`);
  if (!isText(given.source)) {
    throw invalidBatch(`meta.source: expected a text, got ${describeValue(given.source)}`);
  }
  const meta: BatchMeta = { source: given.source };
  for (const name of META_COUNTS) {
    const value = given[name];
    if (value === undefined) continue;
    if (!isCount(value)) {
      throw invalidBatch(`meta.${name}: expected an integer from 0 to 2^53 - 1, got ${describeValue(value)}`);
    }
    meta[name] = value;
  }
  return meta;
}

/** @throws BitloomError OP_INVALID for what JSON cannot say: cycles, bigints, functions, nesting beyond the stack */
function textOfJson(where: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(where);
  } catch {
    text = undefined;
  }
  if (text === undefined)
    throw refusal('OP_INVALID', 'where', 'not JSON, or nested too deeply to be written');
  return text;
}

function textOfBytes(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw invalidBatch('the text is not valid UTF-8');
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && !hasLoneSurrogate(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function checkKeys(
  code: string,
  object: object,
  first: string,
  second?: string,
  third?: string,
  fourth?: string,
): void {
  const key = unknownKey(object, first, second, third, fourth);
  if (key !== null) throw refusal(code, '', `unknown key ${describeValue(key)}`);
}

/** The first key that is none of the known ones; comparisons instead of a set, for there are a million keys a second. */
function unknownKey(
  object: object,
  first: string,
  second?: string,
  third?: string,
  fourth?: string,
): string | null {
  for (const key in object) {
    if (key !== first && key !== second && key !== third && key !== fourth) return key;
  }
  return null;
}

/** Why the entity at hand is refused; `path` goes on from the op at hand. */
function refusal(code: string, path: string, reason: string, field?: string): BitloomError {
  return new BitloomError(code, `${path}: ${reason}`, field === undefined ? {} : { details: { field } });
}

function refusedEntity(context: Context, index: number, error: BitloomError): RefusedEntity {
  let place = `ops[${index}]`;
  if (context.opIndex >= 0) place += `.ops[${context.opIndex}]`;
  if (context.nestedIndex >= 0) place += `.ops[${context.nestedIndex}]`;
  const message = `${place}${error.message.startsWith(':') ? '' : '.'}${error.message}`;
  const field = error.details?.field;
  return typeof field === 'string'
    ? { index, code: error.code, message, field }
    : { index, code: error.code, message };
}

function invalidBatch(reason: string): BitloomError {
  return new BitloomError('BATCH_INVALID', `batch: ${reason}`, {
    hint: 'a batch is { ops: [{ slot, ops: [...] }], meta?: { source, cursor, maxId, lagRows } }',
  });
}

function tooLarge(reason: string): BitloomError {
  return new BitloomError('BATCH_TOO_LARGE', `batch: ${reason}`, { hint: 'send it as several batches' });
}
