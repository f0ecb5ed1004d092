/**
 * What lies between the nodes and the database: statements that take time before and after their effect, fail, or lose
 * their answer; notifications that are lost, late, repeated and out of order; and the step at which a process crashes or
 * freezes. A node sees it as its CommitStorage.
 */
import { CommitError } from '../../../src/commit/commit-error.ts';
import type {
  AppliedBatch,
  Channel,
  CommitStorage,
  KeyRange,
  Notification,
  QueuedRequest,
} from '../../../src/commit/commit-storage.ts';
import type { DatabaseDouble } from './database-double.ts';
import type { Process, World } from './world.ts';

/** Probabilities, each for one statement or notification. */
export interface Faults {
  /** Statements take up to so long each way; `slow` ones up to `slowMs`. */
  readonly delayMs: number;
  readonly slow: number;
  readonly slowMs: number;
  readonly fail: number;
  readonly loseAnswer: number;
  readonly loseNotification: number;
  readonly repeatNotification: number;
  readonly notificationMs: number;
  /** A crash or freeze of the process at some step of a statement. */
  readonly crash: number;
  readonly freeze: number;
  readonly freezeMs: number;
}

export const NO_FAULTS: Faults = {
  delayMs: 1,
  slow: 0,
  slowMs: 0,
  fail: 0,
  loseAnswer: 0,
  loseNotification: 0,
  repeatNotification: 0,
  notificationMs: 1,
  crash: 0,
  freeze: 0,
  freezeMs: 0,
};

/** A statement that takes longer may make a request miss its deadline. */
const SLOW_MS = 20;

interface Listener {
  readonly process: Process;
  readonly onPayload: (payload: string) => void;
  readonly onGap: () => void;
  deafUntilMs: number;
}

export class Network {
  faults: Faults;
  onCrash: (process: Process) => void = () => {};
  readonly world: World;
  readonly database: DatabaseDouble;
  readonly #listeners = new Map<string, Set<Listener>>();
  /** When the last of the slow statements ends. */
  slowUntilMs = 0;
  /** Only these excuse an unknown result. */
  readonly #faultsByProcess = new Map<Process, number>();

  constructor(world: World, database: DatabaseDouble, faults: Faults) {
    this.world = world;
    this.database = database;
    this.faults = faults;
  }

  /** The port of one process. */
  storageOf(process: Process): CommitStorage {
    const { database } = this;
    const call = <Value>(name: string, effect: () => Value) => this.#call(process, name, effect);
    return {
      get: (keys: readonly Uint8Array[], asOf: number | undefined) =>
        call('get', () => database.get(keys, asOf)),
      getRange: (range: KeyRange, options, asOf) =>
        call('getRange', () => database.getRange(range, options, asOf)),
      now: () => call('now', () => database.now()),
      enqueue: (requests: readonly QueuedRequest[], ring: boolean) => {
        const copies = requests.map((request) => ({ ...request, payload: new Uint8Array(request.payload) }));
        return call(`enqueue ${requests.length}`, () => {
          const answer = database.enqueue(copies);
          if (ring) this.#send([{ channel: { kind: 'doorbell' }, payload: '' }]);
          return answer;
        });
      },
      outcomes: (ids) => call('outcomes', () => database.readOutcomes(ids)),
      withdraw: (requests) => call(`withdraw ${requests.length}`, () => database.withdraw(requests)),
      acquireLease: (leader, leaseMs) => call('acquire', () => database.acquireLease(leader, leaseMs)),
      renewLease: (epoch, leaseMs) => call(`renew ${epoch}`, () => database.renewLease(epoch, leaseMs)),
      releaseLease: (epoch) => call(`release ${epoch}`, () => database.releaseLease(epoch)),
      claim: (limits) => call('claim', () => database.claim(limits)),
      readBase: (keys) => call('readBase', () => database.readBase(keys)),
      apply: (batch: AppliedBatch) =>
        call(`apply ${batch.epoch}:${batch.previousVersion}..${batch.version}`, () => database.apply(batch)),
      prune: (epoch, floors) => call('prune', () => database.prune(epoch, floors)),
      tail: (afterVersion, limit) => call('tail', () => database.tail(afterVersion, limit)),
      notify: (notifications) => call('notify', () => this.#send(notifications)),
      listen: (channel, onPayload, onGap) =>
        call('listen', () => this.#listen(process, channel, onPayload, onGap)),
      close: () => Promise.resolve(),
    };
  }

  /** The listening connection of a process is lost for a while; what is sent meanwhile is never heard. */
  cutListeners(process: Process, durationMs: number): void {
    for (const listener of this.#listenersOf(process)) {
      listener.deafUntilMs = this.world.nowMs + durationMs;
      this.world.schedule(durationMs, process, () => {
        if (listener.deafUntilMs <= this.world.nowMs) listener.onGap();
      });
    }
  }

  listenerCount(process: Process): number {
    return this.#listenersOf(process).length;
  }

  /** Every statement of the process fails for a while. */
  partition(process: Process, durationMs: number): void {
    this.world.note(() => `${process.name} is cut off for ${durationMs}`);
    process.cutOffUntilMs = this.world.nowMs + durationMs;
    this.cutListeners(process, durationMs);
  }

  /** The server is gone for a while, and with it every connection; after a crash also the queue. */
  stopDatabase(durationMs: number, isCrash: boolean, processes: readonly Process[]): void {
    this.world.note(() => `database ${isCrash ? 'crashes and is' : 'is'} down for ${durationMs}`);
    if (isCrash) this.database.crash();
    this.database.isDown = true;
    for (const process of processes) this.cutListeners(process, durationMs + this.world.between(0, 50));
    this.world.schedule(durationMs, null, () => {
      this.database.isDown = false;
      this.world.note(() => 'database up');
    });
  }

  /** How often a fault has touched what a process does. */
  faultCount(process: Process): number {
    return this.#faultsByProcess.get(process) ?? 0;
  }

  forget(process: Process): void {
    for (const listeners of this.#listeners.values()) {
      for (const listener of listeners) if (listener.process === process) listeners.delete(listener);
    }
  }

  #countFault(process: Process): void {
    this.#faultsByProcess.set(process, this.faultCount(process) + 1);
  }

  #call<Value>(process: Process, name: string, effect: () => Value): Promise<Value> {
    const { world, faults, database } = this;
    return new Promise((resolve, reject) => {
      if (process.isCrashed) return;
      let beforeMs = this.#delayMs();
      const afterMs = this.#delayMs();
      const fails = world.chance(faults.fail);
      // A subscription that fails is none.
      const losesAnswer = world.chance(faults.loseAnswer) && name !== 'listen';
      const step = this.#disturb(process, name);
      if (step === 'crashed') return;
      if (step !== undefined) beforeMs += step;
      const totalMs = beforeMs + afterMs;
      if (totalMs > SLOW_MS) this.slowUntilMs = Math.max(this.slowUntilMs, world.nowMs + totalMs);
      if (fails || losesAnswer || totalMs > SLOW_MS) this.#countFault(process);
      const answer = (act: () => void, what: string) =>
        world.schedule(afterMs, process, () => {
          world.note(() => `${process.name} ${name} answered ${what}`);
          act();
        });
      const refuse = (message: string) =>
        answer(() => reject(new CommitError('DATABASE_UNREACHABLE', `${name}: ${message}`)), message);
      world.schedule(beforeMs, null, () => {
        if (database.isDown || process.cutOffUntilMs > world.nowMs) {
          this.#countFault(process);
          refuse('down');
          return;
        }
        if (fails) {
          refuse('failed');
          return;
        }
        try {
          const value = effect();
          world.note(() => `${process.name} ${name} took effect`);
          if (losesAnswer) refuse('answer lost');
          else answer(() => resolve(value), typeof value === 'object' ? 'ok' : String(value));
        } catch (error) {
          answer(() => reject(error as Error), String(error));
        }
      });
      this.#disturbAfter(process, name);
    });
  }

