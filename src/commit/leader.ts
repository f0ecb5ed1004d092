/**
 * The batches of one term: claim what is queued, decide it in memory, fold the winners' writes, apply everything as one
 * statement, tell the outcomes. Versions go only to winners, on top of the durable version, so a version that was handed
 * out is durable or was never seen by anybody. Whatever is wrong with one request ends as that request's outcome.
 */
import { bytesToLatin1 } from './byte-order.ts';
import type { Clock } from './clock.ts';
import { CommitError } from './commit-error.ts';
import { CLAIM_BYTES_MAX, CLAIM_COUNT_MAX, HISTORY_BOUNDARIES_MAX } from './commit-limits.ts';
import type { CommitMeter, Phase } from './commit-meter.ts';
import type { AppliedBatch, ApplyResult, Claim, CommitStorage, Lease } from './commit-storage.ts';
import type { ConflictHistory } from './conflict-history.ts';
import { baseKeys, foldWinners } from './fold.ts';
import type { Outbox } from './outbox.ts';
import { encodeRanges } from './range-codec.ts';
import { type ResolvedRequest, recordWinners, type resolveBatch } from './resolve.ts';

/** The deciding parts, which a simulation replaces by faulty ones. */
export interface LeaderTools {
  readonly resolve: typeof resolveBatch;
  readonly createHistory: (floor: number) => ConflictHistory;
}

export interface LeaderOptions {
  readonly storage: CommitStorage;
  readonly clock: Clock;
  readonly tools: LeaderTools;
  readonly meter: CommitMeter;
  readonly outbox: Outbox;
  readonly lease: Lease;
  readonly leaseMs: number;
  /** A batch sent at `sentAtMs` has been applied, which extended the lease. */
  readonly onApplied: (sentAtMs: number) => void;
}

/** `idle`: nothing more is known to wait. `more`: look again at once. `fenced`: the term is over. */
export type BatchEnd = 'idle' | 'more' | 'fenced';

/** The database refused what it was given, took too long over it, or met a lock of somebody else; nothing was changed. */
const REFUSED_SQLSTATE = /^(22...|23...|54...|57014|55P03)$/;
const DATA_EXCEPTION_SQLSTATE = '22000';
const TIMEOUT_SQLSTATE = /^(57014|55P03)$/;
const REASON_LENGTH_MAX = 1000;
/** A request that takes too long by itself may have met a slow moment; it is tried so often. */
const TIMEOUTS_MAX = 3;

