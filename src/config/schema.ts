/**
 * The shape of a definition file, as written by people: which keys exist, which are required, what each holds. Each
 * `description` completes the sentence "expected …". What spans several keys is checked in `normalise.ts`.
 */
import Type, { type Static, type TSchema } from 'typebox';
import Value from 'typebox/value';
import type { KeyPath } from './definition-source.ts';
import { nearestName } from './nearest.ts';

const strict = { additionalProperties: false };

const name = Type.String({ minLength: 1, description: 'a non-empty string' });
const truth = Type.Boolean({ description: 'true or false' });
const oneByte = Type.String({ pattern: '^[\\x00-\\x7f]$', description: 'a single ASCII character' });

export const definitionSchema = Type.Object(
  {
    name,
    fields: Type.Object(
      {},
      { minProperties: 1, description: 'a map from field names to fields, at least one' },
    ),
    tables: Type.Object(
      {},
      { minProperties: 1, description: 'a map from table names to tables, at least one' },
    ),
  },
  { ...strict, description: 'a map with the keys name, fields and tables' },
);

const indexKind = Type.Union([Type.Literal('filter'), Type.Literal('sort')]);

export const fieldSchema = Type.Object(
  {
    type: Type.Union(
      [
        Type.Literal('boolean'),
        Type.Literal('uint32'),
        Type.Literal('int32'),
        Type.Literal('string'),
        Type.Literal('timestamp'),
      ],
      { description: 'boolean, uint32, int32, string or timestamp' },
    ),
    index: Type.Union([indexKind, Type.Array(indexKind, { minItems: 1, uniqueItems: true })], {
      description: 'filter, sort or [filter, sort]',
    }),
    many: Type.Optional(truth),
  },
  { ...strict, description: 'a map with the keys type, index and (optional) many' },
);

export const csvSchema = Type.Object(
  {
    columns: Type.Optional(Type.Array(name, { minItems: 1, description: 'a list of column names' })),
    delimiter: Type.Optional(oneByte),
    quote: Type.Optional(oneByte),
    escape: Type.Optional(oneByte),
    null: Type.Optional(Type.String({ description: 'a string' })),
    gzip: Type.Optional(truth),
    encoding: Type.Optional(Type.Literal('utf8', { description: 'utf8, the only encoding' })),
  },
  { ...strict, description: 'a map of CSV settings' },
);

/** A YAML scalar such as `1` or `true` is an expression as much as a string is. */
export const expressionSchema = Type.Union([Type.String({ minLength: 1 }), Type.Number(), Type.Boolean()], {
  description: 'a column name or an expression',
});

export const tableSchema = Type.Object(
  {
    csv: Type.Optional(Type.Object({}, { description: 'a map of CSV settings' })),
    slot: name,
    alive: Type.Optional(truth),
    fields: Type.Optional(Type.Object({}, { description: 'a map from field names to expressions' })),
    where: Type.Optional(expressionSchema),
  },
  { ...strict, description: 'a map with the keys slot, fields and (optional) csv, alive, where' },
);

export interface ShapeProblem {
  /** Relative to the checked value. */
  readonly path: KeyPath;
  readonly part: 'key' | 'value';
  readonly message: string;
  readonly hint?: string;
}

/** Whether the value has the shape; if not, what is wrong with it goes to `report`. */
export function hasShape<T extends TSchema>(
  schema: T,
  value: unknown,
  report: (problem: ShapeProblem) => void,
): value is Static<T> {
  if (Value.Check(schema, value)) return true;
  const errors = Value.Errors(schema, value);
  const alternatives = errors
    .filter((error) => error.keyword === 'anyOf')
    .map((error) => `${error.schemaPath}/anyOf`);
  const meant = new Set<string>();
  const missing: (() => void)[] = [];
  const mismatched = new Set<string>();
  for (const error of errors) {
    if (alternatives.some((schemaPath) => error.schemaPath.startsWith(schemaPath))) continue;
    const path = pathOfPointer(error.instancePath);
    const owner = schemaAt(schema, error.schemaPath);
    if (error.keyword === 'required') {
      for (const key of error.params.requiredProperties) {
        const expected = schemaAt(schema, `${error.schemaPath}/properties/${key}`).description;
        const hint = `add ${key}: ${expected}`;
        missing.push(() => {
          if (!meant.has(key)) report({ path, part: 'key', message: `missing key "${key}"`, hint });
        });
      }
    } else if (error.keyword === 'additionalProperties') {
      const known = Object.keys(owner.properties ?? {});
      for (const key of error.params.additionalProperties) {
        const nearest = nearestName(key, known);
        if (nearest !== null) meant.add(nearest);
        const hint = nearest === null ? `known keys: ${known.join(', ')}` : `did you mean "${nearest}"?`;
        report({ path: [...path, key], part: 'key', message: `unknown key ${JSON.stringify(key)}`, hint });
      }
    } else if (error.keyword !== 'boolean' && !mismatched.has(error.instancePath)) {
      mismatched.add(error.instancePath);
      report({ path, part: 'value', ...mismatch(owner, valueAt(value, path)) });
    }
  }
  // A missing key that an unknown one was meant to be is one problem, not two.
  for (const reportMissing of missing) reportMissing();
  return false;
}

function mismatch(schema: SchemaPart, found: unknown): { message: string; hint?: string } {
  const message = `expected ${schema.description}, found ${describeValue(found)}`;
  const scalar = found === null || typeof found === 'number' || typeof found === 'boolean';
  if (schema.type === 'string' && scalar) return { message, hint: `put it in quotes: "${String(found)}"` };
  if (schema.anyOf === undefined || typeof found !== 'string') return { message };
  const nearest = nearestName(
    found,
    schema.anyOf.map((part) => String(part.const)),
  );
  return nearest === null ? { message } : { message, hint: `did you mean "${nearest}"?` };
}

function describeValue(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object' && value !== null)
    return Object.keys(value).length === 0 ? 'an empty map' : 'a map';
  if (value === undefined || value === null) return 'nothing (null)';
  return typeof value === 'function' ? 'a function' : (JSON.stringify(value) ?? typeof value);
}

interface SchemaPart {
  readonly description?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly anyOf?: readonly SchemaPart[];
  readonly properties?: Readonly<Record<string, SchemaPart>>;
}

/** The schema at a `#/properties/…` path, or the nearest described one around it. */
function schemaAt(schema: TSchema, schemaPath: string): SchemaPart {
  let part: unknown = schema;
  let described = schema as SchemaPart;
  for (const key of schemaPath.split('/').slice(1)) {
    part = (part as Record<string, unknown>)[key];
    if ((part as SchemaPart).description !== undefined) described = part as SchemaPart;
  }
  return described;
}

function pathOfPointer(pointer: string): (string | number)[] {
  const keys = pointer.split('/').slice(1);
  return keys.map((key) =>
    /^\d+$/.test(key) ? Number(key) : key.replaceAll('~1', '/').replaceAll('~0', '~'),
  );
}

function valueAt(value: unknown, path: KeyPath): unknown {
  let found = value;
  for (const key of path) found = (found as Record<string | number, unknown>)?.[key];
  return found;
}
