/**
 * How far each source of ops has come, as its own batches say. Only batches that were accepted count, and what a batch
 * leaves unsaid stays as it was.
 */

import { SOURCE_CHARACTERS_MAX, SOURCES_TRACKED_MAX } from '../limits.ts';
import type { BatchMeta } from '../ops/op.ts';
import type { SourceProgress } from './wire.ts';

/** Under which batches without a source count, and sources beyond the limits. */
const UNTRACKED_SOURCE = '';

export class SourceProgressTable {
  readonly #sources = new Map<string, SourceProgress>();

  /** Takes an applied batch into account, and says under which name. */
  applied(meta: BatchMeta | null, entities: number): string {
    const isTracked = meta !== null && this.#isTracked(meta.source);
    const source = isTracked ? meta.source : UNTRACKED_SOURCE;
    const said: Partial<BatchMeta> = isTracked ? meta : {};
    const before = this.#sources.get(source);
    this.#sources.set(source, {
      source,
      cursor: said.cursor ?? before?.cursor ?? null,
      maxId: said.maxId ?? before?.maxId ?? null,
      lagRows: said.lagRows ?? before?.lagRows ?? null,
      entities: (before?.entities ?? 0) + entities,
      appliedAt: new Date().toISOString(),
    });
    return source;
  }

  /** In the order in which they came. */
  list(): SourceProgress[] {
    return [...this.#sources.values()];
  }

  #isTracked(source: string): boolean {
    if (source === UNTRACKED_SOURCE || source.length > SOURCE_CHARACTERS_MAX) return false;
    return this.#sources.has(source) || this.#sources.size < SOURCES_TRACKED_MAX;
  }
}
