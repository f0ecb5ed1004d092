// Applies batches of one slot each without a checkpoint, says "applied" and stays; every line of standard input is a number
// of further ones. Ends with its standard input. Arguments: definition, directory, count.
import { createInterface } from 'node:readline';
import { openIndex } from 'bitloom';

const [definition, directory, count] = process.argv.slice(2);
const index = await openIndex({ definition, directory, checkpointLogBytes: 1e9 });
let slot = 0;

async function applyMore(batches) {
  for (const end = slot + batches; slot < end; slot++) {
    const ops = [{ slot, alive: true, ops: [{ op: 'set', field: 'level', value: slot }] }];
    await index.apply({ ops, meta: { source: 'test', cursor: slot } });
  }
  console.log('applied');
}

await applyMore(Number(count));
for await (const line of createInterface({ input: process.stdin })) await applyMore(Number(line));
process.exit(1);
