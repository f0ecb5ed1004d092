/** The ops part of the bench: taking ops in, changing many slots at once, and answering meanwhile and over HTTP. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readDefinition } from '../src/config/parse.ts';
import type { BenchDump } from './dump.ts';
import { type BulkResult, measureBulk } from './ops-bulk.ts';
import { type HttpResult, measureHttp } from './ops-http.ts';
import { type IntakeResult, measureIntake } from './ops-intake.ts';
import { type BusyResult, measureBusyQueries } from './ops-queries.ts';

export interface OpsResult {
  readonly intake: readonly IntakeResult[];
  readonly bulk: BulkResult;
  readonly busy: readonly BusyResult[];
  readonly http: readonly HttpResult[];
}

const RUN_TIME_MS_MAX = 3000;
const RUN_TIME_MS_PER_ROW = 0.2;

export async function measureOps(
  dump: BenchDump,
  repeats: number,
  parent: string,
  onStep: (name: string) => void,
): Promise<OpsResult> {
  const directory = join(parent, 'ops');
  await mkdir(directory);
  try {
    const definition = await readDefinition(dump.definition);
    const runTimeMs = Math.min(RUN_TIME_MS_MAX, dump.rows * RUN_TIME_MS_PER_ROW);
    const settings = { dump, definition, repeats, runTimeMs, directory };
    onStep('ops coming in');
    const intake = await measureIntake(settings);
    onStep('one queryOpSet of many slots');
    const bulk = await measureBulk(dump.rows, repeats, directory);
    onStep('queries meanwhile');
    const busy = await measureBusyQueries(settings);
    onStep('HTTP');
    const http = await measureHttp(settings);
    return { intake, bulk, busy, http };
  } finally {
    await rm(directory, { recursive: true });
  }
}
