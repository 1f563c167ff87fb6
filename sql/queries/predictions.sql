-- name: partition_counts
-- The known counts of prediction runs in the groups of a release.
SELECT prediction_run_id, counts
FROM tidemill.partition_counts
WHERE release_id = %(release_id)s AND prediction_run_id = ANY (%(prediction_run_ids)s);

-- name: insert_partition_counts
-- Store the counts of a prediction run; its rows never change, so the first counts stay.
INSERT INTO tidemill.partition_counts (prediction_run_id, release_id, counts, run_id)
VALUES (%(prediction_run_id)s, %(release_id)s, %(counts)s, %(run_id)s)
ON CONFLICT DO NOTHING;

-- name: take_claim
-- Take the next token of a partition, under the lock of the claim's row.
SELECT tidemill.take_claim(%(model)s, %(partition)s, %(run_id)s);

-- name: mark_stale
-- Mark a written run that a newer attempt has overtaken.
SELECT tidemill.mark_stale(%(prediction_run_id)s);

-- name: visible_run
-- The visible run of a partition.
SELECT prediction_run_id
FROM tidemill.published
WHERE model = %(model)s AND partition = %(partition)s;

-- name: move_pointer
-- Make a run the visible one of its partition and record that in the audit, if its rows match the sealed ones.
SELECT tidemill.move_pointer(%(prediction_run_id)s, %(n_rows)s, %(checksum)s);

-- name: published_inputs
-- Inputs of the newest published partitions up to a key, newest first.
SELECT p.partition, r.n_rows, r.n_set_aside, s.uri AS snapshot_uri, s.digest AS snapshot_digest, s.query_digest,
    step.code_version, step.lock_digest
FROM tidemill.published p
JOIN tidemill.prediction_run r USING (prediction_run_id)
JOIN tidemill.snapshot s ON (s.model, s.digest) = (r.model, r.snapshot_digest)
JOIN tidemill.run step ON step.run_id = r.run_id
WHERE p.model = %(model)s AND tidemill.key_order(p.partition) <= tidemill.key_order(%(until)s)
ORDER BY tidemill.key_order(p.partition) DESC LIMIT %(limit)s;

-- name: declare_model
-- Create a model's part of the predictions, and a view that suits its task, unless they exist.
SELECT tidemill.declare_model(%(model)s, %(entity_key)s, %(event_time)s, %(task)s);

-- name: renew_claim
-- Take a newer token for a chain that still holds the claim of a partition; NULL if it does not.
SELECT tidemill.renew_claim(%(model)s, %(partition)s, %(origin)s, %(run_id)s);

-- name: published_of_model
-- The visible run of every partition of a model, in order of key.
SELECT p.partition, r.prediction_run_id, r.release_id, r.snapshot_digest, s.uri AS snapshot_uri, r.n_rows,
    r.n_set_aside, r.checksum, r.threshold, r.task, r.resolution_id IS NOT NULL AND NOT r.marked AS found_right
FROM tidemill.published p
JOIN tidemill.prediction_run r USING (prediction_run_id)
JOIN tidemill.snapshot s ON (s.model, s.digest) = (r.model, r.snapshot_digest)
WHERE p.model = %(model)s
ORDER BY tidemill.key_order(p.partition);

-- name: settled_runs
-- The visible, withheld and discarded runs of a model from a partition on, oldest first: what readers see, and what somebody
-- decides or has decided about.
SELECT r.partition, r.prediction_run_id, r.release_id, r.simulated, r.status, s.digest AS snapshot_digest,
    s.uri AS snapshot_uri, s.query_digest, s.cutoff
FROM tidemill.prediction_run r
JOIN tidemill.snapshot s ON (s.model, s.digest) = (r.model, r.snapshot_digest)
WHERE r.model = %(model)s AND r.partition >= left(%(first)s, 13) -- with both of a repeated hour
  AND r.status IN ('published', 'withheld', 'discarded')
ORDER BY r.partition, r.prediction_run_id;

-- name: insert_revision
-- Record in which rows a run differs from the one that was visible before it; its rows never change, so the first record stays.
INSERT INTO tidemill.revision (prediction_run_id, replaces, n_added, n_removed, n_changed)
VALUES (%(prediction_run_id)s, %(replaces)s, %(n_added)s, %(n_removed)s, %(n_changed)s)
ON CONFLICT DO NOTHING;

