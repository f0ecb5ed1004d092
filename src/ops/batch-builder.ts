/**
 * Collects resolved entities and ops into an `OpBatch`. The caller has checked what it adds; an entity that fails half
 * way is taken back with `dropEntity` and leaves no trace.
 */
import type { IndexDefinition } from '../config/definition.ts';
import type { Clause } from '../query/clause.ts';
import { type BatchMeta, ENTITY_ALIVE, OP_QUERY, type OpBatch } from './op.ts';

const ENTITIES_FIRST = 256;
const OPS_FIRST = 2048;

export class BatchBuilder {
  readonly #definition: IndexDefinition;
  #slots = new Uint32Array(ENTITIES_FIRST);
  #flags = new Uint8Array(ENTITIES_FIRST);
  #entitySources = new Uint32Array(ENTITIES_FIRST);
  #opStarts = new Uint32Array(ENTITIES_FIRST + 1);
  #entityCount = 0;
  /** Ops of entities, and ops inside of queryOpSets: one table in the end, two while they grow. */
  readonly #ops = new OpTable();
  readonly #nestedOps = new OpTable();
  readonly #strings = new TextTable();
  readonly #sources = new TextTable();
  /** With ranges in the table of nested ops. */
  readonly #queries: { whereText: string | null; clause: Clause | null; opStart: number; opEnd: number }[] =
    [];
  /** State at the start of the last entity, to which `dropEntity` goes back. */
  #mark = { nestedOps: 0, strings: 0, sources: 0, queries: 0 };

  constructor(definition: IndexDefinition) {
    this.#definition = definition;
  }

  /** Ops so far, those inside of queryOpSets included. */
  get opCount(): number {
    return this.#ops.count + this.#nestedOps.count;
  }

  /** Starts an entity; the ops that follow are its own. */
  addEntity(slot: number, alive: boolean, source: string | null): void {
    if (this.#entityCount === this.#slots.length) this.#growEntities();
    const entity = this.#entityCount++;
    const mark = this.#mark;
    mark.nestedOps = this.#nestedOps.count;
    mark.strings = this.#strings.texts.length;
    mark.sources = this.#sources.texts.length;
    mark.queries = this.#queries.length;
    this.#slots[entity] = slot;
    this.#flags[entity] = alive ? ENTITY_ALIVE : 0;
    this.#entitySources[entity] = source === null ? 0 : this.#sources.indexOf(source) + 1;
    this.#opStarts[entity] = this.#ops.count;
  }

  /** Takes the last entity back. */
  dropEntity(): void {
    const entity = --this.#entityCount;
    this.#ops.count = this.#opStarts[entity];
    this.#nestedOps.count = this.#mark.nestedOps;
    this.#strings.truncate(this.#mark.strings);
    this.#sources.truncate(this.#mark.sources);
    this.#queries.length = this.#mark.queries;
  }

  addOp(kind: number, fieldIndex: number, value: number): void {
    this.#ops.push(kind, fieldIndex, value);
  }

  /** Index of a text, as the value of an op on a string field. */
  indexOfString(text: string): number {
    return this.#strings.indexOf(text);
  }

  /** Starts a queryOpSet; its ops follow through `addNestedOp`. */
  addQuery(whereText: string | null, clause: Clause | null): void {
    const opStart = this.#nestedOps.count;
    this.#ops.push(OP_QUERY, 0, this.#queries.length);
    this.#queries.push({ whereText, clause, opStart, opEnd: opStart });
  }

  addNestedOp(kind: number, fieldIndex: number, value: number): void {
    this.#nestedOps.push(kind, fieldIndex, value);
    this.#queries[this.#queries.length - 1].opEnd = this.#nestedOps.count;
  }

  /** The builder is spent. */
  finish(meta: BatchMeta | null): OpBatch {
    const directOps = this.#ops.count;
    this.#opStarts[this.#entityCount] = directOps;
    this.#ops.append(this.#nestedOps);
    return {
      fields: this.#definition.fields,
      meta,
      entityCount: this.#entityCount,
      slots: this.#slots.slice(0, this.#entityCount),
      flags: this.#flags.slice(0, this.#entityCount),
      entitySources: this.#entitySources.slice(0, this.#entityCount),
      opStarts: this.#opStarts.slice(0, this.#entityCount + 1),
      kinds: this.#ops.kinds.slice(0, this.#ops.count),
      fieldIndexes: this.#ops.fieldIndexes.slice(0, this.#ops.count),
      values: this.#ops.values.slice(0, this.#ops.count),
      strings: this.#strings.texts,
      sources: this.#sources.texts,
      queries: this.#queries.map((query) => ({
        ...query,
        opStart: directOps + query.opStart,
        opEnd: directOps + query.opEnd,
      })),
    };
  }

  #growEntities(): void {
    const capacity = this.#slots.length * 2;
    this.#slots = copyInto(new Uint32Array(capacity), this.#slots);
    this.#flags = copyInto(new Uint8Array(capacity), this.#flags);
    this.#entitySources = copyInto(new Uint32Array(capacity), this.#entitySources);
    this.#opStarts = copyInto(new Uint32Array(capacity + 1), this.#opStarts);
  }
}

/** The three arrays of ops, growing. */
class OpTable {
  kinds = new Uint8Array(OPS_FIRST);
  fieldIndexes = new Uint16Array(OPS_FIRST);
  values = new Uint32Array(OPS_FIRST);
  count = 0;

  push(kind: number, fieldIndex: number, value: number): void {
    if (this.count === this.kinds.length) this.#grow(this.count * 2);
    const index = this.count++;
    this.kinds[index] = kind;
    this.fieldIndexes[index] = fieldIndex;
    this.values[index] = value;
  }

  append(other: OpTable): void {
    const count = this.count + other.count;
    if (count > this.kinds.length) this.#grow(count);
    this.kinds.set(other.kinds.subarray(0, other.count), this.count);
    this.fieldIndexes.set(other.fieldIndexes.subarray(0, other.count), this.count);
    this.values.set(other.values.subarray(0, other.count), this.count);
    this.count = count;
  }

  #grow(capacity: number): void {
    this.kinds = copyInto(new Uint8Array(capacity), this.kinds);
    this.fieldIndexes = copyInto(new Uint16Array(capacity), this.fieldIndexes);
    this.values = copyInto(new Uint32Array(capacity), this.values);
  }
}

/** Distinct texts in the order of their first appearance. */
class TextTable {
  readonly texts: string[] = [];
  readonly #indexes = new Map<string, number>();

  indexOf(text: string): number {
    let index = this.#indexes.get(text);
    if (index === undefined) {
      index = this.texts.length;
      this.#indexes.set(text, index);
      this.texts.push(text);
    }
    return index;
  }

  truncate(count: number): void {
    for (let index = count; index < this.texts.length; index++) this.#indexes.delete(this.texts[index]);
    this.texts.length = count;
  }
}

function copyInto<T extends Uint8Array | Uint16Array | Uint32Array>(target: T, source: T): T {
  target.set(source);
  return target;
}
