/**
 * Progress of a load on standard error: one line rewritten in place on a terminal, one JSON object a line for programs,
 * nothing otherwise. Standard output stays free for the result.
 */
import type { LoadProgress } from '../load/options.ts';
import { StatusLine, type StatusOutput } from './status-line.ts';
import { formatBytes, formatCount, formatDuration, formatRate } from './text-table.ts';

export type ProgressStyle = 'auto' | 'tty' | 'json' | 'none';

export interface ProgressReporter {
  update(progress: LoadProgress): void;
  /** Leaves the terminal on a clean line, whether or not an update came. */
  finish(): void;
}

const BAR_CELLS = 12;

export function createProgressReporter(style: ProgressStyle, output: StatusOutput): ProgressReporter {
  if (style === 'json') {
    // Every update: the load already limits how often it reports.
    return { update: (progress) => output.write(`${JSON.stringify(progress)}\n`), finish: () => {} };
  }
  const line = new StatusLine(output, style === 'tty' || (style === 'auto' && output.isTTY === true));
  let phase: string | null = null;
  return {
    update: (progress) => {
      line.show(formatProgress(progress), progress.phase !== phase);
      phase = progress.phase;
    },
    finish: () => line.clear(),
  };
}

/** The most useful facts first, so that a narrow terminal cuts the least useful. */
export function formatProgress(progress: LoadProgress): string {
  const share = progress.bytesTotal > 0 ? Math.min(1, progress.bytesDone / progress.bytesTotal) : 0;
  const cells = Math.round(share * BAR_CELLS);
  const percent = String(Math.floor(share * 100)).padStart(3);
  const parts = [
    `${progress.phase.padEnd(7)} ${'█'.repeat(cells)}${'░'.repeat(BAR_CELLS - cells)} ${percent}%`,
    `${formatCount(progress.rows)} rows`,
    formatRate(progress.rows, progress.elapsedMs),
  ];
  if (progress.etaMs !== null && progress.phase === 'scan')
    parts.push(`ETA ${formatDuration(progress.etaMs)}`);
  parts.push(`${formatCount(progress.rejects)} rejects`);
  parts.push(`${formatBytes(progress.bytesDone)} of ${formatBytes(progress.bytesTotal)}`);
  if (progress.table !== null) parts.push(progress.table);
  return parts.join('  ');
}
