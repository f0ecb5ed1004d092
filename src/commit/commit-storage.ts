/**
 * What the commit protocol asks of its database: short statements, each atomic by itself, and lossy notifications.
 *
 * The protocol (follower, leader, watch) is written against this port alone. It has two real drivers, Postgres over
 * `pg` and PGlite in process, and a double under a fake clock for the simulation. No call holds anything in the
 * database after it returns: a process that freezes between two calls blocks nobody.
 *
 * Invariants every implementation keeps:
 * - An outcome is recorded once for each commit id and never changes. `apply` and `withdraw` race for that record; the
 *   one that comes second sees the first. It alone decides whether a request was committed; the queue is a mailbox
 *   that may lose, repeat or delay requests.
 * - `apply` makes its writes, its outcomes and the new durable version visible in one step, and only under the epoch
 *   that holds the lease, on top of the durable version the leader named.
 * - The durable version grows with every applied batch and is never reused.
 *
 * Every call throws CommitError: DATABASE_UNREACHABLE when the database cannot be asked now, with `details.wasSent` when the
 * call may have taken effect; STATEMENT_FAILED, with `details.sqlstate`, when the database refused the call, which changed
 * nothing; STORE_CLOSED after close().
 */

/** Half-open range of keys in memcmp order. */
export interface KeyRange {
  readonly begin: Uint8Array;
  readonly end: Uint8Array;
}

export interface KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Who holds the lease, as of the database's own clock. */
export interface Lease {
  readonly epoch: number;
  /** The highest version applied so far; the next batch goes on top of it. */
  readonly durableVersion: number;
}

/** How a request ended. Only `committed` changed anything; every other verdict is final and changed nothing. */
export type Verdict = 'committed' | 'conflict' | 'too_old' | 'expired' | 'withdrawn' | 'rejected';

export interface Outcome {
  /** Commit id, 16 bytes, minted by the client: 8 random ones of its process, then a counter. */
  readonly id: Uint8Array;
  readonly verdict: Verdict;
  /** The commit version of `committed`; of other verdicts the durable version they were decided at. */
  readonly version: number;
  /** With `rejected`: `CODE: message` of what was wrong with the request. */
  readonly reason?: string;
}

/** A request as it lies in the queue. */
export interface QueuedRequest {
  readonly id: Uint8Array;
  /** Name of the node that waits for the reply. */
  readonly node: string;
  /** The encoded request, see request-codec.ts. */
  readonly payload: Uint8Array;
}

export interface Claim {
  /**
   * Requests without a recorded outcome, oldest first, within the limits asked for but at least one. Only when thousands of
   * decided ones come before them there may be none: claim again.
   */
  readonly requests: readonly QueuedRequest[];
  /** Outcomes of requests that lay in the queue although they were decided: their rows are gone now. */
  readonly decided: readonly (Outcome & { readonly node: string })[];
  /** Milliseconds since the epoch by the database's clock, for expiry. */
  readonly databaseTimeMs: number;
  /** Milliseconds the oldest pending request has waited, 0 when there is none. */
  readonly oldestWaitMs: number;
}

/** One batch, folded. Keys are unique and sorted; `deletes` and `upserts` are disjoint; ranges are applied first. */
export interface AppliedBatch {
  readonly epoch: number;
  /** The durable version this batch was computed on. */
  readonly previousVersion: number;
  /** The durable version after it: the highest version of a winner, or `previousVersion` when nobody won. */
  readonly version: number;
  readonly leaseMs: number;
  /** Database time after which the batch must not be applied any more: the earliest expiry of its winners. */
  readonly notAfterMs: number;
  readonly clearedRanges: readonly KeyRange[];
  readonly deletes: readonly Uint8Array[];
  readonly upserts: readonly KeyValue[];
  /** One for each request of the batch; `ranges` of a winner are what it wrote, encoded by range-codec.ts. */
  readonly outcomes: readonly (Outcome & { readonly ranges?: Uint8Array })[];
}

/**
 * - `applied`: everything is durable.
 * - `fenced`: another epoch holds the lease, or the durable version is not `previousVersion`. Nothing was changed.
 * - `decided`: a request of the batch has an outcome already, or the batch came after `notAfterMs`. Nothing was changed;
 *   the leader claims again.
 */
export type ApplyResult = 'applied' | 'fenced' | 'decided';

