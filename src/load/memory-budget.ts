/**
 * The memory of a load as permits in bytes. A task takes what it is expected to need before it starts and returns it
 * when it ends; what it produced stays held until it is merged. The sum never passes the limit, except that one task
 * may always run when nothing else does and its own need fits.
 */
import { BitloomError } from '../errors.ts';

export class MemoryBudget {
  readonly limitBytes: number;
  #heldBytes = 0;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Takes `bytes` if they fit; false means wait for a task to end. */
  hasRoomFor(bytes: number): boolean {
    return this.#heldBytes + bytes <= this.limitBytes;
  }

  tryHold(bytes: number): boolean {
    if (!this.hasRoomFor(bytes)) return false;
    this.#heldBytes += bytes;
    return true;
  }

  /** Corrects an estimate to what is really in use; may pass the limit, which then stops the next `tryHold`. */
  replace(estimatedBytes: number, actualBytes: number): void {
    this.#heldBytes += actualBytes - estimatedBytes;
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
  }

  /** The error for a task of `bytes` that can never start because nothing is left to end. */
  exhausted(bytes: number): BitloomError {
    return new BitloomError(
      'MEMORY_LIMIT',
      `the load holds ${this.#heldBytes} bytes and its next task needs ${bytes} more, which passes memoryLimitBytes ${this.limitBytes}`,
      { hint: 'raise memoryLimitBytes (--memory-limit), or lower threads or chunkLines' },
    );
  }
}
