import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToLatin1, keyAfter } from '../../src/commit/byte-order.ts';
import type { KeyRange, QueuedRequest } from '../../src/commit/commit-storage.ts';
import { ConflictHistory } from '../../src/commit/conflict-history.ts';
import { type CommitRequest, encodeRequest } from '../../src/commit/request-codec.ts';
import { recordWinners, resolveBatch } from '../../src/commit/resolve.ts';
import { ranges, template } from './operation-fixtures.ts';

const PREVIOUS = 50;
const NOW_MS = 1000;

let idCount = 0;
function queued(request: Partial<CommitRequest>, id = ++idCount): QueuedRequest {
  const payload = encodeRequest({
    readVersion: 0,
    expiresAtMs: 5000,
    readRanges: [],
    writeRanges: [],
    operations: [],
    ...request,
  });
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(0, id);
  return { id: bytes, node: 'n', payload };
}

function point(name: string): KeyRange {
  return { begin: Buffer.from(name), end: keyAfter(Buffer.from(name)) };
}

function resolve(requests: QueuedRequest[], history = new ConflictHistory(10)) {
  return resolveBatch({ requests, databaseTimeMs: NOW_MS, previousVersion: PREVIOUS, history });
}

const verdicts = (requests: QueuedRequest[], history?: ConflictHistory) =>
  resolve(requests, history).resolved.map(({ verdict, version }) => `${verdict} ${version}`);

function historyOf(name: string, version: number): ConflictHistory {
  const history = new ConflictHistory(10);
  history.record([point(name)], version);
  return history;
}

test('winners get versions without gaps, losers none', () => {
  const read = queued({ readVersion: 20, readRanges: [point('a')], writeRanges: [point('b')] });
  const blind = () => queued({ writeRanges: [point('b')] });
  const batch = [blind(), read, blind()];
  expect(verdicts(batch, historyOf('a', 30))).toEqual(['committed 51', 'conflict 50', 'committed 52']);
  expect(resolve(batch, historyOf('a', 30)).version).toBe(52);
});

test('reads conflict with later writes of the history and of winners before it, not with those of losers', () => {
  const reader = (readVersion: number) => queued({ readVersion, readRanges: [point('a')] });
  expect(verdicts([reader(29)], historyOf('a', 30))).toEqual(['conflict 50']);
  expect(verdicts([reader(30)], historyOf('a', 30))).toEqual(['committed 51']);
  const writer = queued({ writeRanges: [point('a')] });
  const loser = queued({ readVersion: 20, readRanges: [point('x')], writeRanges: [point('a')] });
  expect(verdicts([writer, reader(PREVIOUS)])).toEqual(['committed 51', 'conflict 50']);
  expect(verdicts([reader(PREVIOUS), writer])).toEqual(['committed 51', 'committed 52']);
  expect(verdicts([loser, reader(40)], historyOf('x', 30))).toEqual(['conflict 50', 'committed 51']);
});

test('the floor refuses who read before it, and nobody who read nothing', () => {
  const requests = [
    queued({ readVersion: 9, readRanges: [point('a')] }),
    queued({ readVersion: 10, readRanges: [point('a')] }),
    queued({ readVersion: 0, writeRanges: [point('a')] }),
  ];
  expect(verdicts(requests)).toEqual(['too_old 50', 'committed 51', 'committed 52']);
});

test('a read of a version that the database does not have any more is a conflict', () => {
  const ahead = queued({ readVersion: PREVIOUS + 1, readRanges: [point('a')] });
  expect(verdicts([ahead])).toEqual(['conflict 50']);
});

test('late ones expire, and the earliest expiry of a winner bounds the batch', () => {
  const batch = [
    queued({ expiresAtMs: NOW_MS - 1 }),
    queued({ expiresAtMs: NOW_MS }),
    queued({ expiresAtMs: NOW_MS + 7 }),
  ];
  expect(verdicts(batch)).toEqual(['expired 50', 'committed 51', 'committed 52']);
  expect(resolve(batch).notAfterMs).toBe(NOW_MS);
  expect(resolve(batch.slice(2)).notAfterMs).toBe(NOW_MS + 7);
  expect(resolve([]).notAfterMs).toBe(Number.MAX_SAFE_INTEGER);
});

test('of a repeated id only the first counts, whatever it is', () => {
  const broken = { ...queued({}, 77), payload: new Uint8Array(3) };
  const [first, other] = [queued({}, 1), queued({}, 2)];
  const { resolved, version } = resolve([broken, first, first, broken, other, { ...first, node: 'm' }]);
  expect(resolved.map(({ request, verdict }) => `${request.id[3]} ${verdict}`)).toEqual([
    '77 rejected',
    '1 committed',
    '2 committed',
  ]);
  expect(version).toBe(PREVIOUS + 2);
});

