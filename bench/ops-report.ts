/** The ops part of a report as text. */
import { formatCount, formatTable } from '../src/cli/text-table.ts';
import type { Summary } from './measure.ts';
import { formatMs, formatRatio, formatTimes, timings } from './number-format.ts';
import type { OpsResult } from './ops.ts';
import type { PeeredResult } from './ops-http.ts';

export function formatOps(rows: number, { intake, bulk, busy, http }: OpsResult): string[] {
  return [
    `Ops, ${formatCount(rows)} images\n${formatIntake(intake)}\nBeside: ${intake.find(({ peer }) => peer !== null)?.peer?.name}, flushed per batch. Steady state: batches as JSON values, checked, flushed and visible.`,
    `One queryOpSet, ${formatCount(bulk.slots)} slots\n${formatBulk(bulk)}`,
    `Queries meanwhile, ${formatCount(rows)} images\n${formatBusy(busy)}`,
    `HTTP, ${formatCount(rows)} images\n${formatHttp(http)}\nBeside: ${(http[0].queries ?? http[0].batches)?.peer.name}; the ratio is that of requests/s.`,
  ];
}

function formatIntake(intake: OpsResult['intake']): string {
  const lines = intake.map(({ name, entities, wallMs, entitiesPerSecond, ops, peer }) => [
    name,
    formatCount(entities),
    ...timings(wallMs),
    formatThousands(entitiesPerSecond),
    formatThousands((entitiesPerSecond * ops) / entities),
    peer === null ? '-' : formatThousands((entities * 1000) / peer.wallMs.median),
    peer === null ? '-' : formatRatio(peer.ratio),
  ]);
  const header = ['ops', 'entities', 'ms', 'min..max', 'K entities/s', 'K ops/s', 'plain K/s', 'ratio'];
  return formatTable(header, lines);
}

function formatBulk({ matches, wallMs, peer }: OpsResult['bulk']): string {
  const line = [
    formatCount(matches),
    ...timings(wallMs),
    formatMs(peer.wallMs.median),
    formatRatio(peer.ratio),
  ];
  return formatTable(['matches', 'ms', 'min..max', peer.name, 'ratio'], [line]);
}

function formatBusy(busy: OpsResult['busy']): string {
  const lines = busy.map(({ during, queryMs, queriesPerSecond, entitiesPerSecond }) => [
    during,
    ...latencies(queryMs),
    formatCount(Math.round(queriesPerSecond)),
    entitiesPerSecond === 0 ? '-' : formatThousands(entitiesPerSecond),
  ]);
  return formatTable(['during', 'p50 ms', 'p99 ms', 'max ms', 'queries/s', 'K entities/s'], lines);
}

function formatHttp(http: OpsResult['http']): string {
  const lines = http.flatMap(({ load, queries, batches }) => [
    ...(queries === null ? [] : [requestLine(load, 'query', queries, '-')]),
    ...(batches === null
      ? []
      : [requestLine(load, 'batch', batches, formatThousands(batches.entitiesPerSecond))]),
  ]);
  const header = ['load', 'request', 'at a time', 'p50 ms', 'p99 ms', 'max ms', 'requests/s', 'K entities/s'];
  header.push('plain p50 ms', 'plain/s', 'ratio');
  return formatTable(header, lines);
}

function requestLine(load: string, request: string, result: PeeredResult, entities: string): string[] {
  const { concurrency, requestMs, requestsPerSecond, peer, ratio } = result;
  const own = [...latencies(requestMs), formatRate(requestsPerSecond), entities];
  const plain = [formatMs(peer.requestMs.median), formatRate(peer.requestsPerSecond), formatTimes(ratio)];
  return [load, request, String(concurrency), ...own, ...plain];
}

function latencies({ median, p99, max }: Summary): string[] {
  return [formatMs(median), formatMs(p99), formatMs(max)];
}

function formatRate(perSecond: number): string {
  return perSecond < 10 ? perSecond.toFixed(1) : formatCount(Math.round(perSecond));
}

function formatThousands(perSecond: number): string {
  return (perSecond / 1e3).toFixed(perSecond < 1e5 ? 1 : 0);
}
