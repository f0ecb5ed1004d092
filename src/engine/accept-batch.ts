/** The edge where a batch of ops is checked, on whichever thread the caller is. */
import type { IndexDefinition } from '../config/definition.ts';
import { BitloomError } from '../errors.ts';
import { type ParsedBatch, parseBatch } from '../ops/parse-batch.ts';
import { dedupRepeats } from '../ops/repeats.ts';
import type { ApplyOptions } from './index-api.ts';

/**
 * The accepted entities and the refused ones.
 * @param dedups drop what the batch says twice where that is much of it
 * @throws BitloomError OPTION_INVALID, BATCH_INVALID, BATCH_TOO_LARGE; with `strict` BATCH_REFUSED when any is refused.
 */
export function acceptBatch(
  batch: unknown,
  definition: IndexDefinition,
  options: ApplyOptions,
  dedups: boolean,
): ParsedBatch {
  for (const name of Object.keys(options)) {
    if (name === 'strict') continue;
    throw new BitloomError('OPTION_INVALID', `apply has no option ${name}`, { hint: 'the option is strict' });
  }
  const parsed = parseBatch(batch, definition);
  const { refused } = parsed;
  if (options.strict === true && refused.length > 0) {
    const others = refused.length > 1 ? ` and ${refused.length - 1} more` : '';
    throw new BitloomError('BATCH_REFUSED', `nothing was applied: ${refused[0].message}${others}`, {
      hint: 'mend the entities in details.refused, or leave strict out to apply the others',
      details: { refused },
    });
  }
  return dedups ? { ...parsed, batch: dedupRepeats(parsed.batch) } : parsed;
}
