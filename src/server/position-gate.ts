/**
 * Lets a read wait for a write: how far the op log is visible to queries, and who waits for more. Positions are sequence
 * numbers of the op log.
 */
import { BitloomError } from '../errors.ts';

interface Waiter {
  readonly position: number;
  readonly resolve: () => void;
}

export class PositionGate {
  #visible = 0;
  readonly #waiters = new Set<Waiter>();

  /** What is visible up to this position; never moves back. */
  reached(position: number): void {
    if (position <= this.#visible) return;
    this.#visible = position;
    for (const waiter of this.#waiters) if (waiter.position <= position) waiter.resolve();
  }

  /** Resolves once the position is visible. Error POSITION_NOT_REACHED after the time. */
  async wait(position: number, waitMs: number): Promise<void> {
    if (position <= this.#visible) return;
    let waiter: Waiter | null = null;
    let timer: NodeJS.Timeout | undefined;
    const isReached = await new Promise<boolean>((resolve) => {
      this.#waiters.add((waiter = { position, resolve: () => resolve(true) }));
      timer = setTimeout(() => resolve(false), waitMs);
    });
    clearTimeout(timer);
    this.#waiters.delete(waiter!);
    if (isReached) return;
    throw new BitloomError(
      'POSITION_NOT_REACHED',
      `position ${position} was not visible within ${waitMs} ms; ${this.#visible} is`,
      { hint: 'try again, with a larger waitMs, and against the server that gave the position' },
    );
  }
}
