/** The content that a version has by its id, so that another process can tell whether it is whole. */
import type { VersionSegments } from '../../../src/index/version.ts';
import { buildAlive, buildFilter, buildSort, definitionOf, fieldOf } from '../model.ts';

export const testDefinition = definitionOf([
  fieldOf('userId', 'uint32', 'filter'),
  fieldOf('createdAt', 'timestamp', 'sort'),
]);

export function contentOf(id: number): VersionSegments {
  const slots = Array.from({ length: 2000 + (id % 7) * 1000 }, (_, i) => i * 3 + id);
  return {
    alive: buildAlive(slots),
    fields: {
      userId: {
        filter: buildFilter(
          new Map([
            [id, new Set(slots)],
            [id + 1, new Set([id])],
          ]),
        ),
      },
      createdAt: { sort: buildSort(new Map(slots.map((slot) => [slot, slot * id]))) },
    },
  };
}