  /** Before the statement is sent. A frozen process sends it when it thaws. */
  #disturb(process: Process, name: string): 'crashed' | number | undefined {
    const { world, faults } = this;
    if (world.chance(faults.crash / 2)) {
      world.note(() => `${process.name} crashes before ${name}`);
      this.onCrash(process);
      return 'crashed';
    }
    if (world.chance(faults.freeze / 2)) return this.freeze(process, `before ${name}`);
    return undefined;
  }

  /** Once it is on its way. */
  #disturbAfter(process: Process, name: string): void {
    const { world, faults } = this;
    if (world.chance(faults.crash / 2)) {
      world.note(() => `${process.name} crashes after sending ${name}`);
      this.onCrash(process);
    } else if (world.chance(faults.freeze / 2)) this.freeze(process, `after sending ${name}`);
  }

  /** @returns for how long. */
  freeze(process: Process, when: string): number {
    const { world, faults } = this;
    const durationMs = world.between(1, faults.freezeMs);
    world.note(() => `${process.name} freezes for ${durationMs} ${when}`);
    const untilMs = Math.max(process.frozenUntilMs, world.nowMs + durationMs);
    process.frozenMs += untilMs - Math.max(process.frozenUntilMs, world.nowMs);
    process.frozenUntilMs = untilMs;
    this.#countFault(process);
    return durationMs;
  }

  #delayMs(): number {
    const { world, faults } = this;
    return world.chance(faults.slow)
      ? world.between(0, faults.slowMs)
      : world.random.fraction() * faults.delayMs;
  }

  #send(notifications: readonly Notification[]): void {
    const { world, faults } = this;
    for (const { channel, payload } of notifications) {
      for (const listener of this.#listeners.get(channelName(channel)) ?? []) {
        if (world.chance(faults.loseNotification) || listener.deafUntilMs > world.nowMs) continue;
        const copies = world.chance(faults.repeatNotification) ? 2 : 1;
        for (let copy = 0; copy < copies; copy++) {
          world.schedule(world.random.fraction() * faults.notificationMs, listener.process, () => {
            if (listener.deafUntilMs <= world.nowMs) listener.onPayload(payload);
          });
        }
      }
    }
  }

  #listen(
    process: Process,
    channel: Channel,
    onPayload: (payload: string) => void,
    onGap: () => void,
  ): () => Promise<void> {
    const name = channelName(channel);
    let listeners = this.#listeners.get(name);
    if (listeners === undefined) this.#listeners.set(name, (listeners = new Set()));
    const listener: Listener = { process, onPayload, onGap, deafUntilMs: 0 };
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      return Promise.resolve();
    };
  }

  #listenersOf(process: Process): Listener[] {
    return Array.from(this.#listeners.values()).flatMap((listeners) =>
      Array.from(listeners).filter((listener) => listener.process === process),
    );
  }
}

function channelName(channel: Channel): string {
  return channel.kind === 'reply' ? `reply ${channel.node}` : channel.kind;
}
