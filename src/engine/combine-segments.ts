/** The segments of a version from those of a dump and those of the version before. */
import type { FieldDefinition, IndexDefinition } from '../config/definition.ts';
import { BitloomError } from '../errors.ts';
import type { BaseVersion } from '../index/base-version.ts';
import type { FieldSegments, VersionSegments } from '../index/version.ts';
import type { Staging } from '../load/staging.ts';

/** A field that no table of the dump feeds keeps what it had. @throws BitloomError DEFINITION_CHANGED. */
export function combineSegments(
  definition: IndexDefinition,
  previous: BaseVersion,
  staging: Staging,
): VersionSegments {
  const fields: Record<string, FieldSegments> = {};
  for (const field of definition.fields) {
    const staged = staging.fields.get(field.name);
    const kept = previous.segments.fields[field.name];
    if (staged !== undefined) fields[field.name] = staged;
    else if (kept !== undefined) fields[field.name] = keepSegments(field, previous, kept);
  }
  return { alive: staging.alive ?? previous.segments.alive, fields };
}

/** Whether every batch of ops that one definition takes is one for the other too. */
export function takesOpsOf(definition: IndexDefinition, served: IndexDefinition): boolean {
  return served.fields.every((field) => {
    const same = definition.fields.find(({ name }) => name === field.name);
    return (
      same !== undefined &&
      same.type === field.type &&
      same.many === field.many &&
      (same.filter || !field.filter) &&
      (same.sort || !field.sort)
    );
  });
}

/** The segments of a field, unless it now means something else than what is stored. */
function keepSegments(field: FieldDefinition, previous: BaseVersion, kept: FieldSegments): FieldSegments {
  const stored = previous.definition.fields.find(({ name }) => name === field.name);
  const same =
    stored !== undefined &&
    stored.type === field.type &&
    stored.many === field.many &&
    stored.filter === field.filter &&
    stored.sort === field.sort;
  if (same) return kept;
  throw new BitloomError(
    'DEFINITION_CHANGED',
    `the definition of field ${field.name} is not the one it was loaded with`,
    {
      hint: 'load every table that feeds a changed field in the same dump',
    },
  );
}
