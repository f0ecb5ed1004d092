/**
 * CommitStorage over SQL, one implementation for every driver. Each call is one autocommit statement (pruning: several),
 * so nothing is held in the database between calls. What takes several steps is a function of the database, see
 * migrations/.
 */
import { createHash } from 'node:crypto';
import { CommitError } from '../commit-error.ts';
import type {
  AppliedBatch,
  ApplyResult,
  Channel,
  Claim,
  CommitStorage,
  KeyRange,
  KeyValue,
  Lease,
  Notification,
  Outcome,
  QueuedRequest,
  Tail,
  Verdict,
} from '../commit-storage.ts';
import { encodeByteaArray } from './bytea-array.ts';
import type { Database, Parameter, Row, SessionRole } from './database.ts';
import { migrate, PROTOCOL_VERSION, schemaTooNew } from './migrate.ts';
import { DECIDED_SQLSTATE, LOCK_TIMEOUT_SQLSTATE, sqlstateOf } from './sql-error.ts';

/** A page of a range read has at most so many pairs: the sum of their sizes is taken before any is left out. */
const PAGE_PAIRS_MAX = 1_000;

/** Rows deleted by one statement of a pruning, so that a renewal never waits long behind it. */
const PRUNE_ROWS_MAX = 5_000;

/** Longest payload of a notification that Postgres takes. */
const NOTIFICATION_BYTES_MAX = 7_999;

/** The database's clock in whole milliseconds, rounded down. */
const CLOCK_MS = 'floor(extract(epoch FROM clock_timestamp()) * 1000)::int8';

/** @throws CommitError SCHEMA_TOO_NEW, SCHEMA_INVALID, DATABASE_UNREACHABLE; the database is closed then. */
export async function openSqlStorage(database: Database): Promise<CommitStorage> {
  try {
    await migrate(database);
  } catch (error) {
    await database.close();
    throw error;
  }
  return new SqlStorage(database);
}

