/**
 * Faults that systems of this kind have had, put back through the seams of the store: each must be noticed by the
 * checker. A mutant is made anew for each run, for some of them remember what happened.
 */
import { bytesToHex, bytesToLatin1 } from '../../../src/commit/byte-order.ts';
import type {
  AppliedBatch,
  CommitStorage,
  KeyRange,
  Notification,
  Outcome,
} from '../../../src/commit/commit-storage.ts';
import { ConflictHistory } from '../../../src/commit/conflict-history.ts';
import { formatReply } from '../../../src/commit/reply.ts';
import { type BatchToResolve, recordWinners, resolveBatch } from '../../../src/commit/resolve.ts';
import type { DatabaseDouble } from './database-double.ts';
import type { Mutant } from './schedule.ts';

interface KnownMutant extends Mutant {
  /** The invariant that must be seen violated. */
  readonly violates: string;
}

export const MUTANTS: Readonly<Record<string, () => KnownMutant>> = {
  'the floor of a term is the highest version handed out, to losers too': () => {
    let handedOut = 0;
    return {
      violates: 'L4',
      tools: () => ({
        resolve: (batch) => {
          handedOut = Math.max(handedOut, batch.previousVersion) + batch.requests.length;
          return resolveBatch(batch);
        },
        createHistory: (floor) => new ConflictHistory(Math.max(floor, handedOut)),
      }),
    };
  },

  'a newer epoch is taken for the end of a request that has no outcome': () => {
    const epochs = new Map<string, number>();
    return {
      violates: 'I6',
      storage: (storage, database) => ({
        ...storage,
        enqueue: (requests, ring) => {
          for (const { id } of requests)
            epochs.set(bytesToHex(id), epochs.get(bytesToHex(id)) ?? database.epoch);
          return storage.enqueue(requests, ring);
        },
        outcomes: async (ids) => {
          const recorded = await storage.outcomes(ids);
          const known = new Set(recorded.map(({ id }) => bytesToHex(id)));
          const orphaned = ids.filter((id) => {
            const key = bytesToHex(id);
            return !known.has(key) && (epochs.get(key) ?? 0) < database.epoch;
          });
          const version = database.durableVersion;
          return [...recorded, ...orphaned.map((id): Outcome => ({ id, verdict: 'conflict', version }))];
        },
      }),
    };
  },

  'the history forgets old writes and keeps its floor': () => ({
    violates: 'I4',
    timings: { historyWindowMs: 50, pruneMs: 20 },
    tools: () => ({
      resolve: resolveBatch,
      createHistory: (floor) => new ForgetfulHistory(floor) as unknown as ConflictHistory,
    }),
  }),

  'two copies of a request in one batch are both applied': () => ({
    violates: 'I8',
    storage: copyClaims,
    tools: (tools) => ({ ...tools, resolve: resolveEachCopy }),
  }),

  'replies are sent before the batch is applied': () => ({
    violates: 'I5',
    storage: (storage) => ({
      ...storage,
      apply: async (batch) => {
        await storage.notify(repliesTo(batch));
        return await storage.apply(batch);
      },
    }),
  }),

  'a withdrawal is not recorded': () => ({
    violates: 'I6',
    database: (database) => {
      database.withdraw = (requests) => {
        const recorded = new Map(
          database
            .readOutcomes(requests.map(({ id }) => id))
            .map((outcome) => [bytesToHex(outcome.id), outcome]),
        );
        const version = database.durableVersion;
        return requests.map(
          ({ id }) => recorded.get(bytesToHex(id)) ?? { id, verdict: 'withdrawn', version },
        );
      };
    },
  }),

  'apply does not look at the epoch': () => ({
    violates: 'I11',
    faults: { slow: 0.08, slowMs: 1200 },
    database: (database) => {
      database.apply = (batch) => {
        if (batch.previousVersion !== database.durableVersion) return 'fenced';
        if (isDecided(database, batch)) return 'decided';
        database.applyUnchecked(batch);
        return 'applied';
      };
    },
  }),

  'apply looks at neither the epoch nor the durable version': () => ({
    violates: 'I11',
    faults: { slow: 0.08, slowMs: 1200 },
    database: (database) => {
      database.apply = (batch) => {
        if (isDecided(database, batch)) return 'decided';
        database.applyUnchecked(batch);
        return 'applied';
      };
    },
  }),

  'apply does not look for recorded outcomes': () => ({
    violates: 'I6',
    database: (database) => {
      database.apply = (batch) => {
        if (batch.epoch !== database.epoch || batch.previousVersion !== database.durableVersion)
          return 'fenced';
        if (database.now().databaseTimeMs > batch.notAfterMs) return 'decided';
        database.applyUnchecked(batch);
        return 'applied';
      };
    },
  }),

  'apply does not look at the expiry': () => ({
    violates: 'I7',
    faults: { slow: 0.08, slowMs: 1200 },
    database: (database) => {
      const { apply } = database;
      database.apply = (batch) => apply.call(database, { ...batch, notAfterMs: Number.MAX_SAFE_INTEGER });
    },
    tools: (tools) => ({
      ...tools,
      resolve: (batch) => resolveBatch({ ...batch, databaseTimeMs: 0 }),
    }),
  }),

  'requests of one batch are not checked against each other': () => ({
    violates: 'I4',
    tools: (tools) => ({ ...tools, resolve: resolveApart }),
  }),

  'the writes of a batch stay in the history when it is not applied': () => ({
    violates: 'L4',
    tools: (tools) => ({
      ...tools,
      resolve: (batch) => {
        const result = resolveBatch(batch);
        recordWinners(batch.history, result.resolved);
        return result;
      },
    }),
  }),

  'a new term begins with the history of an older one': () => {
    return {
      violates: 'I4',
      faults: { freeze: 0.06, freezeMs: 1500, loseAnswer: 0.1 },
      tools: () => {
        let kept: ConflictHistory | undefined;
        return { resolve: resolveBatch, createHistory: (floor) => (kept ??= new ConflictHistory(floor)) };
      },
    };
  },

  'reads are of the latest version': () => ({
    violates: 'I2',
    storage: (storage) => ({
      ...storage,
      get: async (keys, asOf) => ({ ...(await storage.get(keys, undefined)), version: asOf ?? 0 }),
    }),
    database: (database) => {
      const { get } = database;
      database.get = (keys) => get.call(database, keys, undefined);
    },
  }),

  'outcomes are pruned with the values': () => ({
    violates: 'I21',
    storage: (storage) => ({
      ...storage,
      prune: (epoch, { readableVersion }) =>
        storage.prune(epoch, { readableVersion, outcomeVersion: readableVersion }),
    }),
  }),

  'pruning takes withdrawals of any age': () => ({
    violates: 'I6',
    faults: { slow: 0.08, slowMs: 1200 },
    timings: { pruneMs: 20 },
    database: (database) => {
      const { prune } = database;
      database.prune = (epoch, floors) => {
        prune.call(database, epoch, floors);
        for (const [id, { verdict }] of database.outcomes) {
          if (verdict === 'withdrawn') database.outcomes.delete(id);
        }
      };
    },
  }),

  'a withdrawal that finds no record takes itself for one': () => ({
    violates: 'I6',
    faults: { freeze: 0.06, freezeMs: 1500, loseNotification: 0.9 },
    timings: { outcomeRetentionMs: 300, historyWindowMs: 50, pruneMs: 20 },
    database: (database) => {
      const { withdraw } = database;
      database.withdraw = (requests) =>
        withdraw.call(
          database,
          requests.map(({ id }) => ({ id, bornVersion: Number.MAX_SAFE_INTEGER })),
        );
    },
  }),

  'a new leader gets the epoch of the last one': () => ({
    violates: 'I11',
    database: (database) => {
      const { acquireLease } = database;
      database.acquireLease = (leader, leaseMs) => {
        const lease = acquireLease.call(database, leader, leaseMs);
        if (lease !== undefined && lease.epoch > 1) database.epoch--;
        return lease && { ...lease, epoch: database.epoch };
      };
    },
  }),

  'a tail leaves out a commit': () => ({
    violates: 'watch',
    database: (database) => {
      const { tail } = database;
      database.tail = (afterVersion, limit) => {
        const { commits, ...rest } = tail.call(database, afterVersion, limit);
        return { ...rest, commits: commits.filter(({ version }) => version % 5 !== 0) };
      };
    },
  }),
};

