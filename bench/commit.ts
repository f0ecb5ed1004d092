/**
 * The commit part of the bench: throughput and latency of concurrent clients, beside plain SERIALIZABLE transactions and
 * beside the reference's enqueue, on one Postgres with fsync on, one system after the other for each number of clients.
 * After every run the stored counters must add up to the acknowledged transactions.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { BitloomError } from '../src/errors.ts';
import { answerOf } from './child-answer.ts';
import { childFile } from './child-file.ts';
import type { CommitNodeSettings, CommitOrder, CommitReport, CommitSystem, NodeRun } from './commit-node.ts';
import { WORKLOADS, type WorkloadName } from './commit-workloads.ts';
import { type Summary, summarise } from './measure.ts';
import { startPostgres } from './postgres-cluster.ts';
import { type WireCount, WireCounter } from './postgres-wire.ts';

export interface CommitRun {
  readonly system: CommitSystem;
  readonly workload: WorkloadName;
  readonly clients: number;
  readonly nodes: number;
  readonly commits: number;
  readonly commitsPerSecond: number;
  readonly attemptsPerCommit: number;
  readonly latencyMs: Summary;
  readonly commitsPerBatch: number | null;
  readonly recoveredReplies: number;
}

/** What crossed the wire for one node with so many clients, sessions by what they are for. */
export interface CommitWire {
  readonly clients: number;
  readonly commits: number;
  readonly batches: number;
  readonly sessions: readonly (WireCount & { readonly name: string })[];
}

export interface CommitResults {
  readonly server: string;
  readonly settings: Readonly<Record<string, string>>;
  /** Appending 8 KiB to a file and flushing it, on the disk of the server. */
  readonly flushMs: Summary;
  readonly runs: readonly CommitRun[];
  readonly wire: readonly CommitWire[];
}

export interface CommitSettings {
  /** Clients at a time. */
  readonly clients: readonly number[];
  readonly warmUpMs: number;
  readonly runMs: number;
}

export const COMMIT_SETTINGS: CommitSettings = { clients: [1, 8, 64, 256], warmUpMs: 500, runMs: 2000 };

/** One of them leads. */
const NODES_MAX = 2;
const FLUSHES = 100;
const SERVER_SETTINGS = { max_connections: '400', max_wal_size: '4GB', checkpoint_timeout: '15min' };
const SHOWN_SETTINGS = [
  'fsync',
  'synchronous_commit',
  'wal_sync_method',
  'shared_buffers',
  'max_connections',
];

/** `directory`: on the disk that is flushed for comparison. */
export async function measureCommit(
  settings: CommitSettings,
  directory: string,
  onStep: (name: string) => void,
): Promise<CommitResults> {
  onStep('start Postgres');
  const postgres = await startPostgres(SERVER_SETTINGS);
  try {
    const runs: CommitRun[] = [];
    for (const { name: workload } of WORKLOADS) {
      for (const clients of settings.clients) {
        for (const system of systemsOf(workload)) {
          onStep(`${workload}, ${clients} clients, ${system}`);
          runs.push(await measureRun(postgres.url, system, workload, clients, settings));
        }
      }
    }
    const wire: CommitWire[] = [];
    for (const clients of settings.clients) {
      onStep(`on the wire, ${clients} clients`);
      wire.push(await countWire(postgres.url, clients, settings));
    }
    return { ...(await describeServer(postgres.url)), flushMs: measureFlush(directory), runs, wire };
  } finally {
    await postgres.stop();
  }
}

/** The way requests are enqueued does not depend on what they write, and pauses matter where everybody wants one row. */
function systemsOf(workload: WorkloadName): CommitSystem[] {
  if (workload === 'blind') return ['bitloom', 'folded', 'plain'];
  return workload === 'modify 1,000' ? ['bitloom', 'plain'] : ['bitloom', 'plain', 'eager'];
}

async function measureRun(
  url: string,
  system: CommitSystem,
  workload: WorkloadName,
  clients: number,
  { warmUpMs, runMs }: CommitSettings,
): Promise<CommitRun> {
  const nodeCount = Math.min(NODES_MAX, clients);
  return await withSchema(url, async (schema) => {
    const nodes: BenchNode[] = [];
    try {
      for (let node = 0; node < nodeCount; node++) {
        const share = Math.floor((clients + node) / nodeCount);
        nodes.push(await BenchNode.open({ system, url, schema, workload, clients: share }));
      }
      const warmUp = await Promise.all(nodes.map((node) => node.run(warmUpMs)));
      const runs = await Promise.all(nodes.map((node) => node.run(runMs)));
      await checkTotal(nodes[0], [...warmUp, ...runs], `${system}, ${workload}, ${clients} clients`);
      return { system, workload, clients, nodes: nodeCount, ...combine(runs) };
    } finally {
      await Promise.all(nodes.map((node) => node.close()));
    }
  });
}

