/**
 * Watches on ranges of keys. One loop reads the commit records after the position of the watch that is furthest behind
 * and offers them to all. A watch moves on only past records it has seen, so a lost notification, a lost connection or a
 * new leader delays it and nothing else.
 */
import { compareBytes } from './byte-order.ts';
import type { Clock } from './clock.ts';
import { CommitError } from './commit-error.ts';
import type { CommitStorage, KeyRange, Tail } from './commit-storage.ts';
import type { CommitTimings } from './commit-timings.ts';
import type { NodeHub } from './node-hub.ts';
import { checkRange } from './operation.ts';
import { decodeRanges } from './range-codec.ts';
import { Wakeup } from './wakeup.ts';

/** Commit records read at a time. */
const TAIL_COUNT_MAX = 1000;
/** Versions kept for a consumer that is behind; beyond, its watch waits, and may become WATCH_TOO_OLD. */
const BUFFER_COUNT_MAX = 10_000;

export interface WatchOptions {
  /** A version: commits after it are told. Default: the durable version this node knows of when `watch` is called. */
  readonly after?: number;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
}

export interface WatchHubOptions {
  readonly storage: CommitStorage;
  readonly clock: Clock;
  readonly timings: CommitTimings;
  readonly hub: NodeHub;
}

export class WatchHub {
  readonly #options: WatchHubOptions;
  readonly #watches = new Set<Watch>();
  readonly #wakeup = new Wakeup();
  #running: Promise<void> | null = null;
  #isClosed = false;

  constructor(options: WatchHubOptions) {
    this.#options = options;
    options.hub.onAdvance = () => this.#wakeup.ring();
  }

  /** Versions of commits that wrote into [begin, end): ascending, each once. Ends with the store. */
  watch(begin: Uint8Array, end: Uint8Array, { after, signal }: WatchOptions): AsyncIterableIterator<number> {
    checkRange(begin, end);
    const onAbort = () => watch.end();
    const onEnd = () => {
      this.#watches.delete(watch);
      signal?.removeEventListener('abort', onAbort);
      this.#wakeup.ring();
    };
    const watch = new Watch(
      { begin: new Uint8Array(begin), end: new Uint8Array(end) },
      after ?? this.#options.hub.durableVersion,
      after !== undefined,
      () => this.#wakeup.ring(),
      onEnd,
    );
    this.#watches.add(watch);
    signal?.addEventListener('abort', onAbort);
    if (this.#isClosed || signal?.aborted) watch.end();
    else this.#running ??= this.#run();
    this.#wakeup.ring();
    return watch;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const watch of this.#watches) watch.end();
    this.#wakeup.ring();
    await this.#running;
  }

  /** While there are watches. */
  async #run(): Promise<void> {
    const { clock, timings } = this.#options;
    while (this.#watches.size > 0 && !this.#isClosed) {
      this.#wakeup.clear();
      const isBehind = await this.#readTail().catch(() => false);
      if (!isBehind) await this.#wakeup.wait(clock, timings.versionPollMs);
    }
    this.#running = null;
  }

  /** @returns whether there is more to read at once. */
  async #readTail(): Promise<boolean> {
    const { storage, hub } = this.#options;
    const watches = Array.from(this.#watches).filter((watch) => !watch.isFull);
    if (watches.length === 0) return false;
    const position = Math.min(...watches.map((watch) => watch.position));
    const tail = await storage.tail(position, TAIL_COUNT_MAX);
    const commits = tail.commits.map(({ version, ranges }) => ({ version, ranges: decodeRanges(ranges) }));
    for (const watch of watches) watch.offer(commits, tail);
    hub.advance(tail.throughVersion);
    return tail.throughVersion > position && tail.commits.length >= TAIL_COUNT_MAX;
  }
}

interface Commit {
  readonly version: number;
  readonly ranges: readonly KeyRange[];
}

class Watch implements AsyncIterableIterator<number> {
  /** Everything up to this version has been seen. */
  position: number;
  readonly #range: KeyRange;
  /** The position is one that the caller relies on. */
  #isPromised: boolean;
  readonly #onRoom: () => void;
  readonly #onEnd: () => void;
  #versions: number[] = [];
  #wake: (() => void) | null = null;
  #isEnded = false;
  #error: CommitError | null = null;

  constructor(range: KeyRange, position: number, isPromised: boolean, onRoom: () => void, onEnd: () => void) {
    this.#range = range;
    this.position = position;
    this.#isPromised = isPromised;
    this.#onRoom = onRoom;
    this.#onEnd = onEnd;
  }

  /** The consumer is behind; its watch stays where it is. */
  get isFull(): boolean {
    return this.#versions.length >= BUFFER_COUNT_MAX;
  }

  offer(commits: readonly Commit[], { throughVersion, prunedVersion }: Tail): void {
    if (this.#isEnded) return;
    if (prunedVersion > this.position) {
      if (this.#isPromised) {
        this.#fail(prunedVersion);
        return;
      }
      this.position = prunedVersion;
    }
    this.#isPromised = true;
    for (const { version, ranges } of commits) {
      if (version > this.position && ranges.some((range) => overlaps(range, this.#range))) {
        this.#versions.push(version);
      }
    }
    this.position = Math.max(this.position, throughVersion);
    if (this.#versions.length > 0) this.#wake?.();
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#onEnd();
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<number, undefined>> {
    while (this.#versions.length === 0 && !this.#isEnded) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
    const wasFull = this.isFull;
    const value = this.#isEnded && this.#error === null ? undefined : this.#versions.shift();
    if (wasFull) this.#onRoom();
    if (value !== undefined) return { done: false, value };
    if (this.#error === null) return { done: true, value: undefined };
    const error = this.#error;
    this.#error = null;
    throw error;
  }

  return(): Promise<IteratorResult<number, undefined>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** What was seen before is still told. */
  #fail(prunedVersion: number): void {
    this.#error = new CommitError(
      'WATCH_TOO_OLD',
      `commits after version ${this.position} have been pruned, up to version ${prunedVersion}`,
      { hint: 'read the range again, then watch from the version it was read at' },
    );
    this.end();
  }
}

function overlaps(left: KeyRange, right: KeyRange): boolean {
  return compareBytes(left.begin, right.end) < 0 && compareBytes(right.begin, left.end) < 0;
}
