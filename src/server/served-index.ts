/** What the server asks of an index. */
import type { BitloomIndex, IndexStats } from '../engine/index-api.ts';
import type { LogPosition } from '../log/log-position.ts';
import type { OpLogStats } from '../log/op-log.ts';
import type { RefusedEntity } from '../ops/parse-batch.ts';

export interface ServedStats extends IndexStats {
  /** Of the op log; null for an index in memory. */
  readonly log?: OpLogStats | null;
  /** Up to here the op log is visible to queries. */
  readonly position?: LogPosition | null;
}

export interface ServedIndex extends BitloomIndex {
  /** With `strict`, one refused entity refuses the batch with BATCH_REFUSED. */
  apply(
    batch: unknown,
    options?: { strict?: boolean },
  ): Promise<{ position: LogPosition | null; refused: readonly RefusedEntity[] }>;
  stats(options?: { digest?: boolean }): Promise<ServedStats>;
}
