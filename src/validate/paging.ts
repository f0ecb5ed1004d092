/** Reads an index through its public queries, page after page. */
import type { BitloomIndex } from '../engine/index-api.ts';
import type { Query } from '../query/query.ts';

export type ReadableIndex = Pick<BitloomIndex, 'query' | 'count' | 'stats'>;

/** Ids of up to `pagesMax` pages of `take` ids, following cursors. */
export async function readPages(index: ReadableIndex, query: Query, pagesMax: number): Promise<number[]> {
  const ids: number[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < pagesMax; page++) {
    const { ids: pageIds, nextCursor } = await index.query({ ...query, cursor });
    for (const id of pageIds) ids.push(id);
    cursor = nextCursor;
    if (cursor === null) break;
  }
  return ids;
}
