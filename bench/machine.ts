/** What a run was measured on: without it the figures mean nothing. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  /** Version of Node.js and of every package that is measured or does the measured work. */
  readonly versions: Readonly<Record<string, string>>;
  /** Over the minute before the run. */
  readonly loadAverage: number;
  /** Other work takes a good part of the machine: the figures say little. */
  readonly busy: boolean;
  /** Of the working tree, where it is a Git clone. */
  readonly commit: string | null;
}

const PACKAGES = ['roaring', 'piscina', 'csv-parse', 'tinybench', '@duckdb/node-api'];
/** Share of the cores above which the machine counts as busy. */
const BUSY_SHARE = 0.25;

export async function describeMachine(): Promise<Machine> {
  const [loadAverage] = loadavg();
  const cores = availableParallelism();
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores,
    memoryBytes: totalmem(),
    system: `${process.platform} ${process.arch}`,
    versions: versions(),
    loadAverage,
    busy: loadAverage > cores * BUSY_SHARE,
    commit: await commit(),
  };
}

function versions(): Record<string, string> {
  const found: Record<string, string> = { node: process.versions.node };
  for (const name of PACKAGES) {
    const version = versionOf(name);
    if (version !== null) found[name] = version;
  }
  return found;
}

/** From the nearest node_modules, as most packages do not export their package.json. */
function versionOf(name: string): string | null {
  for (let folder = import.meta.dirname; ; folder = join(folder, '..')) {
    try {
      const text = readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8');
      return (JSON.parse(text) as { version: string }).version;
    } catch {
      if (folder === join(folder, '..')) return null;
    }
  }
}

async function commit(): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)('git', ['rev-parse', 'HEAD'], { cwd: import.meta.dirname });
    return stdout.trim();
  } catch {
    return null; // no Git, or no clone
  }
}
