-- name: model_states
-- For each of some models: the newest examined partition, how many published ones are newer, the newest published ones, those
-- of them that are empty, and those whose newest rows are withheld.
SELECT known.model, seen.examined, newer.n_unexamined, newest.published,
    ARRAY(SELECT r.partition FROM tidemill.prediction_run r
          WHERE r.model = known.model AND r.status = 'published' AND r.n_rows = 0
            AND r.partition >= left(newest.published[cardinality(newest.published)], 13)) AS empty,
    ARRAY(SELECT r.partition FROM tidemill.prediction_run r
          WHERE r.model = known.model AND r.status = 'withheld') AS withheld
FROM unnest(%(models)s::text[]) known (model)
CROSS JOIN LATERAL (SELECT left(max(e.partition), 13) AS clock FROM tidemill.examination e WHERE e.model = known.model) last
LEFT JOIN LATERAL (SELECT e.partition AS examined FROM tidemill.examination e
                   WHERE e.model = known.model AND e.partition >= last.clock
                   ORDER BY tidemill.key_order(e.partition) DESC LIMIT 1) seen ON true
CROSS JOIN LATERAL (SELECT count(*) AS n_unexamined FROM tidemill.published p
                    WHERE p.model = known.model AND p.partition >= coalesce(last.clock, '')
                      AND tidemill.key_order(p.partition) > coalesce(tidemill.key_order(seen.examined), '')) newer
CROSS JOIN LATERAL (SELECT ARRAY(SELECT p.partition FROM tidemill.published p WHERE p.model = known.model
                                 ORDER BY tidemill.key_order(p.partition) DESC LIMIT %(limit)s) AS published) newest;

-- name: count_published
-- How many partitions of a model are published.
SELECT count(*) FROM tidemill.published WHERE model = %(model)s;

-- name: failed_steps
-- Failed steps of the newest week of work of some models that have neither succeeded since nor been dismissed, and whether
-- any attempt since the last success was scheduled.
WITH failed AS (
    SELECT r.model, r.run_id, r.chain, r.step, r.partition, coalesce(r.map_index, -1) AS map_index, r.error, r.ended_at,
        r.dag_id, r.dag_run_id, r.task_id, r.try_number,
        coalesce(r.dag_run_id, '') ~ '^(scheduled|asset_triggered|retrain)__' AS by_schedule
    FROM unnest(%(models)s::text[]) known (model)
    CROSS JOIN LATERAL (SELECT max(started_at) AS at FROM tidemill.run WHERE model = known.model) newest
    JOIN tidemill.run r
      ON r.model = known.model AND r.status = 'failed' AND r.started_at > newest.at - interval '7 days'
), standing AS (
    SELECT f.*,
        (SELECT bool_or(a.by_schedule) FROM failed a
         WHERE (a.model, a.chain, a.partition, a.step, a.map_index) = (f.model, f.chain, f.partition, f.step, f.map_index)
           AND a.run_id > coalesce((SELECT max(done.run_id) FROM tidemill.run done
                                    WHERE (done.model, done.chain, done.partition, done.step, coalesce(done.map_index, -1))
                                        = (f.model, f.chain, f.partition, f.step, f.map_index)
                                      AND done.status = 'succeeded'), 0)) AS scheduled
    FROM failed f
    WHERE NOT EXISTS (SELECT FROM tidemill.run later
                      WHERE (later.model, later.chain, later.partition, later.step, coalesce(later.map_index, -1))
                          = (f.model, f.chain, f.partition, f.step, f.map_index)
                        AND later.run_id > f.run_id)
      AND NOT EXISTS (SELECT FROM tidemill.audit
                      WHERE model = f.model AND event = 'dismiss' AND details ->> 'chain' = f.chain
                        AND details ->> 'step' = f.step AND details ->> 'partition' = f.partition
                        AND CAST(details ->> 'run_id' AS bigint) >= f.run_id)
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY model ORDER BY scheduled DESC, ended_at DESC) AS place FROM standing
)
SELECT model, run_id, chain, step, partition, coalesce(error, '') AS error, ended_at, dag_id, dag_run_id, task_id, map_index,
    try_number, scheduled AS by_schedule
FROM ranked
WHERE %(limit)s::bigint IS NULL OR place <= %(limit)s
ORDER BY model, place;

