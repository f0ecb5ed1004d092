/**
 * Bounds what a server works on at a time, by count and by bytes. It refuses instead of queueing: who sends knows best
 * what to do with what it has.
 */
import { BitloomError } from '../errors.ts';

export interface PermitLimits {
  /** What is bounded, for messages: `batches`, `queries`. */
  readonly what: string;
  readonly countMax: number;
  readonly bytesMax?: number;
}

export class Permits {
  readonly #limits: PermitLimits;
  #count = 0;
  #bytes = 0;

  constructor(limits: PermitLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Gives what returns the permit; calling it again does nothing. Error SERVER_OVERLOADED. */
  take(bytes = 0): () => void {
    const { what, countMax, bytesMax = Number.POSITIVE_INFINITY } = this.#limits;
    if (this.#count >= countMax || this.#bytes + bytes > bytesMax) {
      throw new BitloomError(
        'SERVER_OVERLOADED',
        `the server is working on ${this.#count} ${what} already${bytes > 0 ? `, ${this.#bytes} bytes` : ''}`,
        {
          hint: 'send it again after the time in Retry-After; send less at a time',
          details: { retryable: true },
        },
      );
    }
    this.#count++;
    this.#bytes += bytes;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#count--;
      this.#bytes -= bytes;
    };
  }
}
