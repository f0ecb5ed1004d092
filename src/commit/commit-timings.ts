/** The intervals of the commit protocol in milliseconds, together so that a simulation can scale them. */

export interface CommitTimings {
  /** A leader that does not renew for so long can be replaced. Statements of a leader end well before. */
  readonly leaseMs: number;
  /** An idle leader renews so often; a batch renews by itself. */
  readonly renewMs: number;
  /** A candidate that nobody wakes tries so often, with jitter. */
  readonly electionRetryMs: number;
  /** A leader looks into the queue so often when the doorbell is silent, or was lost. */
  readonly doorbellPollMs: number;
  /** A follower asks for the outcome of requests that have waited for so long, and looks for passed deadlines. */
  readonly backstopMs: number;
  /** After its deadline a request is withdrawn; when the database does not answer for so long, its end is unknown. */
  readonly withdrawGraceMs: number;
  /** Reads as of a version, and commits that read it, work for so long at least. */
  readonly historyWindowMs: number;
  /** Outcomes and commit records are kept for so long at least. */
  readonly outcomeRetentionMs: number;
  readonly pruneMs: number;
  /** A node asks for the durable version so often, in case its announcement was lost. */
  readonly versionPollMs: number;
  /** Bounds of the exponential backoff of retries of every kind. */
  readonly retryDelayMsMin: number;
  readonly retryDelayMsMax: number;
}

export const COMMIT_TIMINGS: CommitTimings = {
  leaseMs: 5000,
  renewMs: 1000,
  electionRetryMs: 1000,
  doorbellPollMs: 50,
  backstopMs: 250,
  withdrawGraceMs: 5000,
  historyWindowMs: 10_000,
  outcomeRetentionMs: 300_000,
  pruneMs: 1000,
  versionPollMs: 1000,
  retryDelayMsMin: 10,
  retryDelayMsMax: 1000,
};

/** The delay before retry `failures` (from 1): exponential, and random in its upper half so that nodes do not go in step. */
export function retryDelayMs(timings: CommitTimings, failures: number, random: () => number): number {
  const ceiling = Math.min(
    timings.retryDelayMsMax,
    timings.retryDelayMsMin * 2 ** Math.min(failures - 1, 30),
  );
  return ceiling * (0.5 + random() / 2);
}
