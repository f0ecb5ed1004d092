/** Samples and what is said about them. Every figure comes from here, so that all mean the same. */

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly p99: number;
  readonly count: number;
}

/** How many times longer a peer takes, of samples taken in turn. */
export interface Ratio {
  /** Of the medians. */
  readonly ofMedians: number;
  /** Over neighbouring pairs, so that drift of the machine shows. */
  readonly min: number;
  readonly max: number;
}

export function summarise(samples: readonly number[]): Summary {
  const sorted = Float64Array.from(samples).sort();
  return {
    median: quantile(sorted, 0.5),
    min: sorted[0],
    max: sorted[sorted.length - 1],
    p99: quantile(sorted, 0.99),
    count: sorted.length,
  };
}

/** Milliseconds to a tenth of a microsecond: as they are stored. */
export function roundSamples(samples: readonly number[]): number[] {
  return samples.map((ms) => Math.round(ms * 10_000) / 10_000);
}

/** Pair by pair as far as both go. */
export function compareInTurn(own: readonly number[], peer: readonly number[]): Ratio {
  const pairs = Array.from({ length: Math.min(own.length, peer.length) }, (_, at) => peer[at] / own[at]);
  return {
    ofMedians: summarise(peer).median / summarise(own).median,
    min: Math.min(...pairs),
    max: Math.max(...pairs),
  };
}

/** The smallest sample that is not below `share` of all: a value that occurred, never one in between. */
function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}
