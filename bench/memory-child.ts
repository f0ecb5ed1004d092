/**
 * A process that does one load and sends what it needed: entry of bench/memory.ts, with the definition, the number of
 * threads and table=path pairs as arguments. They are taken away before the addon loader can see them.
 */
import { readFileSync } from 'node:fs';

const [definition, threads, ...pairs] = process.argv.splice(2);
const { openIndex } = await import('../src/index.ts');

const index = await openIndex({ definition, inProcess: true });
const baselineBytes = process.memoryUsage.rss();
await index.load(Object.fromEntries(pairs.map((pair) => pair.split('=', 2))), { threads: Number(threads) });
const peakBytes = peakOfProcess();
const { memory } = await index.stats();
await index.close();
process.send?.({ baselineBytes, peakBytes, indexBytes: memory.indexBytes });
process.disconnect();

/** Linux inherits the maximum of getrusage from the parent process through exec; the one in /proc is the process's own. */
function peakOfProcess(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  const [, kibibytes] = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  return Number(kibibytes) * 1024;
}
