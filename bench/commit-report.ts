/** The commit part of a report as text. */
import { formatCount, formatTable } from '../src/cli/text-table.ts';
import type { CommitResults, CommitRun, CommitWire } from './commit.ts';
import { WORKLOADS } from './commit-workloads.ts';
import { formatMs, formatTimes } from './number-format.ts';

const SYSTEMS = {
  bitloom: 'bitloom',
  plain: 'plain SERIALIZABLE',
  eager: 'plain, retried at once',
  folded: 'folded enqueue',
};

export function formatCommit({ server, settings, flushMs, runs, wire }: CommitResults): string[] {
  const shown = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
  const head = [
    server.split(',')[0],
    shown.join(', '),
    `flush of 8 KiB ${formatMs(flushMs.median)} ms (${formatMs(flushMs.min)}..${formatMs(flushMs.max)})`,
  ];
  const notes = [
    ...WORKLOADS.map(({ name, what }) => `${name}: ${what}.`),
    'folded enqueue: INSERT and NOTIFY of each commit in one flushed transaction, the rest of the protocol as ours.',
    'plain SERIALIZABLE: tried again after the delays of bitloom, 10 ms to 1 s.',
    'Clients over two processes. ratio: commits per second over those of plain SERIALIZABLE transactions.',
  ];
  return [
    `Commits\n${head.join('\n')}\n${formatRuns(runs)}\n${notes.join('\n')}`,
    `On the wire, blind writes of one node\n${formatWire(wire)}`,
  ];
}

function formatRuns(runs: readonly CommitRun[]): string {
  const lines = runs.map((run) => {
    const plain = runs.find(
      ({ system, workload, clients }) =>
        system === 'plain' && workload === run.workload && clients === run.clients,
    );
    return [
      run.workload,
      String(run.clients),
      SYSTEMS[run.system],
      formatCount(Math.round(run.commitsPerSecond)),
      formatMs(run.latencyMs.median),
      formatMs(run.latencyMs.p99),
      run.attemptsPerCommit.toFixed(2),
      run.commitsPerBatch === null ? '-' : run.commitsPerBatch.toFixed(1),
      String(run.recoveredReplies),
      plain === undefined || run === plain ? '-' : formatTimes(run.commitsPerSecond / plain.commitsPerSecond),
    ];
  });
  const header = [
    'workload',
    'clients',
    'system',
    'commits/s',
    'p50 ms',
    'p99 ms',
    'attempts',
    'per batch',
    'late replies',
    'ratio',
  ];
  return formatTable(header, lines);
}

function formatWire(wire: readonly CommitWire[]): string {
  const lines = wire.flatMap(({ clients, commits, batches, sessions }) =>
    sessions.map(({ name, statements, roundTrips }) => [
      String(clients),
      (commits / batches).toFixed(1),
      name,
      formatCount(statements),
      (statements / batches).toFixed(2),
      (roundTrips / commits).toFixed(3),
    ]),
  );
  const header = ['clients', 'per batch', 'session', 'statements', 'per batch', 'round trips per commit'];
  return formatTable(header, lines);
}
