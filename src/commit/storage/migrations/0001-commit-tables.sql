-- The tables and functions of the commit protocol. Runs in one transaction with the schema first in the search path.
--
-- Every function plans without sequential scans: statistics, prices of the server and the size of a table cannot turn a
-- step of a batch into a walk over a table. Times are those of the clock, not of the start of the transaction: a
-- statement may wait for a lock.

-- Values as of the durable version. `version` is that of the batch that wrote the row.
CREATE TABLE kv (key bytea NOT NULL, value bytea NOT NULL, version int8 NOT NULL) WITH (fillfactor = 90);
-- Keys are short, always read and never worth compressing; plain storage keeps them out of line handling.
ALTER TABLE kv ALTER COLUMN key SET STORAGE PLAIN;
ALTER TABLE kv ADD PRIMARY KEY (key);

-- What kv held at versions v with valid_from <= v < valid_to. A key absent at v has no row here.
CREATE TABLE kv_old (key bytea NOT NULL, valid_from int8 NOT NULL, valid_to int8 NOT NULL, value bytea NOT NULL)
  WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE kv_old ALTER COLUMN key SET STORAGE PLAIN;
ALTER TABLE kv_old ADD PRIMARY KEY (key, valid_to);
-- For pruning. Grows at its right end only, and equal versions share an entry.
CREATE INDEX kv_old_valid_to ON kv_old (valid_to);

-- One row. Updated by every batch in place: room on its page keeps the updates out of the index.
CREATE TABLE lease (
  id int4 PRIMARY KEY CHECK (id = 1),
  epoch int8 NOT NULL,
  leader text,
  durable_version int8 NOT NULL,
  readable_version int8 NOT NULL,
  outcome_version int8 NOT NULL,
  protocol_version int4 NOT NULL,
  expires_at timestamptz NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO lease VALUES (1, 0, NULL, 0, 0, 0, 1, '-infinity');

-- The mailbox of the leader. Unlogged: nothing in it is promised to anybody, and a crash of the server may empty it.
CREATE UNLOGGED TABLE queue (
  id bytea NOT NULL,
  seq int8 GENERATED ALWAYS AS IDENTITY,
  node text NOT NULL,
  enqueued_at timestamptz NOT NULL,
  payload bytea NOT NULL
) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 1000000
);
-- A row lives for milliseconds: compressing it would be wasted.
ALTER TABLE queue ALTER COLUMN payload SET STORAGE EXTERNAL, ALTER COLUMN id SET STORAGE PLAIN;
ALTER TABLE queue ADD PRIMARY KEY (id);
CREATE UNIQUE INDEX queue_seq ON queue (seq);

