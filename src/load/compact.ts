/**
 * Compaction: folds the changes of a version into new base segments, one task of the pool per changed segment. Segments
 * without changes are taken over as they are.
 */
import type { BaseVersion } from '../index/base-version.ts';
import type { VersionChanges } from '../index/delta-version.ts';
import type { SegmentBytes } from '../index/segment.ts';
import type { SegmentMemory } from '../index/segment-memory.ts';
import type { FieldSegments, VersionSegments } from '../index/version.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { PoolTask } from './chunk-messages.ts';
import { compactDictionary } from './compact-dictionary.ts';
import { compactFilter } from './compact-filter.ts';
import { compactSort } from './compact-sort.ts';

export type CompactionTask = Extract<
  PoolTask,
  { kind: 'compactFilter' | 'compactSort' | 'compactDictionary' }
>;

/** A compaction task to its segment, on whatever thread. */
export type RunCompaction = (task: CompactionTask) => Promise<SegmentBytes>;

/** The task on this thread. */
export function runCompaction(kernels: Kernels, task: CompactionTask): SegmentBytes {
  switch (task.kind) {
    case 'compactFilter':
      return compactFilter(task.compaction);
    case 'compactSort':
      return compactSort(kernels, task.compaction);
    case 'compactDictionary':
      return compactDictionary(task.compaction);
  }
}

/**
 * The content of a version, given as its base and what changed since, as base segments: the same bytes as if it had been
 * built at once; the caller holds the base meanwhile. Errors: those of the tasks, after all of them have ended.
 */
export async function compactVersion(
  base: BaseVersion,
  changes: VersionChanges,
  memory: SegmentMemory,
  run: RunCompaction,
): Promise<VersionSegments> {
  const fields: Record<string, FieldSegments> = {};
  const tasks: Promise<void>[] = [];
  base.definition.fields.forEach(({ name: field }, index) => {
    const segments: { -readonly [role in keyof FieldSegments]: SegmentBytes } = {
      ...base.segments.fields[field],
    };
    fields[field] = segments;
    const stage = (role: keyof FieldSegments, task: Parameters<RunCompaction>[0]) =>
      tasks.push(
        run(task).then((segment) => {
          segments[role] = segment;
        }),
      );
    const { filter, sort, texts } = changes.fields[index];
    if (filter !== null) {
      const compaction = {
        field,
        base: base.filter(field)!.content,
        changes: filter,
        memory: memory.take('filter', field),
      };
      stage('filter', { kind: 'compactFilter', compaction });
    }
    if (sort !== null) {
      const compaction = {
        field,
        base: base.sort(field)!.content,
        changes: sort,
        memory: memory.take('sort', field),
      };
      stage('sort', { kind: 'compactSort', compaction });
    }
    if (texts.length > 0) {
      const compaction = { base: base.dictionary(field)!.content, texts };
      stage('dictionary', { kind: 'compactDictionary', compaction });
    }
  });
  const failed = (await Promise.allSettled(tasks)).find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return { alive: changes.alive, fields };
}