-- name: newest_served
-- The newest non-empty snapshots that some partitions were published from, by the digest of their query.
SELECT p.partition, s.digest AS snapshot_digest, s.uri AS snapshot_uri, s.cutoff
FROM tidemill.published p
JOIN tidemill.prediction_run r USING (prediction_run_id)
JOIN tidemill.snapshot s ON (s.model, s.digest) = (r.model, r.snapshot_digest)
WHERE p.model = %(model)s AND p.partition = ANY(%(partitions)s) AND s.query_digest = %(query_digest)s AND s.n_rows > 0
ORDER BY tidemill.key_order(p.partition) DESC LIMIT %(limit)s;

-- name: lock_claim
-- The token of a partition, locked until the transaction ends.
SELECT token
FROM tidemill.claim
WHERE model = %(model)s AND partition = %(partition)s
FOR UPDATE;

-- name: claim_token
-- The token of a partition.
SELECT token
FROM tidemill.claim
WHERE model = %(model)s AND partition = %(partition)s;

-- name: newest_attempt
-- Whether the newest attempt at a partition has published or failed, and the visible run.
SELECT r.token IS NOT DISTINCT FROM c.token OR coalesce(step.status, 'failed') = 'failed' AS ended,
    r.snapshot_digest, c.model, c.partition, r.prediction_run_id, r.release_id, r.token, r.n_rows, r.n_set_aside, r.checksum,
    r.mean_score
FROM tidemill.claim c
LEFT JOIN tidemill.run step USING (run_id)
LEFT JOIN tidemill.published p ON (p.model, p.partition) = (c.model, c.partition)
LEFT JOIN tidemill.prediction_run r ON r.prediction_run_id = p.prediction_run_id
WHERE c.model = %(model)s AND c.partition = %(partition)s;

-- name: newest_superseded
-- The newest earlier run of a partition that no undone release has scored.
SELECT model, partition, prediction_run_id, release_id, token, n_rows, n_set_aside, checksum, mean_score
FROM tidemill.prediction_run
WHERE model = %(model)s AND partition = %(partition)s AND status = 'superseded' AND release_id <> ALL(%(undone)s::bigint[])
ORDER BY prediction_run_id DESC LIMIT 1;

-- name: rollback_partitions
-- The partitions whose visible rows undone releases have scored, and whether each has an earlier run of another release.
SELECT pointer.partition, EXISTS (
    SELECT FROM tidemill.prediction_run earlier
    WHERE earlier.model = pointer.model AND earlier.partition = pointer.partition AND earlier.status = 'superseded'
      AND earlier.release_id <> ALL(%(undone)s::bigint[]))
FROM tidemill.published pointer
JOIN tidemill.prediction_run run USING (prediction_run_id)
WHERE pointer.model = %(model)s AND run.release_id = ANY(%(undone)s::bigint[])
ORDER BY pointer.partition;

-- name: taken_back
-- The partitions whose rows by a release have been replaced by those of another one.
SELECT p.partition
FROM tidemill.published p
JOIN tidemill.prediction_run visible USING (prediction_run_id)
WHERE p.model = %(model)s AND visible.release_id <> %(release_id)s
  AND EXISTS (SELECT FROM tidemill.prediction_run earlier
              WHERE earlier.model = p.model AND earlier.partition = p.partition AND earlier.release_id = %(release_id)s
                AND earlier.status = 'superseded')
ORDER BY tidemill.key_order(p.partition);

-- name: open_prediction_run
-- Open a prediction run and its table.
SELECT tidemill.open_prediction_run(%(model)s, %(partition)s, %(release_id)s, %(snapshot_digest)s, %(token)s,
    %(threshold)s, %(simulated)s, %(run_id)s);

-- name: set_aside
-- Record rows of an open prediction run that are set aside.
SELECT tidemill.set_aside(%(prediction_run_id)s, %(row_number)s::bigint[], %(entity_key)s::text[], %(expectation)s::text[],
    %(column_name)s::text[], %(value)s::text[]);

-- name: set_aside_because
-- Why a row of the visible run of a partition was set aside.
SELECT q.column_name, q.expectation, q.value
FROM tidemill.published p JOIN tidemill.quarantine q USING (prediction_run_id)
WHERE p.model = %(model)s AND p.partition = %(partition)s AND q.entity_key = %(entity_key)s
ORDER BY q.column_name, q.expectation;

-- name: seal_prediction_run
-- Count and hash the rows of a prediction run, and attach its table if they are all of the snapshot's.
SELECT *
FROM tidemill.seal_prediction_run(%(prediction_run_id)s);

