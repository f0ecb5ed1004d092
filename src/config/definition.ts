/**
 * The index definition after parsing and normalising: every default filled in, every expression typed. Everything
 * else in the package reads this shape and never the YAML.
 */
import type { Expression } from './expression.ts';

export type FieldType = 'boolean' | 'uint32' | 'int32' | 'string' | 'timestamp';

export interface FieldDefinition {
  readonly name: string;
  readonly type: FieldType;
  /** value → bitmap of slots. */
  readonly filter: boolean;
  /** Bit layers and a column: ordering and ranges. Never on strings or `many` fields. */
  readonly sort: boolean;
  /** A slot may hold several values. */
  readonly many: boolean;
}

export interface CsvDialect {
  /** Column names in file order; null when the first record is the header. */
  readonly columns: readonly string[] | null;
  /** One byte each. */
  readonly delimiter: string;
  readonly quote: string;
  readonly escape: string;
  /** The unquoted text that means null; '' (default) is the empty unquoted field. */
  readonly null: string;
  /** Whether the files are gzip; null (default): by the file name, `.gz`. */
  readonly gzip: boolean | null;
}

export interface FieldMapping {
  readonly field: FieldDefinition;
  readonly expression: Expression;
}

export interface TableDefinition {
  readonly name: string;
  readonly csv: CsvDialect;
  /** Column that holds the slot. */
  readonly slot: string;
  /** Rows of this table make slots alive. */
  readonly alive: boolean;
  readonly fields: readonly FieldMapping[];
  /** Rows for which it is not true are skipped: not loaded, not rejected. */
  readonly where: Expression | null;
  /** SHA-256, hex, of the normalised table with the fields it feeds. */
  readonly hash: string;
}

export interface IndexDefinition {
  readonly name: string;
  readonly fields: readonly FieldDefinition[];
  readonly tables: readonly TableDefinition[];
  /** SHA-256, hex, of the whole normalised definition. */
  readonly hash: string;
  /** The normalised definition as plain JSON in the shape of the definition file; parsing it gives an equal definition. */
  readonly normalised: unknown;
}