-- What became of each request, once and for all. `unknown` stands for a request that was withdrawn when records as young
-- as it had been pruned: nobody can tell what became of it, but nothing will any more.
CREATE TABLE outcome (
  id bytea NOT NULL,
  version int8 NOT NULL,
  verdict text NOT NULL,
  reason text,
  ranges bytea
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE outcome ALTER COLUMN ranges SET STORAGE EXTERNAL, ALTER COLUMN id SET STORAGE PLAIN;
ALTER TABLE outcome ADD PRIMARY KEY (id);
CREATE INDEX outcome_version ON outcome (version);

-- One batch: all of it or nothing. Returns 'applied' or 'fenced'; raises BL001 when a request has been decided before or
-- the batch comes too late, which takes the fence back too. Arrays that belong together have the same length.
CREATE FUNCTION commit_apply(
  in_epoch int8, in_previous int8, in_version int8, in_lease_ms int8, in_not_after_ms int8,
  in_begins bytea[], in_ends bytea[], in_deletes bytea[], in_keys bytea[], in_values bytea[],
  in_ids bytea[], in_verdicts text[], in_versions int8[], in_reasons text[], in_ranges bytea[]
) RETURNS text LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $$
DECLARE
  inserted int8;
BEGIN
  -- The fence comes first: its row lock puts batches, renewals and candidates in one order.
  UPDATE lease
  SET durable_version = in_version, expires_at = clock_timestamp() + in_lease_ms * interval '1 millisecond'
  WHERE id = 1 AND epoch = in_epoch AND durable_version = in_previous;
  IF NOT FOUND THEN
    RETURN 'fenced';
  END IF;
  IF extract(epoch FROM clock_timestamp()) * 1000 > in_not_after_ms THEN
    RAISE EXCEPTION 'the batch is past its deadline' USING ERRCODE = 'BL001';
  END IF;

  -- In the order of ids, as withdrawing does, so that the two never wait for each other in a circle.
  INSERT INTO outcome (id, version, verdict, reason, ranges)
  SELECT * FROM unnest(in_ids, in_versions, in_verdicts, in_reasons, in_ranges) AS request (id) ORDER BY request.id
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS inserted = ROW_COUNT;
  IF inserted <> cardinality(in_ids) THEN
    RAISE EXCEPTION 'a request of the batch has been decided' USING ERRCODE = 'BL001';
  END IF;
  DELETE FROM queue WHERE id = ANY (in_ids);

  -- One statement for each range. A join over all of them hides the bounds from the planner.
  FOR i IN 1 .. cardinality(in_begins) LOOP
    WITH gone AS (
      DELETE FROM kv WHERE key >= in_begins[i] AND key < in_ends[i] RETURNING key, version, value
    )
    INSERT INTO kv_old (key, valid_from, valid_to, value) SELECT key, version, in_version, value FROM gone;
  END LOOP;
  IF cardinality(in_deletes) > 0 THEN
    WITH gone AS (DELETE FROM kv WHERE key = ANY (in_deletes) RETURNING key, version, value)
    INSERT INTO kv_old (key, valid_from, valid_to, value) SELECT key, version, in_version, value FROM gone;
  END IF;
  IF cardinality(in_keys) > 0 THEN
    INSERT INTO kv_old (key, valid_from, valid_to, value)
    SELECT key, version, in_version, value FROM kv WHERE key = ANY (in_keys);
    INSERT INTO kv (key, value, version)
    SELECT pair.key, pair.value, in_version FROM unnest(in_keys, in_values) AS pair (key, value)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version;
  END IF;
  RETURN 'applied';
END
$$;

-- Requests without an outcome, oldest first: at most in_count of them and in_bytes of payload, but at least one. Those
-- met on the way that were decided leave the queue, at most 10,000 at a time, and come with their verdict and no payload.
CREATE FUNCTION commit_claim(in_count int4, in_bytes int8)
RETURNS TABLE (id bytea, node text, payload bytea, enqueued_at timestamptz, verdict text, version int8, reason text)
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
  entry record;
  claimed int4 := 0;
  claimed_bytes int8 := 0;
  decided bytea[] := '{}';
BEGIN
  FOR entry IN
    SELECT q.id, q.node, q.payload, q.enqueued_at, octet_length(q.payload) AS bytes, o.verdict, o.version, o.reason
    FROM queue AS q
    LEFT JOIN LATERAL (SELECT * FROM outcome WHERE outcome.id = q.id LIMIT 1) AS o ON true
    ORDER BY q.seq
  LOOP
    IF entry.verdict IS NOT NULL THEN
      decided := decided || entry.id;
      entry.payload := NULL;
    ELSE
      EXIT WHEN claimed > 0 AND claimed_bytes + entry.bytes > in_bytes;
      claimed := claimed + 1;
      claimed_bytes := claimed_bytes + entry.bytes;
    END IF;
    IF entry.verdict IS DISTINCT FROM 'unknown' THEN
      id := entry.id;
      node := entry.node;
      payload := entry.payload;
      enqueued_at := entry.enqueued_at;
      verdict := entry.verdict;
      version := entry.version;
      reason := entry.reason;
      RETURN NEXT;
    END IF;
    EXIT WHEN claimed >= in_count OR cardinality(decided) >= 10000;
  END LOOP;
  IF cardinality(decided) > 0 THEN
    DELETE FROM queue WHERE queue.id = ANY (decided);
  END IF;
END
$$;

-- Records `withdrawn` where nothing is recorded and returns what is recorded then. Left out are requests whose record may
-- have been pruned before.
CREATE FUNCTION commit_withdraw(in_ids bytea[], in_borns int8[])
RETURNS TABLE (id bytea, verdict text, version int8, reason text) LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  inserted bytea[];
  pruned_version int8;
BEGIN
  WITH added AS (
    INSERT INTO outcome (id, version, verdict)
    SELECT request.id, (SELECT durable_version FROM lease WHERE lease.id = 1), 'withdrawn'
    FROM unnest(in_ids) AS request (id) ORDER BY request.id
    ON CONFLICT DO NOTHING
    RETURNING outcome.id
  )
  SELECT coalesce(array_agg(added.id), '{}') INTO inserted FROM added;
  DELETE FROM queue WHERE queue.id = ANY (in_ids);

  -- Read after the insert: floors are raised before what lies below them is deleted, so a record that was missing because
  -- it had been pruned shows in the floor now.
  SELECT outcome_version INTO pruned_version FROM lease WHERE lease.id = 1;
  UPDATE outcome SET verdict = 'unknown'
  WHERE outcome.id = ANY (
    ARRAY(
      SELECT request.id FROM unnest(in_ids, in_borns) AS request (id, born)
      WHERE request.born < pruned_version AND request.id = ANY (inserted)
    )
  );
  RETURN QUERY
  SELECT outcome.id, outcome.verdict, outcome.version, outcome.reason FROM outcome
  WHERE outcome.id = ANY (in_ids) AND outcome.verdict <> 'unknown';
END
$$;

-- Raises the floors; false when the epoch has ended. Floors never go down and never pass the durable version.
CREATE FUNCTION commit_raise_floors(in_epoch int8, in_readable int8, in_outcome int8)
RETURNS boolean LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
AS $$
BEGIN
  -- What a floor allows to delete follows it in the log, so losing both to a crash is harmless.
  PERFORM set_config('synchronous_commit', 'off', true);
  UPDATE lease
  SET readable_version = greatest(readable_version, least(in_readable, durable_version)),
      outcome_version = greatest(outcome_version, least(in_outcome, durable_version))
  WHERE id = 1 AND epoch = in_epoch;
  RETURN FOUND;
END
$$;

-- Deletes at most in_rows rows of each kind below the floors and returns how many the larger deletion was.
-- Outcomes at the floor stay: verdicts that change nothing carry the durable version of their moment, and while nothing is
-- committed the floor may have reached that version long before.
CREATE FUNCTION commit_prune(in_rows int8) RETURNS int8 LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
  floors lease;
  values_deleted int8;
  outcomes_deleted int8;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  SELECT * INTO floors FROM lease WHERE id = 1;
  DELETE FROM kv_old WHERE ctid = ANY (
    ARRAY(SELECT ctid FROM kv_old WHERE valid_to <= floors.readable_version ORDER BY valid_to LIMIT in_rows)
  );
  GET DIAGNOSTICS values_deleted = ROW_COUNT;
  DELETE FROM outcome WHERE ctid = ANY (
    ARRAY(SELECT ctid FROM outcome WHERE version < floors.outcome_version ORDER BY version LIMIT in_rows)
  );
  GET DIAGNOSTICS outcomes_deleted = ROW_COUNT;
  RETURN greatest(values_deleted, outcomes_deleted);
END
$$;
