/**
 * How far each source of ops has come, as the `meta` of its batches says. What a batch leaves unsaid stays as it was. The
 * number of sources and the length of their names are bounded, so that names cannot fill memory or manifests: sources
 * beyond the bounds are not told apart.
 */
import { SOURCE_CHARACTERS_MAX, SOURCES_TRACKED_MAX } from '../limits.ts';
import type { BatchMeta } from './op.ts';

export interface SourcePosition {
  readonly source: string;
  /** Position in the source up to which everything is applied; null while no batch has said. */
  readonly cursor: number | null;
  /** Newest position in the source when its last batch was made. */
  readonly maxId: number | null;
  readonly lagRows: number | null;
}

/** Stands for batches without a source, and for sources beyond the bounds. */
export const UNTRACKED_SOURCE = '';

export class SourceTable {
  readonly #positions = new Map<string, SourcePosition>();

  /** @param positions where the sources are already */
  constructor(positions: readonly SourcePosition[] = []) {
    for (const position of positions) this.#positions.set(position.source, position);
  }

  /** Takes an applied batch into account, and says under which name. */
  applied(meta: BatchMeta | null): string {
    if (meta === null || !this.#isTracked(meta.source)) return UNTRACKED_SOURCE;
    const { source } = meta;
    const before = this.#positions.get(source);
    this.#positions.set(source, {
      source,
      cursor: meta.cursor ?? before?.cursor ?? null,
      maxId: meta.maxId ?? before?.maxId ?? null,
      lagRows: meta.lagRows ?? before?.lagRows ?? null,
    });
    return source;
  }

  /** In the order in which they came; later batches do not change it. */
  list(): SourcePosition[] {
    return [...this.#positions.values()];
  }

  #isTracked(source: string): boolean {
    if (source === UNTRACKED_SOURCE || source.length > SOURCE_CHARACTERS_MAX) return false;
    return this.#positions.has(source) || this.#positions.size < SOURCES_TRACKED_MAX;
  }
}
