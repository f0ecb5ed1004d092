/**
 * The ways a dump gets into an index, each ending with the same files in a directory of its own:
 *
 *   direct  CSV → accumulators of the loader → published once
 *   log     CSV → ops → op log → AccumulatorSink → published once
 *   steady  CSV → ops → op log → CoalescerSink, batch by batch, until nothing is left to apply
 */
import { join } from 'node:path';
import type { IndexDefinition } from '../config/definition.ts';
import { Engine } from '../engine/engine.ts';
import type { BitloomIndex } from '../engine/index-api.ts';
import { openIndex } from '../engine/open-index.ts';
import { openDirectory } from '../index/directory/directory.ts';
import { loadKernels } from '../kernels/kernels.ts';
import type { LoadOptions, LoadReport } from '../load/options.ts';
import { openOpLog } from '../log/op-log.ts';
import { AccumulatorSink } from '../ops/accumulator-sink.ts';
import type { OpBatch } from '../ops/op.ts';
import { decodeBatch, encodeBatch } from '../ops/op-codec.ts';
import { processBatch } from '../ops/processor.ts';
import { csvOps } from './csv-ops.ts';
import type { RowCounts } from './table-rows.ts';

export const VALIDATION_MODES = ['direct', 'log', 'steady'] as const;

export type ValidationMode = (typeof VALIDATION_MODES)[number];

export interface ModeInput {
  readonly definition: IndexDefinition;
  /** Table → CSV file. */
  readonly files: Readonly<Record<string, string>>;
  /** An empty one, for everything the mode writes. */
  readonly folder: string;
  /** Of the direct mode. */
  readonly loadOptions: LoadOptions;
}

/** An open index with everything in it; the caller closes it. */
export interface FilledIndex {
  readonly index: BitloomIndex;
  /** Where it is stored. */
  readonly directory: string;
  /** From the first byte read to everything visible. */
  readonly loadMs: number;
  readonly tables: Readonly<Record<string, RowCounts>>;
  /** Of the direct mode. */
  readonly report: LoadReport | null;
}

/** Batches that may wait for the disk while the next ones are made. */
const BATCHES_IN_FLIGHT = 4;

/** Errors: those of opening, of sources and of the op log; of the direct mode those of loading. */
export function fillIndex(mode: ValidationMode, input: ModeInput): Promise<FilledIndex> {
  switch (mode) {
    case 'direct':
      return fillDirectly(input);
    case 'log':
      return fillThroughLog(input);
    case 'steady':
      return fillSteadily(input);
  }
}

async function fillDirectly({ definition, files, folder, loadOptions }: ModeInput): Promise<FilledIndex> {
  const directory = join(folder, 'data');
  const index = await openIndex({ definition: definition.normalised as object, directory, inProcess: true });
  return closingOnError(index, async () => {
    const report = await index.load(files, loadOptions);
    return { index, directory, loadMs: report.durationMs, tables: report.tables, report };
  });
}

async function fillThroughLog({ definition, files, folder }: ModeInput): Promise<FilledIndex> {
  const logDirectory = join(folder, 'log');
  const directory = join(folder, 'data');
  const startMs = performance.now();
  const { batches, tables } = csvOps(definition, files, loadKernels());
  const written = await openOpLog(logDirectory);
  try {
    await sendAll(batches, (batch) => written.append(encodeBatch(batch)));
  } finally {
    await written.close();
  }
  const sink = new AccumulatorSink(definition, loadKernels());
  const log = await openOpLog(logDirectory);
  try {
    for await (const { payload } of log.read(null)) processBatch(decodeBatch(payload, definition), sink);
  } finally {
    await log.close();
  }
  const target = await openDirectory(directory);
  try {
    await target.publish({ id: 1, definition, segments: await sink.finish() });
  } finally {
    await target.close();
  }
  const index = await openIndex({ directory, inProcess: true });
  return { index, directory, loadMs: performance.now() - startMs, tables, report: null };
}

async function fillSteadily({ definition, files, folder }: ModeInput): Promise<FilledIndex> {
  const directory = join(folder, 'data');
  const index = await Engine.open({ definition: definition.normalised as object, directory });
  return closingOnError(index, async () => {
    const startMs = performance.now();
    // The engine has parsed the definition for itself, and a batch belongs to the one it was made with.
    const { batches, tables } = csvOps(index.definition, files, loadKernels());
    await sendAll(batches, (batch) => index.applyEncoded(encodeBatch(batch)));
    return { index, directory, loadMs: performance.now() - startMs, tables, report: null };
  });
}

/** Resolves when every batch is through; a few are under way at a time. */
async function sendAll(
  batches: AsyncIterable<OpBatch>,
  send: (batch: OpBatch) => Promise<unknown>,
): Promise<void> {
  const underWay: Promise<unknown>[] = [];
  for await (const batch of batches) {
    if (underWay.length === BATCHES_IN_FLIGHT) await underWay.shift();
    const sent = send(batch);
    // Met below; until then somebody has to listen.
    sent.catch(() => {});
    underWay.push(sent);
  }
  await Promise.all(underWay);
}

async function closingOnError(index: BitloomIndex, fill: () => Promise<FilledIndex>): Promise<FilledIndex> {
  try {
    return await fill();
  } catch (error) {
    await index.close();
    throw error;
  }
}