class SqlStorage implements CommitStorage {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async get(keys: readonly Uint8Array[], asOf: number | undefined) {
    const rows = await this.#query('read', asOf === undefined ? GET_LATEST : GET_AS_OF, [
      encodeByteaArray(keys),
      ...(asOf === undefined ? [] : [asOf]),
    ]);
    const version = checkedVersion(rows[0], asOf);
    const values = new Array<Uint8Array | undefined>(keys.length).fill(undefined);
    for (const { position, value } of rows) {
      if (position !== null) values[(position as number) - 1] = value as Uint8Array;
    }
    return { version, values };
  }

  async getRange(
    range: KeyRange,
    options: { readonly limit: number; readonly bytesMax: number; readonly reverse: boolean },
    asOf: number | undefined,
  ) {
    const limit = Math.min(options.limit, PAGE_PAIRS_MAX);
    const rows = await this.#query('read', rangeStatement(options.reverse, asOf !== undefined), [
      range.begin,
      range.end,
      limit + 1,
      options.bytesMax,
      ...(asOf === undefined ? [] : [asOf]),
    ]);
    const version = checkedVersion(rows[0], asOf);
    const pairs: KeyValue[] = [];
    for (const { key, value } of rows) {
      if (key !== null && pairs.length < limit)
        pairs.push({ key: key as Uint8Array, value: value as Uint8Array });
    }
    const found = (rows[0].found ?? 0) as number;
    return { version, pairs, more: found > pairs.length };
  }

  async now() {
    const [row] = await this.#query('read', NOW, []);
    return { version: row.durable_version as number, databaseTimeMs: row.time_ms as number };
  }

  async enqueue(requests: readonly QueuedRequest[], ring: boolean) {
    const [row] = await this.#query('enqueue', ENQUEUE, [
      encodeByteaArray(requests.map(({ id }) => id)),
      requests.map(({ node }) => node),
      encodeByteaArray(requests.map(({ payload }) => payload)),
      ring ? channelName(this.#database.schema, { kind: 'doorbell' }) : null,
    ]);
    return { databaseTimeMs: row.time_ms as number };
  }

  async outcomes(ids: readonly Uint8Array[]): Promise<readonly Outcome[]> {
    return (await this.#query('read', OUTCOMES, [encodeByteaArray(ids)])).map(outcomeOf);
  }

  async withdraw(requests: readonly { readonly id: Uint8Array; readonly bornVersion: number }[]) {
    // Not on the enqueue session: an answer tells the client that nothing will happen, so it has to be durable.
    const rows = await this.#query('read', WITHDRAW, [
      encodeByteaArray(requests.map(({ id }) => id)),
      requests.map(({ bornVersion }) => bornVersion),
    ]);
    const outcomes = new Map(rows.map((row) => [idKey(row.id as Uint8Array), outcomeOf(row)]));
    return requests.map(({ id }) => outcomes.get(idKey(id)));
  }

  async acquireLease(leader: string, leaseMs: number): Promise<Lease | undefined> {
    let row: Row;
    try {
      [row] = await this.#query('lease', ACQUIRE, [leader, leaseMs, PROTOCOL_VERSION]);
    } catch (error) {
      // Somebody holds the row: a batch of the leader, or another candidate.
      if (sqlstateOf(error) === LOCK_TIMEOUT_SQLSTATE) return undefined;
      throw error;
    }
    if ((row.protocol_version as number) > PROTOCOL_VERSION) {
      throw schemaTooNew(
        `schema '${this.#database.schema}' is led by protocol version ${row.protocol_version}, this program speaks ${PROTOCOL_VERSION}`,
      );
    }
    if (row.epoch === null) return undefined;
    return { epoch: row.epoch as number, durableVersion: row.durable_version as number };
  }

  async renewLease(epoch: number, leaseMs: number): Promise<boolean> {
    return (await this.#query('lease', RENEW, [epoch, leaseMs])).length === 1;
  }

  async releaseLease(epoch: number): Promise<boolean> {
    return (await this.#query('lease', RELEASE, [epoch])).length === 1;
  }

  async claim(limits: { readonly countMax: number; readonly bytesMax: number }): Promise<Claim> {
    const rows = await this.#query('leader', CLAIM, [limits.countMax, limits.bytesMax]);
    const databaseTimeMs = rows[0].time_ms as number;
    const requests: QueuedRequest[] = [];
    const decided: (Outcome & { node: string })[] = [];
    let oldestWaitMs = 0;
    for (const row of rows) {
      if (row.id === null) continue;
      const id = row.id as Uint8Array;
      const node = row.node as string;
      if (row.verdict === null) {
        if (requests.length === 0) oldestWaitMs = Math.max(0, databaseTimeMs - (row.enqueued_ms as number));
        requests.push({ id, node, payload: row.payload as Uint8Array });
      } else {
        decided.push({ ...outcomeOf(row), node });
      }
    }
    return { requests, decided, databaseTimeMs, oldestWaitMs };
  }

  async readBase(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]> {
    const values = new Array<Uint8Array | undefined>(keys.length).fill(undefined);
    for (const { position, value } of await this.#query('leader', READ_BASE, [encodeByteaArray(keys)])) {
      values[(position as number) - 1] = value as Uint8Array;
    }
    return values;
  }

  async apply(batch: AppliedBatch): Promise<ApplyResult> {
    assertGrows(batch);
    try {
      const [row] = await this.#query('leader', APPLY, [
        batch.epoch,
        batch.previousVersion,
        batch.version,
        batch.leaseMs,
        Math.min(Math.floor(batch.notAfterMs), Number.MAX_SAFE_INTEGER),
        encodeByteaArray(batch.clearedRanges.map(({ begin }) => begin)),
        encodeByteaArray(batch.clearedRanges.map(({ end }) => end)),
        encodeByteaArray(batch.deletes),
        encodeByteaArray(batch.upserts.map(({ key }) => key)),
        encodeByteaArray(batch.upserts.map(({ value }) => value)),
        encodeByteaArray(batch.outcomes.map(({ id }) => id)),
        batch.outcomes.map(({ verdict }) => verdict),
        batch.outcomes.map(({ version }) => version),
        // Postgres has no text with a NUL in it.
        batch.outcomes.map(({ reason }) => reason?.replaceAll('\0', '') ?? null),
        encodeByteaArray(batch.outcomes.map(({ ranges }) => ranges ?? null)),
      ]);
      return row.result as ApplyResult;
    } catch (error) {
      if (sqlstateOf(error) === DECIDED_SQLSTATE) return 'decided';
      throw error;
    }
  }

  async prune(
    epoch: number,
    floors: { readonly readableVersion: number; readonly outcomeVersion: number },
  ): Promise<void> {
    const [row] = await this.#query('lease', 'SELECT commit_raise_floors($1, $2, $3) AS is_held', [
      epoch,
      floors.readableVersion,
      floors.outcomeVersion,
    ]);
    if (row.is_held !== true) return;
    for (let deleted = PRUNE_ROWS_MAX; deleted === PRUNE_ROWS_MAX; ) {
      const [step] = await this.#query('lease', 'SELECT commit_prune($1) AS deleted', [PRUNE_ROWS_MAX]);
      deleted = step.deleted as number;
    }
  }

  async tail(afterVersion: number, limit: number): Promise<Tail> {
    const rows = await this.#query('read', TAIL, [afterVersion, limit]);
    const commits: { version: number; ranges: Uint8Array }[] = [];
    for (const { version, ranges } of rows) {
      if (version !== null) commits.push({ version: version as number, ranges: ranges as Uint8Array });
    }
    const isComplete = commits.length < limit;
    const throughVersion = isComplete
      ? (rows[0].durable_version as number)
      : commits[commits.length - 1].version;
    return { commits, throughVersion, prunedVersion: rows[0].outcome_version as number };
  }

  async notify(notifications: readonly Notification[]): Promise<void> {
    if (notifications.length === 0) return;
    const long = notifications.find(({ payload }) => Buffer.byteLength(payload) > NOTIFICATION_BYTES_MAX);
    if (long !== undefined) {
      throw new CommitError('NOTIFICATION_TOO_LONG', `a ${long.channel.kind} notification is too long`, {
        hint: `split it: at most ${NOTIFICATION_BYTES_MAX} bytes`,
      });
    }
    await this.#query('enqueue', NOTIFY, [
      notifications.map(({ channel }) => channelName(this.#database.schema, channel)),
      notifications.map(({ payload }) => payload),
    ]);
  }

  listen(
    channel: Channel,
    onPayload: (payload: string) => void,
    onGap: () => void,
  ): Promise<() => Promise<void>> {
    return this.#database.listen(channelName(this.#database.schema, channel), onPayload, onGap);
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  #query(role: SessionRole, text: string, parameters: readonly Parameter[]): Promise<readonly Row[]> {
    return this.#database.query(role, text, parameters);
  }
}

