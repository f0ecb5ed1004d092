/**
 * Every node is a candidate all its life: it tries for the lease, leads while it has it, and tries again. A leader that
 * leaves says so on the election channel, which ends the wait of the others.
 */
import type { Lease } from './commit-storage.ts';
import { retryDelayMs } from './commit-timings.ts';
import { Term, type TermOptions } from './term.ts';
import { Wakeup } from './wakeup.ts';

export interface CandidateOptions extends TermOptions {
  readonly random: () => number;
}

/** Candidates that lost their leader together do not try together. */
const RETRY_JITTER = 0.2;

export class Candidate {
  readonly #options: CandidateOptions;
  readonly #election = new Wakeup();
  readonly #stop = new Wakeup();
  #term: Term | null = null;
  #running: Promise<void> | null = null;
  #unlisten: (() => Promise<void>) | null = null;
  #isClosed = false;
  #tellsElection = true;
  #failures = 0;
  #lastError: unknown;

  constructor(options: CandidateOptions) {
    this.#options = options;
  }

  /** The term under way, null while another node leads or nobody does. */
  get term(): Term | null {
    return this.#term;
  }

  /** What ended the last term, or kept the lease from being asked for; undefined when all went well. */
  get lastError(): unknown {
    return this.#lastError;
  }

  async start(): Promise<void> {
    const wake = () => this.#election.ring();
    this.#unlisten = await this.#options.storage.listen({ kind: 'election' }, wake, wake);
    this.#running = this.#run();
  }

  /** Finishes the batch in flight and releases the lease; with `handoff` another node is told to take it. */
  async close(handoff: boolean): Promise<void> {
    this.#isClosed = true;
    this.#tellsElection = handoff;
    this.#term?.stop();
    this.#election.ring();
    this.#stop.ring();
    await this.#running;
    await this.#unlisten?.().catch(() => {});
    this.#unlisten = null;
  }

  async #run(): Promise<void> {
    const { clock, timings, random } = this.#options;
    while (!this.#isClosed) {
      const askedAtMs = clock.nowMs();
      const lease = await this.#acquire();
      if (lease !== undefined) await this.#lead(lease, askedAtMs);
      if (this.#isClosed) break;
      if (lease !== undefined && this.#failures > 0) {
        // The lease is free: trying again soon costs the least, trying all the time too much.
        await this.#stop.wait(clock, retryDelayMs(timings, this.#failures, random));
      } else {
        const jitter = 1 - RETRY_JITTER + 2 * RETRY_JITTER * random();
        await this.#election.wait(clock, timings.electionRetryMs * jitter);
      }
    }
  }

  async #acquire(): Promise<Lease | undefined> {
    const { storage, node, timings } = this.#options;
    try {
      return await storage.acquireLease(node, timings.leaseMs);
    } catch (error) {
      this.#failures++;
      this.#lastError = error;
      return undefined;
    }
  }

  async #lead(lease: Lease, askedAtMs: number): Promise<void> {
    const { storage } = this.#options;
    const term = new Term(this.#options, lease, askedAtMs);
    this.#term = term;
    if (this.#isClosed) term.stop();
    const end = await term.run();
    this.#term = null;
    this.#lastError = end.kind === 'failed' ? end.error : undefined;
    this.#failures = end.kind === 'failed' ? this.#failures + 1 : 0;
    if (end.kind === 'fenced' || !this.#tellsElection) return;
    await storage.notify([{ channel: { kind: 'election' }, payload: '' }]).catch(() => {});
  }
}
