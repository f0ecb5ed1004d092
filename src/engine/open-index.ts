/** The way in: opens an index on a thread of its own, or in this one. */
import { BitloomError } from '../errors.ts';
import { Engine } from './engine.ts';
import type { BitloomIndex, OpenOptions } from './index-api.ts';
import { ThreadIndex } from './thread-index.ts';

const OPTION_NAMES: ReadonlySet<string> = new Set([
  'definition',
  'directory',
  'readOnly',
  'checkpointLogBytes',
  'dedup',
  'inProcess',
  'onWarning',
]);

/**
 * Opens an index. With a directory it serves the last good version found there.
 *
 * Errors: OPTION_INVALID, DEFINITION_*, DIRECTORY_LOCKED (another process writes it), SNAPSHOT_CORRUPT.
 */
export async function openIndex(options: OpenOptions): Promise<BitloomIndex> {
  for (const name of Object.keys(options)) {
    if (!OPTION_NAMES.has(name)) {
      throw new BitloomError('OPTION_INVALID', `openIndex has no option ${name}`, {
        hint: `the options are ${[...OPTION_NAMES].join(', ')}`,
      });
    }
  }
  return options.inProcess === true ? Engine.open(options) : ThreadIndex.open(options);
}
