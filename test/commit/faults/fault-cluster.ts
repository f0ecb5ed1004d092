/**
 * Nodes in processes of their own under load over one Postgres, and the ways to harm them. The database itself notes the
 * beginning and the end of every epoch, with the durable version of that moment. Whoever starts a cluster ends it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { type PostgresCluster, startPostgres } from '../../../bench/postgres-cluster.ts';
import type { CommitStats } from '../../../src/commit/commit-store.ts';
import type { CommitTimings } from '../../../src/commit/commit-timings.ts';
import { openPgDatabase } from '../../../src/commit/storage/pg-database.ts';
import { openSqlStorage } from '../../../src/commit/storage/sql-storage.ts';
import type { NodeOrder, NodeReport, NodeSettings } from './fixtures/node-process.ts';
import type { History } from './history-checker.ts';
import { nowNs, readHistory } from './history-file.ts';
import { pairText } from './key-text.ts';
import { ACCOUNTS_TOTAL } from './workload.ts';

const CHILD = fileURLToPath(new URL('fixtures/node-process.ts', import.meta.url));

const STARTS_MAX = 3;

export interface LoadOptions {
  readonly timings: CommitTimings;
  readonly nodes: number;
  readonly clientsPerNode: number;
  readonly pauseMsMax: number;
  /** Of one transaction, all its attempts; default 15 s. */
  readonly timeoutMs?: number;
  readonly isMute?: boolean;
}

/** The database's record of the lease: who took it, or null for its release, and on what. */
export interface EpochStart {
  readonly epoch: number;
  readonly leader: string | null;
  readonly durableVersion: number;
  readonly atNs: number;
}

/** One process. `name` is ours, `id` is what it calls itself in the lease. */
export class NodeProcess {
  readonly name: string;
  readonly historyFile: string;
  id = '';
  readonly #child: ChildProcess;
  #mayEnd = false;

  constructor(settings: NodeSettings) {
    this.name = settings.name;
    this.historyFile = settings.historyFile;
    this.#child = fork(CHILD, [JSON.stringify(settings)], { execArgv: ['--import', 'tsx'] });
  }

