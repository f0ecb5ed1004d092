/** Text for people: numbers with thousands separators, sizes, durations, aligned tables. Never used with --json. */

const COUNT = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

export function formatCount(count: number): string {
  return COUNT.format(count);
}

/** Powers of 1000, so that the figures agree with rows/s and MB/s. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
}

export function formatDuration(ms: number): string {
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${String(seconds % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} m`;
}

/** `12.3M rows/s`; zero while no time has passed. */
export function formatRate(rows: number, ms: number): string {
  const rate = ms > 0 ? (rows * 1000) / ms : 0;
  if (rate >= 1e6) return `${(rate / 1e6).toFixed(1)}M rows/s`;
  if (rate >= 1e4) return `${(rate / 1e3).toFixed(0)}k rows/s`;
  return `${rate.toFixed(0)} rows/s`;
}

/** Columns aligned by the widest cell; cells that start with a digit are aligned right. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column].length)),
  );
  const numeric = header.map(
    (_, column) => rows.length > 0 && rows.every((row) => /^(\d|-$)/.test(row[column])),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (numeric[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join('  ')
      .trimEnd();
  return [line(header), ...rows.map(line)].join('\n');
}
