/** Reads as of a version against a store that keeps every version in full. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AppliedBatch, CommitStorage, KeyRange } from '../../../src/commit/commit-storage.ts';
import { batchOf, bytes, LEASE_MS } from './batches.ts';
import { describeDrivers } from './drivers.ts';

type Values = ReadonlyMap<string, string>;

interface Model {
  /** All values at each version that was ever durable. */
  readonly versions: Map<number, Values>;
  durableVersion: number;
  readableVersion: number;
}

const KEYS = ['', 'a', 'a\0', 'aa', 'b', 'ba', 'c', 'd', 'e'];

const key = fc.constantFrom(...KEYS);
const bound = fc.constantFrom(...KEYS, 'f');
const range = fc
  .tuple(bound, bound)
  .map(([begin, end]) => (begin <= end ? { begin, end } : { begin: end, end: begin }));

const write = fc.record({
  kind: fc.constant('write' as const),
  step: fc.integer({ min: 1, max: 3 }),
  ranges: fc.array(range, { maxLength: 2 }),
  changes: fc.dictionary(key, fc.option(fc.string({ maxLength: 30 }), { freq: 3 }), { maxKeys: 4 }),
});
const prune = fc.record({ kind: fc.constant('prune' as const), back: fc.integer({ min: 0, max: 4 }) });
const get = fc.record({
  kind: fc.constant('get' as const),
  keys: fc.array(key, { minLength: 1, maxLength: 5 }),
  back: fc.option(fc.nat(6), { freq: 4 }),
});
const scan = fc.record({
  kind: fc.constant('scan' as const),
  range,
  back: fc.option(fc.nat(6), { freq: 4 }),
  limit: fc.integer({ min: 1, max: 6 }),
  bytesMax: fc.constantFrom(0, 1, 8, 40, 1000),
  reverse: fc.boolean(),
});
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;
const step = fc.oneof({ weight: 3, arbitrary: write }, prune, get, { weight: 3, arbitrary: scan });

describeDrivers((driver) => {
  test('a read as of a version gives what was there then, or says that it is too old', async () => {
    const { storage, sql } = driver();
    const seen = { tooOld: 0, pages: 0, old: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
        for (const table of ['kv', 'kv_old']) await sql(`DELETE FROM ${table}`);
        await sql('UPDATE lease SET durable_version = 0, readable_version = 0');
        const { epoch } = (await storage.acquireLease('a', LEASE_MS))!;
        const model: Model = { versions: new Map([[0, new Map()]]), durableVersion: 0, readableVersion: 0 };
        for (const next of steps) await take(storage, epoch, model, next, seen);
      }),
      { numRuns: 60 },
    );
    // The steps that prove something did happen.
    expect(Math.min(seen.tooOld, seen.pages, seen.old)).toBeGreaterThan(5);
  });
});

async function take(
  storage: CommitStorage,
  epoch: number,
  model: Model,
  next: Step,
  seen: { tooOld: number; pages: number; old: number },
): Promise<void> {
  if (next.kind === 'write') {
    const batch = batchOf({ epoch, durableVersion: model.durableVersion }, writesOf(next, model));
    expect(await storage.apply(batch)).toBe('applied');
    return;
  }
  if (next.kind === 'prune') {
    const floor = Math.max(0, model.durableVersion - next.back);
    await storage.prune(epoch, { readableVersion: floor, outcomeVersion: 0 });
    model.readableVersion = Math.max(model.readableVersion, floor);
    return;
  }
  const asOf = next.back === null ? undefined : versionBefore(model, next.back);
  const read = next.kind === 'get' ? readKeys(storage, next.keys, asOf) : readPages(storage, next, asOf);
  if (asOf !== undefined && asOf < model.readableVersion) {
    seen.tooOld++;
    await expect(read).rejects.toMatchObject({ code: 'TRANSACTION_TOO_OLD' });
    return;
  }
  const { version, found, pages } = await read;
  if (asOf !== undefined && asOf < model.durableVersion) seen.old++;
  if (pages > 1) seen.pages++;
  expect(version).toBe(asOf ?? model.durableVersion);
  const values = model.versions.get(version)!;
  if (next.kind === 'get') {
    expect(found).toEqual(next.keys.map((name) => values.get(name)));
  } else {
    const names = [...values.keys()]
      .filter((name) => name >= next.range.begin && name < next.range.end)
      .sort();
    if (next.reverse) names.reverse();
    expect(found).toEqual(names.map((name) => [name, values.get(name)]));
  }
}

/** Ranges first, as in a folded batch; a new version for the model too. */
function writesOf(next: Extract<Step, { kind: 'write' }>, model: Model): Partial<AppliedBatch> {
  const values = new Map(model.versions.get(model.durableVersion)!);
  for (const { begin, end } of next.ranges) {
    for (const name of values.keys()) if (name >= begin && name < end) values.delete(name);
  }
  const changes = Object.entries(next.changes).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, value] of changes) {
    if (value === null) values.delete(name);
    else values.set(name, value);
  }
  model.durableVersion += next.step;
  model.versions.set(model.durableVersion, values);
  return {
    version: model.durableVersion,
    clearedRanges: next.ranges.map(bytesRange),
    deletes: changes.filter(([, value]) => value === null).map(([name]) => bytes(name)),
    upserts: changes.flatMap(([name, value]) =>
      value === null ? [] : [{ key: bytes(name), value: bytes(value) }],
    ),
  };
}

/** The batch boundary so many batches ago. */
function versionBefore(model: Model, back: number): number {
  const versions = [...model.versions.keys()];
  return versions[Math.max(0, versions.length - 1 - back)];
}

async function readKeys(storage: CommitStorage, keys: readonly string[], asOf: number | undefined) {
  const { version, values } = await storage.get(keys.map(bytes), asOf);
  return { version, found: values.map((value) => value && textOf(value)), pages: 1 };
}

/** Follows `more` to the end, as a loop over a range does; every page after the first is as of the first's version. */
async function readPages(
  storage: CommitStorage,
  scan: Extract<Step, { kind: 'scan' }>,
  asOf: number | undefined,
) {
  const { limit, bytesMax, reverse } = scan;
  let { begin, end } = bytesRange(scan.range);
  const found: [string, string][] = [];
  let version = asOf;
  for (let pages = 1; ; pages++) {
    const page = await storage.getRange({ begin, end }, { limit, bytesMax, reverse }, version);
    version = page.version;
    expect(page.pairs.length).toBeLessThanOrEqual(limit);
    // All but the last pair fit.
    const sizes = page.pairs.slice(0, -1).map((pair) => pair.key.length + pair.value.length);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(bytesMax);
    for (const pair of page.pairs) found.push([textOf(pair.key), textOf(pair.value)]);
    if (!page.more) return { version, found, pages };
    expect(page.pairs.length).toBeGreaterThan(0);
    const last = page.pairs[page.pairs.length - 1].key;
    if (reverse) end = last;
    else begin = new Uint8Array([...last, 0]);
  }
}

function bytesRange({ begin, end }: { begin: string; end: string }): KeyRange {
  return { begin: bytes(begin), end: bytes(end) };
}

function textOf(value: Uint8Array): string {
  return Buffer.from(value).toString();
}