/** Every acknowledged transaction has to be there, once. */
async function checkTotal(node: BenchNode, runs: readonly NodeRun[], what: string): Promise<void> {
  const total = await node.total();
  const expected = runs.reduce((sum, { commits }) => sum + commits, 0);
  if (total === null || total === expected) return;
  throw new BitloomError('BENCH_DIFFERENCE', `${what}: ${expected} were acknowledged, ${total} are stored`, {
    hint: 'commits were lost or applied twice; this is a fault of the program',
  });
}

function combine(runs: readonly NodeRun[]) {
  const sum = (of: (run: NodeRun) => number) => runs.reduce((total, run) => total + of(run), 0);
  const commits = sum((run) => run.commits);
  const batches = sum((run) => run.batches);
  return {
    commits,
    commitsPerSecond: sum((run) => (run.commits * 1000) / run.wallMs),
    attemptsPerCommit: sum((run) => run.attempts) / commits,
    latencyMs: summarise(runs.flatMap((run) => run.latenciesMs)),
    commitsPerBatch: batches === 0 ? null : commits / batches,
    recoveredReplies: sum((run) => run.recoveredReplies),
  };
}

async function countWire(
  url: string,
  clients: number,
  { warmUpMs, runMs }: CommitSettings,
): Promise<CommitWire> {
  const counter = await WireCounter.open(url);
  try {
    return await withSchema(url, async (schema) => {
      const settings = { system: 'bitloom', url: counter.url, schema, workload: 'blind', clients } as const;
      const node = await BenchNode.open(settings);
      try {
        await node.run(warmUpMs);
        const before = counter.counts();
        const { commits, batches } = await node.run(runMs);
        return { clients, commits, batches, sessions: difference(before, counter.counts()) };
      } finally {
        await node.close();
      }
    });
  } finally {
    await counter.close();
  }
}

function difference(before: ReadonlyMap<string, WireCount>, after: ReadonlyMap<string, WireCount>) {
  return [...after].map(([name, { statements, roundTrips }]) => ({
    name,
    statements: statements - (before.get(name)?.statements ?? 0),
    roundTrips: roundTrips - (before.get(name)?.roundTrips ?? 0),
  }));
}

async function withSchema<T>(url: string, use: (schema: string) => Promise<T>): Promise<T> {
  const schema = `bench_${randomBytes(6).toString('hex')}`;
  try {
    return await use(schema);
  } finally {
    await query(url, `DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  }
}

async function describeServer(url: string): Promise<Pick<CommitResults, 'server' | 'settings'>> {
  const [{ version }] = await query(url, 'SELECT version()');
  const names = SHOWN_SETTINGS.map((name) => `'${name}'`).join(', ');
  const rows = await query(
    url,
    `SELECT name, setting FROM pg_settings WHERE name IN (${names}) ORDER BY name`,
  );
  return { server: version, settings: Object.fromEntries(rows.map(({ name, setting }) => [name, setting])) };
}

async function query(url: string, text: string): Promise<Record<string, string>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, string>>(text)).rows;
  } finally {
    await client.end();
  }
}

function measureFlush(directory: string): Summary {
  const path = join(directory, 'flush');
  const file = openSync(path, 'w');
  const block = Buffer.alloc(8192);
  const samples: number[] = [];
  try {
    for (let flush = 0; flush < FLUSHES; flush++) {
      const startMs = performance.now();
      writeSync(file, block);
      fsyncSync(file);
      samples.push(performance.now() - startMs);
    }
  } finally {
    closeSync(file);
    rmSync(path);
  }
  return summarise(samples);
}

/** A node in a process of its own. */
class BenchNode {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async open(settings: CommitNodeSettings): Promise<BenchNode> {
    const node = new BenchNode(
      fork(childFile('commit-child'), [], { execArgv: [], serialization: 'advanced' }),
    );
    try {
      await node.#ask({ kind: 'open', settings });
    } catch (error) {
      node.#child.kill();
      throw error;
    }
    return node;
  }

  async run(runMs: number): Promise<NodeRun> {
    const { run } = await this.#ask({ kind: 'run', runMs });
    return run!;
  }

  async total(): Promise<number | null> {
    const { total } = await this.#ask({ kind: 'total' });
    return total ?? null;
  }

  async close(): Promise<void> {
    if (this.#child.connected) await this.#ask({ kind: 'close' });
  }

  async #ask(order: CommitOrder): Promise<CommitReport> {
    const answer = answerOf<CommitReport>(this.#child, (code) => childError(`it ended with code ${code}`));
    this.#child.send(order);
    const report = await answer;
    if (!report.ok) throw childError(report.message ?? 'it gave no reason');
    return report;
  }
}

function childError(what: string): BitloomError {
  return new BitloomError('BENCH_CHILD', `a process that commits failed: ${what}`, {
    hint: 'leave commits out with --only',
  });
}