const GET_LATEST = `
SELECT lease.durable_version, lease.readable_version, found.position, found.value
FROM lease LEFT JOIN LATERAL (
  SELECT wanted.position, current.value
  FROM unnest($1::bytea[]) WITH ORDINALITY AS wanted (key, position)
  CROSS JOIN LATERAL (SELECT value FROM kv WHERE kv.key = wanted.key LIMIT 1) AS current
) AS found ON true
WHERE lease.id = 1`;

/** A key has at most one row that was valid at a version, in one of the two tables. */
const GET_AS_OF = `
SELECT lease.durable_version, lease.readable_version, found.position, found.value
FROM lease LEFT JOIN LATERAL (
  SELECT wanted.position, past.value
  FROM unnest($1::bytea[]) WITH ORDINALITY AS wanted (key, position)
  CROSS JOIN LATERAL (
    (SELECT value FROM kv WHERE kv.key = wanted.key AND version <= $2::int8 LIMIT 1)
    UNION ALL
    (SELECT value FROM kv_old WHERE kv_old.key = wanted.key AND valid_to > $2::int8 AND valid_from <= $2::int8 LIMIT 1)
  ) AS past
) AS found ON true
WHERE lease.id = 1`;

const NOW = `SELECT durable_version, ${CLOCK_MS} AS time_ms FROM lease WHERE id = 1`;

/**
 * Pairs in order up to the one with which their sizes reach $4; `found` counts what the limit $3 let in, so that it tells
 * whether any was left out. Sizes are known without fetching the values.
 */
function rangeStatement(reverse: boolean, isAsOf: boolean): string {
  const order = reverse ? 'DESC' : 'ASC';
  const inRange = `key >= $1::bytea AND key < $2::bytea`;
  const latest = (condition: string) =>
    `(SELECT key, value FROM kv WHERE ${inRange}${condition} ORDER BY key ${order} LIMIT $3::int8)`;
  const old = `(SELECT key, value FROM kv_old WHERE ${inRange} AND valid_from <= $5::int8 AND valid_to > $5::int8
    ORDER BY key ${order} LIMIT $3::int8)`;
  const source = isAsOf ? `${latest(' AND version <= $5::int8')} UNION ALL ${old}` : latest('');
  return `
SELECT lease.durable_version, lease.readable_version, page.key, page.value, page.found
FROM lease LEFT JOIN LATERAL (
  SELECT key, value, found FROM (
    SELECT key, value, count(*) OVER () AS found, octet_length(key) + octet_length(value) AS bytes,
      sum(octet_length(key) + octet_length(value)) OVER (ORDER BY key ${order} ROWS UNBOUNDED PRECEDING) AS bytes_through
    FROM (SELECT key, value FROM (${source}) AS source ORDER BY key ${order} LIMIT $3::int8) AS pair
  ) AS sized
  WHERE bytes_through - bytes < greatest($4::int8, 1)
  ORDER BY key ${order}
) AS page ON true
WHERE lease.id = 1
ORDER BY page.key ${order}`;
}

const ENQUEUE = `
WITH enqueued AS (
  INSERT INTO queue (id, node, enqueued_at, payload)
  SELECT id, node, clock_timestamp(), payload
  FROM unnest($1::bytea[], $2::text[], $3::bytea[]) WITH ORDINALITY AS request (id, node, payload, position)
  ORDER BY position
  ON CONFLICT DO NOTHING
)
SELECT ${CLOCK_MS} AS time_ms, CASE WHEN $4::text IS NOT NULL THEN pg_notify($4::text, '') END`;

