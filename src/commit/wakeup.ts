/**
 * A bell for one loop: rings while nobody waits are remembered once, so that no wake-up is lost and none piles up.
 * At most one caller waits at a time.
 */
import type { Clock } from './clock.ts';

export class Wakeup {
  #isRung = false;
  #wake: (() => void) | null = null;

  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  /** Forgets earlier rings: what they tell of is about to be looked at. */
  clear(): void {
    this.#isRung = false;
  }

  /** Until the bell rings, or `delayMs` have passed; forever without it. Forgets the ring. */
  async wait(clock: Clock, delayMs?: number): Promise<void> {
    if (!this.#isRung) {
      await new Promise<void>((resolve) => {
        const cancel = delayMs === undefined ? () => {} : clock.after(delayMs, resolve);
        this.#wake = () => {
          cancel();
          resolve();
        };
      });
      this.#wake = null;
    }
    this.#isRung = false;
  }
}

/** Ends after `delayMs`. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => void clock.after(Math.max(0, delayMs), resolve));
}

/** What `promise` gives, or undefined when it takes longer than `delayMs`; what it does later goes unseen. */
export function within<Value>(
  clock: Clock,
  delayMs: number,
  promise: Promise<Value>,
): Promise<Value | undefined> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(Math.max(0, delayMs), () => resolve(undefined));
    promise.then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error: unknown) => {
        cancel();
        reject(error);
      },
    );
  });
}