-- name: trace
-- One published row, of a partition or of the newest that has its key, and its complete origin.
SELECT pointer.partition, row.entity_key, row.event_time, run.task, row.score, row.score AS prediction,
       coalesce(to_jsonb(row.predicted), to_jsonb(row.score >= run.threshold)) AS predicted_label, row.probabilities,
       row.low, row.high, row.reasons, run.prediction_run_id, run.token, run.published_at, run.simulated,
           run.checksum,
       scored.digest AS scoring_snapshot, scored.cutoff AS scoring_cutoff, scored.query_digest AS scoring_query,
       step.code_version AS scoring_code, step.spec_digest AS scoring_spec, step.lock_digest AS scoring_lock,
       release.release_id, release.estimator, release.partition AS trained_as_of, release.bundle_digest,
       release.metric || ' ' || round(release.metric_value::numeric, 4) AS evidence,
       trained.digest AS training_snapshot, trained.start_at AS training_start, trained.end_at AS training_end,
       trained.n_rows AS training_rows, trained.query_digest AS training_query, release.split_digest,
       release.code_version AS training_code, release.spec_digest AS training_spec,
       release.lock_digest AS training_lock, decision.decision_id, decision.verdict,
       decision.reasons[1] AS first_reason, live.deployment_id, live.kind AS deployed_by, live.approved_by,
       live.reason AS deployed_because, live.deployed_at
FROM tidemill.published pointer
JOIN tidemill.prediction_run run USING (prediction_run_id)
JOIN tidemill.prediction row ON row.model = pointer.model AND row.partition = pointer.partition
                            AND row.prediction_run_id = pointer.prediction_run_id
JOIN tidemill.snapshot scored ON (scored.model, scored.digest) = (run.model, run.snapshot_digest)
LEFT JOIN tidemill.run step ON step.run_id = run.run_id
JOIN tidemill.release release ON release.release_id = run.release_id
JOIN tidemill.snapshot trained ON (trained.model, trained.digest) = (release.model, release.snapshot_digest)
JOIN tidemill.decision decision ON decision.decision_id = release.decision_id
LEFT JOIN LATERAL (SELECT * FROM tidemill.deployment d
                   WHERE d.release_id = release.release_id ORDER BY d.deployment_id LIMIT 1) live ON true
WHERE pointer.model = %(model)s AND row.entity_key = %(entity_key)s
  AND (pointer.partition = %(partition)s OR %(partition)s IS NULL)
ORDER BY tidemill.key_order(pointer.partition) DESC LIMIT 1;

-- name: view_dependents
-- Objects that depend on the columns of a model's view, if another task would change them.
SELECT m.task, dependent
FROM tidemill.model m, tidemill.view_dependents(m.model) dependent
WHERE m.model = %(model)s AND m.task <> %(task)s;

-- name: newest_runs
-- The visible runs of the newest published partitions that have rows, or of one partition.
SELECT p.partition, p.prediction_run_id
FROM tidemill.published p
JOIN tidemill.prediction_run r USING (prediction_run_id)
WHERE p.model = %(model)s AND r.n_rows > 0 AND (%(partition)s::text IS NULL OR p.partition = %(partition)s)
ORDER BY tidemill.key_order(p.partition) DESC LIMIT %(limit)s;

-- name: row_exists
-- Whether a run has a row for an entity: by the primary key of the run's own table.
SELECT 1 FROM tidemill.prediction
WHERE model = %(model)s AND partition = %(partition)s AND prediction_run_id = %(prediction_run_id)s
  AND entity_key = %(entity_key)s;

-- name: row_versions
-- What readers saw of an entity in a partition, the newest run first; withheld rows are not shown.
SELECT row.partition, run.prediction_run_id, run.release_id, run.status, run.published_at, run.simulated, row.score,
    coalesce(to_jsonb(row.predicted), CASE run.task WHEN 'binary' THEN to_jsonb(row.score >= run.threshold) END) #>> '{}'
        AS predicted, row.low, row.high
FROM tidemill.prediction row
JOIN tidemill.prediction_run run USING (prediction_run_id)
WHERE row.model = %(model)s AND row.partition = %(partition)s AND row.entity_key = %(entity_key)s
  AND run.status IN ('published', 'superseded')
ORDER BY run.prediction_run_id DESC LIMIT %(limit)s;

-- name: role_exists
-- Whether there is a role of a name.
SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = %(role)s);

-- name: role_has_powers
-- Whether a role exists that may do more than a reader's login should.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_roles
    WHERE rolname = %(role)s AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls));

-- name: database_name
-- The database of this connection.
SELECT current_database();
