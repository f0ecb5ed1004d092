/**
 * Turns the counters that chunk workers bump in shared memory into progress reports: on every change of phase, and at a
 * fixed interval in between. Bytes are those of the source files, so compressed input progresses truly.
 */
import { PROGRESS_INTERVAL_MS } from '../limits.ts';
import { PROGRESS_BYTES, PROGRESS_REJECTS, PROGRESS_ROWS } from './chunk-messages.ts';
import type { LoadPhase, LoadProgress } from './options.ts';

/** The estimate of the time left looks back this far, so that a slow start does not spoil it. */
const RATE_WINDOW_MS = 5_000;

export class ProgressReporter {
  readonly #counters: BigInt64Array;
  readonly #bytesTotal: number;
  readonly #onProgress: ((progress: LoadProgress) => void) | null;
  readonly #startedAtMs = performance.now();
  #samples: { atMs: number; bytes: number }[] = [];
  #phase: LoadPhase = 'plan';
  #table: string | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    counters: BigInt64Array,
    bytesTotal: number,
    onProgress: ((progress: LoadProgress) => void) | null,
  ) {
    this.#counters = counters;
    this.#bytesTotal = bytesTotal;
    this.#onProgress = onProgress;
    if (onProgress === null) return;
    this.#timer = setInterval(() => this.#report(), PROGRESS_INTERVAL_MS);
    this.#timer.unref();
  }

  enter(phase: LoadPhase): void {
    if (phase === this.#phase && phase !== 'plan') return;
    this.#phase = phase;
    if (phase !== 'scan') this.#table = null;
    this.#report();
  }

  workingOn(table: string): void {
    this.#table = table;
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #report(): void {
    if (this.#onProgress === null) return;
    const nowMs = performance.now();
    const bytesDone = Math.min(Number(Atomics.load(this.#counters, PROGRESS_BYTES)), this.#bytesTotal);
    this.#onProgress({
      phase: this.#phase,
      table: this.#table,
      bytesDone,
      bytesTotal: this.#bytesTotal,
      rows: Number(Atomics.load(this.#counters, PROGRESS_ROWS)),
      rejects: Number(Atomics.load(this.#counters, PROGRESS_REJECTS)),
      elapsedMs: nowMs - this.#startedAtMs,
      etaMs: this.#estimateLeft(nowMs, bytesDone),
    });
  }

  #estimateLeft(nowMs: number, bytesDone: number): number | null {
    if (this.#phase !== 'scan') return null;
    this.#samples.push({ atMs: nowMs, bytes: bytesDone });
    while (this.#samples.length > 2 && nowMs - this.#samples[0].atMs > RATE_WINDOW_MS) this.#samples.shift();
    const [oldest] = this.#samples;
    const bytesInWindow = bytesDone - oldest.bytes;
    if (bytesInWindow <= 0) return null;
    return ((this.#bytesTotal - bytesDone) * (nowMs - oldest.atMs)) / bytesInWindow;
  }
}