const OUTCOMES = `
SELECT id, verdict, version, reason FROM outcome WHERE id = ANY ($1::bytea[]) AND verdict <> 'unknown'`;

const WITHDRAW = 'SELECT id, verdict, version, reason FROM commit_withdraw($1::bytea[], $2::int8[])';

const ACQUIRE = `
WITH taken AS (
  UPDATE lease
  SET epoch = epoch + 1, leader = $1::text, expires_at = clock_timestamp() + $2::int8 * interval '1 millisecond'
  WHERE id = 1 AND protocol_version <= $3::int4
    AND (leader IS NULL OR leader = $1::text OR expires_at <= clock_timestamp())
  RETURNING epoch, durable_version
)
SELECT lease.protocol_version, taken.epoch, taken.durable_version
FROM lease LEFT JOIN taken ON true WHERE lease.id = 1`;

const RENEW = `
UPDATE lease SET expires_at = clock_timestamp() + $2::int8 * interval '1 millisecond'
WHERE id = 1 AND epoch = $1::int8 RETURNING epoch`;

/** The epoch ends with the lease, so that a batch of it that is still on its way finds itself fenced. */
const RELEASE = `
UPDATE lease SET epoch = epoch + 1, leader = NULL, expires_at = '-infinity'
WHERE id = 1 AND epoch = $1::int8 RETURNING epoch`;

const CLAIM = `
SELECT ${CLOCK_MS} AS time_ms, id, node, payload, verdict, version, reason,
  floor(extract(epoch FROM enqueued_at) * 1000)::int8 AS enqueued_ms
FROM (VALUES (1)) AS one LEFT JOIN commit_claim($1::int4, $2::int8) ON true`;

const READ_BASE = `
SELECT wanted.position, current.value
FROM unnest($1::bytea[]) WITH ORDINALITY AS wanted (key, position)
CROSS JOIN LATERAL (SELECT value FROM kv WHERE kv.key = wanted.key LIMIT 1) AS current`;

const APPLY = `
SELECT commit_apply($1::int8, $2::int8, $3::int8, $4::int8, $5::int8, $6::bytea[], $7::bytea[], $8::bytea[],
  $9::bytea[], $10::bytea[], $11::bytea[], $12::text[], $13::int8[], $14::text[], $15::bytea[]) AS result`;

const TAIL = `
SELECT lease.durable_version, lease.outcome_version, commits.version, commits.ranges
FROM lease LEFT JOIN LATERAL (
  SELECT version, ranges FROM outcome
  WHERE version > $1::int8 AND verdict = 'committed' AND ranges IS NOT NULL
  ORDER BY version LIMIT $2::int8
) AS commits ON true
WHERE lease.id = 1
ORDER BY commits.version`;

const NOTIFY =
  'SELECT pg_notify(channel, payload) FROM unnest($1::text[], $2::text[]) AS n (channel, payload)';

/** @throws CommitError TRANSACTION_TOO_OLD when the row shows that `asOf` cannot be read. */
function checkedVersion(row: Row, asOf: number | undefined): number {
  const durable = row.durable_version as number;
  if (asOf === undefined) return durable;
  const readable = row.readable_version as number;
  if (asOf >= readable && asOf <= durable) return asOf;
  const why =
    asOf < readable
      ? `values before version ${readable} are gone`
      : `the database is only at version ${durable}: it has lost commits`;
  throw new CommitError('TRANSACTION_TOO_OLD', `version ${asOf} cannot be read: ${why}`, {
    hint: 'run the transaction again; keep transactions shorter than the history window',
  });
}

function outcomeOf(row: Row): Outcome {
  return {
    id: row.id as Uint8Array,
    verdict: row.verdict as Verdict,
    version: row.version as number,
    ...(row.reason === null ? {} : { reason: row.reason as string }),
  };
}

function idKey(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString('latin1');
}

/** Names of channels are shared by a whole database and short; schema and node are not. */
function channelName(schema: string, channel: Channel): string {
  const node = channel.kind === 'reply' ? channel.node : '';
  const digest = createHash('sha256')
    .update(JSON.stringify([schema, channel.kind, node]))
    .digest('hex');
  return `bitloom_${digest.slice(0, 32)}`;
}

function assertGrows(batch: AppliedBatch): void {
  const writes = batch.clearedRanges.length + batch.deletes.length + batch.upserts.length;
  if (batch.version > batch.previousVersion || (batch.version === batch.previousVersion && writes === 0))
    return;
  throw new CommitError(
    'COMMIT_REJECTED',
    `version ${batch.version} does not follow ${batch.previousVersion}`,
  );
}
