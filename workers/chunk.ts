/**
 * Thread entry of the loader's pool: one task in, one outcome out. Everything it does is in src/load; the kernels are
 * instantiated once per thread.
 */
import { errorToData } from '../src/errors.ts';
import { type Kernels, loadKernels } from '../src/kernels/kernels.ts';
import type { Outcome, PoolResults, PoolTask } from '../src/load/chunk-messages.ts';
import { scanChunk } from '../src/load/chunk-scan.ts';
import { runCompaction } from '../src/load/compact.ts';
import { resolveRuns, runMerge } from '../src/load/merge.ts';

let kernels: Kernels | null = null;

export default async function runTask(task: PoolTask): Promise<Outcome<PoolResults[PoolTask['kind']]>> {
  try {
    kernels ??= loadKernels();
    return { ok: true, value: await perform(task, kernels) };
  } catch (error) {
    return { ok: false, error: errorToData(error) };
  }
}

function perform(
  task: PoolTask,
  kernels: Kernels,
): Promise<PoolResults['scan']> | Exclude<PoolResults[PoolTask['kind']], PoolResults['scan']> {
  switch (task.kind) {
    case 'scan':
      return scanChunk(task, kernels);
    case 'resolve':
      return resolveRuns(task.messages);
    case 'merge':
      return task.merges.map((merge) => runMerge(kernels, merge));
    case 'compactFilter':
    case 'compactSort':
    case 'compactDictionary':
      return runCompaction(kernels, task);
  }
}
