/**
 * Three nodes under load whose leaders are killed, frozen past their lease and woken as zombies, cut off from the
 * database, and shut down, and whose database crashes and forgets its queue: the history stays strictly serialisable, every acknowledged commit is there once, and another
 * leader takes over in time, without a wave of rejections.
 *
 * For a long run with the real timings set BITLOOM_COMMIT_KILLS and BITLOOM_COMMIT_STOPS.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { COMMIT_TIMINGS, type CommitTimings } from '../../../src/commit/commit-timings.ts';
import { FaultCluster } from './fault-cluster.ts';
import { checkHistory } from './history-checker.ts';
import { nowNs } from './history-file.ts';
import { type Fault, formatTakeovers, needlesslyTooOld, takeoversOf } from './takeovers.ts';

const IS_LONG =
  process.env.BITLOOM_COMMIT_KILLS !== undefined || process.env.BITLOOM_COMMIT_STOPS !== undefined;
const KILLS = Number(process.env.BITLOOM_COMMIT_KILLS ?? 2);
const STOPS = Number(process.env.BITLOOM_COMMIT_STOPS ?? 2);
/** Of each of the gentler kinds. */
const OTHERS = Math.max(1, Math.floor(KILLS / 6));

/** Of a database that is ours to crash. */
const CRASHES = (process.env.DATABASE_URL ?? '') === '' ? OTHERS : 0;

const SHORT_TIMINGS: CommitTimings = { ...COMMIT_TIMINGS, leaseMs: 1000, renewMs: 200, electionRetryMs: 200 };
const TIMINGS = IS_LONG ? COMMIT_TIMINGS : SHORT_TIMINGS;

/** A busy machine starts processes and commits slowly; nothing here takes as long as a second takeover would. */
const SLACK_MS = 4_000;
const TAKEOVER_MS_MAX = TIMINGS.leaseMs + 1.2 * TIMINGS.electionRetryMs + SLACK_MS;

let cluster: FaultCluster | undefined;

afterEach(async () => {
  await cluster?.end();
  cluster = undefined;
});

const NODES = 3;
const CLIENTS_PER_NODE = 6;

test(
  `${KILLS} kills, ${STOPS} freezes, ${OTHERS} cuts and ${OTHERS} handoffs of leaders and ${CRASHES} crashes lose nothing and double nothing`,
  async () => {
    cluster = await FaultCluster.start({
      timings: TIMINGS,
      nodes: NODES,
      clientsPerNode: CLIENTS_PER_NODE,
      pauseMsMax: 30,
    });
    const faults: Fault[] = [];
    for (const kind of shuffled(kindsOf())) {
      await sleep(300 + Math.random() * 500);
      faults.push(await commit(kind, cluster));
    }
    await sleep(500);
    const stats = await cluster.stopClients();
    expect(cluster.crashed, 'nodes that ended by themselves').toEqual([]);
    const history = await cluster.history();
    const epochs = await cluster.epochs();

    expect(checkHistory(history).slice(0, 20)).toEqual([]);

    const takeovers = takeoversOf(faults, epochs, history.attempts);
    const committed = history.attempts.filter(({ outcome }) => outcome === 'committed').length;
    console.log(
      `${committed} of ${history.attempts.length} attempts committed in ${epochs.length} changes of the lease\n` +
        `${formatTakeovers(takeovers)}\n` +
        `replies recovered by the backstop: ${stats.map(({ recoveredReplies }) => recoveredReplies).join(', ')}`,
    );
    expect(needlesslyTooOld(epochs, history.attempts).slice(0, 5)).toEqual([]);
    for (const { kind, takeoverMs, tooOld, terms, fresh } of takeovers) {
      expect(takeoverMs, kind).toBeLessThan(TAKEOVER_MS_MAX);
      // A term turns away what was read before it: no client twice. A crash may take more than one to get over.
      expect(tooOld, `too old after ${kind}`).toBeLessThanOrEqual(NODES * CLIENTS_PER_NODE * terms);
      // Conflicts are the daily bread of this load, and the checker knows the cause of each. A wave takes everybody.
      const rejected = fresh.conflicts + fresh.tooOld;
      if (fresh.attempts >= 20) expect(rejected, `after ${kind}`).toBeLessThan(fresh.attempts * 0.75);
    }
    const handoffs = faults.filter(({ kind }) => kind === 'handoff');
    for (const { epoch } of handoffs) {
      const at = epochs.findIndex((entry) => entry.epoch > epoch);
      expect(epochs[at], 'the lease is given back').toMatchObject({ leader: null });
      expect((epochs[at + 1].atNs - epochs[at].atNs) / 1e6, 'taken at once').toBeLessThan(TIMINGS.leaseMs);
    }
  },
  120_000 + (KILLS + STOPS + 3 * OTHERS) * 30_000,
);

function kindsOf(): Fault['kind'][] {
  const times = (count: number, kind: Fault['kind']) => Array.from({ length: count }, () => kind);
  return [
    ...times(KILLS, 'kill'),
    ...times(STOPS, 'stop'),
    ...times(OTHERS, 'cut'),
    ...times(OTHERS, 'handoff'),
    ...times(CRASHES, 'crash'),
  ];
}

/** Harms the leader, and waits until somebody commits and all nodes are there again. */
async function commit(kind: Fault['kind'], faulty: FaultCluster): Promise<Fault> {
  const { node, epoch } = await faulty.leader();
  const fault = { kind, epoch, atNs: nowNs() };
  const recovered = () => faulty.commitsAfter(epoch, TAKEOVER_MS_MAX + 10_000);
  switch (kind) {
    case 'kill':
      await node.kill();
      await Promise.all([faulty.addNode(), recovered()]);
      break;
    case 'stop':
      node.signal('SIGSTOP');
      await recovered();
      // The others are well into their term when the zombie goes on where it was.
      await sleep(Math.random() * 500);
      node.signal('SIGCONT');
      break;
    case 'cut':
      expect(await faulty.terminateSessions(node), 'sessions cut').toBeGreaterThanOrEqual(4);
      // A leader that was not at the database just then goes on with new sessions.
      await faulty.commitsAfter(epoch - 1, TAKEOVER_MS_MAX + 10_000);
      break;
    case 'crash':
      await faulty.crashServer(node);
      await faulty.commitsAfter(epoch - 1, TAKEOVER_MS_MAX + 10_000);
      break;
    case 'handoff':
      await faulty.close(node);
      await Promise.all([faulty.addNode(), recovered()]);
  }
  return fault;
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .sort((left, right) => left.place - right.place)
    .map(({ item }) => item);
}
