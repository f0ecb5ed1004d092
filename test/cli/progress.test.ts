import { describe, expect, test } from 'vitest';
import { createProgressReporter, formatProgress, type ProgressStyle } from '../../src/cli/progress.ts';
import type { LoadProgress } from '../../src/load/options.ts';

const SCAN: LoadProgress = {
  phase: 'scan',
  table: 'images',
  bytesDone: 55_300_000,
  bytesTotal: 127_000_000,
  rows: 412_345,
  rejects: 3,
  elapsedMs: 40,
  etaMs: 3000,
};

class RecordedOutput {
  readonly isTTY: boolean;
  readonly columns = 60;
  text = '';

  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }

  write(text: string): void {
    this.text += text;
  }
}

function written(style: ProgressStyle, isTTY: boolean): string {
  const output = new RecordedOutput(isTTY);
  const reporter = createProgressReporter(style, output);
  reporter.update(SCAN);
  reporter.update({ ...SCAN, phase: 'done', etaMs: null });
  reporter.finish();
  return output.text;
}

describe('progress', () => {
  test('shows phase, share, rows, rate, rejects and the time left', () => {
    const line = formatProgress(SCAN);
    for (const part of [
      'scan',
      '43%',
      '412,345 rows',
      '10.3M rows/s',
      '3 rejects',
      'ETA 3.0 s',
      '55.3 MB of 127 MB',
      'images',
    ]) {
      expect(line).toContain(part);
    }
  });

  test('an unknown total is no division by zero', () => {
    const line = formatProgress({ ...SCAN, bytesDone: 0, bytesTotal: 0, elapsedMs: 0, etaMs: null });
    expect(line).not.toMatch(/NaN|Infinity/);
  });

  test('auto draws on a terminal and is silent elsewhere', () => {
    expect(written('auto', true)).toContain('scan');
    expect(written('auto', false)).toBe('');
    expect(written('none', true)).toBe('');
    expect(written('tty', false)).toContain('scan');
  });

  test('a terminal line never reaches the last column and is cleared at the end', () => {
    const text = written('auto', true);
    const lines = text.split('\r\u001b[2K');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(60);
    expect(lines.at(-1)).toBe('');
    expect(text).not.toContain('\n');
  });

  test('a finished reporter that never drew writes nothing', () => {
    const output = new RecordedOutput(true);
    createProgressReporter('auto', output).finish();
    expect(output.text).toBe('');
  });

  test('json writes every update as one line', () => {
    const lines = written('json', false).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual([SCAN, { ...SCAN, phase: 'done', etaMs: null }]);
  });
});
