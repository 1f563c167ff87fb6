-- name: model_state
-- Published partitions, those not examined yet, the newest examined one, and the champion.
WITH seen AS (SELECT max(partition) AS newest FROM tidemill.examination WHERE model = %(model)s)
SELECT count(partition), count(partition) FILTER (WHERE partition > coalesce(newest, '')), max(newest),
    (SELECT release_id FROM tidemill.champion WHERE model = %(model)s)
FROM seen
LEFT JOIN tidemill.published ON model = %(model)s;

-- name: failed_steps
-- Failed steps of the newest week of work that have neither succeeded since nor been dismissed, and whether any attempt
-- since the last success was scheduled.
WITH attempt AS (
    SELECT run_id, chain, step, partition, coalesce(map_index, -1) AS map_index, status, error, ended_at,
        dag_id, dag_run_id, task_id, try_number,
        coalesce(dag_run_id, '') ~ '^(scheduled|asset_triggered|retrain)__' AS by_schedule
    FROM tidemill.run
    WHERE model = %(model)s
      AND started_at > (SELECT max(started_at) - interval '7 days' FROM tidemill.run WHERE model = %(model)s)
), newest AS (
    SELECT DISTINCT ON (chain, partition, step, map_index) *
    FROM attempt
    ORDER BY chain, partition, step, map_index, run_id DESC
)
SELECT run_id, chain, step, partition, coalesce(error, '') AS error, ended_at, dag_id, dag_run_id, task_id, map_index,
    try_number,
    (SELECT bool_or(a.by_schedule) FROM attempt a
     WHERE (a.chain, a.partition, a.step, a.map_index) = (n.chain, n.partition, n.step, n.map_index)
       AND a.status = 'failed'
       AND a.run_id > coalesce((SELECT max(done.run_id) FROM attempt done
                                WHERE (done.chain, done.partition, done.step, done.map_index)
                                    = (n.chain, n.partition, n.step, n.map_index)
                                  AND done.status = 'succeeded'), 0)) AS by_schedule
FROM newest n
WHERE status = 'failed'
  AND NOT EXISTS (SELECT FROM tidemill.audit
                  WHERE model = %(model)s AND event = 'dismiss' AND details ->> 'chain' = n.chain
                    AND details ->> 'step' = n.step AND details ->> 'partition' = n.partition
                    AND CAST(details ->> 'run_id' AS bigint) >= n.run_id)
ORDER BY by_schedule DESC, ended_at DESC LIMIT %(limit)s;

-- name: standing_releases
-- Releases with their newest verdict, the newest release first; one of them if its id is given.
SELECT r.release_id, r.estimator, r.partition, r.metric, r.metric_value, d.verdict, live.live_from,
    live.approved_by, live.reason,
    coalesce((SELECT CAST(m->>'value' AS double precision) FROM jsonb_array_elements(r.evidence->'metrics') m
              WHERE m->>'name' = r.metric || '_of_partitions' LIMIT 1), r.metric_value) AS accepted_value
FROM tidemill.release r
JOIN tidemill.decision d USING (decision_id)
LEFT JOIN LATERAL (SELECT live_from, approved_by, reason FROM tidemill.live
                   WHERE model = r.model AND release_id = r.release_id
                   ORDER BY deployment_id DESC LIMIT 1) live ON true
WHERE r.model = %(model)s AND (%(release_id)s::bigint IS NULL OR r.release_id = %(release_id)s)
ORDER BY r.release_id DESC LIMIT %(limit)s;

-- name: newest_quality
-- The newest realised figure of the deciding metric.
SELECT partition, name, value, low, high, n FROM tidemill.metric
WHERE model = %(model)s AND part = 'performance' AND slice IS NULL AND name IN (%(metric)s, %(metric)s::text || '_recent')
ORDER BY partition DESC, name DESC, run_id DESC LIMIT 1;

-- name: newest_partitions
-- The newest published partitions, or one, each with the figure and the page of the newest run that has them.
SELECT p.partition, p.n_rows, p.n_set_aside, p.release_id, p.simulated, p.published_at, p.withheld, p.marked,
       realised.name, realised.value, realised.low, realised.high, realised.n,
       estimated.value AS estimate, estimated.low AS estimate_low, estimated.high AS estimate_high,
       drift.value AS drift_share, monitoring.uri AS monitoring, contract.uri AS contract
