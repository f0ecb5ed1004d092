/** What a history tells of its takeovers: how long nobody committed, and what became of those who waited meanwhile. */
import type { EpochStart } from './fault-cluster.ts';
import type { Attempt } from './history-checker.ts';

export interface Fault {
  readonly kind: 'kill' | 'stop' | 'cut' | 'crash' | 'handoff';
  readonly atNs: number;
  /** That was led by the node it befell. */
  readonly epoch: number;
}

/** Of first attempts of transactions, by why they were not committed. */
export interface Rejections {
  readonly attempts: number;
  readonly conflicts: number;
  readonly tooOld: number;
  readonly others: number;
}

export interface Takeover {
  readonly kind: Fault['kind'];
  /** From the fault to the first acknowledged commit of another epoch; of a cut or a crash, of an attempt begun after it. */
  readonly takeoverMs: number;
  /** Attempts under way at the fault, of which an answer came. */
  readonly inFlight: number;
  /** First attempts under way when the new epoch acknowledged its first commit. */
  readonly waiting: Rejections;
  /** First attempts begun in the second after that and answered before the next fault. */
  readonly fresh: Rejections;
  /** Too old, until the next fault. */
  readonly tooOld: number;
  /** Terms begun until the next fault: each can turn away what was read before it, once. */
  readonly terms: number;
}

/** The database's clock and ours are compared once. */
const CLOCKS_APART_NS = 50e6;

/** @param faults in order of time. */
export function takeoversOf(
  faults: readonly Fault[],
  epochs: readonly EpochStart[],
  attempts: readonly Attempt[],
): Takeover[] {
  const commits = attempts
    .flatMap(({ writes, version, answeredAtNs }) =>
      writes.length > 0 && version !== null && answeredAtNs !== null ? [{ version, atNs: answeredAtNs }] : [],
    )
    .sort((left, right) => left.version - right.version);
  return faults.map((fault, at) => {
    const firstAtNs =
      fault.kind === 'cut' || fault.kind === 'crash'
        ? firstAfterCut(fault, attempts)
        : firstOfNextTerm(fault, epochs, commits);
    const endNs = faults[at + 1]?.atNs ?? Number.POSITIVE_INFINITY;
    return {
      kind: fault.kind,
      takeoverMs: (firstAtNs - fault.atNs) / 1e6,
      inFlight: attempts.filter((attempt) => isUnderWay(attempt, fault.atNs)).length,
      waiting: rejectionsOf(attempts.filter((attempt) => isUnderWay(attempt, firstAtNs))),
      fresh: rejectionsOf(
        attempts.filter(
          ({ invokedAtNs, answeredAtNs }) =>
            invokedAtNs >= firstAtNs &&
            invokedAtNs < firstAtNs + 1e9 &&
            answeredAtNs !== null &&
            answeredAtNs < endNs,
        ),
      ),
      tooOld: attempts.filter(
        ({ refusal, answeredAtNs }) =>
          refusal === 'TRANSACTION_TOO_OLD' && answeredAtNs! >= fault.atNs && answeredAtNs! < endNs,
      ).length,
      terms: epochs.filter(
        ({ leader, atNs }) =>
          leader !== null && atNs > fault.atNs - CLOCKS_APART_NS && atNs < endNs + CLOCKS_APART_NS,
      ).length,
    };
  });
}

/** Attempts that were too old although they had read what the last epoch before their answer began with, or later. */
export function needlesslyTooOld(epochs: readonly EpochStart[], attempts: readonly Attempt[]): Attempt[] {
  return attempts.filter(({ refusal, answeredAtNs, snapshotVersion }) => {
    if (refusal !== 'TRANSACTION_TOO_OLD') return false;
    const last = epochs.findLast(
      ({ leader, atNs }) => leader !== null && atNs < answeredAtNs! + CLOCKS_APART_NS,
    );
    return last !== undefined && snapshotVersion !== null && snapshotVersion >= last.durableVersion;
  });
}

/** When the first term after the fault that committed anything did. */
function firstOfNextTerm(
  fault: Fault,
  epochs: readonly EpochStart[],
  commits: readonly { readonly version: number; readonly atNs: number }[],
): number {
  for (const [at, { epoch, leader, durableVersion }] of epochs.entries()) {
    if (epoch <= fault.epoch || leader === null) continue;
    const end = epochs[at + 1]?.durableVersion ?? Number.POSITIVE_INFINITY;
    const own = commits.filter(({ version }) => version > durableVersion && version <= end);
    if (own.length > 0) return Math.min(...own.map(({ atNs }) => atNs));
  }
  throw new Error(`nobody committed after the ${fault.kind} of the leader of epoch ${fault.epoch}`);
}

/** The term may have gone on. */
function firstAfterCut({ atNs }: Fault, attempts: readonly Attempt[]): number {
  const later = attempts.filter(
    ({ invokedAtNs, outcome, writes }) => invokedAtNs > atNs && outcome === 'committed' && writes.length > 0,
  );
  return Math.min(...later.map(({ answeredAtNs }) => answeredAtNs!));
}

function isUnderWay({ invokedAtNs, answeredAtNs }: Attempt, atNs: number): boolean {
  return invokedAtNs < atNs && answeredAtNs !== null && answeredAtNs >= atNs;
}

function rejectionsOf(attempts: readonly Attempt[]): Rejections {
  const first = attempts.filter(({ token }) => token.endsWith('.1'));
  const count = (isCounted: (refusal: string | null) => boolean) =>
    first.filter(({ outcome, refusal }) => outcome === 'not committed' && isCounted(refusal)).length;
  const conflicts = count((refusal) => refusal === 'NOT_COMMITTED');
  const tooOld = count((refusal) => refusal === 'TRANSACTION_TOO_OLD');
  return { attempts: first.length, conflicts, tooOld, others: count(() => true) - conflicts - tooOld };
}

/** One line for each takeover. */
export function formatTakeovers(takeovers: readonly Takeover[]): string {
  const rejections = ({ attempts, conflicts, tooOld, others }: Rejections) =>
    `${attempts} first attempts: ${conflicts} conflicts, ${tooOld} too old, ${others} others`;
  return takeovers
    .map(
      ({ kind, takeoverMs, terms, inFlight, tooOld, waiting, fresh }) =>
        `${kind}: ${takeoverMs.toFixed(0)} ms, ${terms} terms; ${inFlight} in flight; ${tooOld} too old; ` +
        `waiting ${rejections(waiting)}; in the next second ${rejections(fresh)}`,
    )
    .join('\n');
}
