/**
 * How far each source of ops has come, as its own batches say. Only batches that were accepted count, and what a batch
 * leaves unsaid stays as it was.
 */

import { SOURCES_TRACKED_MAX } from '../limits.ts';
import type { BatchMeta } from '../ops/op.ts';
import type { SourceProgress } from './wire.ts';

/** Under which sources beyond the limit, and batches without a source, count. */
const UNTRACKED_SOURCE = '';

export class SourceProgressTable {
  readonly #sources = new Map<string, SourceProgress>();

  /** Takes an applied batch into account, and says under which name. */
  applied(meta: BatchMeta | null, entities: number): string {
    const given = meta?.source ?? UNTRACKED_SOURCE;
    const isTracked = this.#sources.has(given) || this.#sources.size < SOURCES_TRACKED_MAX;
    const source = isTracked ? given : UNTRACKED_SOURCE;
    const before = this.#sources.get(source);
    const isOne = source !== UNTRACKED_SOURCE;
    this.#sources.set(source, {
      source,
      cursor: (isOne ? meta?.cursor : null) ?? before?.cursor ?? null,
      maxId: (isOne ? meta?.maxId : null) ?? before?.maxId ?? null,
      lagRows: (isOne ? meta?.lagRows : null) ?? before?.lagRows ?? null,
      entities: (before?.entities ?? 0) + entities,
      appliedAt: new Date().toISOString(),
    });
    return source;
  }

  /** In the order in which they came. */
  list(): SourceProgress[] {
    return [...this.#sources.values()];
  }
}
