/**
 * The naive model of a load: what an index must hold after loading files into an empty one, computed with csv-parse,
 * Map and Set and as little cleverness as possible. It shares no code with the loader, the kernels or the expression
 * compiler, so that agreement means something. Memory and time suit a few million rows.
 */
import type { FieldDefinition, IndexDefinition, TableDefinition } from '../config/definition.ts';
import type { ColumnType, Expression } from '../config/expression.ts';
import { BitloomError } from '../errors.ts';
import { decodeNaive, NaiveReject, type NaiveValue } from './naive-decode.ts';
import { evaluateNaive } from './naive-expression.ts';
import { INVALID_TEXT, type NaiveRecord, type NaiveText, readNaiveRecords } from './naive-records.ts';

/** A value as the public API shows it; a timestamp is in epoch seconds. */
export type ModelValue = number | boolean | string;

export interface ModelReject {
  readonly table: string;
  readonly line: number;
  readonly byteOffset: number;
  readonly column: string | null;
  readonly code: string;
}

export interface ModelTable {
  /** Rows loaded. */
  rows: number;
  skippedRows: number;
  rejectedRows: number;
  /** Rows whose slot a later row of the table stated again; 0 where rows only add to `many` fields. */
  duplicateRows: number;
}

export interface ModelField {
  readonly definition: FieldDefinition;
  /** Slots of every value that has any, ascending. */
  readonly slotsOfValue: ReadonlyMap<ModelValue, Uint32Array>;
  /** The value of every slot that has one; only of a single-valued field. */
  readonly valueOfSlot: ReadonlyMap<number, ModelValue>;
}

export interface NaiveModel {
  readonly definition: IndexDefinition;
  readonly alive: ReadonlySet<number>;
  readonly fields: ReadonlyMap<string, ModelField>;
  readonly tables: Readonly<Record<string, ModelTable>>;
  /** All of them, tables in the order of the definition, lines ascending. */
  readonly rejects: readonly ModelReject[];
}

/** Single-valued fields under construction: field → slot → value. */
type SingleValues = Map<string, Map<number, ModelValue>>;

/** Fields under construction. */
interface Building {
  readonly alive: Set<number>;
  readonly single: SingleValues;
  readonly many: Map<string, Map<ModelValue, Set<number>>>;
}

const SLOT_MAX = 0xffffffff;

/** Loads `files` (table → path) into an empty model, whatever the number of rejects. */
export async function buildNaiveModel(
  definition: IndexDefinition,
  files: Readonly<Record<string, string>>,
): Promise<NaiveModel> {
  const building: Building = { alive: new Set(), single: new Map(), many: new Map() };
  for (const field of definition.fields) {
    if (field.many) building.many.set(field.name, new Map());
  }
  const tables: Record<string, ModelTable> = {};
  const rejects: ModelReject[] = [];
  for (const table of definition.tables) {
    const file = files[table.name];
    if (file !== undefined) tables[table.name] = await loadTable(table, file, building, rejects);
  }
  return { definition, alive: building.alive, fields: finishFields(definition, building), tables, rejects };
}

async function loadTable(
  table: TableDefinition,
  file: string,
  building: Building,
  rejects: ModelReject[],
): Promise<ModelTable> {
  const counts: ModelTable = { rows: 0, skippedRows: 0, rejectedRows: 0, duplicateRows: 0 };
  const seen = new Set<number>();
  const singleValued = table.alive || table.fields.some((mapping) => !mapping.field.many);
  const single: SingleValues = new Map(table.fields.map(({ field }) => [field.name, new Map()]));
  let columns = table.csv.columns;
  for await (const batch of readNaiveRecords(file, table.csv)) {
    for (const record of batch) {
      if (columns === null) {
        columns = headerOf(record, file);
        continue;
      }
      // In a table of one column a blank line is a record with a null.
      if (record.blank && columns.length > 1) continue;
      try {
        const slot = loadRecord(table, record, columns, { ...building, single });
        if (slot === null) {
          counts.skippedRows++;
          continue;
        }
        counts.rows++;
        if (singleValued && seen.has(slot)) counts.duplicateRows++;
        if (singleValued) seen.add(slot);
      } catch (error) {
        if (!(error instanceof NaiveReject)) throw error;
        counts.rejectedRows++;
        const { line, byteOffset } = record;
        rejects.push({ table: table.name, line, byteOffset, column: error.column, code: error.code });
      }
    }
  }
  addSingleValues(building.single, single);
  return counts;
}

/** Where several tables feed a field, the later one wins where it has a value. */
function addSingleValues(target: SingleValues, source: SingleValues): void {
  for (const [field, values] of source) {
    const earlier = target.get(field);
    if (earlier === undefined || earlier.size === 0) target.set(field, values);
    else for (const [slot, value] of values) earlier.set(slot, value);
  }
}