export class Leader {
  readonly history: ConflictHistory;
  readonly #options: LeaderOptions;
  #durableVersion: number;
  /** What the last batch left of the keys it wrote: nobody else writes, so a hot key need not be read again. */
  #lastWrites: ReadonlyMap<string, Uint8Array | undefined> = new Map();
  /** Less than the limit after the database refused a batch: halved until the culprit is alone. */
  #claimCountMax = CLAIM_COUNT_MAX;
  #timeouts = 0;

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#durableVersion = options.lease.durableVersion;
    this.history = options.tools.createHistory(options.lease.durableVersion);
  }

  get durableVersion(): number {
    return this.#durableVersion;
  }

  /**
   * Takes one batch from the queue to its end.
   * @throws what ends the term: above all, an error that leaves open whether the batch was applied.
   */
  async batch(): Promise<BatchEnd> {
    const { storage, outbox, meter } = this.#options;
    const limits = { countMax: this.#claimCountMax, bytesMax: CLAIM_BYTES_MAX };
    const claim = await this.#timed('claim', () => storage.claim(limits));
    meter.queueAgeMs = claim.oldestWaitMs;
    outbox.add(claim.decided, null);
    if (claim.requests.length === 0) return 'idle';
    const result = await this.#decide(claim);
    if (result === 'fenced') return 'fenced';
    if (result !== 'applied') return 'more';
    const isCut = claim.requests.length >= limits.countMax || payloadBytes(claim) >= limits.bytesMax / 4;
    this.#claimCountMax = Math.min(CLAIM_COUNT_MAX, limits.countMax * 2);
    return isCut ? 'more' : 'idle';
  }

  async #decide(claim: Claim): Promise<ApplyResult | 'refused'> {
    const { tools } = this.#options;
    const { requests, databaseTimeMs } = claim;
    const [previousVersion, history] = [this.#durableVersion, this.history];
    try {
      const { resolved, version, notAfterMs } = this.#compute('resolve', () =>
        tools.resolve({ requests, databaseTimeMs, previousVersion, history }),
      );
      const writes = await this.#fold(resolved);
      const result = await this.#apply(claim, resolved.map(outcomeOf), { version, notAfterMs, ...writes });
      if (result === 'applied') {
        recordWinners(this.history, resolved);
        this.history.pruneToSize(HISTORY_BOUNDARIES_MAX);
      }
      return result;
    } catch (error) {
      const sqlstate = sqlstateOf(error);
      if (!REFUSED_SQLSTATE.test(sqlstate)) throw error;
      return await this.#onRefused(claim, sqlstate, error);
    }
  }

  async #fold(resolved: readonly ResolvedRequest[]): Promise<FoldedWrites> {
    const { storage } = this.#options;
    const winners = resolved.flatMap(({ verdict, version, decoded }) =>
      verdict === 'committed' && decoded ? [{ version, operations: decoded.operations }] : [],
    );
    const known = this.#lastWrites;
    const keys = baseKeys(winners).filter((key) => !known.has(bytesToLatin1(key)));
    const values = keys.length === 0 ? [] : await this.#timed('base', () => storage.readBase(keys));
    const base = new Map(keys.map((key, i) => [bytesToLatin1(key), values[i]]));
    return this.#compute('fold', () =>
      foldWinners(winners, (key) => {
        const name = bytesToLatin1(key);
        return known.has(name) ? known.get(name) : base.get(name);
      }),
    );
  }

  async #apply(
    claim: Claim,
    outcomes: AppliedBatch['outcomes'],
    writes: VersionedWrites,
  ): Promise<ApplyResult> {
    const { storage, clock, lease, leaseMs, outbox, meter, onApplied } = this.#options;
    const sentAtMs = clock.nowMs();
    const batch = { epoch: lease.epoch, previousVersion: this.#durableVersion, leaseMs, ...writes, outcomes };
    const result = await this.#timed('apply', () => storage.apply(batch));
    if (result !== 'applied') return result;
    onApplied(sentAtMs);
    if (batch.version > batch.previousVersion) this.#lastWrites = writtenValues(writes);
    this.#durableVersion = batch.version;
    this.#timeouts = 0;
    meter.batches++;
    for (const { verdict } of outcomes) meter.decided[verdict]++;
    const nodes = new Map(claim.requests.map(({ id, node }) => [id, node]));
    outbox.add(
      outcomes.map((outcome) => ({ ...outcome, node: nodes.get(outcome.id)! })),
      batch.version > batch.previousVersion ? batch.version : null,
    );
    return 'applied';
  }

  /** Takes the half of the batch, until the one that the database refuses is alone; that one is rejected. */
  async #onRefused(claim: Claim, sqlstate: string, error: unknown): Promise<ApplyResult | 'refused'> {
    const { requests } = claim;
    this.#claimCountMax = Math.max(1, Math.floor(requests.length / 2));
    if (requests.length > 1) return 'refused';
    if (TIMEOUT_SQLSTATE.test(sqlstate)) {
      const probed = await this.#applyNothing();
      if (probed !== 'applied') return probed;
      if (++this.#timeouts < TIMEOUTS_MAX) return 'refused';
    }
    const version = this.#durableVersion;
    const reason = `COMMIT_REJECTED: ${messageOf(error)}`;
    return await this.#apply(claim, [{ id: requests[0].id, verdict: 'rejected', version, reason }], {
      version,
      notAfterMs: Number.MAX_SAFE_INTEGER,
      ...NO_WRITES,
    });
  }

  /**
   * A batch of nothing. Whoever holds up the lease itself holds it up, too, and ends the term; after one that passes, a
   * timeout is the request's own.
   */
  #applyNothing(): Promise<ApplyResult> {
    const { storage, lease, leaseMs } = this.#options;
    const version = this.#durableVersion;
    const notAfterMs = Number.MAX_SAFE_INTEGER;
    const nothing = { previousVersion: version, version, notAfterMs, ...NO_WRITES, outcomes: [] };
    return storage.apply({ epoch: lease.epoch, leaseMs, ...nothing });
  }

  async #timed<Value>(phase: Phase, act: () => Promise<Value>): Promise<Value> {
    const { clock, meter } = this.#options;
    const startedAtMs = clock.nowMs();
    const value = await act();
    meter.time(phase, clock.nowMs() - startedAtMs);
    return value;
  }

  /** What goes wrong in memory is the fault of a request, as what the database refuses. */
  #compute<Value>(phase: Phase, act: () => Value): Value {
    const { clock, meter } = this.#options;
    const startedAtMs = clock.nowMs();
    try {
      return act();
    } catch (cause) {
      const details = { sqlstate: DATA_EXCEPTION_SQLSTATE };
      throw new CommitError('COMMIT_REJECTED', messageOf(cause), { details, cause });
    } finally {
      meter.time(phase, clock.nowMs() - startedAtMs);
    }
  }
}

type FoldedWrites = Pick<AppliedBatch, 'clearedRanges' | 'deletes' | 'upserts'>;
type VersionedWrites = FoldedWrites & Pick<AppliedBatch, 'version' | 'notAfterMs'>;

const NO_WRITES: FoldedWrites = { clearedRanges: [], deletes: [], upserts: [] };

function writtenValues({ deletes, upserts }: FoldedWrites): Map<string, Uint8Array | undefined> {
  const values = new Map<string, Uint8Array | undefined>();
  for (const key of deletes) values.set(bytesToLatin1(key), undefined);
  for (const { key, value } of upserts) values.set(bytesToLatin1(key), value);
  return values;
}

/** As a text column takes it. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replaceAll('\0', ' ').slice(0, REASON_LENGTH_MAX);
}

function payloadBytes(claim: Claim): number {
  return claim.requests.reduce((bytes, { payload }) => bytes + payload.length, 0);
}

function sqlstateOf(error: unknown): string {
  const sqlstate = error instanceof CommitError ? error.details?.sqlstate : undefined;
  return typeof sqlstate === 'string' ? sqlstate : '';
}

function outcomeOf({
  request,
  verdict,
  version,
  reason,
  decoded,
}: ResolvedRequest): AppliedBatch['outcomes'][number] {
  return {
    id: request.id,
    verdict,
    version,
    ...(reason === undefined ? {} : { reason }),
    ...(verdict === 'committed' && decoded ? { ranges: encodeRanges(decoded.writeRanges) } : {}),
  };
}
