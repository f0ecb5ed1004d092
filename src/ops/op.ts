/**
 * The op model: what travels on the wire (`Op`, `Entity`, `Batch`) and the resolved batch that everything behind the
 * parser works on.
 *
 * Ops are absolute statements, so most of them lower to fewer kinds without changing what a stream means:
 *   set f v    single-valued: set. Many: clear, then an add per member.
 *   set f null clear, as is `set f []` on a many field.
 *   add f v    single-valued: the same as set (an absolute "has v"). Many: add.
 *   add f null single-valued: clear, as set. Many: says nothing, as a row with a null adds nothing in a dump.
 *   remove f v remove: the value goes if the slot has it, also on a single-valued field.
 *   remove f null says nothing; triggers send it for an old value that was null.
 * What says nothing is accepted and leaves no op behind.
 *
 * A `queryOpSet` sees the alive slots at its place in the stream. The slot of its entity names the source row (a post,
 * a model version) and is not touched unless the entity has other ops or `alive`. Its own ops are set, remove, add and
 * delete. A null `where` matches no slot.
 */
import type { FieldDefinition } from '../config/definition.ts';
import type { Clause } from '../query/clause.ts';
import type { Scalar, Where } from '../query/where.ts';

/** A statement about one field of a slot, or the end of the slot. Timestamps are epoch seconds or ISO 8601 text. */
export type SlotOp =
  | { op: 'set'; field: string; value: Scalar | readonly Exclude<Scalar, null>[] }
  | { op: 'remove'; field: string; value: Scalar }
  | { op: 'add'; field: string; value: Scalar }
  | { op: 'delete' };

export type Op = SlotOp | { op: 'queryOpSet'; where: Where | null; ops: readonly SlotOp[] };

export interface Entity {
  /** 0 to 4294967295. */
  slot: number;
  /** In order. */
  ops: readonly Op[];
  /** The slot exists, from before its ops. Only the primary table says so; there is no `false`. */
  alive?: true;
  /** Where the statement comes from, such as the table; entities of different sources are never merged. */
  source?: string;
}

/** How far a source has come; integers from 0 to 2^53 − 1. */
export interface BatchMeta {
  source: string;
  /** Position in the source up to which this batch is complete. */
  cursor?: number;
  /** Newest position in the source when the batch was made. */
  maxId?: number;
  lagRows?: number;
}

export interface Batch {
  ops: readonly Entity[];
  meta?: BatchMeta;
}

// The kinds of a resolved op. The numbers stand in encoded batches and never change.

/** Single-valued fields only: the value is the only one. */
export const OP_SET = 0;
/** No value. */
export const OP_CLEAR = 1;
/** Many fields only: has the value. */
export const OP_ADD = 2;
/** Has not the value. */
export const OP_REMOVE = 3;
/** Not alive, and no value in any field. */
export const OP_DELETE = 4;
/** `queries` holds the rest. */
export const OP_QUERY = 5;

/** Bit of `flags`: the slot exists, from before the entity's ops. */
export const ENTITY_ALIVE = 1;

/**
 * A batch of checked entities as parallel arrays, immutable by convention.
 *
 * Entity e is (slots, flags, entitySources)[e] and the ops from opStarts[e] up to opStarts[e + 1]. Op i is
 * (kinds, fieldIndexes, values)[i]. Rows from opStarts[entityCount] on are the ops inside of queryOpSets, in ranges named by `queries`.
 */
export interface OpBatch {
  /** The fields of the definition, which the field indexes count. */
  readonly fields: readonly FieldDefinition[];
  readonly meta: BatchMeta | null;

  readonly entityCount: number;
  readonly slots: Uint32Array;
  readonly flags: Uint8Array;
  /** Index into `sources` plus 1, or 0 without a source. */
  readonly entitySources: Uint32Array;
  /** entityCount + 1 of them, ascending from 0. */
  readonly opStarts: Uint32Array;

  /** OP_SET … */
  readonly kinds: Uint8Array;
  /** Index into `fields`; 0 where an op has none. */
  readonly fieldIndexes: Uint16Array;
  /**
   * Of set, add and remove the key (src/index/key.ts), for a string field the index into `strings`; of query the index
   * into `queries`; else 0.
   */
  readonly values: Uint32Array;

  /** Values of string fields, each distinct text once. After dedup some may be without an op. */
  readonly strings: readonly string[];
  /** Each distinct source once. */
  readonly sources: readonly string[];
  /** In the order of their ops: the query op number k of the batch has the value k. */
  readonly queries: readonly QueryOp[];
}

/** The rest of a queryOpSet. */
export interface QueryOp {
  /** The `where` as JSON, and its checked form; both null for a null `where`, which matches no slot. */
  readonly whereText: string | null;
  readonly clause: Clause | null;
  /** Range of its own ops in the op arrays; the ranges of a batch follow each other without gaps. */
  readonly opStart: number;
  readonly opEnd: number;
}