/**
 * The slot of the row, or null when the table's `where` left it out, which comes before all else. Errors: NaiveReject;
 * the row then did nothing.
 */
function loadRecord(
  table: TableDefinition,
  record: NaiveRecord,
  columns: readonly string[],
  building: Building,
): number | null {
  const { fields } = record;
  if (fields === null) throw new NaiveReject(record.code!, null);
  if (fields.length !== columns.length) throw new NaiveReject('FIELD_COUNT', null);
  const read = (name: string, type: ColumnType) => decodeNaive(fieldOf(fields, columns, name), type, name);
  const evaluate = (expression: Expression) =>
    evaluateNaive(expression, (column) => read(column.name, column.columnType));

  if (table.where !== null && evaluate(table.where) !== true) return null;
  const slot = slotOf(read(table.slot, 'integer'), table.slot);
  const values = table.fields.map(({ field, expression }) =>
    fieldValue(field, evaluate(expression), expression),
  );

  if (table.alive) building.alive.add(slot);
  table.fields.forEach(({ field }, index) => {
    store(building, field, slot, values[index]);
  });
  return slot;
}

/** A later row of a table wins wholly for single-valued fields, a null too; `many` fields accumulate. */
function store(building: Building, field: FieldDefinition, slot: number, value: ModelValue | null): void {
  if (!field.many) {
    const values = building.single.get(field.name)!;
    if (value === null) values.delete(slot);
    else values.set(slot, value);
    return;
  }
  if (value === null) return;
  const slotsOfValue = building.many.get(field.name)!;
  const slots = slotsOfValue.get(value);
  if (slots === undefined) slotsOfValue.set(value, new Set([slot]));
  else slots.add(slot);
}

function slotOf(value: NaiveValue, column: string): number {
  if (value === null) throw new NaiveReject('NULL_SLOT', column);
  const slot = Number(value);
  if (slot < 0 || slot > SLOT_MAX) throw new NaiveReject('OUT_OF_RANGE', column);
  return slot;
}

/** A value of one column is blamed on it; one computed from several is on none. */
function fieldValue(field: FieldDefinition, value: NaiveValue, source: Expression): ModelValue | null {
  if (typeof value !== 'bigint') return value;
  const [min, max] = field.type === 'int32' ? [-(2n ** 31n), 2n ** 31n - 1n] : [0n, 2n ** 32n - 1n];
  if (value < min || value > max) {
    throw new NaiveReject('OUT_OF_RANGE', source.kind === 'column' ? source.name : null);
  }
  return Number(value);
}

function finishFields(definition: IndexDefinition, building: Building): Map<string, ModelField> {
  const fields = new Map<string, ModelField>();
  for (const field of definition.fields) {
    const valueOfSlot = building.single.get(field.name) ?? new Map<number, ModelValue>();
    const unsorted = building.many.get(field.name) ?? groupByValue(valueOfSlot);
    const slotsOfValue = new Map<ModelValue, Uint32Array>();
    for (const [value, slots] of unsorted) slotsOfValue.set(value, Uint32Array.from(slots).sort());
    fields.set(field.name, { definition: field, slotsOfValue, valueOfSlot });
  }
  return fields;
}

function groupByValue(valueOfSlot: ReadonlyMap<number, ModelValue>): Map<ModelValue, number[]> {
  const slotsOfValue = new Map<ModelValue, number[]>();
  for (const [slot, value] of valueOfSlot) {
    const slots = slotsOfValue.get(value);
    if (slots === undefined) slotsOfValue.set(value, [slot]);
    else slots.push(slot);
  }
  return slotsOfValue;
}

function fieldOf(fields: readonly NaiveText[], columns: readonly string[], name: string): NaiveText {
  const position = columns.indexOf(name);
  if (position >= 0) return fields[position];
  throw new BitloomError('COLUMN_MISSING', `the file has no column ${name}`, {
    hint: `its columns are ${columns.join(', ')}`,
  });
}

/** Column names of a table's file in file order: from the definition, or from the header. */
export async function columnsOfFile(table: TableDefinition, file: string): Promise<readonly string[]> {
  if (table.csv.columns !== null) return table.csv.columns;
  for await (const [header] of readNaiveRecords(file, table.csv)) return headerOf(header, file);
  return [];
}

function headerOf(record: NaiveRecord, file: string): string[] {
  const names = record.fields?.map((name) => (name === null || name === INVALID_TEXT ? '' : name));
  if (names !== undefined) return names;
  throw new BitloomError('HEADER_INVALID', `${file}: the header line is not well-formed (${record.code})`, {
    hint: 'mend the first line, or name the columns in the definition with csv.columns',
    at: { file, line: record.line },
  });
}
