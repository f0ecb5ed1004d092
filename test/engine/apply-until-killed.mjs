/**
 * Applies batches without end, several in flight, and says which are acknowledged: `node apply-until-killed.mjs definition
 * directory first`. Batch n makes slots 3n … 3n + 2 alive with level n, and says the same of slot 4,000,000,000.
 */
import { openIndex } from 'bitloom';

const [definition, directory, first] = process.argv.slice(2);
const index = await openIndex({ definition, directory, checkpointLogBytes: 2000 });
process.stdout.write('open\n');

async function applyEvery(step, from) {
  for (let batch = from; ; batch += step) {
    const slots = [3 * batch, 3 * batch + 1, 3 * batch + 2];
    const ops = [...slots, 4_000_000_000].map((slot) => ({
      slot,
      alive: true,
      ops: [{ op: 'set', field: 'level', value: batch }],
    }));
    await index.apply({ ops });
    process.stdout.write(`${batch}\n`);
  }
}

const LANES = 4;
await Promise.all(Array.from({ length: LANES }, (_, lane) => applyEvery(LANES, Number(first) + lane)));