FROM tidemill.published_partition p
JOIN tidemill.release r USING (release_id)
LEFT JOIN LATERAL (SELECT name, value, low, high, n FROM tidemill.metric m
                   WHERE m.model = p.model AND m.part = 'performance' AND m.partition = p.partition
                     AND m.name = r.metric AND m.slice IS NULL ORDER BY m.run_id DESC LIMIT 1) realised ON true
LEFT JOIN LATERAL (SELECT value, low, high FROM tidemill.metric m
                   WHERE m.model = p.model AND m.part = 'estimate' AND m.partition = p.partition
                     AND m.name = 'estimated_' || r.metric AND m.slice IS NULL
                   ORDER BY m.run_id DESC LIMIT 1) estimated ON true
LEFT JOIN LATERAL (SELECT value FROM tidemill.metric m
                   WHERE m.model = p.model AND m.part = 'drift' AND m.partition = p.partition
                     AND m.name = 'drift_share' ORDER BY m.run_id DESC LIMIT 1) drift ON true
LEFT JOIN LATERAL (SELECT result->>'uri' AS uri FROM tidemill.run
                   WHERE model = p.model AND chain = 'monitor' AND partition = p.partition AND step = 'report'
                     AND status = 'succeeded' ORDER BY run_id DESC LIMIT 1) monitoring ON true
LEFT JOIN LATERAL (SELECT result->>'report_uri' AS uri FROM tidemill.run
                   WHERE model = p.model AND chain = 'predict' AND partition = p.partition
                     AND step = 'validate_data' AND status = 'succeeded'
                   ORDER BY run_id DESC LIMIT 1) contract ON true
WHERE p.model = %(model)s AND p.published_at IS NOT NULL
  AND (%(partition)s::text IS NULL OR p.partition = %(partition)s)
ORDER BY p.partition DESC LIMIT %(limit)s;

-- name: feature_drift
-- Each feature's distance from the training data in some partitions, as the newest run of each measured it.
WITH newest AS (
    SELECT partition, max(run_id) AS run_id FROM tidemill.metric
    WHERE model = %(model)s AND part = 'drift' AND partition = ANY(%(partitions)s) AND name = 'psi'
    GROUP BY partition
)
SELECT feature, partition,
    max(value) FILTER (WHERE name = 'psi') AS distance,
    coalesce(max(value) FILTER (WHERE name = 'psi_threshold'), 'NaN') AS threshold,
    coalesce(max(value) FILTER (WHERE name = 'importance_share'), 'NaN') AS importance
FROM tidemill.metric JOIN newest USING (partition, run_id)
WHERE model = %(model)s AND part = 'drift' AND feature IS NOT NULL AND slice IS NULL
  AND name IN ('psi', 'psi_threshold', 'importance_share')
GROUP BY feature, partition
HAVING count(*) FILTER (WHERE name = 'psi') > 0;

-- name: recorded_score
-- The ML Test Score that the newest monitoring recorded.
SELECT partition, result -> 'ml_test_score' AS points
FROM tidemill.run
WHERE model = %(model)s AND chain = 'monitor' AND step = 'report' AND status = 'succeeded'
  AND result -> 'ml_test_score' <> '{}'
ORDER BY run_id DESC LIMIT 1;

-- name: retrain_decisions
-- The newest decisions on whether to retrain.
SELECT partition, verdict, reasons
FROM tidemill.decision
WHERE model = %(model)s AND kind = 'retrain'
ORDER BY decision_id DESC LIMIT %(limit)s;

-- name: models
-- Every model that the ledger knows: from one to the next by the index, however many runs each has.
WITH RECURSIVE known AS (
    SELECT min(model) AS model FROM tidemill.run
    UNION ALL
    SELECT (SELECT min(model) FROM tidemill.run WHERE model > known.model) FROM known WHERE known.model IS NOT NULL
)
SELECT model FROM known WHERE model IS NOT NULL ORDER BY model;

-- name: model_is_known
-- Whether the ledger knows a model.
SELECT EXISTS (SELECT FROM tidemill.run WHERE model = %(model)s);

