/**
 * One run of a cluster from one seed: nodes, clients and faults, then calm, in which everything must come to its end.
 * The same seed gives the same run. Mutants replace parts through the seams that the store has anyway.
 */
import type { CommitStorage } from '../../../src/commit/commit-storage.ts';
import { CommitStore } from '../../../src/commit/commit-store.ts';
import type { CommitTimings } from '../../../src/commit/commit-timings.ts';
import { ConflictHistory } from '../../../src/commit/conflict-history.ts';
import type { LeaderTools } from '../../../src/commit/leader.ts';
import { resolveBatch } from '../../../src/commit/resolve.ts';
import { Checker } from './checker.ts';
import { DatabaseDouble } from './database-double.ts';
import { type Faults, Network, NO_FAULTS } from './network.ts';
import { Observation } from './observation.ts';
import { Client } from './workload.ts';
import { Process, World } from './world.ts';

/** A part of the protocol made faulty, to see that the checker notices. */
export interface Mutant {
  /** What makes its fault matter more often. */
  readonly faults?: Partial<Faults>;
  readonly timings?: Partial<CommitTimings>;
  readonly storage?: (storage: CommitStorage, database: DatabaseDouble) => CommitStorage;
  readonly tools?: (tools: LeaderTools, database: DatabaseDouble) => LeaderTools;
  readonly database?: (database: DatabaseDouble) => void;
}

export interface RunReport {
  readonly violations: readonly string[];
  readonly trace: readonly string[];
  /** Totals that show that a run was worth it. */
  readonly commits: number;
  readonly epochs: number;
  readonly crashes: number;
  readonly unknown: number;
  readonly tooOld: number;
  readonly events: number;
}

const DATABASE_ORIGIN_MS = 1_700_000_000_000;
const CLIENTS_PER_NODE_MAX = 3;
/** After the faults have stopped everything must be answered within so long. */
const CALM_MS_MAX = 30_000;
const ANSWER_SLACK_MS = 400;

/** A tenth of the real ones or less; the windows so short that transactions outlive them. */
function drawTimings(world: World): CommitTimings {
  return {
    leaseMs: 500,
    renewMs: 100,
    electionRetryMs: 100,
    doorbellPollMs: 25,
    backstopMs: 50,
    withdrawGraceMs: world.pick([20, 250]),
    historyWindowMs: world.pick([50, 600]),
    outcomeRetentionMs: world.pick([700, 4000]),
    pruneMs: world.pick([20, 100]),
    versionPollMs: 200,
    retryDelayMsMin: 5,
    retryDelayMsMax: 100,
  };
}

interface Node {
  readonly process: Process;
  readonly store: CommitStore;
  /** At least one until it is up. */
  openClients: number;
  observation: Observation | null;
  isLeaving: boolean;
}

export async function runSchedule(
  seed: number,
  createMutant: () => Mutant = () => ({}),
  isTraced = false,
): Promise<RunReport> {
  return await new Run(seed, createMutant(), isTraced).run();
}

class Run {
  readonly #world: World;
  readonly #timings: CommitTimings;
  readonly #checker: Checker;
  readonly #database: DatabaseDouble;
  readonly #network: Network;
  readonly #mutant: Mutant;
  readonly #nodes: Node[] = [];
  #nodeCount = 0;
  #crashes = 0;
  #isCalm = false;

