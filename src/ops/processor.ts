/**
 * Feeds a batch to a sink: entity by entity, op by op, in their order. It never waits, so a sink that is read between two
 * calls only is read between two batches.
 *
 * A queryOpSet is matched once, at its place in the stream. Few matches are changed slot by slot, many as one bitmap.
 */
import { BULK_MATCHES_MIN } from '../limits.ts';
import type { BitmapSink } from './bitmap-sink.ts';
import {
  ENTITY_ALIVE,
  OP_ADD,
  OP_CLEAR,
  OP_DELETE,
  OP_QUERY,
  OP_REMOVE,
  OP_SET,
  type OpBatch,
  type QueryOp,
} from './op.ts';

/** @param bulkMatchesMin matches of a queryOpSet from which they are changed as one bitmap */
export function processBatch(batch: OpBatch, sink: BitmapSink, bulkMatchesMin = BULK_MATCHES_MIN): void {
  const { slots, flags, opStarts, kinds, values, queries } = batch;
  const keys = new BatchKeys(batch, sink);
  for (let entity = 0; entity < batch.entityCount; entity++) {
    const slot = slots[entity];
    if ((flags[entity] & ENTITY_ALIVE) !== 0) sink.addAlive(slot);
    for (let op = opStarts[entity]; op < opStarts[entity + 1]; op++) {
      if (kinds[op] === OP_QUERY) applyQuery(batch, queries[values[op]], keys, sink, bulkMatchesMin);
      else applyOp(batch, op, slot, keys, sink);
    }
  }
}

/** The keys of values: of strings, those of the sink's dictionaries, looked up once per batch. */
class BatchKeys {
  readonly #batch: OpBatch;
  readonly #sink: BitmapSink;
  /** By field, by index of the string: key + 1, or 0 for not looked up; null for fields of other types. */
  readonly #keysOfStrings: (Uint32Array | null)[];

  constructor(batch: OpBatch, sink: BitmapSink) {
    this.#batch = batch;
    this.#sink = sink;
    this.#keysOfStrings = batch.fields.map(({ type }) =>
      type === 'string' ? new Uint32Array(batch.strings.length) : null,
    );
  }

  /** The key of a value that a slot is to have. */
  of(field: number, value: number): number {
    const keys = this.#keysOfStrings[field];
    if (keys === null) return value;
    if (keys[value] === 0) keys[value] = this.#sink.keyOfText(field, this.#batch.strings[value]) + 1;
    return keys[value] - 1;
  }

  /** The key of a value that a slot is not to have; −1 where none can have it. */
  ofKnown(field: number, value: number): number {
    const keys = this.#keysOfStrings[field];
    if (keys === null) return value;
    if (keys[value] === 0) keys[value] = this.#sink.knownKeyOfText(field, this.#batch.strings[value]) + 1;
    return keys[value] - 1;
  }
}

function applyOp(batch: OpBatch, op: number, slot: number, keys: BatchKeys, sink: BitmapSink): void {
  const field = batch.fieldIndexes[op];
  const value = batch.values[op];
  switch (batch.kinds[op]) {
    case OP_SET:
      sink.set(slot, field, keys.of(field, value));
      break;
    case OP_ADD:
      sink.add(slot, field, keys.of(field, value));
      break;
    case OP_CLEAR:
      sink.clear(slot, field);
      break;
    case OP_REMOVE: {
      const key = keys.ofKnown(field, value);
      if (key >= 0) sink.remove(slot, field, key);
      break;
    }
    case OP_DELETE:
      sink.deleteSlot(slot);
      break;
  }
}

function applyQuery(
  batch: OpBatch,
  { clause, opStart, opEnd }: QueryOp,
  keys: BatchKeys,
  sink: BitmapSink,
  bulkMatchesMin: number,
): void {
  if (clause === null || opStart === opEnd) return;
  const matches = sink.match(clause);
  if (matches.size >= bulkMatchesMin) {
    for (let op = opStart; op < opEnd; op++) applyOpToAll(batch, op, matches, keys, sink);
  } else {
    for (const slot of matches.toUint32Array()) {
      for (let op = opStart; op < opEnd; op++) applyOp(batch, op, slot, keys, sink);
    }
  }
  matches.dispose();
}

function applyOpToAll(
  batch: OpBatch,
  op: number,
  slots: ReturnType<BitmapSink['match']>,
  keys: BatchKeys,
  sink: BitmapSink,
): void {
  const field = batch.fieldIndexes[op];
  const value = batch.values[op];
  switch (batch.kinds[op]) {
    case OP_SET:
      sink.setAll(slots, field, keys.of(field, value));
      break;
    case OP_ADD:
      sink.addAll(slots, field, keys.of(field, value));
      break;
    case OP_CLEAR:
      sink.clearAll(slots, field);
      break;
    case OP_REMOVE: {
      const key = keys.ofKnown(field, value);
      if (key >= 0) sink.removeAll(slots, field, key);
      break;
    }
    case OP_DELETE:
      sink.deleteAll(slots);
      break;
  }
}
