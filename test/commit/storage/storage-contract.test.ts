/** What every driver promises the protocol: the lease, the race for outcomes, the queue, floors, the tail. */
import { createHash, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import type { CommitStorage, Lease } from '../../../src/commit/commit-storage.ts';
import { batchOf, bytes, idOf, LEASE_MS, outcome, pairs, requestOf, text } from './batches.ts';
import { describeDrivers } from './drivers.ts';

const NO_LIMITS = { countMax: 1000, bytesMax: 1e9 };

describeDrivers((driver) => {
  const lead = async (name = 'a') => (await driver().storage.acquireLease(name, LEASE_MS))!;
  const expireLease = () => driver().sql(`UPDATE lease SET expires_at = clock_timestamp() - interval '1 ms'`);

  /** Everything an apply can change, except the queue's times. */
  async function state(): Promise<unknown> {
    const { sql } = driver();
    return {
      lease: await sql('SELECT epoch, leader, durable_version, expires_at::text FROM lease'),
      kv: await sql('SELECT * FROM kv ORDER BY key'),
      old: await sql('SELECT * FROM kv_old ORDER BY key, valid_to'),
      outcomes: await sql('SELECT * FROM outcome ORDER BY id'),
      queue: await sql('SELECT id FROM queue ORDER BY id'),
    };
  }

  async function values(storage: CommitStorage, keys: string): Promise<(string | undefined)[]> {
    return (await storage.get(keys.split('').map(bytes), undefined)).values.map(text);
  }

  async function expectFenced(lease: Lease): Promise<void> {
    const before = await state();
    const { storage } = driver();
    const batch = batchOf(lease, {
      upserts: pairs({ z: 'fenced' }),
      outcomes: [outcome(99, 'committed', 99)],
    });
    expect(await storage.apply(batch)).toBe('fenced');
    expect(await storage.renewLease(lease.epoch, LEASE_MS)).toBe(false);
    expect(await storage.releaseLease(lease.epoch)).toBe(false);
    expect(await state()).toEqual(before);
  }

  test('a lease is taken once, until it is released, which ends its epoch', async () => {
    const { storage, other } = driver();
    const lease = await lead();
    expect(lease).toEqual({ epoch: 1, durableVersion: 0 });
    expect(await other.acquireLease('b', LEASE_MS)).toBeUndefined();
    expect(await storage.releaseLease(lease.epoch)).toBe(true);
    await expectFenced(lease);
    const next = (await other.acquireLease('b', LEASE_MS))!;
    expect(next.epoch).toBeGreaterThan(lease.epoch);
    await expectFenced(lease);
  });

  test('a lease that has run out goes to whoever asks, but lives on when nobody did', async () => {
    const { storage, other } = driver();
    const lease = await lead();
    await expireLease();
    expect(await storage.renewLease(lease.epoch, LEASE_MS)).toBe(true);
    expect(await other.acquireLease('b', LEASE_MS)).toBeUndefined();
    await expireLease();
    expect(await other.acquireLease('b', LEASE_MS)).toEqual({ epoch: lease.epoch + 1, durableVersion: 0 });
    await expectFenced(lease);
  });

  test('a leader that asks again gets a new epoch', async () => {
    const lease = await lead();
    expect(await lead()).toEqual({ epoch: lease.epoch + 1, durableVersion: 0 });
    await expectFenced(lease);
  });

  test('applying extends the lease', async () => {
    const { storage, other } = driver();
    const lease = await lead();
    await expireLease();
    expect(await storage.apply(batchOf(lease))).toBe('applied');
    expect(await other.acquireLease('b', LEASE_MS)).toBeUndefined();
  });

  test('of two candidates at once one wins', async () => {
    const { storage, other } = driver();
    for (let round = 0; round < 20; round++) {
      const leases = await Promise.all([
        storage.acquireLease('a', LEASE_MS),
        other.acquireLease('b', LEASE_MS),
      ]);
      const winners = leases.filter((lease) => lease !== undefined);
      expect(winners).toHaveLength(1);
      await storage.releaseLease(winners[0].epoch);
    }
  });

  test('an apply that races a takeover is in the durable version of the new term, or fenced', async () => {
    const { storage, other } = driver();
    let lease = await lead('0');
    const seen = new Set<string>();
    for (let round = 1; round <= 40; round++) {
      await expireLease();
      const apply = () => storage.apply(batchOf(lease, { upserts: pairs({ k: `${round}` }) }));
      const takeOver = () => other.acquireLease(`${round}`, LEASE_MS);
      const isFirst = round % 2 === 0;
      const takeover = isFirst ? takeOver() : undefined;
      const [applied, next] = await Promise.all([apply(), takeover ?? takeOver()]);
      seen.add(applied);
      if (next === undefined) {
        // The batch came first and extended the lease.
        expect(applied).toBe('applied');
        lease = (await storage
          .now()
          .then(({ version }) => ({ epoch: lease.epoch, durableVersion: version })))!;
        continue;
      }
      const version = applied === 'applied' ? lease.durableVersion + 1 : lease.durableVersion;
      expect(next).toEqual({ epoch: lease.epoch + 1, durableVersion: version });
      lease = next;
    }
    expect(seen).toContain('fenced');
  });

  test('a program that is older than the protocol of the schema does not lead', async () => {
    await driver().sql('UPDATE lease SET protocol_version = 2');
    await expect(lead()).rejects.toMatchObject({ code: 'SCHEMA_TOO_NEW' });
    expect(await driver().sql('SELECT epoch FROM lease')).toEqual([{ epoch: 0 }]);
  });

  test('a batch clears ranges, then deletes, then writes', async () => {
    const { storage } = driver();
    const lease = await lead();
    const upserts = pairs({ a: '1', b: '1', c: '1', d: '1', e: '1', f: '1' });
    expect(await storage.apply(batchOf(lease, { version: 3, upserts }))).toBe('applied');
    expect(await storage.now()).toMatchObject({ version: 3 });
    const second = batchOf(
      { ...lease, durableVersion: 3 },
      {
        clearedRanges: [
          { begin: bytes('b'), end: bytes('d') },
          { begin: bytes('e'), end: bytes('e') },
        ],
        deletes: [bytes('f'), bytes('x')],
        upserts: pairs({ a: '2', c: '2', g: '2' }),
      },
    );
    expect(await storage.apply(second)).toBe('applied');
    expect(await values(storage, 'abcdefg')).toEqual(['2', undefined, '2', '1', '1', undefined, '2']);
    expect(await storage.readBase([bytes('g'), bytes('b'), bytes('a')])).toEqual([
      bytes('2'),
      undefined,
      bytes('2'),
    ]);
  });

  test('a batch on another durable version is fenced', async () => {
    const { storage } = driver();
    const lease = await lead();
    await storage.apply(batchOf(lease, { version: 5 }));
    const before = await state();
    for (const previousVersion of [0, 4, 6]) {
      const batch = batchOf(lease, { previousVersion, version: 9, upserts: pairs({ a: '1' }) });
      expect(await storage.apply(batch)).toBe('fenced');
    }
    expect(await state()).toEqual(before);
  });

  test('a batch without winners records its outcomes and leaves the version', async () => {
    const { storage } = driver();
    const lease = await lead();
    await storage.enqueue([requestOf(1), requestOf(2)], false);
    const outcomes = [
      outcome(1, 'conflict', 0),
      { ...outcome(2, 'rejected', 0), reason: 'KEY_TOO_LARGE: a key\0 of 3,000 bytes' },
    ];
    expect(await storage.apply(batchOf(lease, { version: 0, outcomes }))).toBe('applied');
    expect(await storage.now()).toMatchObject({ version: 0 });
    expect(await storage.outcomes([idOf(2), idOf(1), idOf(3)])).toEqual(
      expect.arrayContaining([
        { id: idOf(1), verdict: 'conflict', version: 0 },
        { id: idOf(2), verdict: 'rejected', version: 0, reason: 'KEY_TOO_LARGE: a key of 3,000 bytes' },
      ]),
    );
    expect(await storage.claim(NO_LIMITS)).toMatchObject({ requests: [], decided: [] });
  });

  test('writes without a new version are refused', async () => {
    const { storage } = driver();
    const lease = await lead();
    const batch = batchOf(lease, { version: 0, upserts: pairs({ a: '1' }) });
    await expect(storage.apply(batch)).rejects.toMatchObject({ code: 'COMMIT_REJECTED' });
    expect(await values(storage, 'a')).toEqual([undefined]);
  });

  test('a batch with a decided request changes nothing', async () => {
    const { storage, other } = driver();
    const lease = await lead();
    await storage.apply(batchOf(lease, { upserts: pairs({ a: '1', b: '1' }) }));
    await storage.enqueue([requestOf(1), requestOf(2), requestOf(3)], false);
    expect(await other.withdraw([{ id: idOf(2), bornVersion: 0 }])).toEqual([
      { id: idOf(2), verdict: 'withdrawn', version: 1 },
    ]);
    const before = await state();
    const batch = batchOf(
      { ...lease, durableVersion: 1 },
      {
        version: 4,
        clearedRanges: [{ begin: bytes('a'), end: bytes('b') }],
        deletes: [bytes('b')],
        upserts: pairs({ c: '2' }),
        outcomes: [1, 2, 3].map((number) => outcome(number, 'committed', number + 1)),
      },
    );
    expect(await storage.apply(batch)).toBe('decided');
    expect(await state()).toEqual(before);
  });

  test('a batch after its deadline changes nothing', async () => {
    const { storage } = driver();
    const lease = await lead();
    const { databaseTimeMs } = await storage.now();
    const before = await state();
    const late = batchOf(lease, { notAfterMs: databaseTimeMs - 1, upserts: pairs({ a: '1' }) });
    expect(await storage.apply(late)).toBe('decided');
    expect(await state()).toEqual(before);
    const inTime = batchOf(lease, { notAfterMs: databaseTimeMs + 60_000, upserts: pairs({ a: '1' }) });
    expect(await storage.apply(inTime)).toBe('applied');
  });

  test('the sizes of the limits, all byte values, and nothing', async () => {
    const { storage } = driver();
    const lease = await lead();
    const everyByte = Uint8Array.from({ length: 256 }, (_, i) => i);
    const upserts = [
      { key: bytes(''), value: bytes('') },
      { key: everyByte, value: everyByte },
      ...Array.from({ length: 60 }, (_, i) => ({
        key: new Uint8Array([255, i, ...randomBytes(2598)]),
        value: new Uint8Array(randomBytes(100_000)),
      })),
    ];
    const keys = upserts.map(({ key }) => key);
    expect(await storage.apply(batchOf(lease, { upserts }))).toBe('applied');
    expect(digest((await storage.get(keys, undefined)).values)).toEqual(
      digest(upserts.map(({ value }) => value)),
    );
    expect(await storage.apply(batchOf({ ...lease, durableVersion: 1 }, { deletes: keys }))).toBe('applied');
    expect(digest((await storage.get(keys, 1)).values)).toEqual(digest(upserts.map(({ value }) => value)));
    expect((await storage.get(keys, undefined)).values).toEqual(keys.map(() => undefined));
  });

  test('what the database refuses has changed nothing and says why', async () => {
    const { storage } = driver();
    const lease = await lead();
    const before = await state();
    const upserts = [...pairs({ a: '1' }), { key: new Uint8Array(randomBytes(3000)), value: bytes('') }];
    await expect(storage.apply(batchOf(lease, { upserts }))).rejects.toMatchObject({
      code: 'STATEMENT_FAILED',
      details: { sqlstate: '54000' },
    });
    expect(await state()).toEqual(before);
    expect(await storage.apply(batchOf(lease))).toBe('applied');
  });

  test('withdrawing after the apply sees what was recorded', async () => {
    const { storage, other } = driver();
    const lease = await lead();
    await storage.apply(batchOf(lease, { version: 7, outcomes: [outcome(1, 'committed', 7)] }));
    const requests = [idOf(2), idOf(1)].map((id) => ({ id, bornVersion: 0 }));
    expect(await other.withdraw(requests)).toEqual([
      { id: idOf(2), verdict: 'withdrawn', version: 7 },
      { id: idOf(1), verdict: 'committed', version: 7 },
    ]);
  });

  test('a withdrawn request leaves the queue', async () => {
    const { storage, other } = driver();
    await storage.enqueue([requestOf(1), requestOf(2)], false);
    await other.withdraw([{ id: idOf(1), bornVersion: 0 }]);
    expect(await storage.claim(NO_LIMITS)).toMatchObject({ requests: [requestOf(2)], decided: [] });
  });

  test('of an apply and a withdrawal at once one decides, for both', async () => {
    const { storage, other } = driver();
    const lease = await lead();
    let durableVersion = 0;
    for (let round = 1; round <= 40; round++) {
      const ids = [round * 4, round * 4 + 1, round * 4 + 2];
      const version = durableVersion + ids.length;
      const batch = batchOf(
        { ...lease, durableVersion },
        {
          version,
          upserts: pairs({ k: `${round}` }),
          outcomes: ids.map((number, i) => outcome(number, 'committed', durableVersion + i + 1)),
        },
      );
      // In the opposite order: neither may wait for the other in a circle.
      const withdrawal = ids
        .toReversed()
        .map((number) => ({ id: idOf(number), bornVersion: durableVersion }));
      const apply = round % 2 === 0 ? storage.apply(batch) : undefined;
      const [withdrawn, result] = await Promise.all([
        other.withdraw(withdrawal),
        apply ?? storage.apply(batch),
      ]);
      const verdicts = new Set(withdrawn.map((record) => record?.verdict));
      expect([...verdicts]).toEqual([result === 'applied' ? 'committed' : 'withdrawn']);
      expect(new Set((await storage.outcomes(ids.map(idOf))).map(({ verdict }) => verdict))).toEqual(
        verdicts,
      );
      if (result === 'applied') durableVersion = version;
      expect(await storage.now()).toMatchObject({ version: durableVersion });
    }
  });

  test('a withdrawal cannot tell what became of a request when records of its age are gone', async () => {
    const { storage } = driver();
    const lease = await lead();
    await storage.enqueue([requestOf(2)], false);
    await storage.apply(batchOf(lease, { version: 4, outcomes: [outcome(1, 'committed', 2)] }));
    await storage.prune(lease.epoch, { readableVersion: 0, outcomeVersion: 3 });
    const lost = [1, 2].map((number) => ({ id: idOf(number), bornVersion: 1 }));
    for (let attempt = 0; attempt < 2; attempt++) {
      expect(await storage.withdraw(lost)).toEqual([undefined, undefined]);
      expect(await storage.outcomes([idOf(1), idOf(2)])).toEqual([]);
    }
    expect(await storage.withdraw([{ id: idOf(3), bornVersion: 3 }])).toMatchObject([
      { verdict: 'withdrawn' },
    ]);

    // A copy that was still on its way ends in silence.
    await storage.enqueue([requestOf(2), requestOf(4)], false);
    const claim = await storage.claim(NO_LIMITS);
    expect(claim).toMatchObject({ requests: [requestOf(4)], decided: [] });
    expect(await driver().sql('SELECT id FROM queue')).toEqual([{ id: idOf(4) }]);
    const batch = batchOf(
      { ...lease, durableVersion: 4 },
      { version: 6, outcomes: [outcome(2, 'committed', 6)] },
    );
    expect(await storage.apply(batch)).toBe('decided');
  });

  test('requests are claimed oldest first, and stay until they are decided', async () => {
    const { storage, other } = driver();
    await other.enqueue([requestOf(5), requestOf(3)], false);
    await storage.enqueue([requestOf(4, 'payload', 'elsewhere')], false);
    await other.enqueue([requestOf(5, 'a copy')], false);
    const expected = [requestOf(5), requestOf(3), requestOf(4, 'payload', 'elsewhere')];
    expect((await storage.claim(NO_LIMITS)).requests).toEqual(expected);
    expect((await storage.claim({ ...NO_LIMITS, countMax: 2 })).requests).toEqual(expected.slice(0, 2));
  });

  test('a claim is limited by bytes but has at least one request', async () => {
    const { storage } = driver();
    const sizes = [5000, 10, 20, 30];
    await storage.enqueue(
      sizes.map((size, i) => requestOf(i, 'x'.repeat(size))),
      false,
    );
    const claimed = async (bytesMax: number) =>
      (await storage.claim({ countMax: 10, bytesMax })).requests.map(({ payload }) => payload.length);
    expect(await claimed(1)).toEqual([5000]);
    expect(await claimed(5029)).toEqual([5000, 10]);
    expect(await claimed(5030)).toEqual([5000, 10, 20]);
    expect(await claimed(5060)).toEqual(sizes);
  });

  test('a claim gives decided requests back and goes on to the others', async () => {
    const { storage } = driver();
    const lease = await lead();
    const outcomes = [outcome(1, 'committed', 1), { ...outcome(3, 'rejected', 0), reason: 'why' }];
    await storage.apply(batchOf(lease, { outcomes }));
    await storage.enqueue(
      [1, 2, 3, 4, 5].map((number) => requestOf(number)),
      false,
    );
    const claim = await storage.claim({ ...NO_LIMITS, countMax: 2 });
    expect(claim.requests).toEqual([requestOf(2), requestOf(4)]);
    expect(claim.decided).toEqual([
      { id: idOf(1), verdict: 'committed', version: 1, node: 'node' },
      { id: idOf(3), verdict: 'rejected', version: 0, reason: 'why', node: 'node' },
    ]);
    expect((await storage.claim(NO_LIMITS)).decided).toEqual([]);
  });

  test('a claim tells the time and how long the oldest request has waited', async () => {
    const { storage } = driver();
    const before = await storage.now();
    const { databaseTimeMs } = await storage.enqueue([requestOf(1), requestOf(2)], false);
    await driver().sql(`UPDATE queue SET enqueued_at = enqueued_at - interval '1 hour' WHERE id = $1`, [
      idOf(1),
    ]);
    const claim = await storage.claim(NO_LIMITS);
    const after = await storage.now();
    const times = [before.databaseTimeMs, databaseTimeMs, claim.databaseTimeMs, after.databaseTimeMs];
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(claim.oldestWaitMs).toBeGreaterThanOrEqual(3_600_000);
    expect(claim.oldestWaitMs).toBeLessThanOrEqual(3_600_000 + after.databaseTimeMs - databaseTimeMs + 1);
    await storage.withdraw([1, 2].map((number) => ({ id: idOf(number), bornVersion: 0 })));
    expect(await storage.claim(NO_LIMITS)).toMatchObject({ requests: [], oldestWaitMs: 0 });
  });

  test('floors rise under the epoch of the lease only, not beyond the durable version, and never go down', async () => {
    const { storage } = driver();
    const lease = await lead();
    await storage.apply(batchOf(lease, { version: 5, upserts: pairs({ a: '1' }) }));
    const floors = async () => (await driver().sql('SELECT readable_version, outcome_version FROM lease'))[0];
    await storage.prune(lease.epoch - 1, { readableVersion: 5, outcomeVersion: 5 });
    expect(await floors()).toEqual({ readable_version: 0, outcome_version: 0 });
    await storage.prune(lease.epoch, { readableVersion: 4, outcomeVersion: 3 });
    await storage.prune(lease.epoch, { readableVersion: 2, outcomeVersion: 2 });
    expect(await floors()).toEqual({ readable_version: 4, outcome_version: 3 });
    await storage.prune(lease.epoch, { readableVersion: 99, outcomeVersion: 99 });
    expect(await floors()).toEqual({ readable_version: 5, outcome_version: 5 });
    expect(await values(storage, 'a')).toEqual(['1']);
  });

  test('values are readable as of a version down to the floor, and not beyond the durable version', async () => {
    const { storage } = driver();
    const lease = await lead();
    for (let version = 1; version <= 4; version++) {
      const upserts = pairs({ a: `${version}` });
      await storage.apply(batchOf({ ...lease, durableVersion: version - 1 }, { upserts }));
    }
    const at = async (version: number) => text((await storage.get([bytes('a')], version)).values[0]);
    expect(await Promise.all([0, 1, 2, 3, 4].map(at))).toEqual([undefined, '1', '2', '3', '4']);
    await storage.prune(lease.epoch, { readableVersion: 2, outcomeVersion: 0 });
    expect(await Promise.all([2, 3, 4].map(at))).toEqual(['2', '3', '4']);
    expect(await driver().sql('SELECT valid_to FROM kv_old ORDER BY valid_to')).toEqual([
      { valid_to: 3 },
      { valid_to: 4 },
    ]);
    const range = { begin: bytes('a'), end: bytes('b') };
    const page = { limit: 10, bytesMax: 1000, reverse: false };
    for (const asOf of [1, 5]) {
      await expect(at(asOf)).rejects.toMatchObject({ code: 'TRANSACTION_TOO_OLD', retryable: true });
      await expect(storage.getRange(range, page, asOf)).rejects.toMatchObject({
        code: 'TRANSACTION_TOO_OLD',
      });
    }
  });

  test('pruning deletes everything below the floors, however much it is', async () => {
    const { storage, sql } = driver();
    const lease = await lead();
    await storage.apply(batchOf(lease, { version: 30_000 }));
    await sql(`INSERT INTO kv_old SELECT int8send(i), i - 1, i, '' FROM generate_series(1, 12000) AS i`);
    await sql(`INSERT INTO outcome SELECT int8send(i), i, 'conflict' FROM generate_series(1, 11000) AS i`);
    await storage.prune(lease.epoch, { readableVersion: 11_990, outcomeVersion: 10_990 });
    const counts = 'SELECT (SELECT count(*) FROM kv_old) AS old, (SELECT count(*) FROM outcome) AS outcomes';
    // Outcomes at the floor stay: nothing tells how old they are.
    expect(await sql(counts)).toEqual([{ old: 10, outcomes: 11 }]);
  });

  test('the tail has every commit once, in order, and no other verdict', async () => {
    const { storage } = driver();
    const lease = await lead();
    expect(await storage.tail(0, 10)).toEqual({ commits: [], throughVersion: 0, prunedVersion: 0 });
    const outcomes = [outcome(9, 'committed', 1), outcome(2, 'conflict', 0), outcome(7, 'committed', 2)];
    await storage.apply(batchOf(lease, { version: 2, outcomes }));
    await storage.withdraw([{ id: idOf(50), bornVersion: 2 }]);
    const second = [outcome(5, 'committed', 4), outcome(6, 'committed', 3), outcome(8, 'too_old', 2)];
    await storage.apply(batchOf({ ...lease, durableVersion: 2 }, { version: 4, outcomes: second }));
    await storage.apply(batchOf({ ...lease, durableVersion: 4 }, { version: 6 }));
    const commit = (version: number) => ({ version, ranges: bytes(`ranges ${version}`) });
    expect(await storage.tail(0, 10)).toEqual({
      commits: [1, 2, 3, 4].map(commit),
      throughVersion: 6,
      prunedVersion: 0,
    });
    expect(await storage.tail(1, 2)).toEqual({
      commits: [2, 3].map(commit),
      throughVersion: 3,
      prunedVersion: 0,
    });
    expect(await storage.tail(3, 1)).toEqual({ commits: [commit(4)], throughVersion: 4, prunedVersion: 0 });
    await storage.prune(lease.epoch, { readableVersion: 0, outcomeVersion: 3 });
    expect(await storage.tail(3, 9)).toEqual({ commits: [commit(4)], throughVersion: 6, prunedVersion: 3 });
  });

  test('a notification reaches whoever listens on its channel, and nobody else', async () => {
    const { storage, other } = driver();
    const heard: string[] = [];
    const note = (name: string) => (payload: string) => void heard.push(`${name} ${payload}`);
    const noGap = () => void heard.push('gap');
    const ends = [
      await storage.listen({ kind: 'reply', node: 'a' }, note('a'), noGap),
      await storage.listen({ kind: 'reply', node: "b'; --" }, note('b'), noGap),
      await storage.listen({ kind: 'watermark' }, note('watermark'), noGap),
      await storage.listen({ kind: 'watermark' }, note('again'), noGap),
      await other.listen({ kind: 'doorbell' }, note('doorbell'), noGap),
    ];
    await storage.enqueue([requestOf(1)], false);
    await storage.enqueue([requestOf(2)], true);
    await ends[2]();
    await other.notify([
      { channel: { kind: 'reply', node: 'a' }, payload: 'x:committed:1\ny:conflict:1' },
      { channel: { kind: 'reply', node: "b'; --" }, payload: '' },
      { channel: { kind: 'reply', node: 'c' }, payload: 'unheard' },
      { channel: { kind: 'watermark' }, payload: '12' },
    ]);
    await storage.notify([]);
    await expect
      .poll(() => heard.toSorted())
      .toEqual(['a x:committed:1\ny:conflict:1', 'again 12', 'b ', 'doorbell ']);
    for (const end of ends) await end();
    await ends[0]();
    heard.length = 0;
    const last = await other.listen({ kind: 'election' }, note('election'), noGap);
    const all = ['doorbell', 'watermark', 'election'] as const;
    await storage.notify(all.map((kind) => ({ channel: { kind }, payload: '' })));
    await expect.poll(() => heard).toEqual(['election ']);
    await last();
  });

  test('a notification that Postgres would not take is refused before anything is sent', async () => {
    const { storage } = driver();
    const channel = { kind: 'watermark' } as const;
    await storage.notify([{ channel, payload: 'x'.repeat(7999) }]);
    const notifications = [{ channel, payload: 'é'.repeat(4000) }];
    await expect(storage.notify(notifications)).rejects.toMatchObject({ code: 'NOTIFICATION_TOO_LONG' });
  });

  test('a number that is not safe is an error, not another number', async () => {
    const { sql } = driver();
    expect(await sql(`SELECT 9007199254740991::int8 AS n`)).toEqual([{ n: Number.MAX_SAFE_INTEGER }]);
    await expect(sql(`SELECT 9007199254740992::int8 AS n`)).rejects.toMatchObject({
      code: 'STATEMENT_FAILED',
    });
    expect(await sql(`SELECT -5::int8 AS n`)).toEqual([{ n: -5 }]);
  });

  test('the queue is a mailbox only: unlogged, everything else is not', async () => {
    const rows = await driver().sql(
      `SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind = 'r' AND relpersistence = 'u'`,
      [driver().schema],
    );
    expect(rows).toEqual([{ relname: 'queue' }]);
  });
});

/** Comparing megabytes element by element takes long. */
function digest(values: readonly (Uint8Array | undefined)[]): (string | undefined)[] {
  return values.map((value) => value && createHash('sha256').update(value).digest('hex'));
}
