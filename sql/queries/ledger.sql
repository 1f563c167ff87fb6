-- name: now
-- The time by the database's clock.
SELECT clock_timestamp();

-- name: append_audit
-- Append to the audit's chain.
SELECT tidemill.append_audit(%(event)s, %(model)s, %(details)s);

-- name: audit_head
-- The newest row of the audit.
SELECT audit_id, hash, to_char(done_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS done_at
FROM tidemill.audit
ORDER BY audit_id DESC LIMIT 1;

-- name: audit_row
-- The hash of a row of the audit.
SELECT hash
FROM tidemill.audit
WHERE audit_id = %(audit_id)s;

-- name: keep_document
-- Store the text of a digest; the ledger computes the digest itself.
INSERT INTO tidemill.document (digest, kind, content)
VALUES (encode(sha256(%(content)s), 'hex'), %(kind)s, %(content)s)
ON CONFLICT DO NOTHING;

-- name: start_run
-- Record that a step starts.
INSERT INTO tidemill.run (model, chain, step, partition, dag_id, dag_run_id, task_id, map_index, try_number,
    code_version, spec_digest, lock_digest, process)
VALUES (%(model)s, %(chain)s, %(step)s, %(partition)s, %(dag_id)s, %(dag_run_id)s, %(task_id)s, %(map_index)s,
    %(try_number)s, %(code_version)s, %(spec_digest)s, %(lock_digest)s, %(process)s)
RETURNING run_id;

-- name: end_run
-- Record how a step ended, and its cost.
UPDATE tidemill.run
SET status = %(status)s, error = %(error)s, result = %(result)s, ended_at = clock_timestamp(), wall_s = %(wall_s)s,
    cpu_s = %(cpu_s)s,
    peak_rss_bytes = %(peak_rss_bytes)s, n_rows = %(n_rows)s
WHERE run_id = %(run_id)s;

-- name: step_runs
-- The newest succeeded runs of a model's steps, newest first.
SELECT chain, step, partition, wall_s, cpu_s, peak_rss_bytes, n_rows
FROM tidemill.run
WHERE model = %(model)s AND status = 'succeeded'
ORDER BY run_id DESC LIMIT %(limit)s;

-- name: trainings
-- Partition and newest verdict of every training except dry runs, the last judged first.
SELECT r.partition, d.verdict
FROM tidemill.release r
JOIN tidemill.decision d USING (decision_id)
WHERE r.model = %(model)s
ORDER BY r.decision_id DESC;

-- name: insert_snapshot
-- Record a snapshot; the same content again changes nothing.
INSERT INTO tidemill.snapshot (digest, model, purpose, partition, start_at, end_at, cutoff, query_digest, uri,
    n_rows, n_set_aside, size_bytes, run_id)
VALUES (%(digest)s, %(model)s, %(purpose)s, %(partition)s, %(start)s, %(end)s, %(cutoff)s, %(query_digest)s,
    %(uri)s, %(n_rows)s, %(n_set_aside)s, %(size_bytes)s, %(run_id)s)
ON CONFLICT (model, digest) DO NOTHING;

-- name: record_decision
-- Record a decision, also in the audit.
SELECT tidemill.record_decision(%(model)s, %(partition)s, %(kind)s, %(verdict)s, %(reasons)s, %(evidence)s, %(run_id)s,
    %(by)s);

-- name: decision_after
-- The newest decision about a partition that came after another one.
SELECT verdict, reasons
FROM tidemill.decision
WHERE model = %(model)s AND kind = %(kind)s AND partition = %(partition)s AND decision_id > %(decision_id)s
ORDER BY decision_id DESC LIMIT 1;

-- name: newest_metrics
-- The newest figures of each partition between two keys, oldest partition first. A subquery per row would scan all runs backwards
-- to find the newest one.
WITH newest AS MATERIALIZED (
    SELECT partition, max(run_id) AS run_id
    FROM tidemill.metric
    WHERE model = %(model)s AND part = %(part)s
      AND partition BETWEEN left(%(since)s, 13) AND left(%(until)s, 13) || 'z' -- by the index; then exactly
      AND tidemill.key_order(partition) BETWEEN tidemill.key_order(%(since)s) AND tidemill.key_order(%(until)s)
    GROUP BY partition
)
SELECT partition, name, feature, slice, value, low, high, n, label_coverage
FROM newest
JOIN tidemill.metric m USING (partition, run_id)
WHERE model = %(model)s AND part = %(part)s AND (%(name)s::text IS NULL OR name = %(name)s)
ORDER BY tidemill.key_order(partition), metric_id;

-- name: measured_labels
-- What the newest figures of quality of a model's partitions were computed from, from a partition on.
SELECT partition, prediction_run_id, digest
FROM tidemill.measured_labels
WHERE model = %(model)s AND partition >= left(%(first)s, 13); -- with both of a repeated hour

-- name: remember_measured_labels
-- Store what the newest figures of quality of a partition were computed from.
INSERT INTO tidemill.measured_labels (model, partition, prediction_run_id, digest, as_of)
VALUES (%(model)s, %(partition)s, %(prediction_run_id)s, %(digest)s, %(as_of)s)
ON CONFLICT (model, partition) DO UPDATE
SET prediction_run_id = excluded.prediction_run_id, digest = excluded.digest, as_of = excluded.as_of,
    measured_at = clock_timestamp();

-- name: insert_check_result
-- Record the result of one expectation of the contract.
INSERT INTO tidemill.check_result (run_id, snapshot_digest, expectation, column_name, severity, success, observed,
    n_unexpected, failure_cases)
VALUES (%(run_id)s, %(snapshot_digest)s, %(expectation)s, %(column)s, %(severity)s, %(success)s, %(observed)s,
    %(n_unexpected)s, %(failure_cases)s);

-- name: insert_metric
-- Record one figure about a partition.
INSERT INTO tidemill.metric (model, partition, part, name, feature, slice, value, low, high, n, label_coverage,
    release_id, as_of, run_id)
VALUES (%(model)s, %(partition)s, %(part)s, %(name)s, %(feature)s, %(slice)s, %(value)s, %(low)s, %(high)s, %(n)s,
    %(label_coverage)s, %(release_id)s, %(as_of)s, %(run_id)s);

-- name: record_question
-- Append to the audit what a task asks a person, unless it has already asked the same.
SELECT tidemill.append_audit('ask', %(model)s, %(details)s::jsonb)
WHERE NOT EXISTS (
    SELECT FROM tidemill.audit WHERE event = 'ask' AND model = %(model)s AND details = %(details)s::jsonb
);

-- name: first_question
-- Digest of the first text that the task of a DAG run has shown a person.
SELECT details ->> 'digest'
FROM tidemill.audit
WHERE event = 'ask' AND model = %(model)s AND details ->> 'dag_id' = %(dag_id)s
    AND details ->> 'dag_run_id' = %(dag_run_id)s
ORDER BY audit_id LIMIT 1;