-- name: standing_releases
-- The newest releases of some models with their newest verdict, or only those that serve, the newest release first.
SELECT known.model, r.release_id, r.estimator, r.partition, r.metric, r.metric_value, d.verdict, live.live_from,
    live.approved_by, live.reason,
    coalesce((SELECT CAST(m->>'value' AS double precision) FROM jsonb_array_elements(r.evidence->'metrics') m
              WHERE m->>'name' = r.metric || '_of_partitions' LIMIT 1), r.metric_value) AS accepted_value
FROM unnest(%(models)s::text[]) known (model)
CROSS JOIN LATERAL (
    SELECT * FROM tidemill.release r
    WHERE r.model = known.model
      AND (NOT %(serving)s OR r.release_id = (SELECT release_id FROM tidemill.champion WHERE model = known.model))
    ORDER BY r.release_id DESC LIMIT %(limit)s
) r
JOIN tidemill.decision d USING (decision_id)
LEFT JOIN LATERAL (SELECT live_from, approved_by, reason FROM tidemill.live
                   WHERE model = r.model AND release_id = r.release_id
                   ORDER BY deployment_id DESC LIMIT 1) live ON true
ORDER BY known.model, r.release_id DESC;

-- name: newest_quality
-- The newest realised figure of each model's deciding metric.
SELECT known.model, found.*
FROM unnest(%(models)s::text[], %(metrics)s::text[]) known (model, metric)
CROSS JOIN LATERAL (
    SELECT m.partition, m.name, m.value, m.low, m.high, m.n FROM tidemill.metric m
    WHERE m.model = known.model AND m.part = 'performance' AND m.slice IS NULL
      AND m.name IN (known.metric, known.metric || '_recent')
    ORDER BY m.partition DESC, m.name DESC, m.run_id DESC, m.metric_id DESC LIMIT 1
) found;

-- name: newest_partitions
-- The newest published partitions of some models, or one, each with the figure and the page of the newest run that has them.
SELECT p.model, p.partition, run.n_rows, run.n_set_aside, run.release_id, run.simulated, p.published_at, run.marked,
       EXISTS (SELECT FROM tidemill.prediction_run held
               WHERE (held.model, held.partition, held.status) = (p.model, p.partition, 'withheld')) AS withheld,
       realised.name, realised.value, realised.low, realised.high, realised.n,
       estimated.value AS estimate, estimated.low AS estimate_low, estimated.high AS estimate_high,
       drift.value AS drift_share, monitoring.uri AS monitoring, contract.uri AS contract
FROM unnest(%(models)s::text[]) known (model)
CROSS JOIN LATERAL (SELECT * FROM tidemill.published pointer
                    WHERE pointer.model = known.model
                      AND (%(partition)s::text IS NULL OR pointer.partition = %(partition)s)
                    ORDER BY tidemill.key_order(pointer.partition) DESC LIMIT %(limit)s) p
JOIN tidemill.prediction_run run USING (prediction_run_id)
JOIN tidemill.release r ON r.release_id = run.release_id
LEFT JOIN LATERAL (SELECT name, value, low, high, n FROM tidemill.metric m
                   WHERE m.model = p.model AND m.part = 'performance' AND m.partition = p.partition
                     AND m.name = r.metric AND m.slice IS NULL
                   ORDER BY m.run_id DESC, m.metric_id DESC LIMIT 1) realised ON true
LEFT JOIN LATERAL (SELECT value, low, high FROM tidemill.metric m
                   WHERE m.model = p.model AND m.part = 'estimate' AND m.partition = p.partition
                     AND m.name = 'estimated_' || r.metric AND m.slice IS NULL
                   ORDER BY m.run_id DESC, m.metric_id DESC LIMIT 1) estimated ON true
LEFT JOIN LATERAL (SELECT value FROM tidemill.metric m
                   WHERE m.model = p.model AND m.part = 'drift' AND m.partition = p.partition
                     AND m.name = 'drift_share' ORDER BY m.run_id DESC, m.metric_id DESC LIMIT 1) drift ON true
LEFT JOIN LATERAL (SELECT result->>'uri' AS uri FROM tidemill.run
                   WHERE model = p.model AND chain = 'monitor' AND partition = p.partition AND step = 'report'
                     AND status = 'succeeded' ORDER BY run_id DESC LIMIT 1) monitoring ON true
