/**
 * The three ways into an index definition: text, file, plain object. All problems are found before any is reported; the
 * first (in the order of the file) is the error, the others are listed in its message and in `details.problems`.
 */
import { readFile, stat } from 'node:fs/promises';
import { BitloomError, formatPlace } from '../errors.ts';
import { DEFINITION_BYTES_MAX } from '../limits.ts';
import type { IndexDefinition } from './definition.ts';
import {
  type DefinitionProblem,
  type DefinitionSource,
  type KeyPath,
  sourceOfText,
  sourceOfValue,
} from './definition-source.ts';
import { normaliseSource } from './normalise.ts';

/**
 * Parses the YAML (or JSON) text of a definition; `file` names it in errors.
 * Throws BitloomError DEFINITION_INVALID with `at` {file, line, column}.
 */
export function parseDefinition(text: string, file: string): IndexDefinition {
  return definitionOf(sourceOfText(text, file));
}

/**
 * Normalises a plain object in the shape of the definition file. Errors name the key path.
 * Throws BitloomError DEFINITION_INVALID.
 */
export function normaliseDefinition(value: unknown, file?: string): IndexDefinition {
  return definitionOf(sourceOfValue(value, file));
}

/** Reads and parses a definition file. Throws DEFINITION_UNREADABLE (missing, not a file) or DEFINITION_INVALID. */
export async function readDefinition(path: string): Promise<IndexDefinition> {
  const bytes = await readBytes(path);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new BitloomError('DEFINITION_INVALID', 'the definition is not valid UTF-8', {
      at: { file: path },
      hint: 'save it as UTF-8 text',
      cause,
    });
  }
  return parseDefinition(text, path);
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > DEFINITION_BYTES_MAX) {
      throw new BitloomError(
        'DEFINITION_INVALID',
        `the definition has ${size} bytes, at most ${DEFINITION_BYTES_MAX} are read`,
        {
          at: { file: path },
          hint: 'is it a dump? name the YAML file that describes the index',
        },
      );
    }
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof BitloomError) throw cause;
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new BitloomError(
      'DEFINITION_UNREADABLE',
      missing ? `there is no definition file ${path}` : `the definition file ${path} cannot be read`,
      { at: { file: path }, hint: 'give the path of the YAML file that describes the index', cause },
    );
  }
}

function definitionOf(source: DefinitionSource): IndexDefinition {
  const problems = [...source.problems];
  const definition = source.value === undefined ? null : normaliseSource(source, problems);
  if (problems.length > 0 || definition === null) throw invalidDefinition(problems);
  return definition;
}

function invalidDefinition(problems: readonly DefinitionProblem[]): BitloomError {
  const ordered = problems.toSorted(
    (left, right) =>
      (left.at.line ?? 0) - (right.at.line ?? 0) || (left.at.column ?? 0) - (right.at.column ?? 0),
  );
  const [first, ...others] = ordered;
  const lines = [describe(first)];
  if (others.length > 0)
    lines.push(others.length === 1 ? 'and 1 more problem:' : `and ${others.length} more problems:`);
  for (const other of others) {
    const place = formatPlace(other.at);
    const hint = other.hint === undefined ? '' : ` (${other.hint})`;
    lines.push(`  ${place === '' ? '' : `${place}: `}${describe(other)}${hint}`);
  }
  return new BitloomError('DEFINITION_INVALID', lines.join('\n'), {
    at: first.at,
    ...(first.hint === undefined ? {} : { hint: first.hint }),
    details: { problems: ordered },
  });
}

function describe(problem: DefinitionProblem): string {
  const path = formatPath(problem.path);
  return path === '' ? problem.message : `${path}: ${problem.message}`;
}

/** `tables.images.csv.columns[2]`; a key that is not a plain word is quoted. */
function formatPath(path: KeyPath): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else if (/^[\w$-]+$/.test(key)) text += text === '' ? key : `.${key}`;
    else text += `[${JSON.stringify(key)}]`;
  }
  return text;
}
