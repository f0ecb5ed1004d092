/**
 * How far each source of ops has come, and what this server has had from it. Where the sources were before it started,
 * the index knows; only batches that were accepted count.
 */

import type { BatchMeta } from '../ops/op.ts';
import { type SourcePosition, SourceTable, UNTRACKED_SOURCE } from '../ops/source-table.ts';
import type { SourceProgress } from './wire.ts';

interface Received {
  readonly entities: number;
  readonly appliedAt: string;
}

export class SourceProgressTable {
  #table = new SourceTable();
  readonly #received = new Map<string, Received>();

  /** To be called before the first batch. */
  restore(positions: readonly SourcePosition[]): void {
    this.#table = new SourceTable(positions);
  }

  /** Takes an applied batch into account, and says under which name. */
  applied(meta: BatchMeta | null, entities: number): string {
    const source = this.#table.applied(meta);
    const before = this.#received.get(source)?.entities ?? 0;
    this.#received.set(source, { entities: before + entities, appliedAt: new Date().toISOString() });
    return source;
  }

  /** In the order in which they came; last what has no source. */
  list(): SourceProgress[] {
    const sources: SourcePosition[] = this.#table.list();
    if (this.#received.has(UNTRACKED_SOURCE)) {
      sources.push({ source: UNTRACKED_SOURCE, cursor: null, maxId: null, lagRows: null });
    }
    return sources.map((position) => {
      const { entities, appliedAt } = this.#received.get(position.source) ?? { entities: 0, appliedAt: null };
      return { ...position, entities, appliedAt };
    });
  }
}