test('what is no request is rejected with its reason, and its neighbours commit', () => {
  const inverted = queued({ writeRanges: [{ begin: Buffer.from('b'), end: Buffer.from('a') }] });
  const { resolved } = resolve([
    queued({}),
    inverted,
    { ...queued({}), payload: Buffer.from('x') },
    queued({}),
  ]);
  expect(resolved.map(({ verdict, version }) => `${verdict} ${version}`)).toEqual([
    'committed 51',
    'rejected 50',
    'rejected 50',
    'committed 52',
  ]);
  expect(resolved[1].reason).toMatch(/^INVERTED_RANGE: /);
  expect(resolved[2].reason).toMatch(/^COMMIT_REJECTED: .*format 120/);
});

describe('the history', () => {
  test('is not changed until the winners are recorded', () => {
    const history = new ConflictHistory(10);
    const batch = resolve([queued({ writeRanges: [point('a')] })], history);
    const reader = queued({ readVersion: PREVIOUS, readRanges: [point('a')] });
    expect(history.boundaryCount).toBe(0);
    expect(verdicts([reader], history)).toEqual(['committed 51']);
    recordWinners(history, batch.resolved);
    expect(verdicts([reader], history)).toEqual(['conflict 50']);
  });

  test('gets the key that a versionstamped one became', () => {
    const history = new ConflictHistory(10);
    const stampedKey = template(Buffer.from('log/'), new Uint8Array());
    const appending = queued({
      operations: [
        { type: 'atomic', atomic: 'SET_VERSIONSTAMPED_KEY', key: stampedKey, operand: Buffer.from('v') },
      ],
    });
    const { resolved } = resolve([queued({}), appending], history);
    const final = Buffer.from('log/\0\0\0\0\0\0\0\x34\0\0');
    expect(resolved[1].decoded?.writeRanges).toEqual([
      { begin: new Uint8Array(final), end: keyAfter(final) },
    ]);
    recordWinners(history, resolved);
    const reading = (from: string, to: string) =>
      history.conflicts([{ begin: Buffer.from(from), end: Buffer.from(to) }], PREVIOUS);
    expect(reading('log/', 'log0')).toBe(true);
    expect(reading('log/', 'log/\0\0\0\0\0\0\0\x34\0\0')).toBe(false);
    expect(reading('log/\0\0\0\0\0\0\0\x34\0\0\0', 'log0')).toBe(false);
  });
});

test('equals a list of all writes over many batches', () => {
  const request = fc.record({
    back: fc.nat(6),
    readRanges: fc.array(ranges, { maxLength: 2 }),
    writeRanges: fc.array(ranges, { maxLength: 2 }),
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.array(request, { maxLength: 6 }), fc.boolean()), { maxLength: 8 }),
      (batches) => {
        let previousVersion = 100;
        const history = new ConflictHistory(previousVersion);
        const writes: { range: KeyRange; version: number }[] = [];
        for (const [batch, isApplied] of batches) {
          const all = batch.map((one) => ({ ...one, readVersion: previousVersion - one.back }));
          const requests = all.map((one) => queued(one));
          const { resolved, version } = resolveBatch({
            requests,
            databaseTimeMs: 0,
            previousVersion,
            history,
          });
          let next = previousVersion;
          const written: typeof writes = [];
          for (const [at, one] of all.entries()) {
            const isHit = [...writes, ...written].some(
              (write) =>
                write.version > one.readVersion &&
                one.readRanges.some((range) => overlap(range, write.range)),
            );
            const isTooOld = one.readRanges.length > 0 && one.readVersion < 100;
            const right = isTooOld ? 'too_old' : isHit ? 'conflict' : 'committed';
            expect(resolved[at].verdict).toBe(right);
            if (right !== 'committed') continue;
            expect(resolved[at].version).toBe(++next);
            for (const range of one.writeRanges) written.push({ range, version: next });
          }
          expect(version).toBe(next);
          // A batch that is not applied leaves nothing behind.
          if (!isApplied) continue;
          recordWinners(history, resolved);
          writes.push(...written);
          previousVersion = next;
        }
      },
    ),
    { numRuns: 500 },
  );
});

function overlap(a: KeyRange, b: KeyRange): boolean {
  const begin = [bytesToLatin1(a.begin), bytesToLatin1(b.begin)].sort()[1];
  const end = [bytesToLatin1(a.end), bytesToLatin1(b.end)].sort()[0];
  return begin < end;
}