/** Queue rows that come twice, as a queue without a unique id would give them; harmless to the real resolver. */
export function copyClaims(storage: CommitStorage): CommitStorage {
  return {
    ...storage,
    claim: async (limits) => {
      const claim = await storage.claim(limits);
      return { ...claim, requests: [...claim.requests, ...claim.requests] };
    },
  };
}

function isDecided(database: DatabaseDouble, { outcomes, notAfterMs }: AppliedBatch): boolean {
  const isLate = database.now().databaseTimeMs > notAfterMs;
  return isLate || database.readOutcomes(outcomes.map(({ id }) => id)).length > 0;
}

class ForgetfulHistory {
  readonly floor: number;
  readonly boundaryCount = 0;
  #writes: { readonly range: KeyRange; readonly version: number }[] = [];

  constructor(floor: number) {
    this.floor = floor;
  }

  conflicts(readRanges: readonly KeyRange[], readVersion: number): boolean {
    return this.#writes.some(
      ({ range, version }) =>
        version > readVersion &&
        readRanges.some(
          ({ begin, end }) =>
            bytesToLatin1(begin) < bytesToLatin1(range.end) &&
            bytesToLatin1(range.begin) < bytesToLatin1(end),
        ),
    );
  }

  record(writeRanges: readonly KeyRange[], version: number): void {
    for (const range of writeRanges) this.#writes.push({ range, version });
  }

  prune(throughVersion: number): void {
    this.#writes = this.#writes.filter(({ version }) => version > throughVersion);
  }

  pruneToSize(): void {}
}

/** The first half of the batch, and then the second half as if it were a batch of its own. */
function resolveEachCopy(batch: BatchToResolve): ReturnType<typeof resolveBatch> {
  const half = batch.requests.length / 2;
  const first = resolveBatch({ ...batch, requests: batch.requests.slice(0, half) });
  const second = resolveBatch({
    ...batch,
    requests: batch.requests.slice(half),
    previousVersion: first.version,
  });
  return { ...second, resolved: [...first.resolved, ...second.resolved] };
}

function resolveApart(batch: BatchToResolve): ReturnType<typeof resolveBatch> {
  let version = batch.previousVersion;
  const parts = batch.requests.map((request) => {
    const part = resolveBatch({ ...batch, requests: [request], previousVersion: version });
    version = part.version;
    return part;
  });
  return {
    resolved: parts.flatMap(({ resolved }) => resolved),
    version,
    notAfterMs: Math.min(...parts.map(({ notAfterMs }) => notAfterMs)),
  };
}

function repliesTo(batch: AppliedBatch): Notification[] {
  return batch.outcomes.map((outcome) => ({
    channel: { kind: 'reply', node: bytesToHex(outcome.id.slice(0, 8)) },
    payload: formatReply(outcome),
  }));
}
