/**
 * DuckDB's turn at loading, in a process of its own: its allocator gives memory back for seconds after a load, which
 * would disturb whoever is measured next in the same process. Answers each list of files with milliseconds.
 */
import type { BenchDump } from './dump.ts';
import { DuckdbPeer } from './peers.ts';

const [threads, order] = process.argv.slice(2);
const peer = await DuckdbPeer.open(Number(threads), { ordered: order === 'ordered' });
if (process.send === undefined) throw new Error('bench/duckdb-child runs as a child process of the bench');
const send = process.send.bind(process);

process.on('message', async (files: BenchDump['files']) => {
  try {
    send({ ok: true, elapsedMs: await peer?.load(files) });
  } catch (error) {
    send({ ok: false, message: String(error) });
  }
});
send({ ok: peer !== null });
