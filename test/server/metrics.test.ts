/** The scrape is what Prometheus reads, and the dashboard asks for what is there. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { ServerMetrics } from '../../src/server/metrics.ts';
import { temporaryDirectory } from '../temporary.ts';
import { ask, eventually, smallDump, withServer } from './harness.ts';

const DASHBOARD = fileURLToPath(new URL('../../docs/grafana-dashboard.json', import.meta.url));
const OPERATIONS = fileURLToPath(new URL('../../docs/operations.md', import.meta.url));
const temporary = temporaryDirectory();
let text = '';

beforeAll(async () => {
  const { definition } = await smallDump(temporary.path, 100);
  const index = { definition, directory: join(temporary.path, 'data') };
  await withServer({ index, dumpDirectories: [temporary.path] }, async ({ url, opened }) => {
    await opened;
    await ask(url, 'PUT', '/v1/dumps/first', { body: { files: { images: 'images.csv' } } });
    // What is accepted while the dump is only registered is replaced by it.
    await eventually(
      async () => (await ask(url, 'GET', '/v1/dumps/first')).body,
      ({ status }) => status === 'complete',
    );
    const ops = [{ slot: 9_000_000, alive: true, ops: [] }];
    const meta = { source: 'a "quoted"\\\nname', cursor: 1, maxId: 2, lagRows: 3 };
    await ask(url, 'POST', '/v1/ops', { body: { ops, meta } });
    await ask(url, 'POST', '/v1/query', { body: {} });
    await ask(url, 'GET', '/nothing');
    text = await eventually(
      async () => (await ask(url, 'GET', '/metrics')).body,
      (scrape) => /^bitloom_alive_slots 101$/m.test(scrape) && scrape.includes('bitloom_dumps_ended_total{'),
    );
  });
});

/** Name, labels and value of every sample; throws at what is not in the text format. */
function samplesOf(scrape: string): { name: string; labels: Record<string, string>; value: number }[] {
  return scrape
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (-?[\d.]+(?:e[+-]?\d+)?|[+-]Inf|NaN)$/.exec(line);
      if (match === null) throw new Error(`no sample: ${line}`);
      const labels: Record<string, string> = {};
      const rest = (match[2] ?? '').replaceAll(
        /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)",?/g,
        (_, name, value) => {
          labels[name] = value;
          return '';
        },
      );
      if (rest !== '') throw new Error(`no labels: ${line}`);
      return { name: match[1], labels, value: Number(match[3].replace('Inf', 'Infinity')) };
    });
}

test('every line is in the text format, and every sample has a type and a help', () => {
  const described = (word: string) =>
    new Map(
      Array.from(text.matchAll(new RegExp(`^# ${word} (\\S+) (.+)$`, 'gm')), (match) => [match[1], match[2]]),
    );
  const types = described('TYPE');
  const helps = described('HELP');
  const samples = samplesOf(text);
  expect(samples.length).toBeGreaterThan(100);
  for (const { name, value } of samples) {
    const family = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
    expect(types.get(family), name).toMatch(/^(counter|gauge|histogram|summary)$/);
    expect(helps.has(family), name).toBe(true);
    if (types.get(family) === 'counter') expect(name).toMatch(/_total$/);
    expect(Number.isNaN(value), name).toBe(false);
  }
  // No series twice.
  expect(new Set(samples.map(({ name, labels }) => name + JSON.stringify(labels))).size).toBe(samples.length);
});

test('a value that there is not is told as the text format wants it', async () => {
  const metrics = new ServerMetrics();
  const moment = {
    stats: null,
    sources: [],
    dumps: [],
    batchesInFlight: 0,
    batchBytesInFlight: 0,
    queriesInFlight: 0,
    isReady: false,
    heartbeatAgeSeconds: null,
  };
  // Nothing has been measured of the event loop since the first scrape.
  const scrapes = [await metrics.scrape(moment), await metrics.scrape(moment)];
  const means = scrapes.flatMap(samplesOf).filter(({ name }) => name === 'nodejs_eventloop_lag_mean_seconds');
  expect(means[1].value).toBeNaN();
});

test('histograms add up', () => {
  const samples = samplesOf(text);
  const names = new Set(
    samples.filter(({ name }) => name.endsWith('_bucket')).map(({ name }) => name.slice(0, -7)),
  );
  expect(names).toContain('bitloom_log_flush_duration_seconds');
  for (const name of names) {
    const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
    const series = new Map<string, number[]>();
    for (const { labels, value } of buckets) {
      const { le: _, ...others } = labels;
      const key = JSON.stringify(others);
      series.set(key, [...(series.get(key) ?? []), value]);
    }
    for (const [key, counts] of series) {
      expect(counts, name).toEqual(counts.toSorted((a, b) => a - b));
      const total = samples.find(
        (sample) => sample.name === `${name}_count` && JSON.stringify(sample.labels) === key,
      );
      expect(counts.at(-1), name).toBe(total?.value);
    }
  }
});

test('a name of a source cannot break out of its label', () => {
  const sample = samplesOf(text).find(({ name }) => name === 'bitloom_source_cursor');
  expect(sample).toMatchObject({ labels: { source: 'a \\"quoted\\"\\\\\\nname' }, value: 1 });
});

test('every metric of the dashboard is in the scrape, and every metric of the server is explained', () => {
  const dashboard = JSON.parse(readFileSync(DASHBOARD, 'utf8'));
  const asked = new Set<string>();
  for (const { targets = [] } of dashboard.panels) {
    for (const { expr } of targets) {
      for (const [name] of expr.matchAll(/\b(?:bitloom|process|nodejs)_\w+/g)) asked.add(name);
    }
  }
  expect(asked.size).toBeGreaterThan(25);
  const told = new Set(samplesOf(text).map(({ name }) => name));
  expect([...asked].filter((name) => !told.has(name))).toEqual([]);
  const [, operations] = readFileSync(OPERATIONS, 'utf8').split(/^## (?:Metrics|When something is wrong)$/m);
  const families = Array.from(text.matchAll(/^# TYPE (bitloom_\w+)/gm), (match) => match[1]);
  const explained = Array.from(operations.matchAll(/^\| `(bitloom_\w+)/gm), (match) => match[1]);
  expect(explained.toSorted()).toEqual(families.toSorted());
});