/** What has been committed after some version, in version order, for `watch`. */
export interface Tail {
  readonly commits: readonly { readonly version: number; readonly ranges: Uint8Array }[];
  /** All commits up to this version are in `commits` (or in an earlier tail). */
  readonly throughVersion: number;
  /** Records of commits up to this version have been deleted. */
  readonly prunedVersion: number;
}

/** The kinds of notification. All of them may be lost, late, repeated or reordered. */
export type Channel =
  | { readonly kind: 'doorbell' }
  | { readonly kind: 'reply'; readonly node: string }
  | { readonly kind: 'watermark' }
  | { readonly kind: 'election' };

export interface Notification {
  readonly channel: Channel;
  /** Replies: lines of `id:committed:version` or `id:verdict:version`; watermark: the durable version in decimal. */
  readonly payload: string;
}

export interface CommitStorage {
  /**
   * Values of `keys`, as of version `asOf`, or of the latest durable version, which is then returned as `version`,
   * taken in the same snapshot as the values.
   * @throws CommitError TRANSACTION_TOO_OLD when the history before `asOf` has been pruned.
   */
  get(
    keys: readonly Uint8Array[],
    asOf: number | undefined,
  ): Promise<{ readonly version: number; readonly values: readonly (Uint8Array | undefined)[] }>;

  /**
   * Pairs of a range in key order (descending with `reverse`), at most `limit` and about `bytesMax` bytes, at least one. A
   * page may end before either; `more` alone tells that the range goes on.
   */
  getRange(
    range: KeyRange,
    options: { readonly limit: number; readonly bytesMax: number; readonly reverse: boolean },
    asOf: number | undefined,
  ): Promise<{ readonly version: number; readonly pairs: readonly KeyValue[]; readonly more: boolean }>;

  /** The latest durable version and the database's clock in milliseconds. */
  now(): Promise<{ readonly version: number; readonly databaseTimeMs: number }>;

  /** Puts requests into the queue and, with `ring`, rings the doorbell, in one statement. Ids already there stay. */
  enqueue(requests: readonly QueuedRequest[], ring: boolean): Promise<{ readonly databaseTimeMs: number }>;

  /** The recorded outcomes among `ids`; ids without one are left out. */
  outcomes(ids: readonly Uint8Array[]): Promise<readonly Outcome[]>;

  /**
   * Ends requests that nobody waits for any more: records `withdrawn` where nothing is recorded, else returns what is.
   * `bornVersion` is a durable version the client knew before it sent the request: when outcomes that young have been
   * pruned, the record could have been among them, and the answer is undefined (unknown).
   */
  withdraw(
    requests: readonly { readonly id: Uint8Array; readonly bornVersion: number }[],
  ): Promise<readonly (Outcome | undefined)[]>;

  /** Takes the lease when it is free, expired or `leader`'s own, with a new epoch. Undefined when another holds it. */
  acquireLease(leader: string, leaseMs: number): Promise<Lease | undefined>;
  /** Extends the lease of `epoch`. False when that epoch has ended. */
  renewLease(epoch: number, leaseMs: number): Promise<boolean>;
  /** Ends the lease of `epoch` at once; false when that epoch had ended before. */
  releaseLease(epoch: number): Promise<boolean>;

  claim(limits: { readonly countMax: number; readonly bytesMax: number }): Promise<Claim>;
  /** Latest values of unique `keys`, for read-modify-write atomics. Only the leader writes, so they hold until `apply`. */
  readBase(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]>;
  apply(batch: AppliedBatch): Promise<ApplyResult>;

  /**
   * Raises the floors under `epoch`, then deletes what lies below them: overwritten values no read may ask for any more
   * (`readableVersion`), outcomes and commit records (`outcomeVersion`). Floors never go down. Outcomes at the floor itself
   * stay: a verdict that changed nothing carries the durable version of its moment, which may be the floor already.
   */
  prune(
    epoch: number,
    floors: { readonly readableVersion: number; readonly outcomeVersion: number },
  ): Promise<void>;

  tail(afterVersion: number, limit: number): Promise<Tail>;

  /** Sends notifications; best effort, after what they tell of is durable. Payloads have at most 7,999 bytes. */
  notify(notifications: readonly Notification[]): Promise<void>;
  /**
   * Calls `onPayload` for what arrives on a channel, and `onGap` whenever something may have been missed: the listening
   * connection was lost and is back.
   * @returns a function that ends it.
   */
  listen(
    channel: Channel,
    onPayload: (payload: string) => void,
    onGap: () => void,
  ): Promise<() => Promise<void>>;

  close(): Promise<void>;
}
