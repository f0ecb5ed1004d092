/** The clients of one node, whatever system they run their transactions on. */

import { CommitStore } from '../src/commit/commit-store.ts';
import { openCommitStore } from '../src/commit/open-commit-store.ts';
import { openPgDatabase } from '../src/commit/storage/pg-database.ts';
import { openSqlStorage } from '../src/commit/storage/sql-storage.ts';
import { withFoldedEnqueue } from './commit-folded.ts';
import { PlainClients } from './commit-plain.ts';
import { totalOf, transactionOf, type WorkloadName } from './commit-workloads.ts';

/**
 * `plain`: SERIALIZABLE transactions, tried again after a pause; `eager`: at once. `folded`: our protocol with the
 * reference's enqueue.
 */
export type CommitSystem = 'bitloom' | 'plain' | 'eager' | 'folded';

export interface CommitNodeSettings {
  readonly system: CommitSystem;
  readonly url: string;
  readonly schema: string;
  readonly workload: WorkloadName;
  readonly clients: number;
}

export type CommitOrder =
  | { readonly kind: 'open'; readonly settings: CommitNodeSettings }
  | { readonly kind: 'run'; readonly runMs: number }
  | { readonly kind: 'total' }
  | { readonly kind: 'close' };

export interface NodeRun {
  /** Acknowledged transactions and how often they were tried. */
  readonly commits: number;
  readonly attempts: number;
  readonly wallMs: number;
  /** From the start of each transaction to its acknowledgement, all attempts included. */
  readonly latenciesMs: readonly number[];
  /** Batches that this node led meanwhile. */
  readonly batches: number;
  /** Answers that came from the status backstop. */
  readonly recoveredReplies: number;
}

export interface CommitReport {
  readonly ok: boolean;
  readonly message?: string;
  run?: NodeRun;
  total?: number | null;
}

interface Driver {
  /** Returns the attempts. */
  transact(): Promise<number>;
  total(): Promise<number | null>;
  close(): Promise<void>;
  readonly store: CommitStore | null;
}

const TIMEOUT_MS = 60_000;

export class CommitNode {
  readonly #settings: CommitNodeSettings;
  readonly #driver: Driver;

  private constructor(settings: CommitNodeSettings, driver: Driver) {
    this.#settings = settings;
    this.#driver = driver;
  }

  static async open(settings: CommitNodeSettings): Promise<CommitNode> {
    const isPlain = settings.system === 'plain' || settings.system === 'eager';
    const driver = isPlain ? await openPlain(settings) : await openStore(settings);
    return new CommitNode(settings, driver);
  }

  async run(runMs: number): Promise<NodeRun> {
    const { store } = this.#driver;
    const before = store?.stats();
    const latenciesMs: number[] = [];
    let attempts = 0;
    const startedAtMs = performance.now();
    const client = async (): Promise<void> => {
      while (performance.now() - startedAtMs < runMs) {
        const sentAtMs = performance.now();
        // Not `+= await`: that adds to what the sum was before the wait.
        const tries = await this.#driver.transact();
        attempts += tries;
        latenciesMs.push(performance.now() - sentAtMs);
      }
    };
    await Promise.all(Array.from({ length: this.#settings.clients }, client));
    const wallMs = performance.now() - startedAtMs;
    const after = store?.stats();
    return {
      commits: latenciesMs.length,
      attempts,
      wallMs,
      latenciesMs,
      batches: (after?.batches ?? 0) - (before?.batches ?? 0),
      recoveredReplies: (after?.recoveredReplies ?? 0) - (before?.recoveredReplies ?? 0),
    };
  }

  total(): Promise<number | null> {
    return this.#driver.total();
  }

  close(): Promise<void> {
    return this.#driver.close();
  }
}

async function openPlain({ system, url, schema, clients, workload }: CommitNodeSettings): Promise<Driver> {
  const plain = await PlainClients.open(url, schema, clients, system === 'plain');
  return {
    transact: () => plain.transact(workload),
    total: async () => (workload === 'blind' ? null : await plain.total()),
    close: () => plain.close(),
    store: null,
  };
}

async function openStore({ system, url, schema, workload }: CommitNodeSettings): Promise<Driver> {
  const store =
    system === 'bitloom' ? await openCommitStore({ url, schema }) : await openFoldedStore(url, schema);
  return {
    async transact() {
      const { attempts } = await store.transact(transactionOf(workload), {
        timeoutMs: TIMEOUT_MS,
        retryLimit: Number.POSITIVE_INFINITY,
      });
      return attempts;
    },
    total: () => totalOf(store, workload),
    close: () => store.close(),
    store,
  };
}

async function openFoldedStore(url: string, schema: string): Promise<CommitStore> {
  const storage = await openSqlStorage(openPgDatabase({ url, schema }));
  return await new CommitStore({ storage: await withFoldedEnqueue(storage, url, schema) }).start();
}