  /** Ended by itself. */
  get hasCrashed(): boolean {
    return !this.isRunning && !this.#mayEnd;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Until its clients run. */
  async ready(): Promise<this> {
    const report = await this.report('ready', 60_000);
    this.id = report.node;
    return this;
  }

  order(order: NodeOrder): void {
    this.#child.send(order);
  }

  async report<Kind extends NodeReport['kind']>(
    kind: Kind,
    timeoutMs = 30_000,
  ): Promise<Extract<NodeReport, { kind: Kind }>> {
    const signal = AbortSignal.timeout(timeoutMs);
    const ended = once(this.#child, 'exit', { signal }).then(([code, by]) => {
      throw new Error(`${this.name} ended with code ${code}, signal ${by}, before '${kind}'`);
    });
    ended.catch(() => {});
    for (;;) {
      const [report] = (await Promise.race([once(this.#child, 'message', { signal }), ended])) as [
        NodeReport,
      ];
      if (report.kind === kind) return report as Extract<NodeReport, { kind: Kind }>;
      if (report.kind === 'failed') throw Object.assign(new Error(report.message), { code: report.code });
    }
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    this.#mayEnd = true;
    this.#child.kill('SIGKILL');
    await this.ended();
  }

  /** As it was told to. */
  async ended(): Promise<void> {
    this.#mayEnd = true;
    if (this.isRunning) await once(this.#child, 'exit');
  }
}

export class FaultCluster {
  readonly schema = `faults_${randomBytes(6).toString('hex')}`;
  readonly #postgres: PostgresCluster;
  #admin: pg.Client;
  readonly #options: LoadOptions;
  readonly #directory = mkdtempSync(join(tmpdir(), 'bitloom-faults-'));
  readonly #nodes: NodeProcess[] = [];

  private constructor(postgres: PostgresCluster, options: LoadOptions) {
    this.#postgres = postgres;
    this.#options = options;
    this.#admin = this.#newAdmin();
  }

  static async start(options: LoadOptions): Promise<FaultCluster> {
    const cluster = new FaultCluster(await startPostgres(), options);
    try {
      await cluster.#admin.connect();
      const storage = await openSqlStorage(
        openPgDatabase({ url: cluster.#postgres.url, schema: cluster.schema }),
      );
      await storage.close();
      await cluster.sql(EPOCH_LOG(cluster.schema));
      await Promise.all(Array.from({ length: options.nodes }, () => cluster.addNode()));
      return cluster;
    } catch (error) {
      await cluster.end();
      throw error;
    }
  }

  get url(): string {
    return this.#postgres.url;
  }

  get nodes(): readonly NodeProcess[] {
    return this.#nodes.filter((node) => node.isRunning);
  }

  /** Resolves when its clients run. A machine that is too busy to connect in time gets another chance. */
  async addNode(): Promise<NodeProcess> {
    for (let start = 1; ; start++) {
      const node = this.#startNode();
      try {
        return await node.ready();
      } catch (error) {
        await node.kill();
        if (start === STARTS_MAX || (error as { code?: string }).code !== 'DATABASE_UNREACHABLE') throw error;
      }
    }
  }

  #startNode(): NodeProcess {
    const { timings, clientsPerNode, pauseMsMax, timeoutMs = 15_000, isMute = false } = this.#options;
    const name = `n${this.#nodes.length + 1}`;
    const url = new URL(this.#postgres.url);
    url.searchParams.set('application_name', `${this.schema} ${name}`);
    const node = new NodeProcess({
      name,
      at: { url: url.href },
      schema: this.schema,
      timings,
      clients: clientsPerNode,
      historyFile: join(this.#directory, `${name}.jsonl`),
      timeoutMs,
      pauseMsMax,
      isMute,
    });
    this.#nodes.push(node);
    return node;
  }

  async sql(text: string, parameters: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    const { rows } = await this.#admin.query<Record<string, unknown>>(text, [...parameters]);
    return rows;
  }

  /** The node that holds the lease, and its epoch. */
  async leader(): Promise<{ readonly node: NodeProcess; readonly epoch: number }> {
    for (;;) {
      const [{ epoch, leader }] = await this.sql(`SELECT epoch, leader FROM ${this.schema}.lease`);
      const node = this.nodes.find(({ id }) => id === leader);
      if (node !== undefined) return { node, epoch: Number(epoch) };
      await sleep(5);
    }
  }

  /** Until something is committed from now on, by an epoch after `epoch`. */
  async commitsAfter(epoch: number, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    const [{ durable_version: version }] = await this.sql(`SELECT durable_version FROM ${this.schema}.lease`);
    for (;;) {
      const [row] = await this.sql(
        `SELECT bool_or(lease.durable_version > greatest(log.durable_version, $2)) AS is_reached
         FROM ${this.schema}.epoch_log AS log, ${this.schema}.lease
         WHERE log.epoch > $1 AND log.leader IS NOT NULL`,
        [epoch, version],
      );
      if (row.is_reached === true) return;
      if (performance.now() > deadlineMs)
        throw new Error(`no commit after epoch ${epoch} within ${timeoutMs} ms`);
      await sleep(20);
    }
  }

  /** All sessions of a node. @returns how many. */
  terminateSessions({ name }: NodeProcess): Promise<number> {
    return this.#terminate('application_name = $1', [`${this.schema} ${name}`]);
  }

  /**
   * Kills a session of `node` on the server, which takes that for a crash: it ends all sessions, recovers, and empties
   * what is unlogged. Resolves after the recovery. Only for a server of this machine.
   */
  async crashServer({ name }: NodeProcess): Promise<void> {
    const [{ pid }] = await this.sql('SELECT pid FROM pg_stat_activity WHERE application_name = $1 LIMIT 1', [
      `${this.schema} ${name}`,
    ]);
    // Until the server has ended our session, a new one could still be of the time before the crash, and end with it.
    const ended = new Promise<void>((resolve) => {
      this.#admin.once('end', resolve);
    });
    process.kill(Number(pid), 'SIGKILL');
    await ended;
    for (const deadlineMs = performance.now() + 30_000; ; await sleep(20)) {
      this.#admin = this.#newAdmin();
      try {
        await this.#admin.connect();
        return;
      } catch (error) {
        if (performance.now() > deadlineMs) throw error;
      }
    }
  }

  /** Of all nodes, the sessions that listen. */
  terminateListeners(): Promise<number> {
    return this.#terminate(
      `application_name LIKE $1 AND (query LIKE 'LISTEN %' OR query LIKE 'UNLISTEN %' OR query = $2)`,
      [
        `${this.schema} %`,
        'SELECT pg_notify($1, $2)', // the heartbeat
      ],
    );
  }

  async epochs(): Promise<EpochStart[]> {
    const rows = await this.sql(`SELECT * FROM ${this.schema}.epoch_log ORDER BY epoch`);
    const [{ now_ms: nowMs }] = await this.sql(
      'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now_ms',
    );
    const originNs = nowNs() - Number(nowMs) * 1e6;
    return rows.map(({ epoch, leader, durable_version: version, at_ms: atMs }) => ({
      epoch: Number(epoch),
      leader: leader as string | null,
      durableVersion: Number(version),
      atNs: originNs + Number(atMs) * 1e6,
    }));
  }

  /** The names of nodes that ended by themselves. */
  get crashed(): string[] {
    return this.#nodes.filter((node) => node.hasCrashed).map(({ name }) => name);
  }

  /** Lets the clients finish what they are at. @returns what each running node counted. */
  async stopClients(): Promise<CommitStats[]> {
    const stopped = this.nodes.map((node) => node.report('stopped', 60_000));
    for (const node of this.nodes) node.order({ kind: 'stop' });
    return (await Promise.all(stopped)).map(({ stats }) => stats);
  }

  async close(node: NodeProcess, handoff = true): Promise<void> {
    const closed = node.report('closed');
    node.order({ kind: 'close', handoff });
    await closed;
    await node.ended();
  }

  async history(): Promise<History> {
    const rows = await this.sql(`SELECT key, value FROM ${this.schema}.kv ORDER BY key`);
    return {
      attempts: this.#nodes.flatMap(({ historyFile, name }) => readHistory(historyFile, name)),
      finalState: rows.map(({ key, value }) => pairText(key as Uint8Array, value as Uint8Array)),
      total: ACCOUNTS_TOTAL,
    };
  }

  async end(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    try {
      await this.#admin.query(`DROP SCHEMA IF EXISTS ${this.schema} CASCADE`).catch(() => {});
      await this.#admin.end().catch(() => {});
    } finally {
      await this.#postgres.stop();
      rmSync(this.#directory, { recursive: true, force: true });
    }
  }

  #newAdmin(): pg.Client {
    const admin = new pg.Client({ connectionString: this.#postgres.url });
    // The statement that meets a lost connection fails with it.
    admin.on('error', () => {});
    return admin;
  }

  async #terminate(condition: string, parameters: readonly unknown[]): Promise<number> {
    const rows = await this.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${condition}`,
      parameters,
    );
    return rows.length;
  }
}

const EPOCH_LOG = (schema: string) => `
CREATE TABLE ${schema}.epoch_log (epoch int8 PRIMARY KEY, leader text, durable_version int8, at_ms float8);
CREATE FUNCTION ${schema}.note_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ${schema}.epoch_log
  VALUES (NEW.epoch, NEW.leader, NEW.durable_version, extract(epoch FROM clock_timestamp()) * 1000);
  RETURN NULL;
END
$$;
CREATE TRIGGER note_epoch AFTER UPDATE OF epoch ON ${schema}.lease
FOR EACH ROW WHEN (NEW.epoch <> OLD.epoch) EXECUTE FUNCTION ${schema}.note_epoch();`;