LEFT JOIN LATERAL (SELECT result->>'report_uri' AS uri FROM tidemill.run
                   WHERE model = p.model AND chain = 'predict' AND partition = p.partition
                     AND step = 'validate_data' AND status = 'succeeded'
                   ORDER BY run_id DESC LIMIT 1) contract ON true
ORDER BY p.model, tidemill.key_order(p.partition) DESC;

-- name: feature_drift
-- The distance of features from the training data in some partitions, as the newest run of each measured it: of the features
-- that are most important in the newest of them.
WITH newest AS (
    SELECT known.partition, measured.run_id
    FROM unnest(%(partitions)s::text[]) known (partition)
    CROSS JOIN LATERAL (SELECT max(run_id) AS run_id FROM tidemill.metric
                        WHERE model = %(model)s AND part = 'drift' AND partition = known.partition AND name = 'psi') measured
    WHERE measured.run_id IS NOT NULL
), important AS (
    SELECT feature
    FROM tidemill.metric JOIN newest USING (partition, run_id)
    WHERE model = %(model)s AND part = 'drift' AND feature IS NOT NULL AND slice IS NULL
      AND name IN ('psi', 'importance_share')
      AND partition = (SELECT partition FROM newest ORDER BY tidemill.key_order(partition) DESC LIMIT 1)
    GROUP BY feature
    HAVING bool_or(name = 'psi')
    ORDER BY coalesce(nullif(max(value) FILTER (WHERE name = 'importance_share'), 'NaN'), 0) DESC, feature
    LIMIT %(limit)s
)
SELECT feature, partition,
    max(value) FILTER (WHERE name = 'psi') AS distance,
    coalesce(max(value) FILTER (WHERE name = 'psi_threshold'), 'NaN') AS threshold,
    coalesce(max(value) FILTER (WHERE name = 'importance_share'), 'NaN') AS importance
FROM important
JOIN tidemill.metric USING (feature)
JOIN newest USING (partition, run_id)
WHERE model = %(model)s AND part = 'drift' AND slice IS NULL AND name IN ('psi', 'psi_threshold', 'importance_share')
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
-- Every model in the ledger: from one to the next by the index, however many runs each has.
WITH RECURSIVE known AS (
    SELECT min(model) AS model FROM tidemill.run
    UNION ALL
    SELECT (SELECT min(model) FROM tidemill.run WHERE model > known.model) FROM known WHERE known.model IS NOT NULL
)
SELECT model FROM known WHERE model IS NOT NULL ORDER BY model;

-- name: model_is_known
-- Whether the ledger has a model.
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

-- name: newest_specs
-- The spec as of the newest step of each of some models.
SELECT known.model, document.content
FROM unnest(%(models)s::text[]) known (model)
CROSS JOIN LATERAL (SELECT spec_digest FROM tidemill.run WHERE model = known.model
                    ORDER BY started_at DESC LIMIT 1) newest
JOIN tidemill.document ON document.digest = newest.spec_digest AND document.kind = 'spec';

-- name: row_decisions
-- The decisions about withheld rows from one partition to another, oldest first.
SELECT partition, kind, verdict, reasons, decided_at
FROM tidemill.decision
WHERE model = %(model)s AND kind IN ('inspect', 'publish') AND partition BETWEEN left(%(first)s, 13) AND left(%(last)s, 13) || 'z'
ORDER BY decision_id;

-- name: partition_place
-- Whether the newest rows of a partition are withheld, and the published or withheld partitions beside it.
SELECT
    (SELECT bool_or(withheld) FROM tidemill.published_partition WHERE model = %(model)s AND partition = %(partition)s),
    (SELECT partition FROM tidemill.published_partition
     WHERE model = %(model)s AND tidemill.key_order(partition) < tidemill.key_order(%(partition)s)
     ORDER BY tidemill.key_order(partition) DESC LIMIT 1),
    (SELECT partition FROM tidemill.published_partition
     WHERE model = %(model)s AND tidemill.key_order(partition) > tidemill.key_order(%(partition)s)
     ORDER BY tidemill.key_order(partition) LIMIT 1);

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
-- The runs among some of Airflow's that have a failed step, each of the model beside it.
SELECT DISTINCT r.model, r.dag_run_id
FROM unnest(%(models)s::text[], %(dag_run_ids)s::text[]) known (model, dag_run_id)
JOIN tidemill.run r
  ON r.model = known.model AND r.dag_run_id = known.dag_run_id AND r.status = 'failed' AND r.started_at > %(since)s;
