/**
 * Virtual time for a whole cluster in one process. Everything that happens is an event in one queue, ordered by time and
 * then by the order of scheduling; after each event all promises run dry. So a seed gives the same run on every machine.
 */
import type { Clock } from '../../../src/commit/clock.ts';
import { Random } from '../../../src/generate/random.ts';

/** A process. Frozen, its events wait; crashed, they never come. */
export class Process {
  readonly name: string;
  isCrashed = false;
  frozenUntilMs = 0;
  cutOffUntilMs = 0;
  /** In total, up to the end of the last freeze. */
  frozenMs = 0;
  /** Its monotonic clock has an origin of its own. */
  readonly clockOriginMs: number;

  constructor(name: string, clockOriginMs: number) {
    this.name = name;
    this.clockOriginMs = clockOriginMs;
  }
}

interface ScheduledEvent {
  atMs: number;
  readonly order: number;
  readonly process: Process | null;
  readonly isTimer: boolean;
  action: (() => void) | null;
}

export class World {
  nowMs = 0;
  readonly random: Random;
  /** Lines of what happened, when a trace was asked for. */
  readonly trace: string[] | null;
  readonly #heap: ScheduledEvent[] = [];
  #order = 0;
  eventCount = 0;

  constructor(seed: number, isTraced: boolean) {
    this.random = new Random(seed, 0);
    this.trace = isTraced ? [] : null;
  }

  note(line: () => string): void {
    this.trace?.push(`${this.nowMs.toFixed(1).padStart(8)} ${line()}`);
  }

  /** An integer in [low, high]. */
  between(low: number, high: number): number {
    return low + Math.floor(this.random.fraction() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return probability > 0 && this.random.fraction() < probability;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.random.fraction() * items.length)];
  }

  /** @param process the one that acts; null for the network and the database. @returns a function that cancels it. */
  schedule(delayMs: number, process: Process | null, action: () => void, isTimer = false): () => void {
    const atMs = this.nowMs + Math.max(0, delayMs);
    const event: ScheduledEvent = { atMs, order: this.#order++, process, isTimer, action };
    push(this.#heap, event);
    return () => {
      event.action = null;
    };
  }

  clockOf(process: Process): Clock {
    return {
      nowMs: () => this.nowMs + process.clockOriginMs,
      after: (delayMs, action) => this.schedule(delayMs, process, action, true),
    };
  }

  sleep(delayMs: number, process: Process | null): Promise<void> {
    return new Promise((resolve) => void this.schedule(delayMs, process, resolve));
  }

  /** Runs events until `isDone`, or until the next one comes after `untilMs`. @returns whether it is done. */
  async run(untilMs: number, isDone: () => boolean): Promise<boolean> {
    await drain();
    while (!isDone()) {
      const event = pop(this.#heap);
      if (event === undefined) return isDone();
      if (event.atMs > untilMs) {
        push(this.#heap, event);
        return false;
      }
      const { process, action } = event;
      if (action === null || process?.isCrashed) continue;
      this.nowMs = Math.max(this.nowMs, event.atMs);
      if (process !== null && process.frozenUntilMs > this.nowMs) {
        event.atMs = process.frozenUntilMs;
        push(this.#heap, event);
        continue;
      }
      this.eventCount++;
      action();
      await drain();
    }
    return true;
  }

  /** Timers of a process that have not been cancelled. */
  timerCount(process: Process): number {
    return this.#heap.filter(({ process: owner, isTimer, action }) => owner === process && isTimer && action)
      .length;
  }
}

/** Ticks come after all microtasks, those that microtasks make included. */
function drain(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

function isBefore(left: ScheduledEvent, right: ScheduledEvent): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
}

function push(heap: ScheduledEvent[], event: ScheduledEvent): void {
  let at = heap.push(event) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!isBefore(event, heap[parent])) break;
    heap[at] = heap[parent];
    at = parent;
  }
  heap[at] = event;
}

function pop(heap: ScheduledEvent[]): ScheduledEvent | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
    if (!isBefore(heap[child], last)) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = last;
  return first;
}
