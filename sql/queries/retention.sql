-- name: try_collection_lock
-- Take the lock of collections if it is free; the session holds it until it closes.
SELECT pg_try_advisory_lock(%(lock)s);

-- name: kept_folders
-- Folders that a kept release or prediction run depends on, of all models.
WITH live_run AS (
    SELECT model, release_id, snapshot_digest FROM tidemill.prediction_run
    WHERE status <> 'collected' AND prediction_run_id <> ALL(%(going)s::bigint[])
), served AS (
    SELECT release_id, lead(deployed_at) OVER (ORDER BY deployment_id) AS until
    FROM tidemill.deployment WHERE model = %(model)s
), kept AS (
    SELECT r.* FROM tidemill.release r
    WHERE r.model <> %(model)s
       OR r.release_id IN (SELECT release_id FROM tidemill.champion)
       OR r.release_id IN (SELECT d.previous_release_id FROM tidemill.deployment d
                           JOIN tidemill.champion c ON c.model = d.model AND c.release_id = d.release_id)
       OR r.release_id IN (SELECT release_id FROM served WHERE until IS NULL OR until > %(served)s)
       OR r.judged_at > %(registered)s
       OR r.release_id IN (SELECT release_id FROM live_run)
       OR r.release_id::text IN (SELECT name FROM tidemill.held WHERE what = 'release')
)
SELECT bundle_uri FROM kept
UNION SELECT evidence ->> 'uri' FROM kept
UNION SELECT evidence #>> '{bundle,uri}' FROM kept
UNION SELECT uri #>> '{}' FROM kept, jsonb_path_query(evidence, 'lax $.candidates[*].search.uri') uri
UNION SELECT model || '/splits/' || split_digest FROM kept
UNION SELECT s.uri FROM tidemill.snapshot s
      WHERE (s.model, s.digest) IN (SELECT model, snapshot_digest FROM kept UNION SELECT model,
          snapshot_digest FROM live_run
                                    UNION SELECT model, name FROM tidemill.held WHERE what = 'snapshot');

-- name: last_use
-- When a step last referred to each folder of a model: existing content is not written again.
SELECT uri #>> '{}', max(coalesce(ended_at, started_at))
FROM tidemill.run,
    jsonb_path_query(result, 'strict $.** ? (@.type() == "string" && @ starts with $prefix)', %(vars)s) uri
WHERE model = %(model)s AND result IS NOT NULL
GROUP BY 1;

-- name: record_collection
-- Append the removal of a folder to the audit, unless an earlier, killed collection has done so.
SELECT tidemill.append_audit('collect', %(model)s, %(details)s)
WHERE NOT EXISTS (
    SELECT FROM tidemill.collected WHERE model = %(model)s AND name = %(name)s AND collected_at > %(written)s
);

-- name: model_in_use
-- Whether a step of the model is running, or has run since an instant.
SELECT EXISTS (
    SELECT FROM tidemill.run
    WHERE model = %(model)s
      AND (greatest(started_at, ended_at) >= %(started)s
           OR (status = 'running' AND started_at > clock_timestamp() - %(dead_after)s::interval))
);

-- name: collect_watching
-- Delete monitoring's records that are older than the limit.
SELECT *
FROM tidemill.collect_watching(%(model)s, %(before)s, %(n_partitions)s, %(at_most)s);

-- name: collect_records
-- Delete figures, checks and runs that are older than the limit.
SELECT *
FROM tidemill.collect_records(%(model)s, %(before)s, %(n_partitions)s, %(n_runs)s, %(at_most)s);

-- name: due_runs
-- Prediction runs without a hold that were never published, or were superseded long ago.
SELECT r.prediction_run_id, r.partition, r.status, r.status_since,
       pg_total_relation_size(to_regclass('tidemill.prediction_run_' || r.prediction_run_id))
FROM tidemill.prediction_run r
WHERE r.model = %(model)s
  AND (r.status IN ('writing', 'written', 'stale', 'discarded') AND r.status_since < %(unpublished)s
       OR r.status = 'superseded' AND r.status_since < %(superseded)s)
  AND NOT EXISTS (SELECT FROM tidemill.published p WHERE p.prediction_run_id = r.prediction_run_id)
  AND NOT EXISTS (SELECT FROM tidemill.shadow s  -- waits for labels
                  WHERE (s.model, s.release_id, s.state) = (r.model, r.release_id, 'running') AND r.status = 'written')
  AND NOT EXISTS (SELECT FROM tidemill.held h WHERE h.model = r.model
                  AND (h.what, h.name) IN (('prediction_run', r.prediction_run_id::text), ('partition', r.partition),
                                           ('release', r.release_id::text)))
ORDER BY r.prediction_run_id;

-- name: collect_prediction_run
-- Drop the table of a prediction run and record that.
SELECT tidemill.collect_prediction_run(%(prediction_run_id)s, %(status_since)s, %(reason)s);