-- name: release_evidence
-- Snapshot, evaluation, decision and spec of a release, as of its newest judgement.
SELECT to_jsonb(s) - '{run_id,taken_at}'::text[], r.evidence,
    jsonb_build_object('kind', d.kind, 'verdict', d.verdict, 'reasons', d.reasons),
    (SELECT CAST(convert_from(content, 'UTF8') AS jsonb) FROM tidemill.document
     WHERE digest = r.spec_digest AND kind = 'spec')
FROM tidemill.release r
JOIN tidemill.decision d USING (decision_id)
JOIN tidemill.snapshot s ON s.model = r.model AND s.digest = r.snapshot_digest
WHERE r.model = %(model)s AND r.release_id = %(release_id)s;

-- name: newest_spec
-- The spec as of the newest step of a model.
SELECT content FROM tidemill.document
WHERE kind = 'spec' AND digest = (SELECT spec_digest FROM tidemill.run WHERE model = %(model)s
                                  ORDER BY started_at DESC LIMIT 1);

-- name: newest_keys
-- The newest partitions that are published or withheld, whether each is empty, and whether newer rows wait.
SELECT partition, coalesce(empty, false), withheld
FROM tidemill.published_partition
WHERE model = %(model)s
ORDER BY partition DESC LIMIT %(limit)s;

-- name: row_decisions
-- The decisions about withheld rows from one partition to another, oldest first.
SELECT partition, kind, verdict, reasons, decided_at
FROM tidemill.decision
WHERE model = %(model)s AND kind IN ('inspect', 'publish') AND partition BETWEEN %(first)s AND %(last)s
ORDER BY decision_id;

-- name: partition_place
-- Whether the newest rows of a partition are withheld, and the published or withheld partitions beside it.
SELECT
    (SELECT bool_or(withheld) FROM tidemill.published_partition WHERE model = %(model)s AND partition = %(partition)s),
    (SELECT max(partition) FROM tidemill.published_partition WHERE model = %(model)s AND partition < %(partition)s),
    (SELECT min(partition) FROM tidemill.published_partition WHERE model = %(model)s AND partition > %(partition)s);

-- name: partition_revision
-- In how many rows the visible run of a partition differs from the run that was visible before it.
SELECT v.n_added, v.n_removed, v.n_changed
FROM tidemill.published p
JOIN tidemill.revision v USING (prediction_run_id)
WHERE p.model = %(model)s AND p.partition = %(partition)s;

-- name: partition_steps
-- The newest executions of steps for a partition.
SELECT run_id, chain, step, status, coalesce(error, '') AS error, started_at, wall_s, n_rows, dag_id, dag_run_id, task_id,
    map_index, try_number
FROM tidemill.run
WHERE model = %(model)s AND chain IN ('train', 'predict', 'monitor', 'retrain', 'reproduce') AND partition = %(partition)s
ORDER BY run_id DESC LIMIT %(limit)s;

-- name: partition_alerts
-- What happened to alerts in a partition.
SELECT alert_id, rule, e.event, e.severity, e.message
FROM tidemill.alert
JOIN tidemill.alert_event e USING (alert_id)
WHERE model = %(model)s AND e.partition = %(partition)s
ORDER BY event_id;

-- name: release_pages
-- Where the card, the pages and the MLflow entries of a release are.
SELECT r.bundle_uri, r.mlflow_run_id, registered.result ->> 'mlflow_version' AS mlflow_version,
    (SELECT result ->> 'uri' FROM tidemill.run
     WHERE model = r.model AND chain = 'train' AND partition = r.partition AND step = 'analyse' AND status = 'succeeded'
       AND result ->> 'snapshot_digest' = r.snapshot_digest ORDER BY run_id DESC LIMIT 1) AS profile,
    (SELECT result ->> 'report_uri' FROM tidemill.run
     WHERE model = r.model AND chain = 'train' AND partition = r.partition AND step = 'validate_data'
       AND status = 'succeeded' AND result ->> 'snapshot_digest' = r.snapshot_digest
     ORDER BY run_id DESC LIMIT 1) AS contract
FROM tidemill.release r
LEFT JOIN tidemill.run registered USING (run_id)
WHERE r.model = %(model)s AND r.release_id = %(release_id)s;

-- name: recorded_failures
-- The runs among some of Airflow's that have a failed step.
SELECT DISTINCT dag_run_id
FROM tidemill.run
WHERE model = %(model)s AND dag_run_id = ANY(%(dag_run_ids)s) AND status = 'failed' AND started_at > %(since)s;
