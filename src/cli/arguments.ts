/**
 * Text of the command line to values. Every parser throws commander's InvalidArgumentError or a BitloomError whose
 * message repeats what was given and says what is accepted; none guesses.
 */
import { text as readAll } from 'node:stream/consumers';
import { InvalidArgumentError } from 'commander';
import { BitloomError } from '../errors.ts';

const COUNT_FACTORS: Record<string, number> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };

const BYTE_FACTORS: Record<string, number> = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  m: 1e6,
  mb: 1e6,
  g: 1e9,
  gb: 1e9,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
};

/** A whole number, zero included: `250000`, `250_000`, `250k`, `1.5M`. */
export function parseCount(text: string): number {
  return parseScaled(text, COUNT_FACTORS, 'a whole number such as 250000, 250_000, 250k or 1.5M');
}

/** As `parseCount`, at least 1. */
export function parsePositiveCount(text: string): number {
  const count = parseCount(text);
  if (count === 0) throw new InvalidArgumentError('Expected at least 1.');
  return count;
}

/** Bytes: `268435456`, `512MB` (10^6), `512MiB` (2^20), `1.5GB`. */
export function parseByteSize(text: string): number {
  const bytes = parseScaled(
    text,
    BYTE_FACTORS,
    'a size such as 268435456, 512MB (10^6 bytes) or 512MiB (2^20)',
  );
  if (bytes === 0) throw new InvalidArgumentError('Expected at least one byte.');
  return bytes;
}

/** Comma-separated counts, for a run at several sizes: `10k,1M`. */
export function parseCountList(text: string): number[] {
  return text.split(',').map(parsePositiveCount);
}

/** `images=dump/images.csv tags=dump/tags.csv` as table → path. */
export function parseTableFiles(pairs: readonly string[]): Record<string, string> {
  // No prototype: a table named `constructor` is a name like any other.
  const files: Record<string, string> = Object.create(null);
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    if (equals <= 0 || equals === pair.length - 1) {
      throw new BitloomError('ARGUMENT_INVALID', `"${pair}" is not of the form table=path`, {
        hint: 'write the name of a table of the definition, =, and the path of its file: images=dump/images.csv',
      });
    }
    const table = pair.slice(0, equals);
    if (Object.hasOwn(files, table)) {
      throw new BitloomError('ARGUMENT_INVALID', `table "${table}" is given twice`, {
        hint: 'a load takes one file per table; concatenate the files, or load them one after the other with --mode merge',
      });
    }
    files[table] = pair.slice(equals + 1);
  }
  return { ...files };
}

/** JSON given as an argument, or read from standard input when the argument is `-`. */
export async function readJsonArgument(argument: string, what: string): Promise<unknown> {
  const fromInput = argument === '-';
  const text = fromInput ? await readAll(process.stdin) : argument;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BitloomError('ARGUMENT_INVALID', `the ${what} is not valid JSON: ${(error as Error).message}`, {
      hint: fromInput
        ? 'standard input must hold one JSON value'
        : `quote the ${what} for the shell, as in '{ "where": { "nsfwLevel": 1 } }', or pass it on standard input with -`,
    });
  }
}

function parseScaled(text: string, factors: Record<string, number>, expected: string): number {
  const match = /^(\d[\d_]*(?:\.\d+)?)\s*([a-z]*)$/i.exec(text);
  const factor = match === null ? undefined : factors[match[2].toLowerCase()];
  // toPrecision removes the binary residue of 1.1 * 1000; a remaining fraction is a mistake of the caller.
  const value =
    match === null ? NaN : Number((Number(match[1].replaceAll('_', '')) * (factor ?? NaN)).toPrecision(15));
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError(`Expected ${expected}.`);
  return value;
}
