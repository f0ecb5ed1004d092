/** What the server asks of an index. */
import type { ApplyOptions, ApplyReport, BitloomIndex, IndexStats } from '../engine/index-api.ts';

export type ServedStats = IndexStats;

export interface ServedIndex extends BitloomIndex {
  /** The batch comes from outside; the index checks it. */
  apply(batch: unknown, options?: ApplyOptions): Promise<ApplyReport>;
}
