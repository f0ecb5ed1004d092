/** Loads per second as an SVG of bars, written by hand so that it needs nothing; readable on light and dark pages. */
import { WARM_LOADS_PER_REPEAT } from './load.ts';
import type { BenchReport } from './results.ts';

interface Bar {
  readonly label: string;
  readonly rowsPerSecond: number;
  readonly own: boolean;
}

interface Group {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 720;
const LABEL_WIDTH = 190;
const VALUE_WIDTH = 110;
const BAR_HEIGHT = 18;
const BAR_STEP = 24;
const GROUP_GAP = 34;
const HEADER_HEIGHT = 50;
const FOOTER_HEIGHT = 30;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .group { font-weight: 600 }
  .note { font-size: 11px; fill: #59636e }
  .own { fill: #0969da }
  .peer { fill: #afb8c1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .note { fill: #9198a1 }
    .own { fill: #4493f8 }
    .peer { fill: #656c76 }
  }`;

/** Of the largest size, warm, in memory. Null when no load was measured. */
export function drawLoadChart(report: BenchReport): string | null {
  const rows = Math.max(...report.options.rows);
  const groups = ['images', 'tags', 'tools'].flatMap((subject) => groupOf(report, rows, subject));
  if (groups.length === 0) return null;
  const most = Math.max(...groups.flatMap(({ bars }) => bars.map((bar) => bar.rowsPerSecond)));
  const parts: string[] = [];
  let top = HEADER_HEIGHT;
  for (const { title, bars } of groups) {
    parts.push(text(10, top, title, 'group'));
    top += 10;
    for (const bar of bars) {
      parts.push(drawBar(bar, top, most));
      top += BAR_STEP;
    }
    top += GROUP_GAP - 10;
  }
  const { machine } = report;
  const note = `${machine.processor}, ${machine.cores} cores; medians of ${WARM_LOADS_PER_REPEAT * report.options.repeats} warm loads from the page cache into memory`;
  const height = top + FOOTER_HEIGHT - GROUP_GAP;
  const title = `Dump of ${rows.toLocaleString('en-US')} images: million rows per second`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escapeXml(title)}">
<style>${STYLE}
</style>
${text(10, 22, title, 'title')}
${parts.join('\n')}
${text(10, height - 8, note, 'note')}
</svg>
`;
}

function groupOf(report: BenchReport, rows: number, subject: string): Group[] {
  const loads = report.loads
    .filter((each) => each.rows === rows)
    .map(({ load }) => load)
    .filter((load) => load.subject === subject && load.pool === 'warm' && !load.durable)
    .sort((a, b) => b.threads - a.threads);
  if (loads.length === 0) return [];
  const bars: Bar[] = loads.map(({ threads, rowsPerSecond }) => ({
    label: `Bitloom, ${threadsText(threads)}`,
    rowsPerSecond,
    own: true,
  }));
  const [{ threads, loadedRows, peer }] = loads;
  if (peer !== null) {
    const label = `${peer.name}, ${threadsText(threads)}`;
    bars.push({ label, rowsPerSecond: peer.rowsPerSecond, own: false });
  }
  const others = subject === 'images' ? report.others.filter((each) => each.rows === rows) : [];
  for (const other of others) {
    const label = `${other.name}, ${threadsText(other.threads)}`;
    bars.push({ label, rowsPerSecond: other.rowsPerSecond, own: false });
  }
  return [{ title: `${subject}.csv, ${loadedRows.toLocaleString('en-US')} rows`, bars }];
}

function drawBar({ label, rowsPerSecond, own }: Bar, top: number, most: number): string {
  const width = Math.max(1, ((WIDTH - LABEL_WIDTH - VALUE_WIDTH) * rowsPerSecond) / most);
  const baseline = top + BAR_HEIGHT - 5;
  return [
    text(10, baseline, label, 'label'),
    `<rect class="${own ? 'own' : 'peer'}" x="${LABEL_WIDTH}" y="${top}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>`,
    text(LABEL_WIDTH + width + 8, baseline, formatMillions(rowsPerSecond), 'value'),
  ].join('');
}

function formatMillions(rowsPerSecond: number): string {
  const millions = rowsPerSecond / 1e6;
  return millions >= 10 ? millions.toFixed(0) : millions.toFixed(millions >= 1 ? 1 : 2);
}

function threadsText(threads: number): string {
  return threads === 1 ? '1 thread' : `${threads} threads`;
}

function text(x: number, y: number, content: string, style: string): string {
  return `<text class="${style}" x="${x.toFixed(1)}" y="${y}">${escapeXml(content)}</text>`;
}

function escapeXml(content: string): string {
  return content.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