  constructor(seed: number, mutant: Mutant, isTraced: boolean) {
    const world = new World(seed, isTraced);
    const databaseTimeMs = () => world.nowMs + DATABASE_ORIGIN_MS;
    this.#world = world;
    this.#mutant = mutant;
    this.#timings = { ...drawTimings(world), ...mutant.timings };
    this.#checker = new Checker(() => world.nowMs, databaseTimeMs, this.#timings);
    this.#database = new DatabaseDouble(databaseTimeMs, this.#checker);
    mutant.database?.(this.#database);
    this.#network = new Network(world, this.#database, { ...drawFaults(world), ...mutant.faults });
    this.#network.onCrash = (process) => this.#onCrash(process);
  }

  async run(): Promise<RunReport> {
    const world = this.#world;
    const nodeCount = world.between(1, 3);
    for (let i = 0; i < nodeCount; i++) this.#startNode();
    const faultyMs = world.between(300, 2500);
    this.#scheduleDisasters(faultyMs);
    world.schedule(faultyMs, null, () => this.#calm());
    const isDone = await world.run(faultyMs + CALM_MS_MAX, () => this.#isCalm && this.#isIdle());
    if (!isDone) this.#checker.fail('L1', `clients wait ${CALM_MS_MAX} ms after the faults`);
    else await this.#finish();
    return this.#report();
  }

  #report(): RunReport {
    const checker = this.#checker;
    return {
      violations: checker.violations,
      trace: this.#world.trace ?? [],
      commits: checker.log.length,
      epochs: this.#database.epoch,
      crashes: this.#crashes,
      unknown: Array.from(checker.attempts.values()).filter(({ end }) => end === 'unknown').length,
      tooOld: checker.tooOldCount,
      events: this.#world.eventCount,
    };
  }

  #isIdle(): boolean {
    const isIdle = ({ openClients, process, isLeaving }: Node) =>
      openClients === 0 &&
      !isLeaving &&
      process.cutOffUntilMs <= this.#world.nowMs &&
      process.frozenUntilMs <= this.#world.nowMs;
    const isHealthy = !this.#database.isDown && this.#network.slowUntilMs <= this.#world.nowMs;
    return isHealthy && this.#nodes.length > 0 && this.#nodes.every(isIdle);
  }

  /** What remains of the run once the clients have ended: the last checks, and the end of every node. */
  async #finish(): Promise<void> {
    const world = this.#world;
    await this.#probe();
    const watches = this.#nodes.flatMap(({ observation }) => (observation === null ? [] : [observation]));
    const hasSeenAll = () => watches.every((watch) => watch.hasSeen(this.#checker.log));
    await world.run(world.nowMs + 2000, hasSeenAll);
    for (const watch of watches) watch.check(this.#checker, this.#database.outcomeVersion);
    await this.#closeAll();
    const range = { begin: new Uint8Array(0), end: new Uint8Array([0xff]) };
    this.#checker.finish(this.#database.scan(range, this.#database.durableVersion));
  }

  /** Once there has been time for an election, a commit succeeds at the first attempt, from every node. */
  async #probe(): Promise<void> {
    const world = this.#world;
    const { leaseMs, electionRetryMs, outcomeRetentionMs } = this.#timings;
    await world.run(world.nowMs + leaseMs + 2 * electionRetryMs + 100, () => false);
    let open = this.#nodes.length;
    for (const { store, process } of this.#nodes) {
      const client = new Client(`p${process.name}`, world, this.#checker, store, process);
      void client.probe(outcomeRetentionMs / 2).then(() => open--);
    }
    const isDone = await world.run(world.nowMs + 200, () => open === 0);
    if (!isDone) this.#checker.fail('L3', `${open} nodes cannot commit after the time of an election`);
  }

  async #closeAll(): Promise<void> {
    const world = this.#world;
    let open = this.#nodes.length;
    for (const { store } of this.#nodes) void store.close().then(() => open--);
    await world.run(world.nowMs + 5000, () => open === 0);
    if (open > 0) this.#checker.fail('close', `${open} nodes do not close`);
    for (const { process } of this.#nodes) {
      const timers = world.timerCount(process);
      const listeners = this.#network.listenerCount(process);
      if (timers > 0) this.#checker.fail('close', `${process.name} leaves ${timers} timers`);
      if (listeners > 0) this.#checker.fail('close', `${process.name} leaves ${listeners} listeners`);
    }
  }

  #startNode(): void {
    const world = this.#world;
    const number = ++this.#nodeCount;
    const process = new Process(`n${number}`, world.between(0, 1_000_000));
    const identity = new Uint8Array(8).fill(number);
    const storage = this.#network.storageOf(process);
    const tools = { resolve: resolveBatch, createHistory: (floor: number) => new ConflictHistory(floor) };
    const store = new CommitStore({
      storage: this.#mutant.storage?.(storage, this.#database) ?? storage,
      clock: world.clockOf(process),
      timings: this.#timings,
      random: () => world.random.fraction(),
      identity,
      tools: this.#mutant.tools?.(tools, this.#database) ?? tools,
    });
    const node: Node = { process, store, openClients: 1, observation: null, isLeaving: false };
    this.#nodes.push(node);
    store.start().then(
      () => this.#startClients(node),
      () => {
        // It could not reach the database; somebody starts it again.
        this.#nodes.splice(this.#nodes.indexOf(node), 1);
        world.schedule(20, null, () => this.#startNode());
      },
    );
  }

  #startClients(node: Node): void {
    const world = this.#world;
    world.note(() => `${node.process.name} is up`);
    if (world.chance(0.5)) node.observation = new Observation(world, node.store, node.process);
    node.openClients = world.between(1, CLIENTS_PER_NODE_MAX);
    for (let i = node.openClients; i > 0; i--) {
      const client = new Client(`${node.process.name}c${i}`, world, this.#checker, node.store, node.process);
      const transactionCount = world.between(1, 5);
      void this.#runClient(client, node.process, transactionCount).then(() => node.openClients--);
    }
  }

  async #runClient(client: Client, process: Process, transactionCount: number): Promise<void> {
    const world = this.#world;
    for (let i = 0; i < transactionCount; i++) {
      await world.sleep(world.between(0, world.chance(0.3) ? 600 : 20), process);
      const drawnMs = world.chance(0.4) ? world.between(5, 200) : 2000;
      const timeoutMs = Math.min(drawnMs, this.#timings.outcomeRetentionMs / 2);
      const faultsBefore = this.#network.faultCount(process);
      const { frozenMs } = process;
      const startedAtMs = world.nowMs;
      const isUnknown = await client.transact(timeoutMs);
      if (
        isUnknown &&
        this.#network.faultCount(process) === faultsBefore &&
        this.#database.outcomeVersion === 0
      ) {
        this.#checker.fail('I7', `${process.name} was told unknown while nothing was wrong`);
      }
      const elapsedMs = world.nowMs - startedAtMs - (process.frozenMs - frozenMs);
      if (elapsedMs > timeoutMs + this.#timings.withdrawGraceMs + ANSWER_SLACK_MS) {
        this.#checker.fail(
          'L1',
          `${process.name} waited ${elapsedMs} ms for an answer with a timeout of ${timeoutMs} ms`,
        );
      }
    }
  }

  #onCrash(process: Process): void {
    if (process.isCrashed) return;
    process.isCrashed = true;
    this.#crashes++;
    const at = this.#nodes.findIndex((node) => node.process === process);
    if (at >= 0) this.#nodes.splice(at, 1);
    this.#network.forget(process);
    this.#world.schedule(this.#world.between(0, 300), null, () => this.#startNode());
  }

  /** What befalls the whole database or a whole node, at any time. */
  #scheduleDisasters(faultyMs: number): void {
    const world = this.#world;
    const faults = this.#network.faults;
    const at = (act: () => void) => world.schedule(world.between(0, faultyMs), null, act);
    const anyNode = (act: (node: Node) => void) =>
      at(() => this.#nodes.length > 0 && act(world.pick(this.#nodes)));
    const leader = (act: (node: Node) => void) =>
      anyNode((node) => act(this.#nodes.find(({ store }) => store.stats().role === 'leader') ?? node));
    if (faults.crash > 0) leader(({ process }) => this.#onCrash(process));
    if (faults.freeze > 0) leader(({ process }) => void this.#network.freeze(process, 'at any time'));
    if (faults.loseNotification > 0) {
      anyNode(({ process }) => this.#network.cutListeners(process, world.between(1, 300)));
    }
    const downMs = () => world.between(1, world.pick([50, 300, 1500]));
    if (faults.fail > 0) {
      if (world.chance(0.5)) anyNode(({ process }) => this.#network.partition(process, downMs()));
      if (world.chance(0.5)) {
        const processes = () => this.#nodes.map(({ process }) => process);
        at(() => this.#network.stopDatabase(downMs(), world.chance(0.5), processes()));
      }
    }
    if (world.chance(0.2)) anyNode((node) => world.schedule(0, node.process, () => void this.#leave(node)));
  }

  /** A planned restart. */
  async #leave(node: Node): Promise<void> {
    this.#world.note(() => `${node.process.name} leaves`);
    node.isLeaving = true;
    await node.store.close({ handoff: true });
    this.#nodes.splice(this.#nodes.indexOf(node), 1);
    this.#startNode();
  }

  #calm(): void {
    this.#world.note(() => 'calm');
    this.#network.faults = NO_FAULTS;
    this.#isCalm = true;
  }
}

/** Every run has faults of some kinds only, so that the others' effects are not drowned. */
function drawFaults(world: World): Faults {
  const some = (value: number) => (world.chance(0.4) ? value * world.random.fraction() : 0);
  return {
    delayMs: world.pick([1, 3, 10]),
    slow: some(0.05),
    slowMs: world.pick([50, 300, 1200]),
    fail: some(0.1),
    loseAnswer: some(0.1),
    loseNotification: some(0.6),
    repeatNotification: some(0.3),
    notificationMs: world.pick([1, 5, 100]),
    crash: some(0.03),
    freeze: some(0.03),
    freezeMs: world.pick([100, 700, 1500]),
  };
}
