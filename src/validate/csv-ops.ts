/**
 * A dump as a stream of ops: an entity per row, with `alive` from the tables that say so, `set` for every single-valued
 * field of the table, nulls too, and `add` for the others. Applied to an empty index it gives what loading the dump gives.
 *
 * One rule of loads is not one of rows: where several tables feed a single-valued field, a later table wins only where
 * it has a value. Its statements about such a field therefore come after its rows, one for each slot whose last row has one.
 */
import type { IndexDefinition, TableDefinition } from '../config/definition.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BatchBuilder } from '../ops/batch-builder.ts';
import { OP_ADD, OP_CLEAR, OP_SET, type OpBatch } from '../ops/op.ts';
import { type RowColumn, type RowCounts, readTableRows, type TableRows } from './table-rows.ts';

/** Entities of a batch of the stream. */
export const BATCH_ENTITIES = 5000;

export interface CsvOps {
  readonly batches: AsyncIterable<OpBatch>;
  /** Per table, complete once the batches have been read. */
  readonly tables: Readonly<Record<string, RowCounts>>;
}

/** `files`: table → CSV file. Errors of sources and headers come with the batches. */
export function csvOps(
  definition: IndexDefinition,
  files: Readonly<Record<string, string>>,
  kernels: Kernels,
): CsvOps {
  const tables = definition.tables.filter(({ name }) => Object.hasOwn(files, name));
  const counts = Object.fromEntries(
    tables.map(({ name }): [string, RowCounts] => [name, { rows: 0, skippedRows: 0, rejectedRows: 0 }]),
  );
  return { batches: readBatches(definition, tables, files, kernels, counts), tables: counts };
}

async function* readBatches(
  definition: IndexDefinition,
  tables: readonly TableDefinition[],
  files: Readonly<Record<string, string>>,
  kernels: Kernels,
  counts: Readonly<Record<string, RowCounts>>,
): AsyncGenerator<OpBatch> {
  const fed = new Set<string>();
  for (const table of tables) {
    const ops = new TableOps(definition, table, fed);
    for await (const rows of readTableRows(table, files[table.name], kernels, counts[table.name])) {
      yield* ops.ofRows(rows);
    }
    yield* ops.ofLastRows();
    for (const { field } of table.fields) fed.add(field.name);
  }
}

/** How the values of one mapped field become ops. */
interface FieldOps {
  readonly fieldIndex: number;
  readonly many: boolean;
  readonly isString: boolean;
  /** Of a field that an earlier table feeds too: slot → value of its last row; else null. */
  readonly lastValues: Map<number, number | string | null> | null;
  /** Place of a text in the strings of the batch, by its place in the texts of the column. */
  stringIndexes: Map<number, number>;
}

class TableOps {
  readonly #definition: IndexDefinition;
  readonly #table: TableDefinition;
  readonly #fields: readonly FieldOps[];
  #builder: BatchBuilder;
  #entityCount = 0;

  constructor(definition: IndexDefinition, table: TableDefinition, fed: ReadonlySet<string>) {
    this.#definition = definition;
    this.#table = table;
    this.#builder = new BatchBuilder(definition);
    this.#fields = table.fields.map(({ field: { name, type, many } }) => ({
      fieldIndex: definition.fields.findIndex((field) => field.name === name),
      many,
      isString: type === 'string',
      lastValues: !many && fed.has(name) ? new Map() : null,
      stringIndexes: new Map(),
    }));
  }

  *ofRows({ count, slots, columns }: TableRows): Generator<OpBatch> {
    for (let row = 0; row < count; row++) {
      this.#builder.addEntity(slots[row], this.#table.alive, this.#table.name);
      for (let field = 0; field < columns.length; field++) {
        this.#addOp(this.#fields[field], columns[field], slots[row], row);
      }
      if (++this.#entityCount === BATCH_ENTITIES) yield this.#finish();
    }
  }

  /** What is left of the rows, and what they say together. */
  *ofLastRows(): Generator<OpBatch> {
    for (const { fieldIndex, lastValues } of this.#fields) {
      for (const [slot, value] of lastValues ?? []) {
        if (value === null) continue;
        this.#builder.addEntity(slot, false, this.#table.name);
        const key = typeof value === 'string' ? this.#builder.indexOfString(value) : value;
        this.#builder.addOp(OP_SET, fieldIndex, key);
        if (++this.#entityCount === BATCH_ENTITIES) yield this.#finish();
      }
    }
    if (this.#entityCount > 0) yield this.#finish();
  }

  #addOp(field: FieldOps, { keys, nulls, texts }: RowColumn, slot: number, row: number): void {
    const isNull = nulls !== null && nulls[row] !== 0;
    if (field.lastValues !== null) {
      field.lastValues.set(slot, isNull ? null : field.isString ? texts[keys[row]] : keys[row]);
    } else if (!isNull) {
      const value = field.isString ? this.#stringIndex(field, texts, keys[row]) : keys[row];
      this.#builder.addOp(field.many ? OP_ADD : OP_SET, field.fieldIndex, value);
    } else if (!field.many) {
      this.#builder.addOp(OP_CLEAR, field.fieldIndex, 0);
    }
  }

  #stringIndex(field: FieldOps, texts: readonly string[], code: number): number {
    let index = field.stringIndexes.get(code);
    if (index === undefined) {
      index = this.#builder.indexOfString(texts[code]);
      field.stringIndexes.set(code, index);
    }
    return index;
  }

  #finish(): OpBatch {
    const batch = this.#builder.finish(null);
    this.#builder = new BatchBuilder(this.#definition);
    this.#entityCount = 0;
    for (const field of this.#fields) field.stringIndexes = new Map();
    return batch;
  }
}
