/**
 * A cluster for tests of single mechanisms: the simulation's world without faults, unless a test puts one in. Time moves
 * only in `until` and `pass`.
 */
import type { CommitStorage } from '../../../src/commit/commit-storage.ts';
import { CommitStore, type CommitStoreParts } from '../../../src/commit/commit-store.ts';
import { COMMIT_TIMINGS } from '../../../src/commit/commit-timings.ts';
import { DatabaseDouble } from './database-double.ts';
import { type Faults, Network, NO_FAULTS } from './network.ts';
import { Process, World } from './world.ts';

export interface StageNode {
  readonly store: CommitStore;
  readonly process: Process;
  /** Names of the statements it has sent. */
  readonly statements: string[];
}

type StorageChange = (storage: CommitStorage) => Partial<CommitStorage>;

const QUIET = { onEnqueued() {}, onAcquired() {}, onApplied() {}, onPruned() {} };
const UNTIL_MS_MAX = 120_000;
const EPOCH_MS = 1_700_000_000_000;

export class Stage {
  readonly world = new World(1, false);
  readonly database = new DatabaseDouble(() => this.world.nowMs + EPOCH_MS, QUIET);
  readonly network = new Network(this.world, this.database, NO_FAULTS);
  readonly nodes: StageNode[] = [];

  /** Starts a node; the first one becomes the leader. */
  async addNode(
    change: StorageChange = () => ({}),
    parts: Partial<CommitStoreParts> = {},
  ): Promise<StageNode> {
    const number = this.nodes.length + 1;
    const process = new Process(`n${number}`, 1000 * number);
    const statements: string[] = [];
    const storage = counted(this.network.storageOf(process), statements);
    const store = new CommitStore({
      storage: { ...storage, ...change(storage) },
      clock: this.world.clockOf(process),
      timings: COMMIT_TIMINGS,
      random: () => 0.5,
      identity: new Uint8Array(8).fill(number),
      ...parts,
    });
    const node = { store, process, statements };
    this.nodes.push(node);
    await this.until(store.start());
    await this.pass(20);
    return node;
  }

  set faults(faults: Partial<Faults>) {
    this.network.faults = { ...NO_FAULTS, ...faults };
  }

  /** Lets time pass until the promise is settled, and gives what it gives. */
  async until<Value>(promise: Promise<Value>): Promise<Value> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    promise.then(settle, settle);
    await this.world.run(this.world.nowMs + UNTIL_MS_MAX, () => isSettled);
    if (!isSettled) throw new Error(`nothing came of it in ${UNTIL_MS_MAX} virtual ms`);
    return await promise;
  }

  async pass(durationMs: number): Promise<void> {
    const untilMs = this.world.nowMs + durationMs;
    this.world.schedule(durationMs, null, () => {});
    await this.world.run(untilMs, () => this.world.nowMs >= untilMs);
  }

  /** How long the promise took, in virtual milliseconds. */
  async timed(promise: Promise<unknown>): Promise<number> {
    const startedAtMs = this.world.nowMs;
    await this.until(promise);
    return this.world.nowMs - startedAtMs;
  }

  /** Ends all nodes that have not crashed. */
  async close(): Promise<void> {
    this.faults = {};
    this.database.isDown = false;
    const alive = this.nodes.filter(({ process }) => !process.isCrashed);
    await this.until(Promise.all(alive.map(({ store }) => store.close())));
  }
}

export function bytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

function counted(storage: CommitStorage, statements: string[]): CommitStorage {
  const entries = Object.entries(storage).map(([name, call]) => [
    name,
    (...parameters: unknown[]) => {
      statements.push(name);
      return (call as (...parameters: unknown[]) => unknown)(...parameters);
    },
  ]);
  return Object.fromEntries(entries) as CommitStorage;
}
